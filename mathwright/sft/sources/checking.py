"""Which solutions of a published row come to its answer, and what its equations are made into."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mathwright.answers import check_responses
from mathwright.problems.equations import EquationError, evaluate, number, parse
from mathwright.problems.fields import last_boxed
from mathwright.problems.formats import response_text
from mathwright.problems.layouts import Draft
from mathwright.records import Part, Solution
from mathwright.sft.conversion.check import Outcome
from mathwright.sft.conversion.programs import program_from_equation, program_from_solution, worked_lines
from mathwright.sft.sources.worked import Worked, Working, with_box

Run = Callable[[Sequence[tuple[str, str]]], list[Outcome]]
"""Runs programs, given as (code, reference answer)."""
CONTRADICTS = "answer contradicts the solution"


@dataclass(frozen=True, slots=True)
class NotMade:
    """Why equations became no program."""

    reason: str
    text: str


def solutions_of_equations(worked: Worked) -> list[Working] | NotMade:
    """The program of a row's equations, and of a bare equation the lines of its working; none of it is run yet."""
    draft = worked.draft
    if not worked.equation:
        code = program_from_solution(draft.question, worked.marked, draft.answer)
        if code is None:
            return NotMade("no equation gives the answer", worked.marked)
        return [Working(format="pot", parts=(Part(kind="code", text=code),))]
    try:
        expression, answer = parse(worked.equation), number(draft.answer)
        value, lines = evaluate(expression), worked_lines(expression)
        code = program_from_equation(expression, value if answer is None else answer)
    except EquationError as error:
        return NotMade("equation cannot be read", f"{worked.equation} ({error})")
    made = [Working(format="pot", parts=(Part(kind="code", text=code),))]
    if lines:
        text = with_box("\n".join(lines), draft.answer, worked.language)
        made.append(Working(format="cot", parts=(Part(kind="text", text=text),)))
    return made


def reasons_against(proposed: Sequence[tuple[Draft, Working]], run: Run) -> list[str]:
    """Why each of a publisher's solutions is set aside, "" for those that come to the reference answer.

    Programs are run; words are judged, unless their last box is the reference letter for letter. An analysis of options
    must choose the right letter where it names one.
    """
    reasons = [""] * len(proposed)
    programs = [i for i, (draft, working) in enumerate(proposed) if working.format == "pot" and not draft.choices]
    outcomes = run([(proposed[i][1].text, proposed[i][0].answer) for i in programs])
    for i, outcome in zip(programs, outcomes, strict=True):
        reasons[i] = outcome.reason
    worded = [
        i for i, (draft, working) in enumerate(proposed) if working.format != "pot" and not _names(working, draft)
    ]
    free = [i for i in worded if not proposed[i][0].choices]
    verdicts = check_responses([(_response(*proposed[i]), proposed[i][0].answer) for i in free])
    for i, verdict in zip(free, verdicts, strict=True):
        if proposed[i][1].unboxed:
            contradicts = verdict.status == "incorrect" and _NAMES_ANSWER.search(proposed[i][1].unboxed[-_TAIL:])
            reasons[i] = CONTRADICTS if contradicts else ""
            continue
        reasons[i] = {"incorrect": CONTRADICTS, "unparsable_prediction": "names no answer"}.get(verdict.status, "")
    for i in worded:
        draft, working = proposed[i]
        if draft.choices and chosen_letter(working) not in ("", draft.answer):
            reasons[i] = CONTRADICTS
    return reasons


_NAMES_ANSWER = re.compile(r"answer|####|答案|故选", re.IGNORECASE)
_TAIL = 200
"""So many characters at the end of a solution without a box are looked at for words that name its answer."""


def _response(draft: Draft, working: Working) -> str:
    if working.unboxed:  # the box at its end is ours: what it says itself is judged
        return working.unboxed
    return response_text(Solution(problem_id="", format=working.format, parts=working.parts, answer=draft.answer))


def _names(working: Working, draft: Draft) -> bool:
    """Whether the last words have the reference in their last box, letter for letter: there is nothing to compare."""
    last = working.parts[-1]
    return (
        not draft.choices
        and not working.unboxed
        and last.kind == "text"
        and (last_boxed(last.text) or "").strip() == draft.answer.strip()
    )


_CHOSEN = re.compile(
    r"(?:故选|选择?|答案[是为]?|answer is|correct (?:option|choice|answer) is|choose)"
    r"\W{0,12}(?:\\(?:text|mathrm|rm)\W{0,2})?([A-J])(?![A-Za-z])"
)


def chosen_letter(working: Working) -> str:
    """The letter an analysis chooses before the sentence with the box that is ours; "" where it names none."""
    text = working.parts[-1].text.rpartition("\n")[0]
    found = _CHOSEN.findall(text)
    return found[-1] if found else ""
