"""Bare arithmetic: expressions without a story."""

from __future__ import annotations

from mathwright.problems.questions.base import Draw, Numbers, Worked, question_template
from mathwright.problems.questions.words import Words


def _what_is(words: Words, expression: str) -> str:
    return words.choose(
        f"What is {expression}?",
        f"Calculate {expression}.",
        f"Compute the value of {expression}.",
        f"Find {expression}.",
    )


@question_template("arithmetic", lambda draw: (draw.number(1), draw.number(1)), lowest=0)
def add_two(numbers: Numbers, words: Words) -> Worked:
    """a + b."""
    a, b = numbers
    return Worked(
        question=words.choose(_what_is(words, f"{a} + {b}"), f"What is the sum of {a} and {b}?"),
        plan="Add the two numbers.",
        steps=(f"{a} + {b} = {a + b}",),
        code=f"print({a} + {b})",
        answer=a + b,
    )


def _descending(draw: Draw) -> Numbers | None:
    a, b = draw.number(2), draw.number(1)
    return (a, b) if a > b else None


@question_template("arithmetic", _descending, lowest=0)
def subtract_two(numbers: Numbers, words: Words) -> Worked:
    """a - b, the result positive."""
    a, b = numbers
    return Worked(
        question=words.choose(
            _what_is(words, f"{a} - {b}"),
            f"What is the difference between {a} and {b}?",
            f"Subtract {b} from {a}.",
        ),
        plan="Subtract the second number from the first.",
        steps=(f"{a} - {b} = {a - b}",),
        code=f"print({a} - {b})",
        answer=a - b,
    )


@question_template("arithmetic", lambda draw: (draw.factor(), draw.factor(1)), lowest=0)
def multiply_two(numbers: Numbers, words: Words) -> Worked:
    """a * b."""
    a, b = numbers
    return Worked(
        question=words.choose(
            _what_is(words, f"{a} * {b}"), f"What is the product of {a} and {b}?", f"Multiply {a} by {b}."
        ),
        plan="Multiply the two numbers.",
        steps=(f"{a} * {b} = {a * b}",),
        code=f"print({a} * {b})",
        answer=sum(a for _ in range(b)),
    )


@question_template("arithmetic", lambda draw: (draw.factor(), draw.factor()), lowest=0)
def divide_two(numbers: Numbers, words: Words) -> Worked:
    """a * b / b, the result whole."""
    result, divisor = numbers
    total = result * divisor
    return Worked(
        question=words.choose(
            _what_is(words, f"{total} / {divisor}"),
            f"Divide {total} by {divisor}.",
            f"How many times does {divisor} go into {total}?",
        ),
        plan="Divide the first number by the second.",
        steps=(f"{total} / {divisor} = {total // divisor}",),
        code=f"print({total} // {divisor})",
        answer=result,
    )


def _chain(draw: Draw) -> Numbers | None:
    a, b, c = draw.number(1), draw.number(1), draw.number(1)
    return (a, b, c) if a + b > c else None


@question_template("arithmetic", _chain, lowest=0)
def add_then_subtract(numbers: Numbers, words: Words) -> Worked:
    """a + b - c, the result positive."""
    a, b, c = numbers
    return Worked(
        question=words.choose(
            _what_is(words, f"{a} + {b} - {c}"), f"Add {a} and {b}, then subtract {c}. What is the result?"
        ),
        plan="Work from left to right.",
        steps=(f"{a} + {b} = {a + b}", f"{a + b} - {c} = {a + b - c}"),
        code=f"print({a} + {b} - {c})",
        answer=a - c + b,
    )


@question_template("arithmetic", lambda draw: (draw.number(1), draw.factor(), draw.factor()))
def product_first(numbers: Numbers, words: Words) -> Worked:
    """a + b * c: the product comes first."""
    a, b, c = numbers
    return Worked(
        question=_what_is(words, words.choose(f"{a} + {b} * {c}", f"{b} * {c} + {a}")),
        plan="Multiply first, then add.",
        steps=(f"{b} * {c} = {b * c}", f"{a} + {b * c} = {a + b * c}"),
        code=f"print({a} + {b} * {c})",
        answer=b * c + a,
    )


@question_template("arithmetic", lambda draw: (draw.factor(), draw.factor(), draw.factor()))
def sum_times(numbers: Numbers, words: Words) -> Worked:
    """(a + b) * c: the bracket comes first."""
    a, b, c = numbers
    return Worked(
        question=words.choose(
            _what_is(words, f"({a} + {b}) * {c}"),
            f"The sum of {a} and {b} is multiplied by {c}. What is the result?",
        ),
        plan="Add inside the bracket, then multiply.",
        steps=(f"{a} + {b} = {a + b}", f"{a + b} * {c} = {(a + b) * c}"),
        code=f"print(({a} + {b}) * {c})",
        answer=a * c + b * c,
    )


def _difference_times(draw: Draw) -> Numbers | None:
    a, b, c = draw.number(3), draw.number(1), draw.factor()
    return (a, b, c) if 1 < a - b <= max(9, draw.top // 5) else None


@question_template("arithmetic", _difference_times, held_out=True)
def difference_times(numbers: Numbers, words: Words) -> Worked:
    """(a - b) * c."""
    a, b, c = numbers
    return Worked(
        question=words.choose(
            _what_is(words, f"({a} - {b}) * {c}"),
            f"{b} is subtracted from {a}, and the result is multiplied by {c}. What comes out?",
            f"What do you get if you multiply the difference of {a} and {b} by {c}?",
        ),
        plan="Subtract inside the bracket, then multiply.",
        steps=(f"{a} - {b} = {a - b}", f"{a - b} * {c} = {(a - b) * c}"),
        code=f"print(({a} - {b}) * {c})",
        answer=a * c - b * c,
    )


def _two_products(draw: Draw) -> Numbers | None:
    a, b, c, d = draw.factor(), draw.factor(), draw.factor(), draw.factor()
    return (a, b, c, d) if a * b > c * d else None


@question_template("arithmetic", _two_products, lowest=2)
def difference_of_products(numbers: Numbers, words: Words) -> Worked:
    """a * b - c * d, the result positive."""
    a, b, c, d = numbers
    return Worked(
        question=words.choose(
            _what_is(words, f"{a} * {b} - {c} * {d}"),
            f"By how much is {a} * {b} greater than {c} * {d}?",
        ),
        plan="Compute both products, then subtract.",
        steps=(f"{a} * {b} = {a * b}", f"{c} * {d} = {c * d}", f"{a * b} - {c * d} = {a * b - c * d}"),
        code=f"print({a} * {b} - {c} * {d})",
        answer=a * b - c * d,
    )
