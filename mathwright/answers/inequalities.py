"""Inequalities as sets of numbers: `x > 2`, `1 < x \\le 3`, `|x - 1| < 2`, `n > 2, n \\in \\mathbb{Z}`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from mathwright.answers.names import is_name
from mathwright.answers.nodes import (
    Combination,
    Formula,
    Interval,
    Named,
    Node,
    Relation,
    Sequence,
    formula_text,
)
from mathwright.answers.numbers import Quantity
from mathwright.answers.sets import real_set

Reader = Callable[[str], Node]
"""Reads a part of an answer."""

FLIP = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}
INTEGERS = Formula(r"\mathbb{Z}")
LINE = Interval(Formula(r"-\infty"), Formula(r"\infty"), True, True)
MAX_LISTED = 1000
"""So many integers of a bounded set are listed."""
_INSIDE_BARS = re.compile(
    r"\|\s*(?:([+-]?\d*)\s*([a-zA-Z])\s*([+-]\s*\d+(?:\.\d+)?)?|(\d+(?:\.\d+)?)\s*-\s*([a-zA-Z]))\s*\|"
)
_MEMBER = re.compile(
    r"\s*(?:\\text\{\s*(?:where|for|and)?\s*\}|where|for)?\s*\(?([a-zA-Z])\s*(?:\\in\s*(?:\\(?:mathbb|mathbf)\s*)?"
    r"\{?([ZNRQ])\}?\s*(?:[\^_]\s*\{?([*+])\}?)?|(?:\\text\{)?\s*(?:is )?(?:an |any )?integers?\s*\}?|为整数)\s*\)?\s*"
)


def inequality(terms: list[str], operators: list[str], read: Reader) -> Node:
    """The set that a chain of inequalities describes, named by its letter, or the chain itself."""
    if len(terms) == 2 and is_name(terms[1]) and not is_name(terms[0]) and operators[0] in FLIP:
        terms, operators = terms[::-1], [FLIP[operators[0]]]
    if len(terms) == 3 and operators[0] in (">", "≥") and operators[1] in (">", "≥"):
        terms, operators = terms[::-1], [FLIP[o] for o in reversed(operators)]
    relation = Relation(tuple(terms), tuple(operators))
    if len(terms) == 2 and operators[0] in FLIP:
        if (distance := _within_bars(terms[0], terms[1], operators[0], read)) is not None:
            return Named(distance[0], distance[1], relation)
        if is_name(terms[0]):
            bound, is_open = read(terms[1]), operators[0] in "<>"
            below = operators[0] in "<≤"
            interval = (
                Interval(LINE.left, bound, True, is_open) if below else Interval(bound, LINE.right, is_open, True)
            )
            return Named(terms[0].replace(" ", ""), interval, relation)
    if len(terms) == 2 and operators == ["≠"] and is_name(terms[0]):
        hole = read(terms[1])
        if isinstance(hole, Quantity | Formula):
            return Named(terms[0].replace(" ", ""), Combination("∖", (LINE, Sequence("set", (hole,)))), relation)
    if len(terms) == 3 and is_name(terms[1]) and all(o in ("<", "≤") for o in operators):
        ends = read(terms[0]), read(terms[2])
        return Named(terms[1].replace(" ", ""), Interval(*ends, operators[0] == "<", operators[1] == "<"), None)
    return relation


def _within_bars(left: str, right: str, operator: str, read: Reader) -> tuple[str, Node] | None:
    """`|ax + b| < c` as the interval around -b/a, `>` as the rest of the line."""
    match = _INSIDE_BARS.fullmatch(left)
    bound = read(right) if match else None
    if match is None or not isinstance(bound, Quantity | Formula) or bound.unit or bound.percent:
        return None
    if isinstance(bound, Quantity) and bound.value <= 0:
        return None
    factor, name, shift, middle, other_name = match.groups()
    slope = Fraction({"": 1, "+": 1, "-": -1}.get(factor or "", factor or 1))
    offset = Fraction((shift or "0").replace(" ", ""))
    if other_name:
        slope, offset, name = Fraction(1), -Fraction(middle), other_name
    if not slope:
        return None
    lower, upper = (_end(bound, sign, slope, offset) for sign in (-1, 1))
    is_open = operator in "<>"
    if operator in "<≤":
        return name, Interval(lower, upper, is_open, is_open)
    pieces = (Interval(LINE.left, lower, True, is_open), Interval(upper, LINE.right, is_open, True))
    return name, Combination("∪", pieces)


def _end(bound: Quantity | Formula, sign: int, slope: Fraction, offset: Fraction) -> Quantity | Formula:
    if isinstance(bound, Quantity):
        return Quantity((sign * bound.value - offset * (1 if slope > 0 else -1)) / abs(slope))
    middle = -offset / slope
    return Formula(
        rf"{formula_text(Quantity(middle))}+({sign})\cdot\frac{{{bound.text}}}{{{formula_text(Quantity(abs(slope)))}}}"
    )


def domain(text: str) -> tuple[str, str] | None:
    """The letter and the kind of numbers it stands for ("Z", "N", "R", "Q"; "P": positive integers), or None."""
    match = _MEMBER.fullmatch(text)
    if match is None:
        return None
    kind = match.group(2) or "Z"
    return match.group(1), "P" if match.group(3) and kind in "ZN" else kind


def restricted(node: Node, kind: str) -> Node:
    """A set of reals with only its members of one kind: integers are listed where they are few."""
    if kind == "R":
        return node
    if kind == "Q":
        return Combination("∩", (node, Formula(r"\mathbb{Q}")))
    if kind in "NP":
        first = Quantity(Fraction(kind == "P"))
        node = Combination("∩", (node, Interval(first, LINE.right, False, True)))
    pieces = real_set(node)
    if pieces is None:
        return Combination("∩", (node, INTEGERS))
    ranges = [
        (None if low[0] else math.ceil(low[1]) + (low[1].denominator == 1 and low[2] == 1),
         None if high[0] else math.floor(high[1]) - (high[1].denominator == 1 and high[2] == 0))
        for low, high in pieces
    ]  # fmt: skip
    sizes = [None if None in ends else max(0, ends[1] - ends[0] + 1) for ends in ranges]  # type: ignore[operator]
    if None not in sizes and sum(size or 0 for size in sizes) <= MAX_LISTED:
        members = [n for low, high in ranges for n in range(low or 0, (high or 0) + 1)]
        return Sequence("set", tuple(Quantity(Fraction(n)) for n in members))
    return Combination("∩", (_joined([_whole(low, high) for low, high in ranges]), INTEGERS))


def _whole(low: int | None, high: int | None) -> Interval:
    left = LINE.left if low is None else Quantity(Fraction(low))
    right = LINE.right if high is None else Quantity(Fraction(high))
    return Interval(left, right, low is None, high is None)


def _joined(intervals: list[Interval]) -> Node:
    return intervals[0] if len(intervals) == 1 else Combination("∪", tuple(intervals))


def restrict_named(node: Node, letter: str, kind: str) -> Node | None:
    """The set that a letter lies in, restricted to a kind of numbers; None where the node is no such set."""
    if not isinstance(node, Named) or node.name != letter:
        return None
    if not isinstance(node.value, Interval | Combination):
        return None
    return replace(node, value=restricted(node.value, kind), relation=None if kind != "R" else node.relation)
