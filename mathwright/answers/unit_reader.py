"""Read a product of units: `km/h`, `kg m^2 s^{-2}`, `square feet`, `dollars per hour`, `千米每小时`.

What stands behind a number is first cut into words, signs and powers; a unit is then read from these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from mathwright.answers.units import (
    CELSIUS,
    DEGREE,
    FAHRENHEIT,
    Unit,
    chinese_unit,
    is_common,
    named,
    one,
    product,
    readings,
)

_MARKED = re.compile(r"\\text\s*\{([^{}]*)\}")
_SEWN = (
    (re.compile(r"\\(?:operatorname|unit|si)\s*\{"), r"\\text{"),
    (re.compile(r"\\frac\{\s*(\\text\{[^{}]*\})\s*\}\{\s*(\\text\{[^{}]*\})\s*\}"), r"\1/\2"),
    (re.compile(r"\\mu\s*\\text\s*\{\s*"), r"\\text{µ"),
    (re.compile(r"\\text\s*\{\s*([kMGmµ])\s*\}\s*\\Omega(?![a-zA-Z])"), r"\\text{\1Ω}"),
    (re.compile(r"(?<![a-zA-Z\\])([kMGmµ])\s*\\Omega(?![a-zA-Z])"), r"\\text{\1Ω}"),
    (re.compile(r"\\Omega(?![a-zA-Z])"), r"\\text{Ω}"),
    (re.compile(r"\\sec\s*$"), " sec"),
    (re.compile(r"U\.S\.?"), "US"),
)
_TOKEN = re.compile(
    r"(?P<open>⟨)|(?P<close>⟩)|(?P<space>\s+)|\^\s*\{?\s*(?P<power>-?\d)(?!\d)\s*\}?|(?P<times>\\cdot|\\times|·|\*)"
    r"|(?P<over>/)|(?P<bracket>[()])|(?P<sign>(?:[A-Z]{1,2})?[¤£¥€₹¢₩₽฿₫₺₦₱₪₴₵৳₿]|[°%‰℃℉])"
    r"|(?P<word>[A-Za-zµμΩÅ]+(?:['-][A-Za-z]+)*)\.?|(?P<chinese>[\u4e00-\u9fff]+)|(?P<digit>\d)"
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    in_text: bool
    """Stands in `\\text{}`: there a lone letter is a unit, and elsewhere it may be algebra."""
    apart: bool
    """A space or a brace stands before it."""


def tokens_of(text: str) -> list[Token] | None:
    """The words, signs and powers of what stands behind a number; None where something else stands there."""
    for pattern, replacement in _SEWN:
        text = pattern.sub(replacement, text)
    text = _MARKED.sub("⟨\\1⟩", text)
    tokens: list[Token] = []
    position, in_text, apart = 0, False, False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return None
        position = match.end()
        kind = str(match.lastgroup)
        if kind in ("open", "close", "space"):
            in_text, apart = (kind == "open" if kind != "space" else in_text), True
            continue
        if kind == "chinese":
            tokens += _chinese_tokens(match.group(kind))
        else:
            tokens.append(Token(kind, match.group(kind), in_text, apart))
        apart = False
    return tokens


_CHINESE_SCALE = re.compile("[百千]?[万亿]")


def _chinese_tokens(run: str) -> list[Token]:
    """`千米每小时` word by word, as far as it is made of units; what remains is one word."""
    tokens: list[Token] = []
    while run:
        if not tokens and (scale := _CHINESE_SCALE.match(run)):
            word, kind = scale.group(), "chinese"
        elif run.startswith(("平方", "立方")):
            word, kind = run[:2], "word"
        elif run.startswith("每"):
            word, kind = "每", "over"
        else:
            word, kind = chinese_unit(run), "word"
        if not word:
            return [*tokens, Token("chinese", run, True, True)]
        tokens.append(Token(kind, word, True, True))
        run = run[len(word) :]
    return tokens


_POWERS = {"square": 2, "sq": 2, "平方": 2, "cubic": 3, "cu": 3, "立方": 3}
_POWERS_BEHIND = {"squared": 2, "cubed": 3}
_PER = {"per", "a", "an", "every", "each"}
GLUED = {"cm", "mm", "km", "dm", "kg", "mg", "ml", "dl", "cl", "ft", "yd", "mi", "lb", "oz", "hr", "in"}
_READINGS_KEPT = 4


class _Expression:
    """Reads one product of units from a list of tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.found: list[Unit] = [Unit(Fraction(1), ())]
        self.certain = False
        """Some part cannot be algebra."""
        self.doubtful = False
        """Some part is a lone letter outside of text."""
        self.size = 0

    def read(self, start: int) -> tuple[Unit | None, int] | None:
        position, sign, in_brackets = start, 1, False
        while position < len(self.tokens):
            token = self.tokens[position]
            here = position
            if token.kind == "times" and self.size:
                here += 1
            elif self._is_per(position):
                here, sign = position + 1, -1
                if self._is(here, "bracket", "("):
                    here, in_brackets = here + 1, True
            after = self._factor(here, sign, first=self.size == 0 or here > position)
            if after is None:
                if sign == -1 and here > position and (noun := self._counted(here)):
                    position, sign = noun, 1
                    self.size += 1
                    continue
                break
            position = after
            if in_brackets and self._is(position, "bracket", ")"):
                position, in_brackets = position + 1, False
        if not self.size or in_brackets or (self.doubtful and not self.certain):
            return None
        return self._unit(), position

    def _is(self, position: int, kind: str, text: str) -> bool:
        return position < len(self.tokens) and (self.tokens[position].kind, self.tokens[position].text) == (kind, text)

    def _is_per(self, position: int) -> bool:
        token = self.tokens[position]
        if token.kind == "over" or token.text.lower() == "per":
            return True
        following = self.tokens[position + 1] if position + 1 < len(self.tokens) else None
        return token.text.lower() in _PER and self.size > 0 and following is not None and bool(readings(following.text))

    def _counted(self, position: int) -> int | None:
        """`per ticket`: what is counted has no dimension."""
        if position >= len(self.tokens):
            return None
        token = self.tokens[position]
        word = token.kind == "word" and len(token.text) > 2 and (token.in_text or token.apart)
        return position + 1 if word or token.kind == "chinese" else None

    def _factor(self, position: int, sign: int, *, first: bool) -> int | None:
        """One unit with its power, at `position`; the position behind it."""
        power = 1
        while position < len(self.tokens) and self.tokens[position].text.lower() in _POWERS:
            power *= _POWERS[self.tokens[position].text.lower()]
            position, first = position + 1, True
        if position >= len(self.tokens):
            return None
        token = self.tokens[position]
        options, after = self._named(position)
        if not options or (token.text.lower() == "in" and not first):
            return None
        if after == position + 1 and not self._fits(token):
            return None
        self.certain = self.certain or after > position + 1
        while after < len(self.tokens):
            behind = self.tokens[after]
            if behind.kind == "power":
                power *= int(behind.text)
            elif behind.text.lower() in _POWERS_BEHIND:
                power *= _POWERS_BEHIND[behind.text.lower()]
            elif behind.kind == "digit" and behind.text in "23" and not behind.apart:
                power *= int(behind.text)
            else:
                break
            after += 1
        products = [product(unit, option, sign * power) for unit in self.found for option in options]
        self.found = [unit for unit in products if unit is not None][:_READINGS_KEPT]
        self.size += 1
        return after

    def _named(self, position: int) -> tuple[tuple[Unit, ...], int]:
        """The unit named by the longest run of up to three words here: `Hong Kong dollars`, `degrees Celsius`."""
        words = [token.text for token in self.tokens[position : position + 3] if token.kind == "word"]
        for count in (3, 2):
            if len(words) >= count and (found := named("".join(words[:count]))):
                return found, position + count
        token = self.tokens[position]
        if token.kind not in ("word", "sign") or token.text in "%‰":
            return (), position
        options = _hyphenated(token.text) if "-" in token.text else readings(token.text)
        if options == (DEGREE,) and position + 1 < len(self.tokens):
            scale = _SCALES.get(self.tokens[position + 1].text.lower())
            if scale:
                return (scale,), position + 2
        return options, position + 1

    def _fits(self, token: Token) -> bool:
        """Whether the letters of this token may be a unit where they stand."""
        if token.kind == "sign" or token.in_text or not token.text.isascii():
            self.certain = True
        elif len(token.text) == 1:
            self.doubtful = True
        elif self.size == 0 and len(token.text) < 4 and token.text.islower():
            self.certain = token.text in GLUED if not token.apart and len(token.text) == 2 else is_common(token.text)
            return self.certain
        else:
            self.certain = True
        return True

    def _unit(self) -> Unit | None:
        return one(tuple(unit for unit in self.found if unit.dimensions))


