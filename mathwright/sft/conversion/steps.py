"""The equations in a worked solution: those between calculator marks, and those that stand in the sentences.

He sold 48/2 = <<48/2=24>>24 clips.        a mark: GSM8K writes the equation for a calculator
5 x $3 = $15                               none: the equation is found around its "="
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from mathwright.problems.equations import (
    MAX_CHARS,
    EquationError,
    Expression,
    Number,
    decimal_text,
    evaluate,
    number,
    parse,
)

MARK = re.compile(r"<<([^<>=]*)=([^<>]*)>>")
Rounding = Literal["exact", "rounded", "down", "up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One equation of a solution, and the line it stands in."""

    line: str
    """Without marks."""
    expression: Expression
    value: Fraction
    """As the solution states it."""
    rounding: Rounding
    """How the stated value comes from the exact one: as it is, to the places it has, or to a whole number."""


def marked_steps(solution: str) -> list[Step]:
    """The equations in the marks of a solution; of a line without a mark, those in its words.

    An equation that states a value it does not have is left out.
    """
    return list(_steps(solution, use_marks=True))


def written_steps(solution: str) -> list[Step]:
    """The equations in the words of a solution, whatever its marks say."""
    return list(_steps(solution, use_marks=False))


def without_marks(solution: str) -> str:
    """The text of a solution as a person would write it: no marks, no empty lines."""
    lines = (" ".join(line.split()) for line in re.sub(r"<<[^<>]*>>", "", solution).splitlines())
    return "\n".join(line for line in lines if line)


def _steps(solution: str, *, use_marks: bool) -> Iterator[Step]:
    lines = solution.splitlines()
    for place, raw in enumerate(lines):
        line = without_marks(raw)
        marks = MARK.findall(raw) if use_marks else []
        written = () if marks else (*_written(line), *_solved(line, without_marks("\n".join(lines[place + 1 :]))))
        for left, right in marks or written:
            try:
                expression = parse(left)
                exact = evaluate(expression)
            except EquationError:
                continue
            stated = number(right.replace("$", "").strip())
            if stated is None or (isinstance(expression, Number) and marks == []):
                continue
            rounding = _rounding(exact, stated)
            if rounding is not None:
                yield Step(line=line, expression=expression, value=stated, rounding=rounding)


def _rounding(exact: Fraction, stated: Fraction) -> Rounding | None:
    if exact == stated:
        return "exact"
    if stated.denominator == 1 and stated == math.floor(exact):
        return "down"
    if stated.denominator == 1 and stated == math.ceil(exact):
        return "up"
    places = places_of(stated)
    return "rounded" if places is not None and abs(exact - stated) <= Fraction(1, 2 * 10**places) else None


def places_of(value: Fraction) -> int | None:
    """Digits behind the point of a finite decimal; None for others."""
    text = decimal_text(value)
    return None if text is None else len(text.partition(".")[2])


_RIGHT = re.compile(r"\s*\$?\s*(-?\d[\d,]*(?:\.\d+)?(?:/\d+)?|-?\.\d+)(\s?%)?")
_TIMES = re.compile(r"(?<=[\d)%])\s*[xX×]\s*(?=[\d($.])")
_UNIT = re.compile(r"(?<=[\d)%])(?:\s*/\s*|\s+|-)(?!x\b)[a-zA-Z]+(?:[/ -][a-zA-Z]+){0,2}\.?(?=\s*[-+*/÷×−–=)])")
_LEFT = re.compile(r"[-\d\s.,+*/÷×()%$^−–]+\Z")
_OPERATOR = re.compile(r"[\d)%]\s*[-+*/÷×^−–]\s*[\d(.$]|\d\(|\)\(")
_LINEAR = re.compile(
    r"(?<![\w.+*/^)−–-])(?<![-+*/] )(\d+(?:\.\d+)?(?:/\d+)?)\s?\*?\s?([a-zA-Z])\s*=\s*"
    r"\$?(\d[\d,]*(?:\.\d+)?)(?![\d+*/x]| ?[-+*/x(])"
)


def _written(line: str) -> Iterator[tuple[str, str]]:
    """(left, right) of the equations in a sentence: `3 boxes * 5 pens/box = 15 pens` is 3 * 5 = 15.

    Of `8 + 2 * 3 = 8 + 6 = 14` the last is found, since what stands right of a sign must be a number.
    """
    plain = _UNIT.sub("", _TIMES.sub(" * ", line))
    for sign in re.finditer(r"(?<![<>=!])=(?!=)", plain):
        right = _RIGHT.match(plain, sign.end())
        left = _LEFT.search(plain[max(0, sign.start() - MAX_CHARS) : sign.start()])
        if right is None or left is None:
            continue
        expression = _longest_expression(left[0].replace("$", ""))
        if expression and _OPERATOR.search(expression):
            yield expression, right[1].rstrip(",") + (right[2] or "")


def _solved(line: str, rest: str) -> Iterator[tuple[str, str]]:
    """(division, quotient) of the equations `5x = 60` in a sentence where `x = 12` is stated behind them."""
    for found in _LINEAR.finditer(line):
        factor, unknown, product = found.groups()
        if stated := re.search(
            rf"(?<![\w*]){unknown}\s*=\s*\$?(\d[\d,]*(?:\.\d+)?)(?![\d/*])", line[found.end() :] + "\n" + rest
        ):
            yield f"{product}/({factor})", stated[1].rstrip(",.")


def _longest_expression(text: str) -> str:
    """The longest end of a text that is arithmetic: what stands before it belongs to the sentence."""
    for start in re.finditer(r"(?<![\d.,])(?=[\d(.-])", text):
        candidate = text[start.start() :].strip().rstrip(",")
        try:
            parse(candidate)
        except EquationError:
            continue
        return candidate
    return ""
