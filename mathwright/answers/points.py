"""Points at which two expressions are compared: of several sizes and signs, and within every stretch of their domain.

The ends of a domain are where what stands under a root, in a logarithm, between bars or below a fraction is zero.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from fractions import Fraction

import mpmath
import sympy

from mathwright.answers.evaluate import Evaluation, NoValueError, is_real
from mathwright.answers.functions import Tree

MAX_LETTERS, MAX_PARTS = 4, 8
"""So many letters are moved, past the zeros of so many parts; the others stand still meanwhile."""
_GRID = [0.0] + [sign * m * 10.0**e for e in range(-2, 7) for m in (1, 2, 5) for sign in (-1, 1)]
_ROUNDS = 2


def _ratio(low: int, high: int) -> Callable[[random.Random], Fraction]:
    return lambda numbers: Fraction(numbers.randint(low * 997, high * 997), 997)


def _integer(low: int, high: int) -> Callable[[random.Random], Fraction]:
    return lambda numbers: Fraction(numbers.randint(low, high))


_DRAWS = (
    *(_ratio(0, 1), _ratio(1, 5), _ratio(-5, 5), _integer(2, 9), _integer(-9, 9)),
    *(_ratio(-1, 1), _ratio(-9, 0), _ratio(2, 40), _ratio(-200, 200), _ratio(0, 9000)),
)


def points(a: Tree, b: Tree) -> Iterator[dict[Tree, Fraction]]:
    """Values for all letters of two expressions, the same for the same two."""
    letters = sorted({*a.free_symbols, *b.free_symbols}, key=str)
    numbers = random.Random(0)
    for draw in _DRAWS * _ROUNDS:
        yield {letter: draw(numbers) for letter in letters}
    parts = _parts_that_bound(a) + _parts_that_bound(b)
    for draw in (_ratio(1, 5), _ratio(-3, 3)):
        around = {letter: draw(numbers) for letter in letters}
        for letter in letters[:MAX_LETTERS]:
            zeros = {zero for part in parts[:MAX_PARTS] if part.has(letter) for zero in _zeros(part, letter, around)}
            for value in _between(sorted(zeros)):
                yield {**around, letter: value}


def _parts_that_bound(tree: Tree) -> list[Tree]:
    """What must not be negative, or zero, or changes its sign where something happens."""
    powers = (power for power in tree.atoms(sympy.Pow) if not (power.exp.is_Integer and power.exp > 0))
    parts: list[Tree] = [power.base for power in powers]
    parts += [call.args[0] for call in tree.atoms(sympy.log, sympy.Abs, sympy.sign)]
    for call in tree.atoms(sympy.asin, sympy.acos, sympy.acosh, sympy.atanh):
        parts += [call.args[0] - 1, call.args[0] + 1]
    for call in tree.atoms(sympy.Max, sympy.Min):
        parts += [call.args[0] - other for other in call.args[1:]]
    return sorted({part for part in parts if part.free_symbols}, key=str)


def _zeros(part: Tree, letter: Tree, around: dict[Tree, Fraction]) -> list[Fraction]:
    """Where a part is zero along one letter, the others standing still."""
    others = {s: sympy.Rational(v.numerator, v.denominator) for s, v in around.items() if s != letter}
    along = part.xreplace(others)
    try:
        polynomial = sympy.Poly(along, letter)
        if 1 <= polynomial.degree() <= 6:
            roots = mpmath.polyroots([mpmath.mpf(sympy.N(c, 20)) for c in polynomial.all_coeffs()], maxsteps=100)
            return [Fraction(float(mpmath.re(root))) for root in roots if abs(mpmath.im(root)) < 1e-9]
    except (sympy.PolynomialError, TypeError, ValueError, mpmath.mp.NoConvergence):
        pass  # no polynomial: looked for on a grid
    return _sign_changes(along, letter)


def _sign_changes(along: Tree, letter: Tree) -> list[Fraction]:
    grid = sorted(_GRID)
    signs = [(place, _sign(along, letter, place)) for place in grid]
    known = [(place, sign) for place, sign in signs if sign is not None]
    changes = []
    for (low, sign_low), (high, sign_high) in itertools.pairwise(known):
        if sign_low * sign_high > 0:
            continue
        for _ in range(20):
            middle = (low + high) / 2
            if _sign(along, letter, middle) == sign_low:
                low = middle
            else:
                high = middle
        changes.append(Fraction(high))
    return changes


def _sign(along: Tree, letter: Tree, place: float) -> int | None:
    try:
        value = Evaluation({letter: place}, 15).value(along)
    except NoValueError:
        return None
    return int(mpmath.sign(mpmath.re(value))) if is_real(value, 20) else None


def _between(zeros: list[Fraction]) -> Iterator[Fraction]:
    """A place in each stretch between zeros, and some near and far beyond them all."""
    if not zeros:
        return
    for zero, step in ((zeros[0], -1), (zeros[-1], 1)):
        for distance in (Fraction(3, 7), Fraction(37, 5), abs(zero) / 2 + 1):
            yield zero + step * distance
    for low, high in itertools.pairwise(zeros):
        yield from ((3 * low + high) / 4, (low + high) / 2, (low + 3 * high) / 4)
