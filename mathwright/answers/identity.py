"""Whether two expressions are the same function: compared at points that their own domain names.

Each is worked out to fifty digits at points of several sizes and signs, and in every stretch between the places where
what stands under a root, in a logarithm, in bars or below a fraction changes its sign, so that `\\sqrt{x-100}` is
tried beyond 100 and `|x-500|` on both sides of 500. Two expressions are the same where they agree wherever both are
real; where only one of them has bars, whose use is to extend a domain (`\\ln|x|`), they must be real together.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
import sympy

from mathwright.answers.evaluate import Evaluation, NotRealError, NoValueError, Number, is_real
from mathwright.answers.functions import Tree
from mathwright.answers.points import points

DIGITS, CHECKED_DIGITS = 50, 200
SLACK = 20
"""Digits that rounding may cost before it is looked at with more of them."""
NOISE = 5
"""A term so few digits above the last one carried may be what is left of a zero."""
MAX_DIGITS_OF_CONSTANTS, MAX_DIGITS_AT_POINTS = 20_000, 600
POINTS_ENOUGH = 3
_PLACES = 40

Point = dict[Tree, Fraction]


class UndecidedError(ArithmeticError):
    """Numbers do not tell: too large, or nowhere real together."""


def same_constant(a: Tree, b: Tree) -> bool:
    """Whether two constants are equal to 200 digits beyond the spread of their terms. Raises UndecidedError."""
    try:
        return all(_close(a, b, {}, None, digits) for digits in (DIGITS, CHECKED_DIGITS))
    except NoValueError as error:
        raise UndecidedError(str(error)) from error


def place(constant: Tree) -> Fraction | None:
    """A real constant to forty places, the same for two equal ones; None where it has no such value."""
    try:
        value, _ = _precisely(constant, {}, 2 * DIGITS)
    except NoValueError:
        return None
    if not is_real(value, DIGITS):
        return None
    with mpmath.workdps(2 * DIGITS):
        return Fraction(int(mpmath.nint(mpmath.re(value) * 10**_PLACES)), 10**_PLACES)


def same_function(a: Tree, b: Tree) -> bool:
    """Whether two expressions with letters agree wherever both are real. Raises UndecidedError."""
    return _agree(a, b, None)


def proportional(a: Tree, b: Tree, *, positive: bool) -> bool:
    """Whether a = c b for a constant c that is not zero (`positive`: greater than zero). Raises UndecidedError."""
    for point in points(a, b):
        try:
            at_a, at_b = (_value(side, point, DIGITS) for side in (a, b))
        except NoValueError:
            continue
        if not (is_real(at_a, DIGITS) and is_real(at_b, DIGITS)) or min(abs(at_a), abs(at_b)) < 1e-9:
            continue
        if positive and mpmath.re(at_a / at_b) <= 0:
            return False
        return _agree(a, b, point)
    raise UndecidedError("nowhere real and not zero")


def _agree(a: Tree, b: Tree, anchor: Point | None) -> bool:
    """Whether a and b, each divided by its value at the anchor, agree at all points."""
    complex_counts = any(side.has(sympy.I) for side in (a, b))
    extended = a.has(sympy.Abs) != b.has(sympy.Abs)
    seen = 0
    for point in points(a, b):
        real = [_real_at(side, point, complex_counts=complex_counts) for side in (a, b)]
        if None in real:
            continue
        if extended and real[0] != real[1]:
            return False
        if not (all(real) or complex_counts):
            continue
        try:
            if not _close(a, b, point, anchor, DIGITS):
                return False
        except NoValueError:
            continue
        seen += 1
    if seen < POINTS_ENOUGH:
        raise UndecidedError("too few points where both are real")
    return True


def _real_at(tree: Tree, point: Point, *, complex_counts: bool) -> bool | None:
    """Whether the value is real, reached by way of real numbers alone unless complex ones count; None without one."""
    try:
        value, _ = _precisely(tree, point, DIGITS, real=not complex_counts)
        return is_real(value, DIGITS)
    except NotRealError:
        return False
    except NoValueError:
        return None


def _close(a: Tree, b: Tree, point: Point, anchor: Point | None, digits: int) -> bool:
    """Whether two values are the same to so many digits.

    Where they seem to differ, more digits tell: what rounding left shrinks with them, a difference stays.
    """
    difference, size, carried = _difference(a, b, point, anchor, digits)
    if difference <= size * mpmath.mpf(10) ** (SLACK - carried):
        return True
    closer, _, _ = _difference(a, b, point, anchor, digits + 2 * SLACK)
    return closer < difference * mpmath.mpf(10) ** -SLACK


def _difference(a: Tree, b: Tree, point: Point, anchor: Point | None, digits: int) -> tuple[Number, Number, int]:
    """|a - b|, the larger of |a| and |b|, and the digits that both were worked out to."""
    carried = max(_precisely(side, point, digits)[1] for side in (a, b))
    values = [_precisely(side, point, carried)[0] for side in (a, b)]
    with mpmath.workdps(carried):
        if anchor is not None:
            values = [value / _precisely(side, anchor, carried)[0] for side, value in zip((a, b), values, strict=True)]
        return abs(values[0] - values[1]), max(abs(value) for value in values), carried


def _value(tree: Tree, point: Point, digits: int) -> Number:
    return _precisely(tree, point, digits)[0]


def _precisely(tree: Tree, point: Point, digits: int, *, real: bool = False) -> tuple[Number, int]:
    """The value, and the digits carried: so many that no term of a sum is lost beside another."""
    limit = MAX_DIGITS_AT_POINTS if point else MAX_DIGITS_OF_CONSTANTS
    whole = all(point[letter].denominator == 1 for letter in _letters_of_exponents(tree) if letter in point)
    carried, noisy = digits, False
    while carried <= limit:
        evaluation = Evaluation(point, carried, whole_exponents=whole, real=real)
        value = evaluation.value(tree)
        lost = evaluation.spread >= carried - NOISE
        if evaluation.spread + digits <= carried or (noisy and lost):
            return value, carried
        carried, noisy = evaluation.spread + digits + NOISE, lost
    raise NoValueError("more digits than can be carried")


def _letters_of_exponents(tree: Tree) -> set[Tree]:
    return {symbol for part in tree.atoms(sympy.Pow) for symbol in part.exp.free_symbols}
