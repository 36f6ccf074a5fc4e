"""Extract final answers and judge them, exactly and safely."""

from mathwright.answers.check import check_answer, check_answer_async, check_response, check_responses
from mathwright.answers.choices import choice_letter
from mathwright.answers.extract import extract_answer
from mathwright.answers.searched import opened_thought

__all__ = [
    "check_answer",
    "check_answer_async",
    "check_response",
    "check_responses",
    "choice_letter",
    "extract_answer",
    "opened_thought",
]
