"""Judging: by tests, by options, by answers; one by one and many together give the same verdicts."""

from collections.abc import Iterator
from typing import Any

import pytest

from mathwright import judge as judging
from mathwright.judge import final_answer, judge, judge_all, undecided
from mathwright.problems.prompts import build_prompt
from mathwright.problems.templates import Prompt
from mathwright.records import SolutionFormat, Verdict, VerdictStatus
from mathwright.rl.rewards import AnswerReward, FormatReward, judged
from mathwright.tools.sandbox import Sandbox
from tests.problems.asking import ask
from tests.rl.test_rewards import completion

ADD = "```python\ndef add(a, b):\n    return a + b\n```"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(preimport=()) as box:
        yield box


@pytest.fixture(autouse=True)
def short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "PROGRAM_TIMEOUT_S", 2.0)


def prompt(mode: SolutionFormat = "cot", **fields: Any) -> Prompt:
    return build_prompt(ask(**fields), mode, template="deepseekmath", tokenizer=None)


FREE = prompt()
CHOICE = prompt(choices=("1", "2", "4"), answer="B")
SEVERAL = prompt(choices=("1", "2", "4"), answer="BC")
PROGRAM = prompt(answer="", tests="assert add(1, 1) == 2")
PRINTED = prompt("pot")
UNREADABLE = prompt(answer="\\frac{")
BRACKETS = prompt(answer="] ] )")
THEOREM = prompt(answer="", theorem='theorem shows "True"')
NO_TESTS = prompt(answer="", tests="assert add(1, 1")
CASES: list[tuple[Prompt, str, VerdictStatus]] = [
    (FREE, "\\boxed{2}", "correct"),
    (FREE, "\\boxed{3}", "incorrect"),
    (FREE, "no idea", "unparsable_prediction"),
    (FREE, "<think>\\boxed{2}", "unparsable_prediction"),
    (UNREADABLE, "\\boxed{2}", "unparsable_reference"),
    (BRACKETS, "The answer is ] ]).", "correct"),
    (BRACKETS, "The answer is ] ) ].", "incorrect"),
    (BRACKETS, "no idea", "unparsable_prediction"),
    (THEOREM, "by simp", "unparsable_reference"),
    (UNREADABLE, "no idea", "unparsable_reference"),
    (CHOICE, "\\boxed{B}", "correct"),
    (CHOICE, "\\boxed{2}", "correct"),
    (CHOICE, "\\boxed{A}", "incorrect"),
    (CHOICE, "\\boxed{7}", "incorrect"),
    (CHOICE, "no idea", "unparsable_prediction"),
    (SEVERAL, "\\boxed{C, B}", "correct"),
    (SEVERAL, "\\boxed{B}", "incorrect"),
    (PROGRAM, ADD, "correct"),
    (PROGRAM, ADD.replace("+", "-"), "incorrect"),
    (PROGRAM, "```python\ndef add(a, b):\n    while True: pass\n```", "timeout"),
    (PROGRAM, "\\boxed{2}", "unparsable_prediction"),
    (NO_TESTS, ADD, "unparsable_reference"),
    (PRINTED, "```python\nprint(1 + 1)\n```", "correct"),
    (PRINTED, "```python\nprint(3)\n```", "incorrect"),
    (PRINTED, "```python\n1 / 0\n```", "unparsable_prediction"),
    (PRINTED, "\\boxed{2}", "unparsable_prediction"),
]


def test_one_by_one_and_together_the_verdicts_are_the_same(sandbox: Sandbox) -> None:
    asked = [(prompt, response) for prompt, response, _ in CASES]
    alone = [judge(*pair, sandbox=sandbox) for pair in asked]
    assert [verdict.status for verdict in alone] == [status for *_, status in CASES]
    assert judge_all(asked, sandbox=sandbox) == alone


def test_many_free_answers_are_compared_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all workers at once, and none of them in turn."""
    seen: list[int] = []

    def together(pairs: list[tuple[str, str]]) -> list[Verdict]:
        seen.append(len(pairs))
        return [Verdict(status="correct", prediction=text, reference=answer) for text, answer in pairs]

    monkeypatch.setattr(judging.answers, "check_responses", together)
    monkeypatch.setattr(judging.answers, "check_answer", None)
    assert all(verdict.correct for verdict in judge_all([(FREE, "\\boxed{3}")] * 20, sandbox=None))
    assert seen == [20]


def test_a_program_that_hangs_has_failed_and_a_comparison_that_hangs_says_nothing() -> None:
    def verdict(status: VerdictStatus, method: str) -> Verdict:
        return Verdict(status=status, prediction="", reference="", method=method)

    assert undecided(verdict("timeout", "tests")) == ""
    assert undecided(verdict("timeout", "symbolic")) == "timeout"
    assert undecided(verdict("unparsable_reference", "tests")) == "unparsable_reference"
    assert undecided(verdict("incorrect", "number")) == undecided(verdict("correct", "number")) == ""


def test_programs_are_rewarded_for_passing_their_tests(sandbox: Sandbox) -> None:
    hangs = "```python\nwhile True: pass\n```"
    items = [(PROGRAM, completion(text)) for text in (ADD, "\\boxed{2}", hangs)] + [(NO_TESTS, completion(ADD))]
    samples = judged(items, sandbox=sandbox)
    assert [score.value for score in AnswerReward().score(samples)] == [1.0, 0.0, 0.0, None]
    assert [score.value for score in FormatReward().score(samples)] == [1.0, 0.0, 1.0, 1.0]


def test_programs_need_a_sandbox() -> None:
    for asked in (PROGRAM, PRINTED):
        with pytest.raises(ValueError, match="sandbox"):
            judge(asked, ADD, sandbox=None)
    assert judge(CHOICE, "\\boxed{B}", sandbox=None).correct


def test_the_answer_of_a_response_is_what_is_judged(sandbox: Sandbox) -> None:
    assert final_answer(FREE, "It is \\boxed{5}.", sandbox=None) == "5"
    assert final_answer(FREE, "I do not know.", sandbox=None) is None
    assert final_answer(PRINTED, "```python\nprint(2 + 3)\n```", sandbox=sandbox) == "5"
