"""What a worker does: hand formulas to the TeX parser and decide whether two expressions are equal.

The parser (latex2sympy2_extended, the one of math-verify) builds a sympy tree from its grammar without evaluating
text; `forbid_string_evaluation` makes sure that nothing else in sympy does. Its own normalisation and comparison are
not used: they drop units, cases and bases, and compare with a tolerance. Working a tree out (`9^{9^{9^9}}`) can take
any time and memory, so this module is only imported in a worker that its parent can kill.
"""

from __future__ import annotations

import random
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
from sympy.core.function import AppliedUndef
from sympy.parsing import sympy_parser

from mathwright.answers.compare import Decision, rounding
from mathwright.answers.nodes import Formula, Matrix, Node, Relation
from mathwright.answers.numbers import Quantity
from mathwright.answers.structure import parse

Tree = Any
"""An expression or matrix of sympy, whose annotations call every result a bare Basic."""

_DEGREES = re.compile(r"(\d+(?:\.\d+)?)°")
_DOUBLE_FACTORIAL = re.compile(r"(?<![\d.])(\d{1,3})!!(?!!)")
_SHOWN_DIGITS = 30
_WORKING_DIGITS = 200
_POINTS_NEEDED, _POINTS_TRIED = 4, 16
_HUGE = 10**60


class UnparsableError(ValueError):
    """A formula that the parser does not understand."""


class _Converter(_Latex2Sympy):
    """The parser with exact numbers: its own makes floats of decimals, by way of `sympify`."""

    def __init__(self) -> None:
        super().__init__(config=ConversionConfig(lowercase_symbols=False))

    def parse_number(self, text: str) -> Tree:
        return sympy.Rational(*Fraction(text.replace(",", "")).as_integer_ratio())


