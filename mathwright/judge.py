"""Whether a response solves its problem: the one way from a response to its verdict, for rewards and evaluation.

    a theorem                      a prover must take the proof (`eval.proofs`); nothing is said here
    tests in the problem           the program of the response must pass them
    options                        the answer must name the right one, by its letter or its text
    closing brackets alone         the answer must have the same ones (Dyck words)
    neither                        the answer must equal the reference (`answers`)

In mode pot the answer is what the program prints last, otherwise what `answers.extract_answer` finds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

from mathwright import answers
from mathwright.problems.fields import letters
from mathwright.problems.programs import program_of
from mathwright.problems.templates import Prompt
from mathwright.records import Problem, Verdict
from mathwright.tools.loop import program_answer
from mathwright.tools.sandbox import Sandbox
from mathwright.tools.unit_tests import passes_tests

PROGRAM_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 5.0
_CLOSING = re.compile(r"[\])}>](?:\s*[\])}>])*")
"""A reference that is nothing but closing brackets: no mathematics, but the rest of a Dyck word (BIG-Bench Hard)."""
_LETTERS = re.compile(r"[A-J](?![a-z])")
_ONLY_LETTERS = re.compile(r"(?:[A-J](?![a-z])|\\text|and|和|[\s(){},;、，$])*")


def judge(prompt: Prompt, response: str, *, sandbox: Sandbox | None, rel_tolerance: float = 0.0) -> Verdict:
    """The verdict on a response; never an exception, whatever the model wrote.

    Args:
        prompt: what was asked.
        response: what the model wrote after it.
        sandbox: where programs run; may be None where the mode of the prompt is not pot.
        rel_tolerance: relative tolerance of a benchmark's own scorer for numbers.

    Raises ValueError where a sandbox is needed and missing, MathwrightError where it cannot run.
    """
    problem = prompt.problem
    if problem.theorem:  # `eval.proofs` asks a prover, where one is named
        return Verdict(
            status="unparsable_reference", prediction=response, reference=problem.theorem, method="no prover"
        )
    if problem.tests:
        return _by_tests(program_of(prompt, response), problem, _required(sandbox))
    answer = final_answer(prompt, response, sandbox=sandbox)
    if answer is None:
        return _no_answer(problem)
    if problem.choices:
        return _by_choice(answer, problem)
    if _CLOSING.fullmatch(problem.answer.strip()):
        return _by_brackets(answer, problem)
    return answers.check_answer(answer, problem.answer, timeout_s=ANSWER_TIMEOUT_S, rel_tolerance=rel_tolerance)


def judge_all(asked: Sequence[tuple[Prompt, str]], *, sandbox: Sandbox | None) -> list[Verdict]:
    """`judge` of many responses, given as (prompt, response), in their order.

    Free answers are compared over all workers at once, equal pairs once; programs run side by side. Raises as `judge`
    does.
    """
    free = [i for i, (prompt, _) in enumerate(asked) if prompt.mode != "pot" and _is_compared(prompt.problem)]
    pairs = [(answers.opened_thought(p.text) + response, p.problem.answer) for p, response in (asked[i] for i in free)]
    verdicts = dict(zip(free, answers.check_responses(pairs), strict=True))
    others = [i for i in range(len(asked)) if i not in verdicts]
    if others:
        with ThreadPoolExecutor(sandbox.num_workers if sandbox is not None else 1) as threads:
            judged = threads.map(lambda i: judge(*asked[i], sandbox=sandbox), others)
            verdicts.update(zip(others, judged, strict=True))
    return [verdicts[i] for i in range(len(asked))]


def _is_compared(problem: Problem) -> bool:
    """Whether an answer is right if it equals the reference."""
    if problem.choices or problem.tests or problem.theorem:
        return False
    return not _CLOSING.fullmatch(problem.answer.strip())


def final_answer(prompt: Prompt, response: str, *, sandbox: Sandbox | None) -> str | None:
    """The answer that a response gives, None where it gives none.

    Raises ValueError where a sandbox is needed and missing, MathwrightError where it cannot run.
    """
    if prompt.mode == "pot":
        code = program_of(prompt, response)
        answer = program_answer(_required(sandbox).run(code, timeout_s=PROGRAM_TIMEOUT_S)) if code is not None else None
    else:
        answer = answers.extract_answer(answers.opened_thought(prompt.text) + response)
    return answer if answer and answer.strip() else None


def undecided(verdict: Verdict) -> str:
    """Why a verdict says nothing about its response, or "": such a response is neither right nor wrong.

    The reference cannot be read, or the comparison ran out of time. A program that did has not passed its tests.
    """
    if verdict.method == "tests" and verdict.status == "timeout":
        return ""
    return verdict.status if verdict.status in ("unparsable_reference", "timeout") else ""


def needs_sandbox(prompts: Sequence[Prompt]) -> bool:
    """Whether programs run in the responses to some prompts, or as they are judged."""
    return any(prompt.mode != "cot" for prompt in prompts)


def sandbox_for(prompts: Sequence[Prompt]) -> AbstractContextManager[Sandbox | None]:
    """Where the programs in responses run, called by the model or judged; None where there are none."""
    return Sandbox() if needs_sandbox(prompts) else nullcontext()


def _required(sandbox: Sandbox | None) -> Sandbox:
    if sandbox is None:
        raise ValueError("a sandbox is needed to judge programs")
    return sandbox


def _by_brackets(answer: str, problem: Problem) -> Verdict:
    found, right = ("".join(text.split()) for text in (answer, problem.answer))
    status = "correct" if found == right else "incorrect"
    return Verdict(status=status, prediction=answer, reference=problem.answer, method="brackets")


def _no_answer(problem: Problem) -> Verdict:
    if not _is_compared(problem):
        return Verdict(status="unparsable_prediction", prediction="", reference=problem.answer, method="none")
    return answers.check_response("", problem.answer)  # which tells a reference that cannot be read


def _by_tests(code: str | None, problem: Problem, sandbox: Sandbox) -> Verdict:
    if code is None or not code.strip():
        return Verdict(status="unparsable_prediction", prediction="", reference=problem.tests, method="tests")
    try:
        passed, execution = passes_tests(sandbox, code, problem.tests, timeout_s=PROGRAM_TIMEOUT_S)
    except ValueError:  # the tests are no Python
        return Verdict(status="unparsable_reference", prediction=code, reference=problem.tests, method="tests")
    status = "correct" if passed else "timeout" if execution.status == "timeout" else "incorrect"
    return Verdict(status=status, prediction=code, reference=problem.tests, method="tests")


def _by_choice(answer: str, problem: Problem) -> Verdict:
    right = letters(problem.answer)
    if len(right) > 1:  # several options are right, and all must be named
        named = "".join(sorted(set(_LETTERS.findall(answer)))) if _ONLY_LETTERS.fullmatch(answer) else ""
        status = "correct" if named == right else "incorrect"
        return Verdict(status=status, prediction=named or answer, reference=problem.answer, method="choice")
    letter = answers.choice_letter(answer, problem.choices)
    if letter is None:
        # An answer that is no option is wrong, not missing: the question was answered.
        return Verdict(status="incorrect", prediction=answer, reference=problem.answer, method="choice")
    status = "correct" if letter == right else "incorrect"
    return Verdict(status=status, prediction=letter, reference=problem.answer, method="choice")
