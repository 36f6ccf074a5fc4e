"""Numbers in words: twenty-one, two hundred and five, three quarters, five and a half, negative three point one.

Digits may stand where a word may: 3 halves, 5 hundredths, 3 squared.
"""

from __future__ import annotations

import re
from fractions import Fraction

_SMALL_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: value for value, word in enumerate(re.findall(r"\w+", _SMALL_WORDS))} | {
    w: 10 * (i + 2) for i, w in enumerate(_TENS)
}
_LARGE = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_RANKS = {word: value for value, word in enumerate(re.findall(r"\w+", _ORDINALS))}
_RANKS |= {word.removesuffix("y") + "ieth": value for word, value in _SMALL.items() if word in _TENS}
_RANKS |= {word + "th": value for word, value in _LARGE.items()}
_PARTS = {word: value for word, value in _RANKS.items() if value > 2} | {"half": 2, "quarter": 4}
_PARTS |= {word + "s": value for word, value in _PARTS.items() if word != "half"} | {"halves": 2}
PARTS_IN_WORDS = frozenset(_PARTS)
"""half, thirds, tenths: words that divide the number before them."""
_POWERS = {"squared": 2, "cubed": 3}
_WORD = re.compile(r"(?:\s*-\s*|\s+)?(\d+(?:\.\d+)?|[A-Za-z]+)(?![A-Za-z0-9])")
_MAX_WORDS = 16
_ARTICLES = ("a", "an")


def read_spelled(text: str) -> tuple[Fraction, int] | None:
    """The number in words at the start of a text and the index behind it; None for digits alone."""
    words: list[str] = []
    ends: list[int] = []
    position = 0
    while len(words) < _MAX_WORDS and (match := _WORD.match(text, position)):
        if words and match.start(1) == position:
            break
        words.append(match.group(1).lower())
        position = match.end()
        ends.append(position)
    read = _Reader(words).number() if words else None
    return None if read is None else (read[0], ends[read[1] - 1])


def number_in_words(text: str) -> Fraction | None:
    """The number that a whole text spells, `twenty-one` or `two thirds`, or None."""
    text = text.strip()
    read = read_spelled(text) if text[:1].isalpha() else None
    return read[0] if read and read[1] == len(text) else None


def rank_in_words(text: str) -> int | None:
    """The place that a whole text spells: third, twenty-first."""
    words = re.split(r"[\s-]+", text.strip().lower())
    if len(words) == 1:
        return _RANKS.get(words[0])
    tens, last = _SMALL.get(words[0], 0) if words[0] in _TENS else 0, _RANKS.get(words[-1], 0)
    return tens + last if len(words) == 2 and tens and 0 < last < 10 else None


_OPERATIONS = (
    ("plus", "{}+{}"),
    ("minus", "{}-{}"),
    ("times|multiplied by", r"{}\cdot {}"),
    ("over|divided by|out of|in", r"\frac{{{}}}{{{}}}"),
    ("choose", r"\binom{{{}}}{{{}}}"),
    ("(?:raised )?to the(?: power(?: of)?)?", "{}^{{{}}}"),
    ("to", "{}:{}"),
)
_OPERATION = re.compile(
    r"(-?\d+(?:\.\d+)?|[a-z -]{3,40}?)\s+(?:"
    + "|".join(f"({words})" for words, _ in _OPERATIONS)
    + r")\s+(\S[^\\]{0,40})"
)
_ROOT = re.compile(r"(?:the )?(square|cube) (root )?of (.{1,40})")
_POWER_BY_RANK = re.compile(r"(.{1,40}?) (?:raised )?to the ([a-z\d-]{2,20})(?: power)?")
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_MAX_CHARS = 120


def formula_in_words(text: str) -> str | None:
    """`10 minus 3`, `6 choose 2`, `5 to the power 2`, `square root of 16` in TeX; None for other texts."""
    if len(text) > _MAX_CHARS or " " not in text:
        return None
    said = " ".join(_TEXT.sub(r" \1 ", text).lower().split())
    if "\\" in said:
        return None
    if root := _ROOT.fullmatch(said):
        form = _POWERS_OF[root.groups()[:2]]
        value = _plain_number(root.group(3))
        return value and form % value
    if (power := _POWER_BY_RANK.fullmatch(said)) and (rank := rank_in_words(power.group(2)) or _rank(power.group(2))):
        value = _plain_number(power.group(1))
        return value and f"({value})^{{{rank}}}"
    if said.endswith(" factorial"):
        value = _plain_number(said.removesuffix(" factorial"))
        return value and f"{value}!"
    match = _OPERATION.fullmatch(said)
    if match is None:
        return None
    left, *named, right = match.groups()
    values = _plain_number(left), _plain_number(right)
    form = next(form for (_, form), name in zip(_OPERATIONS, named, strict=True) if name)
    return form.format(*values) if all(values) else None