_SCALES = {"c": CELSIUS, "celsius": CELSIUS, "centigrade": CELSIUS, "f": FAHRENHEIT, "fahrenheit": FAHRENHEIT}


def _hyphenated(word: str) -> tuple[Unit, ...]:
    """`light-years` is one unit, `foot-pounds` a product, `ten-year` neither."""
    whole = word.replace("-", "").replace("'", "")
    if found := named(whole):
        return found
    power = _POWERS.get(word.split("-")[0].lower())
    parts = [readings(part) for part in word.split("-")[1 if power else 0 :]]
    if not all(parts) or len(parts) > 3:
        return ()
    whole_unit: Unit | None = Unit(Fraction(1), ())
    for part in parts:
        whole_unit = whole_unit and product(whole_unit, part[0], power or 1)
    return (whole_unit,) if whole_unit else ()


def read_unit(tokens: list[Token], start: int) -> tuple[Unit | None, int] | None:
    """The unit that stands at `start`, None for one without dimension (`per person`), and the index behind it.

    None where no unit stands there.
    """
    return _Expression(tokens).read(start)


@lru_cache(maxsize=4096)
def parse_unit(text: str) -> Unit | None:
    """The unit that a whole text is, every letter of it counted as one, or None."""
    tokens = tokens_of(rf"\text{{{text}}}" if "\\" not in text and "{" not in text else text)
    found = _Expression([Token(t.kind, t.text, True, t.apart) for t in tokens]).read(0) if tokens else None
    return found[0] if found and tokens and found[1] == len(tokens) else None
