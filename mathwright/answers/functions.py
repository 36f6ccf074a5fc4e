"""The names that formulas use, as constructors of sympy: `\\sin`, `\\lfloor`, `\\binom`, powers and factorials.

What would not fit into memory when worked out (`9^{9^{9}}`, `(10^{10})!`) becomes the value of an unknown function,
as the values of `f(x)` are: sympy would write it out as soon as it meets a sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy

Tree = Any
"""An expression or matrix of sympy, whose annotations call every result a bare Basic."""


class UnparsableError(ValueError):
    """A formula that the parser does not understand."""


MAX_POWER_BITS = 2_000_000
MAX_FACTORIAL = 20_000

_FUNCTIONS: dict[str, Callable[[Tree], Tree]] = {
    **{name: getattr(sympy, name) for name in ("sin", "cos", "tan", "cot", "sec", "csc")},
    **{name: getattr(sympy, name) for name in ("sinh", "cosh", "tanh", "coth", "sech", "csch", "exp")},
    **{f"arc{name}": getattr(sympy, f"a{name}") for name in ("sin", "cos", "tan", "cot", "sec", "csc")},
    **{f"{kind}{name}": getattr(sympy, f"a{name}") for kind in ("a", "ar", "arc") for name in ("sinh", "cosh", "tanh")},
    **{f"a{name}": getattr(sympy, f"a{name}") for name in ("sin", "cos", "tan", "cot", "sec", "csc")},
    "tg": sympy.tan,
    "ctg": sympy.cot,
    "cosec": sympy.csc,
    "arctg": sympy.atan,
    "arcctg": sympy.acot,
    "ln": sympy.log,
    "lg": lambda x: sympy.log(x, 10),
    "Re": sympy.re,
    "Im": sympy.im,
    "arg": sympy.arg,
    "sgn": sympy.sign,
    "sign": sympy.sign,
    "floor": sympy.floor,
    "ceil": sympy.ceiling,
    "abs": sympy.Abs,
    "det": lambda x: determinant(x),
    "tr": lambda x: x.trace(),
    "cis": lambda x: sympy.cos(x) + sympy.I * sympy.sin(x),
}
_OF_SEVERAL: dict[str, Callable[..., Tree]] = {
    "max": sympy.Max,
    "min": sympy.Min,
    "gcd": sympy.gcd,
    "lcm": sympy.lcm,
}
_INVERSES = {
    sympy.sin: sympy.asin,
    sympy.cos: sympy.acos,
    sympy.tan: sympy.atan,
    sympy.cot: sympy.acot,
    sympy.sec: sympy.asec,
    sympy.csc: sympy.acsc,
    sympy.sinh: sympy.asinh,
    sympy.cosh: sympy.acosh,
    sympy.tanh: sympy.atanh,
}


def function(name: str) -> Callable[[Tree], Tree] | None:
    """The function of one argument that a name stands for, or None."""
    return _FUNCTIONS.get(name)


def function_of_several(name: str) -> Callable[..., Tree] | None:
    """The function of any number of arguments that a name stands for, or None."""
    return _OF_SEVERAL.get(name)


def inverse(of: Callable[[Tree], Tree]) -> Callable[[Tree], Tree] | None:
    """The inverse function that `\\sin^{-1}` names, or None where the power is a power."""
    return _INVERSES.get(of)


def power(base: Tree, exponent: Tree) -> Tree:
    """base^exponent; of a matrix, its power, inverse or transpose."""
    if isinstance(base, sympy.MatrixBase):
        return base.T if exponent == sympy.Symbol("T") else base**exponent
    if exponent.is_Rational and base not in (0, 1, -1, sympy.I, sympy.E):
        if base.is_Rational and abs(exponent) * max(abs(base.p).bit_length(), base.q.bit_length()) > MAX_POWER_BITS:
            root, times = sympy.perfect_power(base) or (base, 1) if base.is_Integer and base > 1 else (base, 1)
            return _UNWRITTEN_POWER(root, exponent * times)
        if not base.is_Rational and base.is_number and abs(exponent) > MAX_POWER_BITS // 64:
            return _UNWRITTEN_POWER(base, exponent)
    return base**exponent


_UNWRITTEN_POWER: Any = sympy.Function("power")
_UNWRITTEN_FACTORIAL: Any = sympy.Function("factorial")
"""Values too large to be written down: each equals only itself."""


def factorial(of: Tree, *, double: bool = False) -> Tree:
    """of! or of!!."""
    if of.is_Rational and of > MAX_FACTORIAL:
        return _UNWRITTEN_FACTORIAL(of, int(double))
    kind: Any = sympy.factorial2 if double else sympy.factorial
    return kind(of)


def binomial(top: Tree, bottom: Tree) -> Tree:
    """The number of ways to choose `bottom` of `top`."""
    if top.is_Integer and bottom.is_Integer and min(bottom, top - bottom) > MAX_FACTORIAL:
        return factorial(top) / (factorial(bottom) * factorial(top - bottom))
    return sympy.binomial(top, bottom)


def determinant(of: Tree) -> Tree:
    """The determinant of a square matrix."""
    return of.det() if isinstance(of, sympy.MatrixBase) else of


def absolute(of: Tree) -> Tree:
    """|of|: of a matrix, its determinant."""
    return determinant(of) if isinstance(of, sympy.MatrixBase) else sympy.Abs(of)
