"""Arithmetic on the lines of a solution, and where its steps end."""

import time

import pytest

from mathwright.errors import MathwrightError
from mathwright.records import Completion, Problem, Verdict, VerdictStatus
from mathwright.rl.rewards import Sample
from mathwright.rl.steps import (
    ArithmeticSteps,
    FunctionSteps,
    arithmetic_holds,
    arithmetic_steps,
    step_end_tokens,
    step_scorer,
)
from tests.rl import toy


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("3 + 4 = 7", True),
        ("3 + 4 = 8", False),
        ("So she has 3 + 4 = 7 apples.", True),
        ("Step 1: 12*3=36", True),
        ("1. 12 * 3 = 36.", True),
        ("Total: 2 * 3 + 1 = 7, and 7 - 1 = 6.", True),
        ("Total: 2 * 3 + 1 = 7, and 7 - 1 = 5.", False),
        ("x = 3 + 4 = 7", True),
        ("2 * (3 + 4) = 14 = 28 / 2", True),
        ("2 * (3 + 4) = 14 = 28 / 4", False),
        ("$1,200 / 4 = $300", True),
        (r"\(\frac{10}{4} = 2.5\)", True),
        (r"$3 \times 4 = 12$", True),
        ("6 ÷ 4 = 1.5", True),
        ("10 / 3 = 3.33", True),  # rounded to the digits it shows
        ("10 / 3 = 3.34", False),
        ("0.1 + 0.2 = 0.3", True),  # exact, not binary
        ("10 - 2 - 3 = 5", True),  # from the left
        ("-5 + 3 = -2", True),
        ("7 = 3 + 4", True),
        # nothing that could be checked for certain
        ("She has seven apples.", None),
        ("x + 3 = 10", None),
        ("x - 3 + 5 = 10", None),
        ("2x + 3 = 7", None),
        ("f(3) + 2 = 8", None),
        ("20 * 50% = 10", None),
        ("3 + 4 = 7x", None),
        ("3 + 4 = 7 + x", None),
        ("x = 7", None),
        ("2^3 + 1 = 9", None),
        ("1 / 0 = 3", None),
        ("3 + = 7", None),
        ("((3 + 4 = 7", None),
        ("3 + 4 >= 7", None),
    ],
)
def test_arithmetic_on_a_line(line, holds):
    assert arithmetic_holds(line) is holds


@pytest.mark.parametrize(
    "line", ["1" * 20_000 + " a = 3", "(" * 20_000 + "1 = 1", "1" * 20_000 + " + 1 = 2", "1+" * 9_999 + "1 = 9"]
)
def test_monstrous_lines_are_left_alone_at_once(line):
    assert arithmetic_holds(line) in (None, False)


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


class Characters:
    """A tokenizer whose tokens are short strings, given as their indices."""

    pieces = ("3 +", " 4 = ", "7", "\nso", " 7", "<eos>")

    def decode(self, tokens, skip_special_tokens):
        return "".join(self.pieces[t] for t in tokens if self.pieces[t] != "<eos>")


def test_a_step_ends_at_the_token_that_holds_its_last_character():
    tokens = range(6)  # "3 + 4 = 7\nso 7<eos>"
    assert step_end_tokens(Characters(), tokens, [9, 14], 14) == [2, 5]  # the end token belongs to the last step
    assert step_end_tokens(Characters(), tokens, [2, 9, 14], 14) == [0, 2, 5]
    assert step_end_tokens(Characters(), tokens, [2, 9], 14) == [0, 2]  # what follows the last step is of no step


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
    assert step_scorer("tests.rl.test_methods:first_character").score([sample("22")])[0].steps == [(2, 1.0)]
    for name, message in (
        ("nonsense", "unknown step reward"),
        ("tests.rl.toy:no_such", "cannot import the step reward"),
    ):
        with pytest.raises(MathwrightError, match=message):
            step_scorer(name)
