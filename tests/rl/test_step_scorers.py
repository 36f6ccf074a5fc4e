"""Steps scored by rule, and by functions."""

import time

import pytest

from mathwright.errors import MathwrightError
from mathwright.records import Completion, Problem, Verdict, VerdictStatus
from mathwright.rl.rewards import Sample
from mathwright.rl.step_scorers import ArithmeticSteps, FunctionSteps, arithmetic_steps, step_scorer
from tests.rl import toy


def sample(text: str, status: VerdictStatus = "correct") -> Sample:
    completion = Completion(tokens=(), logprobs=(), sampled=(), text=text, finish="stop")
    problem = Problem(id="p", question="?", answer="7", source="test", split="train")
    return Sample(
        prompt=toy.asked(problem, "?"),
        completion=completion,
        verdict=Verdict(status=status, prediction="7", reference="7"),
    )


def test_steps_are_the_lines_with_arithmetic_and_the_end_with_the_verdict():
    text = "First some words.\n3 + 4 = 7\n7 + 1 = 9\n\nThe answer is \\boxed{7}."
    steps = arithmetic_steps(sample(text))
    assert [(text[: s.end].splitlines()[-1], s.reward) for s in steps] == [
        ("3 + 4 = 7", 1.0),
        ("7 + 1 = 9", 0.0),
        ("The answer is \\boxed{7}.", 1.0),
    ]


@pytest.mark.parametrize(
    ("text", "status", "rewards"),
    [
        ("3 + 4 = 7\n2 + 2 = 4", "correct", [1.0, 1.0]),  # the last line is arithmetic: one step, not two
        ("3 + 4 = 7\n2 + 2 = 5", "correct", [1.0, 0.0]),
        ("3 + 4 = 7\n2 + 2 = 4", "incorrect", [1.0, 0.0]),
        ("no idea", "unparsable_prediction", [0.0]),
        ("", "unparsable_prediction", [0.0]),
        ("3 + 4 = 7", "unparsable_reference", []),  # cannot be judged: no steps, unscored
    ],
)
def test_the_last_step_is_judged_by_the_answer(text, status, rewards):
    assert [s.reward for s in arithmetic_steps(sample(text, status))] == rewards


# --- functions that score steps ---


def test_a_function_names_ends_and_rewards():
    scorer = FunctionSteps(lambda p, c: [(2, 1), (len(c.text), 0.5)], "mine")
    assert scorer.score([sample("abcd")]) == [([(2, 1.0), (4, 0.5)], "")]


@pytest.mark.parametrize(
    "value",
    [None, 1.0, [], [1.0], [(2, float("nan"))], [(2, "1")], [(3, 1.0), (3, 1.0)], [(0, 1.0)], [(5, 1.0)], [(1.5, 1.0)]],
)
def test_what_is_no_list_of_steps_gives_no_steps_and_a_reason(value):
    ((steps, reason),) = FunctionSteps(lambda p, c: value, "mine").score([sample("abcd")])
    assert steps == []
    assert "is no list of steps" in reason


def test_a_function_that_raises_or_hangs_gives_no_steps_and_a_reason():
    assert "raised" in FunctionSteps(lambda p, c: 1 / 0, "mine").score([sample("a")])[0].reason
    assert (
        "took more" in FunctionSteps(lambda p, c: time.sleep(60), "mine", timeout_s=0.05).score([sample("a")])[0].reason
    )


def test_step_scorers_are_named():
    assert step_scorer("arithmetic") == ArithmeticSteps()
    assert step_scorer("tests.rl.methods.test_training:first_character").score([sample("22")])[0].steps == [(2, 1.0)]
    for name, message in (
        ("nonsense", "unknown step reward"),
        ("tests.rl.toy:no_such", "cannot import the step reward"),
    ):
        with pytest.raises(MathwrightError, match=message):
            step_scorer(name)
