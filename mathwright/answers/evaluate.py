"""The value of an expression at a point, to as many digits as its sums need.

sympy's own `evalf` works every rational power out exactly, which takes for ever for `(7/13)^{941/103}`; here all is
done in floating point of mpmath, whose precision follows from the terms that are added: where 10^100 and 1 meet in a
sum, 100 digits more are carried, so that neither is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import sympy

from mathwright.answers.functions import Tree

Number = Any
"""A real or complex number of mpmath."""

MAX_LOG2 = 10**12
"""Larger exponents are not worked out."""

_SHORT = 15
"""Digits of a number that need no more of them to be carried."""
_LEAST_BITS = 60
"""What is left of a sum of large terms is a value only where so many bits of it are."""


class NoValueError(ArithmeticError):
    """No value here: a pole, a letter whose sign a power needs, or a number too large to write down."""


_FUNCTIONS: dict[Any, Callable[..., Number]] = {
    **{getattr(sympy, name): getattr(mpmath.mp, name) for name in ("sin", "cos", "tan", "cot", "sec", "csc")},
    **{getattr(sympy, name): getattr(mpmath.mp, name) for name in ("sinh", "cosh", "tanh", "coth", "sech", "csch")},
    **{getattr(sympy, name): getattr(mpmath.mp, name) for name in ("asin", "acos", "atan", "asec", "acsc", "acot")},
    **{getattr(sympy, name): getattr(mpmath.mp, name) for name in ("asinh", "acosh", "atanh", "binomial", "gamma")},
    **{getattr(sympy, name): getattr(mpmath.mp, name) for name in ("zeta", "factorial", "erf")},
    sympy.Abs: mpmath.mp.fabs,
    sympy.log: mpmath.mp.log,
    sympy.re: mpmath.mp.re,
    sympy.im: mpmath.mp.im,
    sympy.conjugate: mpmath.mp.conj,
    sympy.sign: mpmath.mp.sign,
    sympy.arg: mpmath.mp.arg,
    sympy.factorial2: mpmath.mp.fac2,
    sympy.harmonic: mpmath.mp.harmonic,
}


class NotRealError(NoValueError):
    """An even root or a logarithm of a negative number, where only real numbers are asked for."""


class Evaluation:
    """Values of expressions at one point, and the digits by which the terms of their sums lie apart.

    With `real` alone, roots and logarithms of negative numbers have no value, and neither has a product of two.
    """

    def __init__(
        self, point: Mapping[Tree, Any], digits: int, *, whole_exponents: bool = True, real: bool = False
    ) -> None:
        self._real_alone = real
        self.digits = digits
        self.spread = 0
        """The decimal digits between the largest and the smallest term of a sum met so far."""
        self._whole_exponents = whole_exponents
        with mpmath.workdps(digits):
            self._values = {symbol: _as_float(value) for symbol, value in point.items()}

    def value(self, tree: Tree) -> Number:
        """The value of an expression. Raises NoValueError."""
        with mpmath.workdps(self.digits):
            try:
                return self._value(tree)
            except (ZeroDivisionError, ValueError, OverflowError, TypeError) as error:
                raise NoValueError(str(error)) from error

    def _value(self, tree: Tree) -> Number:
        if tree.is_Rational:
            bits = max(int(tree.p).bit_length(), int(tree.q).bit_length())
            self.spread = max(self.spread, int(bits * 0.302) - _SHORT)
            return _as_float(tree)
        if tree.is_Symbol:
            if tree not in self._values:
                raise NoValueError(f"{tree} has no value")
            return self._values[tree]
        if tree.is_Add:
            return self._sum(tree)
        if tree.is_Mul:
            product = mpmath.mpf(1)
            for factor in tree.args:
                product = product * self._value(factor)
            return product
        if tree.is_Pow:
            return self._power(tree)
        if isinstance(tree, sympy.exp):
            return self._bounded_power(mpmath.e, self._value(tree.args[0]))
        if tree is sympy.I:
            return mpmath.mpc(0, 1)
        if tree.is_NumberSymbol:
            return _finite(mpmath.mpmathify(tree._to_mpmath(mpmath.mp.prec)))
        if isinstance(tree, sympy.floor | sympy.ceiling):
            return self._rounded(tree)
        if isinstance(tree, sympy.Max | sympy.Min):
            values = [self._real(argument) for argument in tree.args]
            return max(values) if isinstance(tree, sympy.Max) else min(values)
        function = _FUNCTIONS.get(tree.func)
        if function is None:
            raise NoValueError(f"{tree.func} is not worked out")
        values = [_limited(self._value(argument)) for argument in tree.args]
        if self._real_alone and isinstance(tree, sympy.log) and is_real(values[0], self.digits) and values[0].real < 0:
            raise NotRealError("a logarithm of a negative number")
        return _finite(function(*values))

    def _sum(self, tree: Tree) -> Number:
        terms = [self._value(term) for term in tree.args]
        sizes = [mpmath.mag(term) for term in terms if term]
        if sizes:
            self.spread = max(self.spread, int((max(sizes) - min(sizes)) * 0.302))
        total = sum(terms, mpmath.mpf(0))
        noise = max(sizes, default=0) - self.digits * 3.33
        if noise > -_LEAST_BITS and (not total or mpmath.mag(total) < noise + _LEAST_BITS):
            raise NoValueError("large terms that cancel")
        return total

    def _power(self, tree: Tree) -> Number:
        base = self._value(tree.base)
        exponent: Tree = tree.exp
        if exponent.is_Integer:
            if not base and exponent < 0:
                raise NoValueError("division by zero")
            return self._bounded_power(base, int(exponent))
        negative = is_real(base, self.digits) and mpmath.re(base) < 0
        if exponent.is_Rational and exponent.q % 2 and negative:
            # The real root of a negative number: \sqrt[3]{-8} is -2, not 1 + i sqrt(3).
            root = self._bounded_power(-mpmath.re(base), _as_float(exponent))
            return -root if exponent.p % 2 else root
        if self._real_alone and negative and exponent.is_Rational:
            raise NotRealError("an even root of a negative number")
        raised = self._value(exponent)
        if negative and exponent.free_symbols and not self._whole_exponents:
            raise NoValueError("a power of a negative number")
        if not base:
            if is_real(raised, self.digits) and mpmath.re(raised) > 0:
                return mpmath.mpf(0)
            raise NoValueError("a power of zero")
        return self._bounded_power(base, raised)

    def _bounded_power(self, base: Number, exponent: Number) -> Number:
        if base and abs(mpmath.mag(base)) * abs(exponent) > MAX_LOG2:
            raise NoValueError("too large")
        return base**exponent

    def _rounded(self, tree: Tree) -> Number:
        """Floor or ceiling, where a value that is whole to half the digits is taken for whole."""
        value = self._real(tree.args[0])
        nearest = mpmath.nint(value)
        if abs(value - nearest) < mpmath.mpf(10) ** (-self.digits // 2):
            return nearest
        return mpmath.floor(value) if isinstance(tree, sympy.floor) else mpmath.ceil(value)

    def _real(self, tree: Tree) -> Number:
        value = self._value(tree)
        if not is_real(value, self.digits):
            raise NoValueError("a complex number has no order")
        return mpmath.re(value)


def is_real(value: Number, digits: int) -> bool:
    """Whether nothing is left of the imaginary part but what rounding leaves."""
    if isinstance(value, mpmath.mpf):
        return True
    return abs(mpmath.im(value)) <= max(abs(value), 1) * mpmath.mpf(10) ** (15 - digits)


def _as_float(value: Any) -> Number:
    if isinstance(value, sympy.Rational):
        return mpmath.mpf(int(value.p)) / int(value.q)
    return mpmath.mpmathify(value)


def _finite(value: Number) -> Number:
    if not mpmath.isfinite(value):
        raise NoValueError("not finite")
    return value


def _limited(argument: Number) -> Number:
    """An argument of a size for which functions can be worked out."""
    if argument and mpmath.mag(argument) > 4000:
        raise NoValueError("too large an argument")
    return argument