_POWERS_OF = {
    ("square", "root "): r"\sqrt{%s}",
    ("cube", "root "): r"\sqrt[3]{%s}",
    ("square", None): "(%s)^{2}",
    ("cube", None): "(%s)^{3}",
}


def _rank(text: str) -> int | None:
    """`3rd`."""
    return int(text[:-2]) if re.fullmatch(r"\d{1,3}(?:st|nd|rd|th)", text) else None


def _plain_number(text: str) -> str | None:
    """A number in digits or words, as TeX."""
    text = text.strip()
    if re.fullmatch(r"\d+(?:\.\d+)?|[a-z]", text):
        return text
    value = number_in_words(text)
    if value is None:
        return None
    return str(value) if value.denominator == 1 else rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


class _Reader:
    """Reads a number from a list of words; every method returns a value and the index behind it, or None."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def _word(self, index: int) -> str:
        return self.words[index] if index < len(self.words) else ""

    def number(self) -> tuple[Fraction, int] | None:
        read = self._magnitude(0)
        if read is None:
            return None
        value, index = read
        if (power := _POWERS.get(self._word(index))) and (index > 1 or self.words[0] not in _ARTICLES):
            return value**power, index + 1
        return None if index == 1 and self.words[0][0].isdigit() else (value, index)

    def _magnitude(self, start: int) -> tuple[Fraction, int] | None:
        if self._word(start) == "half":
            scaled = self._word(start + 1) in _ARTICLES and _LARGE.get(self._word(start + 2), 0)
            dozen = self._word(start + 1) in _ARTICLES and self._word(start + 2) == "dozen"
            if scaled or dozen:
                return Fraction(scaled or 12, 2), start + 3
            return Fraction(1, 2), start + 1
        if self._word(start) in _ARTICLES:
            following = self._word(start + 1)
            if following == "dozen" or following in _LARGE:
                return Fraction(_LARGE.get(following, 12)), start + 2
            part = self._part(start + 1, Fraction(1))
            return (Fraction(1, part[0]), part[1]) if part else None
        read = self._cardinal(start)
        if read is None:
            return None
        value, index = read
        if self._word(index) == "point":
            return self._decimals(value, index + 1)
        if part := self._part(index, value):
            return value / part[0], part[1]
        if self._word(index) == "and" and (fraction := self._fraction(index + 1)):
            return value + fraction[0], fraction[1]
        if self._word(index) == "dozen":
            return value * 12, index + 1
        return value, index

    def _cardinal(self, start: int) -> tuple[Fraction, int] | None:
        if self._word(start)[:1].isdigit():
            return Fraction(self._word(start)), start + 1
        total, section, previous, index = 0, 0, "", start
        while index < len(self.words):
            word = self.words[index]
            if word in _SMALL:
                if previous in _SMALL and not (previous in _TENS and 0 < _SMALL[word] < 10):
                    break
                section += _SMALL[word]
            elif word == "hundred" and 0 < section < 100:
                section *= 100
            elif word in _LARGE and section:
                total, section = total + section * _LARGE[word], 0
            elif word != "and" or previous not in _LARGE or self._word(index + 1) not in _SMALL:
                break
            previous = word
            index += 1
        return (Fraction(total + section), index) if index > start else None

    def _decimals(self, whole: Fraction, start: int) -> tuple[Fraction, int] | None:
        index, digits = start, ""
        while (value := _SMALL.get(self._word(index), 10)) < 10:
            digits += str(value)
            index += 1
        return (whole + Fraction(int(digits), 10 ** len(digits)), index) if digits else None

    def _fraction(self, start: int) -> tuple[Fraction, int] | None:
        """`a half`, `two thirds`, behind "and"."""
        if self._word(start) in _ARTICLES or self._word(start) in ("half", "halves"):
            index = start + (self._word(start) in _ARTICLES)
            part = self._part(index, Fraction(1))
            return (Fraction(1, part[0]), part[1]) if part else None
        top = self._cardinal(start)
        part = self._part(top[1], top[0]) if top else None
        return (top[0] / part[0], part[1]) if top and part else None

    def _part(self, start: int, numerator: Fraction) -> tuple[int, int] | None:
        """The denominator at `start`: `thirds`, `twenty-fifths`, `ten-thousandths`; singular behind one only."""
        word, tens = self._word(start), 0
        if word in _TENS and 0 < _PARTS.get(self._word(start + 1), 0) < 10:
            tens, word, start = _SMALL[word], self._word(start + 1), start + 1
        elif word in ("ten", "hundred") and self._word(start + 1).startswith("thousandth"):
            return (_SMALL.get(word) or _LARGE[word]) * 1000, start + 2
        value = _PARTS.get(word)
        if value is None or (word.endswith("s") == (numerator == 1)):
            return None
        return tens + value, start + 1
