"""Whether the arithmetic on a line holds: "3 * 4 = 12", "\\frac{10}{4} = 2.5". Exact, and in linear time.

Read by our own small parser of + - * / and parentheses; nothing of a response is ever evaluated as code.
"""

from __future__ import annotations

import itertools
import re
from fractions import Fraction

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
