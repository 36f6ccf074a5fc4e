"""Whether a response solves its problem: by its answer, by the option it names, or by the tests its program passes."""

from __future__ import annotations

import re

from mathwright.answers import check_answer, choice_letter, extract_answer, opened_thought
from mathwright.problems.prompts import Prompt, program_of
from mathwright.records import Problem, SolutionFormat, Verdict
from mathwright.tools.loop import program_answer
from mathwright.tools.sandbox import Sandbox
from mathwright.tools.unit_tests import passes_tests

PROGRAM_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 5.0
_LETTERS = re.compile(r"[A-J](?![a-z])")
_ONLY_LETTERS = re.compile(r"(?:[A-J](?![a-z])|\\text|and|和|[\s(){},;、，$])*")


def judge(
    response: str,
    problem: Problem,
    mode: SolutionFormat,
    *,
    prompt: Prompt,
    sandbox: Sandbox | None,
    rel_tolerance: float = 0.0,
) -> Verdict:
    """The verdict on a response; never an exception, whatever the model wrote.

    A problem with `tests` is solved by a program that passes them; in pot mode the answer is what the program prints
    last; otherwise it is what `extract_answer` finds. A question with choices is answered by a letter, or by the text
    of one option. `sandbox` is needed where programs run; ValueError without it.
    """
    if problem.tests or mode == "pot":
        if sandbox is None:
            raise ValueError("a sandbox is needed to judge programs")
        code = program_of(problem, prompt, response)
        if problem.tests:
            return _by_tests(code, problem, sandbox)
        answer = program_answer(sandbox.run(code, timeout_s=PROGRAM_TIMEOUT_S)) if code is not None else None
    else:
        answer = extract_answer(opened_thought(prompt.text) + response)
    if not answer or not answer.strip():
        return Verdict(status="unparsable_prediction", prediction="", reference=problem.answer, method="none")
    if problem.choices:
        return _by_choice(answer, problem)
    return check_answer(answer, problem.answer, timeout_s=ANSWER_TIMEOUT_S, rel_tolerance=rel_tolerance)


def _by_tests(code: str | None, problem: Problem, sandbox: Sandbox) -> Verdict:
    if code is None or not code.strip():
        return Verdict(status="unparsable_prediction", prediction="", reference=problem.tests, method="tests")
    passed, execution = passes_tests(sandbox, code, problem.tests, timeout_s=PROGRAM_TIMEOUT_S)
    status = "correct" if passed else "timeout" if execution.status == "timeout" else "incorrect"
    return Verdict(status=status, prediction=code, reference=problem.tests, method="tests")


def _by_choice(answer: str, problem: Problem) -> Verdict:
    if len(problem.answer) > 1:  # several options are right, and all must be named
        letters = "".join(sorted(set(_LETTERS.findall(answer)))) if _ONLY_LETTERS.fullmatch(answer) else ""
        status = "correct" if letters == problem.answer else "incorrect"
        return Verdict(status=status, prediction=letters or answer, reference=problem.answer, method="choice")
    letter = choice_letter(answer, problem.choices)
    if letter is None:
        # An answer that is no option is wrong, not missing: the question was answered.
        return Verdict(status="incorrect", prediction=answer, reference=problem.answer, method="choice")
    status = "correct" if letter == problem.answer else "incorrect"
    return Verdict(status=status, prediction=letter, reference=problem.answer, method="choice")
