"""What a worker does: read formulas and decide whether two expressions are equal.

`tex.py` builds a sympy tree without evaluating text, and `identity.py` compares two trees by their values;
`forbid_string_evaluation` makes sure that nothing in sympy evaluates text either. Working a tree out (an integral, a
sum) can take any time and memory, so this module is only imported in a worker that its parent can kill.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import sympy
from sympy.core.function import AppliedUndef
from sympy.parsing import sympy_parser

from mathwright.answers import identity
from mathwright.answers.compare import rounding
from mathwright.answers.decisions import Decision
from mathwright.answers.functions import Tree
from mathwright.answers.nodes import Formula, Matrix, Node, Relation
from mathwright.answers.numbers import Quantity
from mathwright.answers.structure import parse
from mathwright.answers.tex import UnparsableError, parse_formula

__all__ = ["Calculator", "UnparsableError", "forbid_string_evaluation", "to_sympy"]

_SHOWN_DIGITS = 30
_TO_BE_DONE = (sympy.Sum, sympy.Product, sympy.Integral, sympy.Limit, sympy.Derivative)


def forbid_string_evaluation() -> None:
    """Make every way from text to evaluation inside sympy raise (`sympify("...")`, `parse_expr`, `S("...")`).

    Its tables hold fractions and names as strings (`S("3/2")`): these are read, by themselves, without evaluation.
    """

    def read(text: str, *args: object, **kwargs: object) -> Tree:
        if _FRACTION.fullmatch(text):
            return sympy.Rational(*Fraction(text).as_integer_ratio())
        if text.isidentifier() and text.isascii():
            return sympy.Symbol(text)
        raise UnparsableError("sympy tried to evaluate text")

    def refuse(*args: object, **kwargs: object) -> None:
        raise UnparsableError("sympy tried to evaluate text")

    sympy_parser.parse_expr = read
    sympy_parser.eval_expr = refuse


_FRACTION = re.compile(r"-?\d{1,9}(?:/[1-9]\d{0,8})?")


@lru_cache(maxsize=4096)
def _read(text: str, ordered: bool) -> tuple[Tree, bool]:
    try:
        return parse_formula(text, ordered=ordered)
    except (MemoryError, UnparsableError):
        raise
    except Exception as error:  # sympy raises whatever its constructors meet
        raise UnparsableError(text) from error


def to_sympy(text: str, *, ordered: bool = False) -> Tree:
    """The expression or matrix that a cleaned formula stands for.

    `ordered`: capital letters do not commute. Raises UnparsableError where it is not understood to its last character.
    """
    return _read(text, ordered)[0]


class Calculator:
    """The oracle of a worker: decides every question, in its own time."""

    max_comparisons = 10**9

    def __init__(self, rel_tolerance: Fraction = Fraction(0)) -> None:
        self.rel_tolerance = rel_tolerance

    @property
    def exact(self) -> Calculator:
        return Calculator() if self.rel_tolerance else self

    def equal(
        self, a: Quantity | Formula | Matrix, b: Quantity | Formula | Matrix, factor: Fraction = Fraction(1)
    ) -> Decision:
        # A logarithm without base is natural or common, the same on both sides.
        readings = [_Reading(natural_log, _ordered(a, b)) for natural_log in _log_readings(a, b)]
        return any(self._equal(a, b, factor, reading) for reading in readings)

    def _equal(
        self, a: Quantity | Formula | Matrix, b: Quantity | Formula | Matrix, factor: Fraction, reading: _Reading
    ) -> bool:
        value_a, value_b = _value(a, reading), _value(b, reading)
        if _is_matrix(value_a) or _is_matrix(value_b):
            return _is_matrix(value_a) and _is_matrix(value_b) and _same_matrix(value_a, value_b)
        if isinstance(a, Matrix) or isinstance(b, Matrix):
            return False
        if factor != 1:
            value_a = value_a * sympy.Rational(factor.numerator, factor.denominator)
        if a.percent != b.percent:
            percent = value_a if a.percent else value_b
            as_written = percent.is_number and bool(abs(percent) >= 1) and self._same(value_a, value_b)
            return as_written or self._same(
                value_a / 100 if a.percent else value_a, value_b / 100 if b.percent else value_b
            )
        decimal = next((q for q in (a, b) if isinstance(q, Quantity) and q.places >= 10), None)
        if decimal is not None and not (value_a - value_b).free_symbols:
            tolerance = sympy.Rational(*rounding(decimal).as_integer_ratio())
            distance = abs(value_a - value_b).evalf(_SHOWN_DIGITS)
            if distance.is_real and distance < tolerance:
                return True
            return bool(self.rel_tolerance) and self._same(value_a, value_b)
        return self._same(value_a, value_b)

    def _same(self, value: Tree, target: Tree) -> bool:
        value, target = _constants_read(value, target)
        return same(value, target) or bool(self.rel_tolerance and _within(value, target, self.rel_tolerance))

    def place(self, end: Formula) -> Fraction | None:
        value = _worked_out(to_sympy(end.text))
        if _is_matrix(value) or value.free_symbols or not value.is_commutative:
            return None
        return identity.place(value)

    def related(self, a: Relation, b: Relation) -> Decision:
        kind_a, difference_a = _difference(a)
        kind_b, difference_b = _difference(b)
        if kind_a != kind_b:
            return False
        if kind_a in ("=", "≠"):
            difference_a, difference_b = (sympy.fraction(sympy.together(d))[0] for d in (difference_a, difference_b))
        return _proportional(difference_a, difference_b, positive=kind_a in (">", "≥"))


@dataclass(frozen=True)
class _Reading:
    """How both sides are read where there are two ways."""

    natural_log: bool = False
    """What a logarithm without base is."""
    ordered: bool = False
    """Whether capital letters keep their order."""


def _value(node: Node, reading: _Reading) -> Tree:
    if isinstance(node, Quantity):
        return sympy.Rational(node.value.numerator, node.value.denominator)
    if isinstance(node, Matrix):
        return sympy.Matrix([[_value(cell, reading) for cell in row] for row in node.rows])
    if not isinstance(node, Formula):
        raise UnparsableError(str(node))
    text = _LOG_OF_NO_BASE.sub(r"\\ln", node.text) if reading.natural_log else node.text
    return to_sympy(text, ordered=reading.ordered)


def _ordered(*nodes: Node) -> bool:
    """Whether a side holds a product of capital letters alone, as of matrices or points."""
    return any(isinstance(node, Formula) and _read(node.text, False)[1] for node in nodes)


_LOG_OF_NO_BASE = re.compile(r"\\log(?![a-zA-Z])(?!\s*_)")


def _log_readings(*nodes: Node) -> tuple[bool, ...]:
    cells = [cell for node in nodes for cell in (sum(node.rows, ()) if isinstance(node, Matrix) else (node,))]
    doubtful = any(isinstance(cell, Formula) and _LOG_OF_NO_BASE.search(cell.text) for cell in cells)
    return (False, True) if doubtful else (False,)


def _is_matrix(value: object) -> bool:
    return isinstance(value, sympy.MatrixBase | sympy.MatrixExpr)


def _same_matrix(a: Tree, b: Tree) -> bool:
    a, b = a.doit(), b.doit()
    return a.shape == b.shape and all(same(x, y) for x, y in zip(sympy.flatten(a), sympy.flatten(b), strict=True))


def _constants_read(a: Tree, b: Tree) -> tuple[Tree, Tree]:
    """A capital E, I or J that the other side does not have is what sympy and Python print for e and i."""
    sides = [a, b]
    for index in (0, 1):
        names = {symbol.name for symbol in sides[index].free_symbols}
        others = {symbol.name for symbol in sides[1 - index].free_symbols}
        spelled = {sympy.Symbol(n): c for n, c in _CONSTANTS.items() if n in names and n not in others}
        sides[index] = sides[index].xreplace(spelled) if spelled else sides[index]
    return sides[0], sides[1]


_CONSTANTS = {"E": sympy.E, "I": sympy.I, "J": sympy.I, "j": sympy.I}


def _within(value: Tree, target: Tree, tolerance: Fraction) -> bool:
    """Whether |value - target| <= tolerance |target| for two real constants."""
    value, target = _worked_out(value), _worked_out(target)
    if value.free_symbols or target.free_symbols:
        return False
    slack = (sympy.Rational(*tolerance.as_integer_ratio()) * abs(target) - abs(value - target)).evalf(_SHOWN_DIGITS)
    return bool(value.is_real and target.is_real and slack.is_number and slack >= 0)


def same(a: Tree, b: Tree) -> bool:
    """Whether two expressions have the same value wherever both are real."""
    if a == b:
        return True
    a, b = _worked_out(a), _worked_out(b)
    if a == b:
        return True
    if any(part.has(sympy.oo, -sympy.oo, sympy.zoo, sympy.nan) for part in (a, b)):
        return False
    if not (a.is_commutative and b.is_commutative):
        return sympy.expand(a - b) == 0
    difference = a - b
    if difference.is_Rational:
        return bool(difference == 0)
    try:
        return identity.same_function(a, b) if difference.free_symbols else identity.same_constant(a, b)
    except identity.UndecidedError:
        # Only a proof will do, and there is none where a letter is missing.
        return a.free_symbols == b.free_symbols and bool(sympy.simplify(difference) == 0)


def _worked_out(expression: Tree) -> Tree:
    """Sums, integrals, limits and derivatives done, and each unknown function's value a letter."""
    # `doit` would also write out the powers that were left for their size.
    expression = expression.doit() if expression.has(*_TO_BE_DONE) else expression
    unknown = {call: sympy.Symbol(str(call)) for call in expression.atoms(AppliedUndef)}
    return expression.xreplace(unknown)


def _difference(relation: Relation) -> tuple[str, Tree]:
    """The relation as `difference = 0`, `difference > 0` or `difference >= 0`."""
    left, right = (_value(_as_formula(term), _Reading()) for term in relation.terms)
    operator = relation.operators[0]
    if operator in "<≤":
        left, right, operator = right, left, {"<": ">", "≤": "≥"}[operator]
    return operator, _worked_out(left - right)


def _as_formula(term: str) -> Quantity | Formula:
    node = parse(term)
    if not isinstance(node, Quantity | Formula):
        raise UnparsableError(term)
    return node


def _proportional(a: Tree, b: Tree, *, positive: bool) -> bool:
    """Whether a = c b for a constant c that is not zero (`positive`: greater than zero)."""
    if not a.free_symbols and not b.free_symbols:
        return same(a, b)
    try:
        return identity.proportional(a, b, positive=positive)
    except identity.UndecidedError:
        return same(a, b)
