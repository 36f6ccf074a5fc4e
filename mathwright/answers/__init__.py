"""Extract final answers and judge them, exactly and safely."""

from mathwright.answers.check import check_answer, check_answer_async, check_response, check_responses
from mathwright.answers.choices import choice_letter
from mathwright.answers.extract import extract_answer
from mathwright.answers.searched import answering_text, opened_thought

__all__ = [
    "answering_text",
    "check_answer",
    "check_answer_async",
    "check_response",
    "check_responses",
    "choice_letter",
    "extract_answer",
    "opened_thought",
]
