"""When two answers are the same answer: the rules, all in this one place.

Every comparison gives True, False, or None where an expression must first be parsed and worked out by a worker.
All rules are symmetric in prediction and reference.

1. **Numbers** are exact rationals: `0.5` = `1/2` = `\\frac{1}{2}`, whatever their size; `0.5` is not `50`, and `0.33`
   is not `1/3`. No tolerance.
2. **Rounding.** One exception, for what programs print: a decimal with ten or more places (`0.0833333333333333`) equals
   a value that is not itself such a decimal, if it differs by less than one unit in its last place or, written with
   at most 17 digits, by no more than four roundings of a 64-bit float. `3.14` is never π.
3. **Percent.** `20%` is the number 20/100, so it equals `0.2` and `1/5`. Where only one side has the sign, `20%` also
   equals `20` (the question asked "what percent"), but only from 1 up: `0.5%` is not `0.5`.
4. **Units.** A unit on one side only is left out (`5 cm` = `5`); on both sides units must measure the same thing and
   are converted exactly (`500 cm` = `5 m`, `5 cm` is not `5 cm²`). Money is a unit. What is counted (`5 apples`) is
   none. A lone letter is a unit only in `\\text{}`: `5m` may be algebra.
5. **Bases.** `11_2` equals `3`, and `204_5` equals a bare `204` (the question named the base); with two bases
   the values are compared.
6. **Several answers** stand in any order (`1, 2` = `2, 1` = `\\{1, 2\\}`), none missing, added or repeated; a tuple
   is ordered, and equals a bare list in the same order; answers to several blanks (`5; 10`) are ordered. `±a` is two
   answers.
7. **Intervals** agree in both ends and in whether these belong to them. `(a, b)` may be a point or an open interval,
   and equals either; `[a, b]` never equals `(a, b)`. `x > 2` is `(2, ∞)`.
8. **Names.** `x = 5` equals `5`, and `x > 2` equals `(2, ∞)`; two names must be the same. Other equations are equal if
   one is a multiple of the other; so are inequalities, by a positive factor.
9. **Words** are compared without case, punctuation and articles; a choice by its letter (`(C)`, `C) 12`).
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Protocol

from mathwright.answers.numbers import Quantity
from mathwright.answers.structure import (
    Combination,
    Formula,
    Interval,
    Matrix,
    Named,
    Node,
    Ratio,
    Relation,
    Sequence,
    Words,
    parse,
)
from mathwright.answers.units import Unit

Decision = bool | None
"""None: not decided without working expressions out."""

ROUNDED_PLACES = 10
FLOAT_DIGITS = 17
FLOAT_RELATIVE_ERROR = Fraction(4, 2**53)


class Oracle(Protocol):
    """Decides about expressions; in the calling process it knows spelling only, in a worker it can calculate."""

    def equal(self, a: Quantity | Formula, b: Quantity | Formula) -> Decision: ...

    def related(self, a: Relation, b: Relation) -> Decision:
        """Whether two equations or inequalities of two sides each say the same."""
        ...


class Spelling:
    """The oracle of the calling process: equal spelling is equality, anything else is undecided."""

    def equal(self, a: Quantity | Formula, b: Quantity | Formula) -> Decision:
        if isinstance(a, Formula) and isinstance(b, Formula) and a.text.replace(" ", "") == b.text.replace(" ", ""):
            return True
        return None

    def related(self, a: Relation, b: Relation) -> Decision:
        spelled_a, spelled_b = ([t.replace(" ", "") for t in r.terms] for r in (a, b))
        return True if spelled_a == spelled_b and a.operators == b.operators else None


SPELLING = Spelling()


def compare(a: Node, b: Node, oracle: Oracle = SPELLING) -> Decision:
    """Whether two answers are the same, by the rules above."""
    if isinstance(a, Named) or isinstance(b, Named):
        return _compare_named(a, b, oracle)
    if isinstance(a, Relation) or isinstance(b, Relation):
        return _relations(a, b, oracle) if isinstance(a, Relation) and isinstance(b, Relation) else False
    if isinstance(a, Words) or isinstance(b, Words):
        return _words(a, b)
    if isinstance(a, Sequence) or isinstance(b, Sequence):
        return _sequences(a, b, oracle)
    if isinstance(a, Interval | Combination) or isinstance(b, Interval | Combination):
        return _sets(a, b, oracle)
    if isinstance(a, Matrix) and isinstance(b, Matrix):
        if [len(row) for row in a.rows] != [len(row) for row in b.rows]:
            return False
        pairs = zip(sum(a.rows, ()), sum(b.rows, ()), strict=True)
        return every(compare(x, y, oracle) for x, y in pairs)
    if isinstance(a, Matrix) or isinstance(b, Matrix):
        return False if isinstance(a, Quantity | Ratio) or isinstance(b, Quantity | Ratio) else oracle.equal(a, b)  # type: ignore[arg-type]
    if isinstance(a, Ratio) or isinstance(b, Ratio):
        return _ratios(a, b, oracle)
    return _values(a, b, oracle)


def every(decisions: Iterable[Decision]) -> Decision:
    """False if one is False, None if one is undecided, else True."""
    undecided = False
    for decision in decisions:
        if decision is False:
            return False
        undecided = undecided or decision is None
    return None if undecided else True


def either(decisions: Iterable[Decision]) -> Decision:
    """True if one is True, None if one is undecided, else False."""
    undecided = False
    for decision in decisions:
        if decision:
            return True
        undecided = undecided or decision is None
    return None if undecided else False


# --- numbers and expressions ----------------------------------------------------------------------


def _values(a: Quantity | Formula, b: Quantity | Formula, oracle: Oracle) -> Decision:
    factor = _unit_factor(a.unit, b.unit)
    if factor is None:
        return False
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        return _quantities(a, b, factor)
    if factor != 1:
        # An expression in a unit that must be converted: rare enough to ask for the same unit.
        return False
    return oracle.equal(a, b)


def _unit_factor(a: Unit | None, b: Unit | None) -> Fraction | None:
    """What `a` is multiplied with to be counted in the unit of `b`; None where they measure different things."""
    if a is None or b is None:
        return Fraction(1)
    return a.factor / b.factor if a.dimensions == b.dimensions else None


def _quantities(a: Quantity, b: Quantity, factor: Fraction) -> bool:
    if a.base != b.base and 10 in (a.base, b.base):
        other, based = (a, b) if a.base == 10 else (b, a)
        return other.value in (based.value, based.written)
    if a.percent != b.percent:
        percent, bare = (a, b) if a.percent else (b, a)
        as_written = abs(percent.value) >= 1 and same_number(percent, bare, percent.value, bare.value)
        return as_written or percent.value / 100 == bare.value
    return same_number(a, b, a.value * factor, b.value)


def same_number(a: Quantity, b: Quantity, value_a: Fraction, value_b: Fraction) -> bool:
    """Rules 1 and 2 for two rational values."""
    if value_a == value_b:
        return True
    a_rounded, b_rounded = a.places >= ROUNDED_PLACES, b.places >= ROUNDED_PLACES
    if a_rounded == b_rounded:
        return False
    return abs(value_a - value_b) < rounding(a if a_rounded else b)


def rounding(decimal: Quantity) -> Fraction:
    """How far a value may lie from a decimal of ten or more places that stands for it (rule 2)."""
    last_place = Fraction(1, 10**decimal.places)
    if decimal.digits > FLOAT_DIGITS:
        return last_place
    return max(last_place, abs(decimal.value) * FLOAT_RELATIVE_ERROR)


# --- everything else ------------------------------------------------------------------------------


def _compare_named(a: Node, b: Node, oracle: Oracle) -> Decision:
    if isinstance(a, Named) and isinstance(b, Named):
        if a.name == b.name:
            return compare(a.value, b.value, oracle)
        return oracle.related(a.relation, b.relation) if a.relation and b.relation else False
    named, other = (a, b) if isinstance(a, Named) else (b, a)
    assert isinstance(named, Named)
    if isinstance(other, Relation):
        return oracle.related(named.relation, other) if named.relation and len(other.terms) == 2 else False
    return compare(named.value, other, oracle)


_FLIP = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}


def _relations(a: Relation, b: Relation, oracle: Oracle) -> Decision:
    if len(a.terms) != len(b.terms):
        return False
    if len(a.terms) == 2:
        return oracle.related(a, b)
    flipped = Relation(b.terms[::-1], tuple(_FLIP.get(o, o) for o in reversed(b.operators)))
    return either(_chains(a, other, oracle) for other in (b, flipped))


def _chains(a: Relation, b: Relation, oracle: Oracle) -> Decision:
    if a.operators != b.operators:
        return False
    return every(compare(parse(x), parse(y), oracle) for x, y in zip(a.terms, b.terms, strict=True))


def _words(a: Node, b: Node) -> bool:
    if isinstance(a, Words) and isinstance(b, Words):
        if a.letter and b.letter:
            return a.letter == b.letter
        return a.text == b.text
    words, other = (a, b) if isinstance(a, Words) else (b, a)
    assert isinstance(words, Words)
    if not isinstance(other, Formula):
        return False
    spelled = other.text.replace(" ", "")
    return spelled == words.letter or (not words.letter and spelled.lower() == words.text.replace(" ", ""))


def _sequences(a: Node, b: Node, oracle: Oracle) -> Decision:
    if not isinstance(a, Sequence) or not isinstance(b, Sequence):
        sequence, other = (a, b) if isinstance(a, Sequence) else (b, a)
        return _sequence_and_other(sequence, other, oracle)  # type: ignore[arg-type]
    a, b = _distinct(a, oracle), _distinct(b, oracle)
    kinds = {a.kind, b.kind}
    if len(a.items) != len(b.items) or kinds == {"tuple", "set"}:
        return False
    if kinds == {"blanks"} or "tuple" in kinds:
        return every(compare(x, y, oracle) for x, y in zip(a.items, b.items, strict=True))
    return _any_order(a.items, b.items, oracle)


def _distinct(sequence: Sequence, oracle: Oracle) -> Sequence:
    """A set without its repetitions, which say nothing; in a list of answers two equal ones are two."""
    if sequence.kind != "set":
        return sequence
    kept: list[Node] = []
    for item in sequence.items:
        if not any(compare(item, other, oracle) for other in kept):
            kept.append(item)
    return Sequence(sequence.kind, tuple(kept))


def _any_order(a: tuple[Node, ...], b: tuple[Node, ...], oracle: Oracle) -> Decision:
    """Match each of `a` with one of `b`; sameness being transitive, the first partner found will do."""
    left, undecided = list(b), False
    for item in a:
        decisions: list[Decision] = []
        for index, other in enumerate(left):
            decision = compare(item, other, oracle)
            decisions.append(decision)
            if decision:
                del left[index]
                break
        else:
            if None not in decisions:
                return False
            undecided = True
    return None if undecided else True


def _sequence_and_other(sequence: Sequence, other: Node, oracle: Oracle) -> Decision:
    if isinstance(other, Interval) and other.ambiguous and len(sequence.items) == 2:
        round_brackets = other.left_open
        if sequence.kind == "list" and not round_brackets:
            return False
        if sequence.kind == "set":
            return False
        return every(compare(x, y, oracle) for x, y in zip(sequence.items, (other.left, other.right), strict=True))
    if isinstance(other, Matrix) and sequence.kind == "tuple" and all(len(row) == 1 for row in other.rows):
        column = tuple(row[0] for row in other.rows)
        return compare(sequence, Sequence("tuple", column), oracle)
    return compare(sequence.items[0], other, oracle) if len(sequence.items) == 1 else False


def _sets(a: Node, b: Node, oracle: Oracle) -> Decision:
    if isinstance(a, Combination) and isinstance(b, Combination):
        if a.operator != b.operator or len(a.parts) != len(b.parts):
            return False
        if a.operator == "∖":
            return every(compare(x, y, oracle) for x, y in zip(a.parts, b.parts, strict=True))
        return _any_order(a.parts, b.parts, oracle)
    if isinstance(a, Interval) and isinstance(b, Interval):
        if (a.left_open, a.right_open) != (b.left_open, b.right_open):
            return False
        return every((compare(a.left, b.left, oracle), compare(a.right, b.right, oracle)))
    pair, other = (a, b) if isinstance(a, Interval) else (b, a)
    if isinstance(pair, Interval) and pair.ambiguous and pair.left_open and isinstance(other, Matrix):
        return compare(Sequence("tuple", (pair.left, pair.right)), other, oracle)
    return False


def _ratios(a: Node, b: Node, oracle: Oracle) -> Decision:
    if isinstance(a, Ratio) and isinstance(b, Ratio):
        if a.clock and b.clock:
            return a.clock == b.clock and (a.half == b.half or not a.half or not b.half)
        if len(a.items) != len(b.items):
            return False
        values_a, values_b = _plain_values(a), _plain_values(b)
        if values_a and values_b:
            return _proportional(values_a, values_b)
        return every(compare(x, y, oracle) for x, y in zip(a.items, b.items, strict=True))
    ratio, other = (a, b) if isinstance(a, Ratio) else (b, a)
    assert isinstance(ratio, Ratio)
    values = _plain_values(ratio)
    if isinstance(other, Quantity) and len(values) == 2:
        return bool(values[1]) and values[0] / values[1] == other.value
    return False


def _plain_values(ratio: Ratio) -> list[Fraction]:
    """The parts of a ratio of numbers; empty for any other."""
    values = [item.value for item in ratio.items if isinstance(item, Quantity)]
    return values if len(values) == len(ratio.items) else []


def _proportional(a: list[Fraction], b: list[Fraction]) -> bool:
    pivot = next((index for index, value in enumerate(a) if value), None)
    if pivot is None or not b[pivot]:
        return False
    return all(x * b[pivot] == y * a[pivot] for x, y in zip(a, b, strict=True))
