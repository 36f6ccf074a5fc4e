"""Why a solution of the teacher is not to be trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from mathwright.answers import check_answer
from mathwright.engines.engine import Answer
from mathwright.problems.formats import parse_response
from mathwright.problems.programs import program_of
from mathwright.problems.templates import Prompt
from mathwright.records import Part, SolutionFormat, Verdict
from mathwright.sft.conversion.check import HARD_CODED, is_hard_coded
from mathwright.tools.fences import places

_ERROR_LINE = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit|Iteration)\b(?::.*)?\Z")
_TIMEOUT = re.compile(r"TimeoutError\b")
_NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:/\d+)?")


def reason_before_verdict(prompt: Prompt, answer: Answer, format_: SolutionFormat, *, asked: str, model: str) -> str:
    """Why a response is set aside whatever it answers; "" for nothing.

    Args:
        prompt: what was asked.
        answer: what came back.
        format_: the format that was asked for.
        asked: the model that was asked.
        model: the one that answered, "" where nobody says.
    """
    text = prompt.response_prefix + answer.text
    if model and not is_same_model(asked, model):
        return "another model"
    if answer.finish == "length":
        return "truncated"
    if not answer.text.strip():
        return "empty"
    if answer.finish == "tool_limit":
        return "too many programs"
    if any(place.close < 0 for place in places(text)):
        return "unbalanced fences"
    parts = parse_response(text)
    outputs = [part.text for part in parts if part.kind == "output"]
    if len(outputs) > answer.num_tool_calls:
        return "forged output"  # every output of ours stands behind a program that we have run
    if format_ == "tool":
        return _reason_of_programs(parts, outputs)
    has_program = any(part.kind == "code" for part in parts) or (format_ == "pot" and program_of(prompt, answer.text))
    if format_ == "pot" and not has_program:
        return "no program"
    return "program where words were asked for" if format_ == "cot" and has_program else ""


def _reason_of_programs(parts: Sequence[Part], outputs: Sequence[str]) -> str:
    if not any(part.kind == "code" for part in parts):
        return "no program"
    if not outputs:
        return "no program"
    last_line = outputs[-1].strip().rpartition("\n")[2]
    if _TIMEOUT.match(last_line):
        return "program timeout"
    return "last program failed" if _ERROR_LINE.match(last_line) else ""


def reason_of_verdict(verdict: Verdict) -> str:
    """Why a judged response is set aside; "" for a correct one."""
    if verdict.correct:
        return ""
    return {
        "incorrect": "wrong",
        "unparsable_prediction": "unparsable",
        "unparsable_reference": "reference cannot be read",
        "timeout": "judging timeout",
    }[verdict.status]


def reason_after_verdict(question: str, parts: Sequence[Part], answer: str, format_: SolutionFormat) -> str:
    """Why a response with the right answer is set aside all the same; "" for nothing."""
    if format_ == "cot":
        return ""
    if format_ == "tool" and _contradicts(parts, answer):
        return "answer contradicts the output"
    return HARD_CODED if is_hard_coded(parts, answer) else ""


def _contradicts(parts: Sequence[Part], answer: str) -> bool:
    """Whether the last program printed one number, and neither it nor any printed before is the answer."""
    printed = [
        line.strip() for part in parts if part.kind == "output" for line in part.text.splitlines() if line.strip()
    ]
    last = next((part.text.strip() for part in reversed(parts) if part.kind == "output"), "")
    if not _NUMBER.fullmatch(last) or not _NUMBER.fullmatch(answer.strip()):
        return False
    return not any(check_answer(line, answer).correct for line in reversed(printed[-20:]))


def is_same_model(asked: str, answered: str) -> bool:
    """Whether a server's name for a model can mean the one asked for: they add dates, owners and paths."""
    names = [re.sub(r"[^a-z0-9]", "", PurePath(name.removeprefix("wheel:")).name.lower()) for name in (asked, answered)]
    return not all(names) or names[0] in names[1] or names[1] in names[0]
