"""What the commands of TeX stand for that are more than a name: fractions, roots, matrices, sums, integrals, limits.

Each function reads what follows its command from the parser of `tex.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import sympy

from mathwright.answers import functions
from mathwright.answers.functions import Tree, UnparsableError
from mathwright.answers.grammar import Grammar
from mathwright.answers.tokens import DIVIDED, TIMES

MATRICES = {"matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix", "array"}


def chosen(parser: Grammar, kind: str) -> Tree | None:
    """`C_5^2` and `A_5^2`: combinations and arrangements, as Chinese textbooks write them."""
    start = parser.at
    below = _index(parser, "_")
    above = _index(parser, "^") if below is not None else None
    if below is None or above is None or not (below.is_Integer or below.is_Symbol) or (below - above).is_negative:
        parser.at = start
        return None
    if kind == "A" and not (below.is_Integer and above.is_Integer):
        parser.at = start
        return None
    chosen = functions.binomial(below, above)
    return chosen if kind == "C" else chosen * functions.factorial(above)


def _index(parser: Grammar, sign: str) -> Tree | None:
    if parser.peek() != sign:
        return None
    parser.at += 1
    try:
        return parser.argument_of_command()
    except UnparsableError:
        return None


def log(parser: Grammar) -> Tree:
    base, exponent = sympy.Integer(10), None
    for _ in range(2):
        if parser.peek() == "_":
            base = _log_base(parser)
        elif parser.peek() == "^":
            parser.at += 1
            exponent = parser.script()
    value = sympy.log(parser.argument(), base)
    return value if exponent is None else functions.power(value, exponent)


def _log_base(parser: Grammar) -> Tree:
    parser.at += 1
    if parser.kind() == "number" and len(parser.peek()) > 1 and parser.peek().isdigit() and not _starts(parser, 1):
        digits = parser.peek()  # \log_28 is the logarithm of 8 with base 2
        parser.tokens[parser.at] = ("number", digits[1:])
        return sympy.Integer(digits[0])
    return parser.argument_of_command()


def _starts(parser: Grammar, ahead: int) -> bool:
    """Whether a value may begin at a token."""
    kind, token = parser.kind(ahead), parser.peek(ahead)
    return kind in ("letter", "number", "environment") or (
        token in ("(", "[", "{", "|", "^") or (kind == "command" and token not in TIMES | DIVIDED)
    )


def fraction(parser: Grammar) -> Tree:
    if (derivative := _derivative(parser)) is not None:
        return derivative
    top = parser.argument_of_command()
    bottom = parser.argument_of_command()
    return top / bottom


def _derivative(parser: Grammar) -> Tree | None:
    """`\\frac{d}{dx}` of the term behind it; `\\frac{dy}{dx}` as a name."""
    spelled = [parser.peek(ahead) for ahead in range(8)]
    if spelled[:5] == ["{", "d", "}", "{", "d"] and spelled[6] == "}":
        variable = parser.at + 5
        parser.at += 7
        return sympy.Derivative(parser.product(), sympy.Symbol(parser.tokens[variable][1]))
    if spelled[:2] == ["{", "d"] and spelled[3:6] == ["}", "{", "d"] and spelled[7] == "}":
        parser.at += 8
        return sympy.Symbol(f"d{spelled[2]}/d{spelled[6]}")
    return None


def root(parser: Grammar) -> Tree:
    degree = sympy.Integer(2)
    if parser.peek() == "[":
        degree = parser.group()
    radicand = parser.argument_of_command()
    return functions.power(radicand, 1 / degree)


def binomial(parser: Grammar) -> Tree:
    top = parser.argument_of_command()
    return functions.binomial(top, parser.argument_of_command())


def rounded(parser: Grammar, function: Any, closer: str) -> Tree:
    in_bars, parser.in_bars = parser.in_bars, False
    value = parser.sum()
    parser.expect(closer)
    parser.in_bars = in_bars
    return function(value)


def accent(parser: Grammar, token: str) -> Tree:
    """A vector, named by its letter; `\\overrightarrow{AB}` is the opposite of `\\overrightarrow{BA}`."""
    letters = parser.raw_group() if parser.peek() == "{" else [parser.take()]
    if len(letters) == 2 and all(letter.isupper() for letter in letters) and token != r"\hat":
        symbol = sympy.Symbol("vec " + "".join(sorted(letters)))
        parser.directed.add(symbol)
        return symbol if letters == sorted(letters) else -symbol
    name = "".join(letters).lstrip("\\")
    if name in ("i", "imath") or not name.isalnum():
        return sympy.I if name in ("i", "imath") else _unknown(parser, name)
    symbol = sympy.Symbol(name + parser.subscript())
    parser.directed.add(symbol)
    return symbol


def _unknown(parser: Grammar, name: str) -> Tree:
    raise UnparsableError(name)


def shape(parser: Grammar, shape: str) -> Tree:
    """What points name in any order (a triangle), from either end (a segment, an angle), or a conjugate."""
    letters = parser.raw_group() if parser.peek() == "{" else None
    if letters is None:
        letters = []
        while parser.kind() == "letter" and parser.peek().isupper():
            letters.append(parser.take() + parser.primes())
        if not letters and parser.kind() == "number":
            letters = [parser.take()]
    points = "".join(letters)
    if shape == "segment" and not re.fullmatch(r"(?:[A-Z]'*){2}", points):
        inside = type(parser)(" ".join(letters)).whole()
        return sympy.conjugate(inside)
    if not points or not all(letter[0].isalnum() for letter in letters):
        raise UnparsableError(shape)
    turned = sorted(letters) if shape == "triangle" else min(letters, letters[::-1])
    return sympy.Symbol(f"{shape} {''.join(turned)}")


def matrix(parser: Grammar) -> Tree:
    name = re.sub(r"\\begin\s*|[{}]", "", parser.take())
    if name not in MATRICES:
        raise UnparsableError(name)
    if name == "array" and parser.peek() == "{":
        parser.raw_group()
    rows: list[list[Tree]] = [[]]
    while True:
        rows[-1].append(parser.sum())
        separator = parser.take()
        if separator == "␤":
            if parser.peek().startswith(r"\end"):
                separator = parser.take()
            else:
                rows.append([])
        if separator.startswith(r"\end"):
            break
        if separator not in ("&", "␤"):
            raise UnparsableError(f"{separator} in a matrix")
    if len({len(row) for row in rows}) != 1:
        raise UnparsableError("rows of different lengths")
    matrix = sympy.Matrix(rows)
    return matrix.det() if name in ("vmatrix", "Vmatrix") else matrix


def over_index(parser: Grammar, kind: Any) -> Tree:
    """`\\sum_{k=1}^{n}` of the term behind it."""
    parser.expect("_")
    parser.expect("{")
    name = parser.take().lstrip("\\")
    parser.expect("=")
    low = parser.sum()
    parser.expect("}")
    parser.expect("^")
    high = parser.script()
    was_bound = name in parser.bound
    parser.bound.add(name)
    term = parser.quotient()
    if not was_bound:
        parser.bound.discard(name)
    return kind(term, (sympy.Symbol(name), low, high))


def integral(parser: Grammar) -> Tree:
    low = high = None
    for _ in range(2):
        if parser.peek() == "_":
            parser.at += 1
            low = parser.argument_of_command()
        elif parser.peek() == "^":
            parser.at += 1
            high = parser.script()
    if low is None or high is None:
        raise UnparsableError("an integral without bounds")
    parser.integrals += 1
    body = sympy.Integer(1) if parser.peek() == "d" and parser.kind(1) == "letter" else parser.sum()
    parser.integrals -= 1
    parser.expect("d")
    variable = sympy.Symbol(parser.take().lstrip("\\"))
    return sympy.Integral(body, (variable, low, high))


def limit(parser: Grammar) -> Tree:
    parser.expect("_")
    parser.expect("{")
    name = parser.take().lstrip("\\")
    if parser.take() not in (r"\to", r"\rightarrow"):
        raise UnparsableError("a limit of what?")
    target = parser.sum()
    direction = "+-"
    if parser.peek() == "^":
        parser.at += 1
        direction = parser.take()
        if direction == "{":
            direction = parser.take()
            parser.expect("}")
    parser.expect("}")
    return sympy.Limit(parser.quotient(), sympy.Symbol(name), target, direction)


READERS: dict[str, Callable[[Grammar], Tree]] = {
    r"\frac": fraction,
    r"\dfrac": fraction,
    r"\tfrac": fraction,
    r"\cfrac": fraction,
    r"\sqrt": root,
    r"\binom": binomial,
    r"\dbinom": binomial,
    r"\tbinom": binomial,
    r"\lfloor": lambda parser: rounded(parser, sympy.floor, r"\rfloor"),
    r"\lceil": lambda parser: rounded(parser, sympy.ceiling, r"\rceil"),
    r"\sum": lambda parser: over_index(parser, sympy.Sum),
    r"\prod": lambda parser: over_index(parser, sympy.Product),
    r"\int": integral,
    r"\lim": limit,
}
