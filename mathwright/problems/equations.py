"""Arithmetic as data sets of word problems write it: `x=2(1/2)*(1-20%)`, `48/2`, `((5)/(6))×3`.

A small grammar of its own, evaluated exactly in fractions: nothing a data set holds is ever given to Python.

    2(1/2)                  a mixed number, 2 + 1/2: an integer before a fraction of two integers below 1
    2(3+4), (1+2)(3+4)      a product
    20%                     20/100
    ^, **                   a power with an integer exponent
    ×, ÷, ∶, :, full width  as *, /, /, their plain forms;  {}, [] as ()
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

MAX_CHARS = 400
"""Longer ones are no equation of a word problem; it bounds how deep one is nested."""
MAX_EXPONENT = 64
MAX_BITS = 4096
"""Of a numerator or denominator: towers of powers are no arithmetic of a word problem."""
Operator = Literal["+", "-", "*", "/", "**"]

_SIGNS = str.maketrans({"×": "*", "÷": "/", "∶": "/", ":": "/", "−": "-", "–": "-", "·": "*", "∙": "*", "⋅": "*",
                        "[": "(", "]": ")", "{": "(", "}": ")", "【": "(", "】": ")"})  # fmt: skip
_TOKEN = re.compile(r"\s*(?:(\d+(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+\.?\d*|\.\d+)|(\*\*|[-+*/^()%]))")
_UNKNOWN = re.compile(r"\A\s*[a-zA-Z]\s*=(?!=)")


class EquationError(ValueError):
    """A text that is no arithmetic with a value."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is written, thousands separators left out."""

    text: str

    @property
    def value(self) -> Fraction:
        return Fraction(self.text)


@dataclass(frozen=True, slots=True)
class Binary:
    """Two expressions and what stands between them; a percentage is a division by 100."""

    operator: Operator
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Negative:
    """An expression with a minus sign."""

    inside: Expression


Expression = Number | Binary | Negative


def parse(text: str) -> Expression:
    """The expression that a text writes; an unknown before it (`x=`) is left out.

    Raises EquationError for anything else than arithmetic.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    plain = _UNKNOWN.sub("", plain).strip()
    if not plain or len(plain) > MAX_CHARS:
        raise EquationError("empty" if not plain else f"longer than {MAX_CHARS} characters")
    reader = _Reader(plain)
    found = reader.sum()
    if reader.next is not None:
        raise EquationError(f"{reader.next!r} is left over")
    return found


def evaluate(expression: Expression) -> Fraction:
    """The exact value. Raises EquationError for a division by 0, a power that is no fraction, or a huge one."""
    match expression:
        case Number():
            return expression.value
        case Negative(inside=inside):
            return -evaluate(inside)
        case Binary(operator=operator, left=left, right=right):
            return apply(operator, evaluate(left), evaluate(right))


def apply(operator: Operator, left: Fraction, right: Fraction) -> Fraction:
    """The value of one operation. Raises EquationError as `evaluate` does."""
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        if right == 0:
            raise EquationError("a division by 0")
        return left / right
    return _power(left, right)


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT or (base == 0 and exponent <= 0):
        raise EquationError(f"a power with the exponent {exponent}")
    if max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent) > MAX_BITS:
        raise EquationError("a power with too many digits")
    return base ** int(exponent)


def number(text: str) -> Fraction | None:
    """The value of an answer that is arithmetic: `(11/20)`, `5((7)/(10))`, `25%`, `1,200`; None for any other."""
    try:
        return evaluate(parse(text))
    except EquationError:
        return None


_PLAIN = re.compile(r"-?[\d.,]+%?|-?\d+/\d+")


def plain_answer(text: str) -> str:
    """An answer with its fraction as everybody writes it: `(11/20)` is 11/20, `5((7)/(10))` is 57/10, 336/48% is 700.

    A number, a fraction or a percentage stays as it is, and so does what is no arithmetic.
    """
    value = None if _PLAIN.fullmatch(text) else number(text)
    return text if value is None else str(value)


def decimal_text(value: Fraction) -> str | None:
    """A fraction as a decimal of finitely many digits; None where it has none."""
    twos = fives = 0
    rest = value.denominator
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return None
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    whole = f"{digits[: len(digits) - places]}.{digits[len(digits) - places :]}" if places else digits
    return f"-{whole}" if value < 0 else whole


class _Reader:
    """Recursive descent over the tokens of an expression."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        position = 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None:
                raise EquationError(f"{text[position]!r} is no arithmetic")
            self._tokens.append(token[1].replace(",", "") if token[1] else token[2])
            position = token.end()
        self._place = 0
        self._depth = 0

    @property
    def next(self) -> str | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _take(self) -> str:
        token = self.next
        if token is None:
            raise EquationError("it ends too early")
        self._place += 1
        return token

    def sum(self) -> Expression:
        found = self._product()
        while self.next in ("+", "-"):
            operator: Operator = "+" if self._take() == "+" else "-"
            found = Binary(operator, found, self._product())
        return found

    def _product(self) -> Expression:
        found = self._signed()
        while self.next in ("*", "/") or self.next == "(":
            if self.next == "(":  # `2(3+4)`; a mixed number has been read with its number
                found = Binary("*", found, self._signed())
            else:
                operator: Operator = "*" if self._take() == "*" else "/"
                found = Binary(operator, found, self._signed())
        return found

    def _signed(self) -> Expression:
        if self.next in ("+", "-"):
            self._depth += 1
            if self._depth > MAX_CHARS // 4:
                raise EquationError("nested too deep")
            minus = self._take() == "-"
            inside = self._signed()
            self._depth -= 1
            return Negative(inside) if minus else inside
        return self._powered()

    def _powered(self) -> Expression:
        base = self._postfixed()
        if self.next in ("^", "**"):
            self._take()
            return Binary("**", base, self._signed())
        return base

    def _postfixed(self) -> Expression:
        found = self._atom()
        while self.next == "%":
            self._take()
            found = Binary("/", found, Number("100"))
        return found

    def _atom(self) -> Expression:
        token = self._take()
        if token == "(":
            self._depth += 1
            if self._depth > MAX_CHARS // 4:
                raise EquationError("nested too deep")
            inside = self.sum()
            if self._take() != ")":
                raise EquationError("a parenthesis is not closed")
            self._depth -= 1
            return inside
        if not (token[0].isdigit() or token[0] == "."):
            raise EquationError(f"{token!r} where a number is expected")
        whole = Number(token.removesuffix("."))
        if self.next == "(" and "." not in token:
            before = self._place
            part = self._atom()
            if _is_proper(part):
                return Binary("+", whole, part)
            self._place = before
        return whole


def _is_proper(part: Expression) -> bool:
    """Whether it is a fraction of two integers below 1, which makes a mixed number of the integer before it."""
    match part:
        case Binary(operator="/", left=Number(text=top), right=Number(text=bottom)):
            return top.isdigit() and bottom.isdigit() and int(top) < int(bottom)
    return False
