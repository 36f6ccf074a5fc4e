"""When two answers are the same answer: the rules, all in this one place.

Every comparison gives True, False, or None where an expression must first be parsed and worked out by a worker.
All rules but the last are symmetric in prediction and reference.

1. **Numbers** are exact rationals: `0.5` = `1/2` = `\\frac{1}{2}`, whatever their size; `0.5` is not `50`, and `0.33`
   is not `1/3`. No tolerance.
2. **Rounding.** One exception, for what programs print: a decimal with ten or more places (`0.0833333333333333`) equals
   a value that is not itself such a decimal, if it differs by less than one unit in its last place or, written with
   at most 17 digits, by no more than four roundings of a 64-bit float. `3.14` is never π.
3. **Percent.** `20%` is the number 20/100, so it equals `0.2` and `1/5`. Where only one side has the sign, `20%` also
   equals `20` (the question asked "what percent"), but only from 1 up: `0.5%` is not `0.5`.
4. **Units.** A unit on one side only is left out (`5 cm` = `5`); on both sides units must measure the same thing and
   are converted exactly (`500 cm` = `5 m`, `5 cm` is not `5 cm²`). Money is a unit, and never exchanged. What is
   counted (`5 apples`) is none: two counts are compared without it, and a count is no amount of a unit. Further words
   (`5 km east`) are left out beside a number without any, and must agree where both have them. What stands behind a
   number and is none of these (`5 or more`) makes it words. A lone letter is a unit only in `\\text{}`: `5m` may be
   algebra. `suffix.py` has the grammar.
5. **Bases.** `11_2` equals `3`, and `204_5` equals a bare `204` (the question named the base); with two bases, ten
   among them, the values are compared.
6. **Several answers** stand in any order (`1, 2` = `2, 1` = `\\{1, 2\\}`), none missing, added or repeated; a tuple
   is ordered, and equals a bare list in the same order; answers to several blanks (`5; 10`) and labelled ones
   (`(a) 3 (b) 4`) are ordered. `±a` is two answers.
7. **Intervals** agree in both ends and in whether these belong to them. `(a, b)` may be a point or an open interval,
   and equals either; `[a, b]` never equals `(a, b)`, nor its two ends, unless Python printed it as a list. `x > 2` is
   `(2, ∞)`; with `x \\in \\mathbb{Z}` it is `x \\ge 3` for integers, and no interval.
8. **Names.** `x = 5` equals `5`, and `x > 2` equals `(2, ∞)`; two names must be the same. Named values stand for a
   tuple in the order of the alphabet. Other equations are equal if one is a multiple of the other; so are
   inequalities, by a positive factor. An implication is not its converse.
9. **Words** are compared without case, articles and the punctuation around them (`A+` is not `A-`); a choice by its
   letter (`(C)`, `C) 12`). Times of day and dates are compared as such, in any spelling.
10. **Tolerance.** None, unless the caller asks for the one of a benchmark's own scorer: then numbers, alone, as parts
   of an answer or worked out from expressions, are the same where |prediction - reference| <= rel_tolerance
   |reference|, after units are converted. The one rule that is not symmetric.
11. **Expressions** are equal if they are wherever both are real, and, where only one has bars, real together. Letters
   commute but for capitals run together (HHT, AB) and vectors under a cross product.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from itertools import chain

from mathwright.answers.decisions import Decision, Oracle, either, every
from mathwright.answers.inequalities import FLIP
from mathwright.answers.nodes import (
    NOBODY,
    Combination,
    Formula,
    Interval,
    Matrix,
    Named,
    Node,
    Ratio,
    Relation,
    Residue,
    Sequence,
    Words,
    formula_text,
)
from mathwright.answers.numbers import Quantity, parse_quantity
from mathwright.answers.ratios import ratios
from mathwright.answers.sets import has_constants, real_set
from mathwright.answers.several import ROUNDED_PLACES, any_order, by_name, sequences, statements
from mathwright.answers.structure import parse
from mathwright.answers.unit_reader import parse_unit
from mathwright.answers.units import Conversion, conversions, is_angle, is_measure
from mathwright.answers.vocabulary import NOTHING

FLOAT_DIGITS = 17
FLOAT_RELATIVE_ERROR = Fraction(4, 2**53)


class Spelling:
    """The oracle of the calling process: equal spelling is equality, anything else is undecided."""

    max_comparisons = 2500

    def __init__(self, rel_tolerance: Fraction = Fraction(0)) -> None:
        self.rel_tolerance = rel_tolerance

    @property
    def exact(self) -> Oracle:
        return SPELLING

    def equal(self, a: Quantity | Formula, b: Quantity | Formula, factor: Fraction = Fraction(1)) -> Decision:
        if (
            factor == 1
            and isinstance(a, Formula)
            and isinstance(b, Formula)
            and a.text.replace(" ", "") == b.text.replace(" ", "")
        ):
            return True
        if factor == 1 and isinstance(a, Formula) and isinstance(b, Formula) and a.unit is b.unit is None:
            # Letters run together are a word, an order, what fell when coins were thrown: HHT is not THH.
            return False if _CAPITALS.fullmatch(a.text) and _CAPITALS.fullmatch(b.text) else None
        return None

    def place(self, end: Formula) -> Fraction | None:
        return None

    def related(self, a: Relation, b: Relation) -> Decision:
        spelled_a, spelled_b = ([t.replace(" ", "") for t in r.terms] for r in (a, b))
        return True if spelled_a == spelled_b and a.operators == b.operators else None


SPELLING = Spelling()
_CAPITALS = re.compile("[A-Z]{2,}")


def compare(a: Node, b: Node, oracle: Oracle = SPELLING) -> Decision:
    """Whether two answers are the same, by the rules above."""
    if (named := by_name(a, b, oracle, compare)) is not None:
        return named[0]
    if isinstance(a, Named) or isinstance(b, Named):
        return _compare_named(a, b, oracle)
    if isinstance(a, Relation) or isinstance(b, Relation):
        return _relations(a, b, oracle) if isinstance(a, Relation) and isinstance(b, Relation) else False
    if isinstance(a, Words) or isinstance(b, Words):
        return _words(a, b)
    if isinstance(a, Residue) or isinstance(b, Residue):
        return _residues(a, b)
    if (same := _same_set(a, b, oracle)) is not None:
        return same
    if isinstance(a, Sequence) or isinstance(b, Sequence):
        return sequences(a, b, oracle, compare)
    if isinstance(a, Interval | Combination) or isinstance(b, Interval | Combination):
        decision = _sets(a, b, oracle)
        # Ends that must be worked out first may leave two spellings of one set.
        open_ends = has_constants(a) or has_constants(b)
        return None if decision is False and open_ends and oracle.place(_ONE) is None else decision
    if isinstance(a, Matrix) and isinstance(b, Matrix):
        if [len(row) for row in a.rows] != [len(row) for row in b.rows]:
            return False
        cells = (chain.from_iterable(node.rows) for node in (a, b))
        return every(compare(x, y, oracle) for x, y in zip(*cells, strict=True))
    if isinstance(a, Matrix) or isinstance(b, Matrix):
        return False if isinstance(a, Quantity | Ratio) or isinstance(b, Quantity | Ratio) else oracle.equal(a, b)  # type: ignore[arg-type]
    if isinstance(a, Ratio) or isinstance(b, Ratio):
        return ratios(a, b, oracle)
    if isinstance(a, Formula) and isinstance(b, Formula) and (both := (statements(a), statements(b))) and all(both):
        return compare(both[0], both[1], oracle)  # type: ignore[arg-type]
    return _values(a, b, oracle)


_ONE = Formula("1")


def _same_set(a: Node, b: Node, oracle: Oracle) -> Decision:
    """Whether two sets of numbers are the same, where the ends of both are known numbers; else None."""
    if not any(isinstance(node, Interval | Combination) for node in (a, b)) or oracle.rel_tolerance:
        return None
    if any(isinstance(node, Interval) and node.printed for node in (a, b)) and any(
        isinstance(node, Sequence) for node in (a, b)
    ):
        return None
    if any(isinstance(node, Sequence) and node.kind != "set" for node in (a, b)):
        return None
    normal_a, normal_b = (real_set(node, oracle.place) for node in (a, b))
    return None if normal_a is None or normal_b is None else normal_a == normal_b


# --- numbers and expressions ----------------------------------------------------------------------


def _values(a: Quantity | Formula, b: Quantity | Formula, oracle: Oracle) -> Decision:
    if a.qualifier and b.qualifier and a.qualifier != b.qualifier:
        return False
    if a.unit and not b.unit and isinstance(b, Formula):
        return _values(a, read, oracle) if (read := _with_letter_unit(b)) else _bare(a, b, oracle)
    if b.unit and not a.unit and isinstance(a, Formula):
        return _values(read, b, oracle) if (read := _with_letter_unit(a)) else _bare(a, b, oracle)
    if a.percent != b.percent and is_measure(a.unit or b.unit):
        return False
    if isinstance(a, Formula) and isinstance(b, Formula) and a.text != b.text and not (a.unit or b.unit):
        a, b = _same_letter(a, b)
        units = [_with_letter_unit(formula) for formula in (a, b)]
        if units[0] and units[1] and (by := conversions(units[0].unit, units[1].unit)):
            # `1 m^3` and `1000 L`: algebra would have the same letters on both sides
            return either((oracle.equal(a, b), *(_converted(*units, one, oracle) for one in by)))  # type: ignore[arg-type]
    return either(_converted(a, b, conversion, oracle) for conversion in conversions(a.unit, b.unit))


def _converted(a: Quantity | Formula, b: Quantity | Formula, by: Conversion, oracle: Oracle) -> Decision:
    """Whether `a`, counted in the unit of `b`, is `b`."""
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        if by.pi:
            return not a.value and not b.value
        return _quantities(a, b, by, oracle.rel_tolerance)
    if by.pi or by.shift:
        value = rf"({formula_text(a)})\cdot({_tex(by.factor)})\cdot\pi^{{{by.pi}}}+({_tex(by.shift)})"
        return oracle.equal(Formula(value), replace(b, unit=None))
    return oracle.equal(a, b, by.factor)


def _tex(value: Fraction) -> str:
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


_LETTERS = r"(?:\\mu ?)?[a-zA-Z]{1,4}(?:\^\{?-?\d\}?)?"
_LETTER_UNIT = re.compile(rf"(-?\d[\d.,]*) ?({_LETTERS}(?: ?/ ?{_LETTERS})?)")


def _same_letter(a: Formula, b: Formula) -> tuple[Formula, Formula]:
    """The second with the letter of the first where each says that its own stands for any number of one kind."""
    if a.any_of is None or b.any_of is None or a.any_of[1] != b.any_of[1]:
        return a, b
    old, new = b.any_of[0], a.any_of[0]
    letters = _COMMAND_OR_LETTER.findall(b.text)
    if new in letters:
        return a, b
    return a, replace(b, text=_COMMAND_OR_LETTER.sub(lambda m: new if m.group() == old else m.group(), b.text))


_COMMAND_OR_LETTER = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]")


def _with_letter_unit(formula: Formula) -> Quantity | None:
    """`20 m/s`, which may be algebra, beside an answer that has a unit: it has one, too."""
    match = _LETTER_UNIT.fullmatch(formula.text)
    if match is None:
        return None
    number, unit = parse_quantity(match.group(1)), parse_unit(re.sub(r"\\mu ?", "μ", match.group(2)))
    return replace(number, unit=unit) if number and unit else None


def _bare(a: Quantity | Formula, b: Quantity | Formula, oracle: Oracle) -> Decision:
    """A unit on one side only is left out; of degrees and a multiple of π the latter may be radians."""
    bare_a, bare_b = replace(a, unit=None), replace(b, unit=None)
    decisions = [oracle.equal(bare_a, bare_b)]
    angle, other = (a, b) if a.unit else (b, a)
    if angle.unit and is_angle(angle.unit) and "\\pi" in formula_text(other):
        radians = Formula(rf"({formula_text(angle)})\cdot({_tex(angle.unit.factor)})\cdot\pi^{{{angle.unit.pi}}}")
        decisions.append(oracle.equal(radians, bare_b) if angle is a else oracle.equal(bare_a, radians))
    return either(decisions)


def _quantities(a: Quantity, b: Quantity, by: Conversion, tolerance: Fraction) -> bool:
    if a.base != b.base and None in (a.written, b.written):
        other, based = (a, b) if a.written is None else (b, a)
        return other.value in (based.value, based.written)
    if a.percent != b.percent:
        percent = a if a.percent else b
        as_written = abs(percent.value) >= 1 and same_number(a, b, a.value, b.value, tolerance)
        values = (a.value / 100, b.value) if a.percent else (a.value, b.value / 100)
        return as_written or within(*values, tolerance)
    return same_number(a, b, a.value * by.factor + by.shift, b.value, tolerance)


def within(value: Fraction, target: Fraction, tolerance: Fraction) -> bool:
    """Rule 10; equality where the tolerance is 0."""
    return abs(value - target) <= tolerance * abs(target)


def same_number(a: Quantity, b: Quantity, value_a: Fraction, value_b: Fraction, tolerance: Fraction) -> bool:
    """Rules 1, 2 and 10 for two rational values."""
    if within(value_a, value_b, tolerance):
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


_DEPENDENT = re.compile(r"y|[a-zA-Z]\([a-z]\)")


def _compare_named(a: Node, b: Node, oracle: Oracle) -> Decision:
    relation_a, relation_b = (
        node.relation if isinstance(node, Named) else node if isinstance(node, Relation) else None for node in (a, b)
    )
    if isinstance(a, Named) and isinstance(b, Named):
        if a.name == b.name or NOBODY in (a.name, b.name):
            return compare(a.value, b.value, oracle)
        if all(_DEPENDENT.fullmatch(node.name) for node in (a, b)) and "y" in (a.name, b.name):
            return compare(a.value, b.value, oracle)
        return oracle.related(relation_a, relation_b) if relation_a and relation_b else False
    if isinstance(a, Relation) or isinstance(b, Relation):
        both = relation_a and relation_b and len(relation_a.terms) == len(relation_b.terms) == 2
        return oracle.related(relation_a, relation_b) if both else False  # type: ignore[arg-type]
    if NOBODY in (getattr(a, "name", ""), getattr(b, "name", "")) and not {type(a), type(b)} <= {Named, Interval}:
        return False
    a, b = (node.value if isinstance(node, Named) else node for node in (a, b))
    return compare(a, b, oracle)


def _relations(a: Relation, b: Relation, oracle: Oracle) -> Decision:
    if len(a.terms) != len(b.terms):
        return False
    if "⇒" in (*a.operators, *b.operators):
        return _chains(a, b, oracle)  # not the converse
    if len(a.terms) == 2:
        return oracle.related(a, b)
    flipped = Relation(b.terms[::-1], tuple(FLIP.get(o, o) for o in reversed(b.operators)))
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
    if isinstance(other, Sequence) and not other.items:
        return words.text == NOTHING
    if not isinstance(other, Formula):
        return False
    spelled = other.text.replace(" ", "")
    return spelled == words.letter or (not words.letter and spelled.lower() == words.text.replace(" ", ""))


def _residues(a: Node, b: Node) -> bool:
    if isinstance(a, Residue) and isinstance(b, Residue):
        return a.modulus == b.modulus and (a.value - b.value) % a.modulus == 0
    residue, other = (a, b) if isinstance(a, Residue) else (b, a)
    assert isinstance(residue, Residue)
    if not isinstance(other, Quantity) or other.unit or other.percent:
        return False
    # The number named, or what remains of it: `17 mod 5` is 2.
    return other.value in (residue.value, residue.value % residue.modulus)


def _sets(a: Node, b: Node, oracle: Oracle) -> Decision:
    if isinstance(a, Combination) and isinstance(b, Combination):
        if a.operator != b.operator or len(a.parts) != len(b.parts):
            return False
        if a.operator in ("∖", "|"):
            return every(compare(x, y, oracle) for x, y in zip(a.parts, b.parts, strict=True))
        return any_order(a.parts, b.parts, oracle, compare)
    if isinstance(a, Interval) and isinstance(b, Interval):
        if (a.left_open, a.right_open) != (b.left_open, b.right_open):
            return False
        return every((compare(a.left, b.left, oracle), compare(a.right, b.right, oracle)))
    points = [_point(node) for node in (a, b)]
    if isinstance(a, Matrix) or isinstance(b, Matrix):
        return compare(points[0] or a, points[1] or b, oracle) if any(points) else False
    return False


def _point(node: Node) -> Sequence | None:
    """A point, or a list in square brackets, to be laid beside a column."""
    if isinstance(node, Interval) and node.ambiguous:
        return Sequence("tuple", (node.left, node.right))
    return None
