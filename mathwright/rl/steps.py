"""Process supervision by rule (§4.1.3): a response cut into steps, each step scored.

A step is a line. A line with arithmetic in it ("3 * 4 = 12", "\\frac{10}{4} = 2.5") scores 1 where every equation on it
holds and 0 where one does not; the last step is the end of the response and scores whether its final answer is correct.
Lines without checkable arithmetic are no steps of their own: they belong to the step that follows. Where no
step reward model is at hand this is what can be judged for certain; the paper learns its step rewards.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

from mathwright.errors import MathwrightError
from mathwright.judge import undecided
from mathwright.rl.functions import call_each, import_function
from mathwright.rl.rewards import Sample, as_number


class Step(NamedTuple):
    """A scored step of a response."""

    end: int
    """End as a character offset into the response (exclusive)."""
    reward: float


class StepScores(NamedTuple):
    """The steps of a response; none, and why, where they could not be scored."""

    steps: list[Step]
    reason: str = ""


class StepScorer(Protocol):
    """Cuts responses into steps and scores them, many at once."""

    def score(self, samples: Sequence[Sample]) -> list[StepScores]: ...


def step_scorer(name: str, timeout_s: float = 10.0) -> StepScorer:
    """The scorer a recipe names: `arithmetic`, or `module:name` of a function (see `FunctionSteps`).

    Raises MathwrightError where the function cannot be imported.
    """
    if name == "arithmetic":
        return ArithmeticSteps()
    if ":" not in name:
        raise MathwrightError(
            f"unknown step reward {name!r}", hint="set rl.step_reward to arithmetic, or to module:name of a function"
        )
    return FunctionSteps(import_function(name, "step reward"), name, timeout_s)


@dataclass(frozen=True, slots=True)
class ArithmeticSteps:
    """`arithmetic_steps` of each response."""

    def score(self, samples: Sequence[Sample]) -> list[StepScores]:
        return [
            StepScores(steps, "" if steps else f"{sample.verdict.status}: no steps")
            for sample in samples
            for steps in [arithmetic_steps(sample)]
        ]


@dataclass(frozen=True, slots=True)
class FunctionSteps:
    """Any function of (Problem, Completion), plain or `async def`, that returns pairs (end, reward) in order.

    `end` is a character offset into the response's text (exclusive), `reward` a finite number. A response for which the
    function raises, hangs or returns anything else has no steps: its tokens have advantage 0.
    """

    function: Callable[..., Any]
    name: str
    timeout_s: float = 10.0

    def score(self, samples: Sequence[Sample]) -> list[StepScores]:
        pairs = [(sample.problem, sample.completion) for sample in samples]
        outcomes = call_each(self.function, self.name, pairs, self.timeout_s)
        return [
            StepScores([], outcome.reason) if outcome.reason else self._checked(outcome.value, sample)
            for outcome, sample in zip(outcomes, samples, strict=True)
        ]

    def _checked(self, value: Any, sample: Sample) -> StepScores:
        wrong = StepScores([], f"{self.name} returned {value!r}, which is no list of steps"[:200])
        steps: list[Step] = []
        try:
            for end, reward in value:
                number = as_number(reward)
                if number is None or isinstance(end, bool) or int(end) != end:
                    return wrong
                steps.append(Step(int(end), number))
        except (TypeError, ValueError):
            return wrong
        ends = [0, *(step.end for step in steps), len(sample.completion.text) + 1]
        in_order = all(before < after for before, after in itertools.pairwise(ends))
        return StepScores(steps) if steps and in_order else wrong


def arithmetic_steps(sample: Sample) -> list[Step]:
    """The steps of a response with their rewards; none where its reference cannot be judged (it is unscored)."""
    if undecided(sample.verdict):
        return []
    text = sample.completion.text
    steps: list[Step] = []
    start = 0
    for line in text.splitlines(keepends=True):
        holds = arithmetic_holds(line)
        end = start + len(line.rstrip())
        if holds is not None:
            steps.append(Step(end, float(holds)))
        start += len(line)
    if steps and steps[-1].end >= len(text.rstrip()):
        # the last line is the last step already: it is right when its arithmetic and the final answer are
        return [*steps[:-1], Step(len(text), float(steps[-1].reward == 1.0 and sample.verdict.correct))]
    return [*steps, Step(len(text), float(sample.verdict.correct))]


def step_end_tokens(tokenizer: Any, tokens: Sequence[int], ends: Sequence[int], text_length: int) -> list[int]:
    """index(j): for each character offset (exclusive end, ascending) the token that holds the last character before it.

    A step that reaches the end of the text, `text_length`, ends at the last token: the end token belongs to it.
    """
    indices = []
    for end in ends:
        if end >= text_length:
            indices.append(len(tokens) - 1)
            continue
        low, high = 0, len(tokens) - 1  # the first token whose prefix decodes to at least `end` characters
        while low < high:
            middle = (low + high) // 2
            if len(tokenizer.decode(tokens[: middle + 1], skip_special_tokens=True)) >= end:
                high = middle
            else:
                low = middle + 1
        indices.append(low)
    return indices


# --- arithmetic -----------------------------------------------------------------------------------

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_ARITHMETIC = "0123456789.,+-*/() \t\n"
MAX_EXPRESSION_CHARS = 500
"""A longer side of an equation is left alone: sums of many fractions cost more than their length."""
_CLAUSE_END = re.compile(r"[.,]\s+|[.,]$")
_TOKEN = re.compile(rf"{_NUMBER}|[-+*/()]")
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")


def arithmetic_holds(line: str) -> bool | None:
    """Whether every equation between numbers on the line holds; None where there is none to check.

    Checked exactly, in fractions; a side that ends in a decimal may be rounded to the digits it shows. An equation
    counts where both sides are numbers joined by + - * / and parentheses and one of them has an operator: anything with
    a letter, a unit or a percentage in it is left alone, for it may mean something else.
    """
    sides = _plain(line).split("=")
    verdicts: list[bool] = []
    for before, after in itertools.pairwise(sides):
        left, right = _left_side(before), _right_side(after)
        if left is None or right is None or not (_has_operator(left) or _has_operator(right)):
            continue
        a, b = _evaluate(left), _evaluate(right)
        if a is not None and b is not None:
            verdicts.append(abs(a - b) <= max(_rounding(left), _rounding(right)))
    return all(verdicts) if verdicts else None


def _plain(line: str) -> str:
    """The line with TeX and typographic operators written in ASCII."""
    for _ in range(3):  # nested fractions, from the inside
        line = _FRACTION.sub(r"((\1)/(\2))", line)
    for written, plain in (
        (r"\times", "*"), (r"\cdot", "*"), (r"\div", "/"), (r"\left", ""), (r"\right", ""), ("×", "*"), ("·", "*"),
        ("÷", "/"), ("−", "-"), (r"\$", ""), ("$", ""), (r"\,", ""), (r"\(", ""), (r"\)", ""), ("&", ""),
    ):  # fmt: skip
        line = line.replace(written, plain)
    return line


def _left_side(text: str) -> str | None:
    """The arithmetic at the end of `text`, if it begins there and is not the tail of something else."""
    preceding = text.rstrip(_ARITHMETIC)
    found = _CLAUSE_END.split(text[len(preceding) :].rstrip())[-1]
    if preceding and len(found) == len(text.rstrip()) - len(preceding):
        if not found[:1].isspace() and preceding[-1] not in ":;":
            return None  # glued to a letter, a unit or a bracket: f(3), x2
        if found.strip()[:1] in ("+", "-", "*", "/"):
            return None  # its first operand is not a number: x + 3
    return found.strip() or None


def _right_side(text: str) -> str | None:
    """The arithmetic at the beginning of `text`, if it ends there and does not go on as something else."""
    following = text.lstrip(_ARITHMETIC)
    whole = text[: len(text) - len(following)]
    found = _CLAUSE_END.split(whole)[0]
    if (
        following
        and found == whole
        and not found[-1:].isspace()
        and (following[0].isalpha() or following[0] in "%^_{\\")
    ):
        return None
    expression = found.strip()
    return expression if expression and expression[-1] not in "+-*/(" else None


def _has_operator(expression: str) -> bool:
    return any(c in expression[1:] for c in "+-*/")


def _rounding(expression: str) -> Fraction:
    """Half a unit of the last decimal shown, where the side is one decimal number; else 0."""
    match = re.fullmatch(rf"-?\s*(?:{_NUMBER})", expression)
    if match is None or "." not in expression:
        return Fraction(0)
    return Fraction(1, 2 * 10 ** len(expression.rpartition(".")[2]))


def _evaluate(expression: str) -> Fraction | None:
    """The value of an expression of numbers, + - * / and parentheses; None where it is none or divides by zero."""
    if len(expression) > MAX_EXPRESSION_CHARS:
        return None
    tokens = _TOKEN.findall(expression)
    if "".join(tokens) != re.sub(r"\s", "", expression):
        return None
    ahead = tokens[::-1]  # the next token is the last, so that taking one is cheap
    try:
        value = _sum(ahead)
    except (ValueError, IndexError, ZeroDivisionError, RecursionError):
        return None
    return value if not ahead else None


def _sum(ahead: list[str]) -> Fraction:
    value = _product(ahead)
    while ahead and ahead[-1] in "+-":
        value = value + _product(ahead) if ahead.pop() == "+" else value - _product(ahead)
    return value


def _product(ahead: list[str]) -> Fraction:
    value = _factor(ahead)
    while ahead and ahead[-1] in "*/":
        value = value * _factor(ahead) if ahead.pop() == "*" else value / _factor(ahead)
    return value


def _factor(ahead: list[str]) -> Fraction:
    head = ahead.pop()
    if head == "-":
        return -_factor(ahead)
    if head == "(":
        value = _sum(ahead)
        if ahead.pop() != ")":
            raise ValueError("unbalanced parenthesis")
        return value
    return Fraction(head.replace(",", ""))