def forbid_string_evaluation() -> None:
    """Make every way from text to evaluation inside sympy raise (`sympify("...")`, `parse_expr`, `S("...")`)."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise UnparsableError("sympy tried to evaluate text")

    sympy_parser.parse_expr = refuse
    sympy_parser.eval_expr = refuse


@lru_cache(maxsize=4096)
def to_sympy(text: str) -> Tree:
    """The expression or matrix that a cleaned formula stands for.

    Raises UnparsableError where the parser does not understand it, or only part of it.
    """
    if "\\text" in text or re.search(r"\d\s*_|[%¤€£¥?@#]|\\(?:l|c|v)?dots", text):
        raise UnparsableError(text)
    source = _DEGREES.sub(r"(\\frac{\1\\pi}{180})", text).replace("°", r"\cdot\frac{\pi}{180}")
    source = _DOUBLE_FACTORIAL.sub(lambda m: str(sympy.factorial2(int(m.group(1)))), source)
    source = source.replace("␤", r"\\").replace("*", r"\cdot ")
    source = re.sub(r"([a-zA-Z])('+)", lambda m: f"{m.group(1)}_{{{'p' * len(m.group(2))}}}", source)
    try:
        return _checked(_Converter().parse(source))
    except (MemoryError, UnparsableError):
        raise
    except Exception as error:  # the parser raises bare Exception, and sympy whatever its constructors meet
        raise UnparsableError(text) from error


def _checked(tree: object) -> Tree:
    """An expression or matrix (no relation, set or tuple), `i` read as the imaginary unit unless it counts."""
    if isinstance(tree, sympy.MatrixBase):
        return tree.applyfunc(_checked)
    if not isinstance(tree, sympy.Expr | sympy.MatrixExpr):
        raise UnparsableError(str(type(tree)))
    if tree.has(sympy.Sum, sympy.Product):
        return tree
    return tree.xreplace({symbol: sympy.I for symbol in tree.atoms(sympy.Symbol) if symbol.name == "i"})


class Calculator:
    """The oracle of a worker: decides every question, in its own time."""

    def __init__(self, rel_tolerance: Fraction = Fraction(0)) -> None:
        self.rel_tolerance = rel_tolerance

    @property
    def exact(self) -> Calculator:
        return Calculator() if self.rel_tolerance else self

    def equal(
        self, a: Quantity | Formula | Matrix, b: Quantity | Formula | Matrix, factor: Fraction = Fraction(1)
    ) -> Decision:
        # A logarithm without base is natural or common, the same on both sides.
        return any(self._equal(a, b, factor, natural_log) for natural_log in _log_readings(a, b))

    def _equal(
        self, a: Quantity | Formula | Matrix, b: Quantity | Formula | Matrix, factor: Fraction, natural_log: bool
    ) -> bool:
        value_a, value_b = _value(a, natural_log=natural_log), _value(b, natural_log=natural_log)
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

    def related(self, a: Relation, b: Relation) -> Decision:
        kind_a, difference_a = _difference(a)
        kind_b, difference_b = _difference(b)
        if kind_a != kind_b:
            return False
        if kind_a in ("=", "≠"):
            difference_a, difference_b = (sympy.fraction(sympy.together(d))[0] for d in (difference_a, difference_b))
        return _proportional(difference_a, difference_b, positive=kind_a in (">", "≥"))


def _value(node: Node, *, natural_log: bool = False) -> Tree:
    if isinstance(node, Quantity):
        return sympy.Rational(node.value.numerator, node.value.denominator)
    if isinstance(node, Matrix):
        return sympy.Matrix([[_value(cell, natural_log=natural_log) for cell in row] for row in node.rows])
    if not isinstance(node, Formula):
        raise UnparsableError(str(node))
    return to_sympy(_LOG_OF_NO_BASE.sub(r"\\ln", node.text) if natural_log else node.text)


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
    difference = a - b
    if difference.is_Rational:
        return difference == 0
    if not difference.free_symbols:
        return _is_zero(difference)
    return _is_zero_function(a, b, difference)


def _worked_out(expression: Tree) -> Tree:
    expression = expression.doit()
    unknown = {call: sympy.Symbol(str(call)) for call in expression.atoms(AppliedUndef)}
    expression = expression.xreplace(unknown)
    # The real root of a negative number: \sqrt[3]{-8} is -2, not 1 + i sqrt(3).
    return expression.replace(_is_odd_root, lambda root: -(((-root.base) ** root.exp) ** 1))


def _is_odd_root(part: Tree) -> bool:
    if not isinstance(part, sympy.Pow) or not part.exp.is_Rational or part.exp.is_Integer:
        return False
    exponent: Tree = part.exp
    return bool(exponent.q % 2 and exponent.p % 2 and part.base.is_number and part.base.is_negative)


def _is_zero(constant: Tree) -> bool:
    """Whether a constant is zero, to 200 digits; huge numbers need a proof, where 200 digits may not reach."""
    number = constant.evalf(_SHOWN_DIGITS, maxn=_WORKING_DIGITS)
    if not number.is_number or not all(part.is_Float or part.is_Rational for part in number.as_real_imag()):
        return sympy.simplify(constant) == 0
    if any(part != 0 and getattr(part, "_prec", 2) > 1 for part in number.as_real_imag()):
        # What is left of a cancellation inside a function (gamma, say) shrinks with more digits; a difference stays.
        closer = constant.evalf(2 * _SHOWN_DIGITS, maxn=_WORKING_DIGITS)
        if abs(closer - number) < abs(number) / 10**6:
            return False
    if any(abs(n) > _HUGE or n.q > _HUGE for n in constant.atoms(sympy.Rational)):
        return sympy.simplify(constant) == 0
    return True


def _is_zero_function(a: Tree, b: Tree, difference: Tree) -> bool:
    """Whether `difference` = a - b is zero at random rational points where no root or logarithm of a and b is complex.

    Two different expressions agree at a random point with a probability that is zero for all that answers are made of.
    """
    domain = [
        power.base for power in (a, b) for power in power.atoms(sympy.Pow) if power.exp.is_Rational and power.exp.q != 1
    ]
    domain += [log.args[0] for side in (a, b) for log in side.atoms(sympy.log)]
    points = random.Random(0)
    seen = 0
    for _ in range(_POINTS_TRIED):
        symbols = sorted(difference.free_symbols, key=str)
        point = {s: sympy.Rational(points.randint(-997, 997), points.randint(101, 499)) for s in symbols}
        inside = [part.xreplace(point).evalf(15) for part in domain]
        if any(value.is_negative for value in inside):
            continue
        value = difference.xreplace(point)
        if value.has(sympy.zoo, sympy.nan, sympy.oo):
            continue
        if not _is_zero(value):
            return False
        seen += 1
        if seen == _POINTS_NEEDED:
            return True
    return seen > 0 or sympy.simplify(difference) == 0


def _difference(relation: Relation) -> tuple[str, Tree]:
    """The relation as `difference = 0`, `difference > 0` or `difference >= 0`."""
    left, right = (_value(_as_formula(term)) for term in relation.terms)
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
    symbols = sorted({*a.free_symbols, *b.free_symbols}, key=str)
    points = random.Random(1)
    for _ in range(_POINTS_TRIED):
        point = {symbol: sympy.Rational(points.randint(1, 997), points.randint(101, 499)) for symbol in symbols}
        at_a, at_b = a.xreplace(point), b.xreplace(point)
        if at_a.is_number and at_b.is_number and not _is_zero(at_a) and not _is_zero(at_b):
            factor = at_a / at_b
            return (not positive or bool(factor > 0)) and same(a, factor * b)
    return same(a, b)
