"""What becomes of the teacher's responses: a right solution, or the reason why it is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mathwright.answers import check_answer
from mathwright.engines.engine import Answer
from mathwright.judge import final_answer, judge_all
from mathwright.problems.formats import parse_response
from mathwright.problems.programs import program_of
from mathwright.problems.templates import Prompt
from mathwright.records import Part, SolutionFormat
from mathwright.sft.annotate import screen
from mathwright.sft.conversion.check import run_programs
from mathwright.tools.sandbox import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One response, looked at."""

    sample: int
    reason: str
    """Why it is set aside; "" for one that may be kept."""
    parts: tuple[Part, ...]
    text: str
    answer: str = ""
    """What it answers, where nobody knows the right answer yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One response, to be looked at."""

    prompt: Prompt
    sample: int
    answer: Answer
    model: str


def judge_responses(
    responses: Sequence[Response], *, format_: SolutionFormat, teacher: str, sandbox: Sandbox
) -> list[Judged]:
    """Look at responses, in their order. For a problem without an answer the verdict is left to a vote."""
    reasons = [
        screen.reason_before_verdict(r.prompt, r.answer, format_, asked=teacher, model=r.model) for r in responses
    ]
    known = [i for i, r in enumerate(responses) if not reasons[i] and _has_reference(r)]
    verdicts = judge_all([(responses[i].prompt, responses[i].answer.text) for i in known], sandbox=sandbox)
    for i, verdict in zip(known, verdicts, strict=True):
        reasons[i] = screen.reason_of_verdict(verdict)
    if format_ == "pot":
        _tell_failures(responses, reasons, sandbox)
    judged: list[Judged] = []
    for response, reason in zip(responses, reasons, strict=True):
        parts = parts_of(response.prompt, response.answer.text, format_)
        problem = response.prompt.problem
        if not reason and _has_reference(response) and not problem.choices and not problem.tests:
            reason = screen.reason_after_verdict(problem.question, parts, problem.answer, format_)
        voted = ""
        if not reason and not _has_reference(response):
            voted = final_answer(response.prompt, response.answer.text, sandbox=sandbox) or ""
            reason = "" if voted else "unparsable"
        judged.append(
            Judged(sample=response.sample, reason=reason, parts=parts, text=response.answer.text, answer=voted)
        )
    return judged


def _has_reference(response: Response) -> bool:
    return bool(response.prompt.problem.answer.strip() or response.prompt.problem.tests)


def _tell_failures(responses: Sequence[Response], reasons: list[str], sandbox: Sandbox) -> None:
    """Of programs without an answer, which failed and which did not end."""
    silent = [i for i, reason in enumerate(reasons) if reason == "unparsable"]
    codes = [(program_of(responses[i].prompt, responses[i].answer.text) or "", "") for i in silent]
    for i, outcome in zip(silent, run_programs(codes, sandbox), strict=True):
        reasons[i] = {"program failed": "last program failed"}.get(outcome.reason, outcome.reason) or reasons[i]


def parts_of(prompt: Prompt, text: str, format_: SolutionFormat) -> tuple[Part, ...]:
    """A response as the parts of a solution."""
    if format_ == "pot":
        code = program_of(prompt, text)
        return (Part(kind="code", text=code.strip("\n")),) if code and code.strip() else ()
    if format_ == "cot":
        return (Part(kind="text", text=text.strip()),)
    return parse_response(text)


def majority(judged: Sequence[Judged], share: float) -> tuple[str, set[int]]:
    """The answer of more than `share` of all samples, and these samples; "" where there is none.

    Two samples at least must agree: one alone is no vote. Answers are equal as the judge has it.
    """
    groups: list[list[Judged]] = []
    for one in judged:
        if one.reason:
            continue
        same = (g for g in groups if g[0].answer == one.answer or check_answer(one.answer, g[0].answer).correct)
        group = next(same, None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    largest = max(groups, key=len, default=[])
    if len(largest) < 2 or len(largest) <= share * len(judged):
        return "", set()
    return largest[0].answer, {one.sample for one in largest}
