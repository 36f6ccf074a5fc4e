"""Exact numbers: what most answers are, read without a parser and compared as fractions.

Integers, decimals, repeating decimals, fractions, mixed numbers, thousands separators, scientific notation,
percentages, money, units, numbers in another base, Chinese numerals. Nothing is ever a float.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from mathwright.answers.chinese import parse_numeral
from mathwright.answers.units import Unit, is_unit_word, parse_compound, parse_unit
from mathwright.answers.vocabulary import number_in_words

MAX_DIGITS = 2000
MAX_EXPONENT = 5000

_UNSIGNED = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?: \d{3})+(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
_DECIMAL = rf"[-+]?\s*{_UNSIGNED}"
_DOTTED = re.compile(r"(\d*)\.(\d*)\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?")
_ORDINAL = re.compile(r"(?<=\d)\s*(?:\^\s*)?\{?\s*(?:\\text\{\s*)?(?:st|nd|rd|th)(?![a-z])\s*\}{0,2}")
_REPEATING = re.compile(r"(\d*)\.(\d*)(?:\\(?:overline|bar|dot|overset\{\.\})\s*\{(\d+)\}|\((\d+)\))")
_ELLIPSIS = re.compile(r"(\d*)\.(\d*?)(\d{1,6}?)\3{2,}(?:\.\.\.|\\[lcd]?dots)")
_SCIENTIFIC = re.compile(
    rf"({_UNSIGNED})(?:[eE]([-+]?\d+)|\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*(?:\{{\s*\(?([-+]?\d+)\)?\s*\}}|(\d+)))"
)
_FRACTION = re.compile(rf"\\frac\{{\s*({_DECIMAL})\s*\}}\{{\s*({_DECIMAL})\s*\}}|({_UNSIGNED})\s*/\s*({_DECIMAL})")
_MIXED = re.compile(r"(\d+)\s*(?:\\frac\{\s*(\d+)\s*\}\{\s*(\d+)\s*\}|(?:\s|-| and )(\d+)\s*/\s*(\d+))")
_BASE = re.compile(r"(?:\\text\{)?([0-9A-Z]+)\}?_\s*(?:\{\s*(?:\\text\{)?(\d+|two|eight|ten)\}?\s*\}|(\d+))")
_PLAIN = re.compile(_UNSIGNED)
_LONE_FACTOR = re.compile(r"10\s*\^\s*(?:\{\s*([-+]?\d+)\s*\}|(\d+))")
_SIGN = re.compile(r"\s*([-+]?)\s*")
_MONEY = re.compile(r"\s*(?:\\text\{\s*)?(USD|EUR|GBP|CNY|RMB|¤|€|£|¥|₹|(?:US|CA|AU)¤|Rs\.?)(?:\s*\})?\s*")
_CURRENCY_CODES = {"USD": "¤", "EUR": "€", "GBP": "£", "CNY": "¥", "RMB": "¥", "Rs": "₹", "Rs.": "₹"}
_PERCENT = re.compile(r"\s*(?:%|\\text\{\s*(?:%|percent(?:age)?(?: points?)?|pct\.?)\s*\}|(?:percent(?:age)?|pct)\b)")
_SCALE = re.compile(r"\s*(?:\\text\{\s*)?(hundred|thousand|million|billion|trillion|dozen|万|亿)\b\s*\}?|\s*(万|亿)")
_SCALES = {
    "hundred": 100,
    "dozen": 12,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "万": 10**4,
    "亿": 10**8,
}
_BASE_NAMES = {"two": 2, "eight": 8, "ten": 10}
_TEXT_UNIT = re.compile(r"(?:\s*(?:\\text\{[^{}]*\}|°|/|\^\{?-?\d\}?))+")
_BARE_UNIT = re.compile(
    r"\s*°?\s*(?:sq\.?|cu\.?|square|cubic)?\s*[a-zA-Z]+(?:\^\{?\d\}?)?(?:\s*(?:/|per)\s*[a-zA-Z]+(?:\^\{?\d\}?)?)?"
)
_WORDS = re.compile(r" [a-zA-Z][a-zA-Z' -]*")
_LONG_WORD = re.compile(r"[a-zA-Z']*[aeiouyAEIOUY][a-zA-Z']*")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it was written."""

    value: Fraction
    """What the number is, the percent sign left aside: 20 for `20%`."""
    percent: bool = False
    unit: Unit | None = None
    places: int = 0
    """Decimals written; 0 for fractions and integers."""
    digits: int = 0
    """Significant digits written, of a decimal."""
    base: int = 10
    written: Fraction | None = None
    """With a base: the digits read in base ten."""


def parse_quantity(text: str) -> Quantity | None:
    """The quantity that the whole cleaned text is, or None."""
    if len(text) > MAX_DIGITS:
        return None
    if (spelled := number_in_words(text)) is not None:
        return Quantity(Fraction(spelled))
    text = _ORDINAL.sub("", text)
    if compound := parse_compound(text):
        return Quantity(compound[0], unit=compound[1])
    unit_before = None
    rest, sign = text, 1
    for _ in range(2):  # -¤5 and ¤-5
        if match := _MONEY.match(rest):
            unit_before = parse_unit(_CURRENCY_CODES.get(match.group(1), match.group(1)[-1]))
            rest = rest[match.end() :]
        if (match := _SIGN.match(rest)) and match.group(1):
            sign *= -1 if match.group(1) == "-" else 1
            rest = rest[match.end() :]
    number = _number(rest.lstrip())
    if number is None:
        return None
    quantity, tail = number
    suffix = _suffix(tail)
    if suffix is None:
        return None
    scale, percent, unit = suffix
    return Quantity(
        value=sign * quantity.value * scale,
        percent=percent or quantity.percent,
        unit=unit or unit_before,
        places=quantity.places if scale == 1 else 0,
        digits=quantity.digits,
        base=quantity.base,
        written=None if quantity.written is None else sign * quantity.written,
    )


def _number(text: str) -> tuple[Quantity, str] | None:
    """The unsigned number at the start of `text` and what follows it."""
    if match := _BASE.match(text):
        return _based(match, text)
    if match := _MIXED.match(text):
        whole, top, bottom, slash_top, slash_bottom = match.groups()
        parts = Fraction(whole), top or slash_top, bottom or slash_bottom
        if int(parts[2]) == 0:
            return None
        return Quantity(parts[0] + Fraction(int(parts[1]), int(parts[2]))), text[match.end() :]
    if match := _FRACTION.match(text):
        top, bottom = match.group(1) or match.group(3), match.group(2) or match.group(4)
        divisor = _decimal(bottom)
        return None if divisor == 0 else (Quantity(_decimal(top) / divisor), text[match.end() :])
    if match := _DOTTED.match(text):
        whole, fixed, first, between, last = match.groups()
        return Quantity(_repeating(whole, fixed, first + between + last)), text[match.end() :]
    for pattern in (_REPEATING, _ELLIPSIS):
        if match := pattern.match(text):
            whole, fixed, *repeated = match.groups()
            return Quantity(_repeating(whole, fixed, next(r for r in repeated if r))), text[match.end() :]
    if match := _SCIENTIFIC.match(text):
        exponent = int(next(g for g in match.groups()[1:] if g))
        if abs(exponent) > MAX_EXPONENT:
            return None
        return Quantity(_decimal(match.group(1)) * Fraction(10) ** exponent), text[match.end() :]
    if (match := _LONE_FACTOR.match(text)) and abs(exponent := int(match.group(1) or match.group(2))) <= MAX_EXPONENT:
        return Quantity(Fraction(10) ** exponent), text[match.end() :]
    if match := _PLAIN.match(text):
        written = match.group().replace(",", "").replace(" ", "")
        places = len(written.partition(".")[2])
        digits = len(written.replace(".", "").lstrip("0"))
        return Quantity(_decimal(written), places=places, digits=digits), text[match.end() :]
    return _chinese(text)


def _chinese(text: str) -> tuple[Quantity, str] | None:
    match = re.match(r"负?[零〇一二两三四五六七八九十百千万亿点分之又]+", text)
    if not match:
        return None
    value = parse_numeral(match.group())
    if value is None:
        return None
    percent = match.group().startswith("百分之")
    return Quantity(value * 100 if percent else value, percent=percent), text[match.end() :]


def _based(match: re.Match[str], text: str) -> tuple[Quantity, str] | None:
    digits, in_braces, bare = match.groups()
    base = _BASE_NAMES.get(in_braces) or int(in_braces or bare)
    if not 2 <= base <= 36:
        return None
    try:
        value = int(digits, base)
    except ValueError:
        return None
    written = Fraction(digits) if digits.isdigit() else None
    return Quantity(Fraction(value), base=base, written=written), text[match.end() :]


def _decimal(written: str) -> Fraction:
    return Fraction(re.sub(r"[, +]", "", written).rstrip("."))


def _repeating(whole: str, fixed: str, repeated: str) -> Fraction:
    """whole.fixed followed by `repeated` for ever, as a geometric series."""
    tail = Fraction(int(repeated), (10 ** len(repeated) - 1) * 10 ** len(fixed))
    return Fraction(f"{whole or 0}.{fixed or 0}") + tail


def _are_units(words: list[str]) -> bool:
    """`km/h` is a unit: one word is no lone letter, and the others may be units."""
    words = [word for word in words if word not in ("per", "sq", "cu", "square", "cubic")]
    return any(is_unit_word(word) for word in words) and all(parse_unit(word) for word in words)


def _suffix(tail: str) -> tuple[Fraction, bool, Unit | None] | None:
    """Scale word, percent sign and unit behind a number; None where what follows is something else."""
    scale, percent = Fraction(1), False
    if match := _SCALE.match(tail):
        scale = Fraction(_SCALES[match.group(1) or match.group(2)])
        tail = tail[match.end() :]
    if match := re.match(r"[成折]", tail):
        # 五成 is five tenths, 八折 the price after a discount to eight tenths.
        return Fraction(10), True, None
    if match := _PERCENT.match(tail):
        percent = True
        tail = tail[match.end() :]
    tail = tail.rstrip()
    if not tail.strip():
        return scale, percent, None
    if _TEXT_UNIT.fullmatch(tail):
        return scale, percent, parse_unit(re.sub(r"\\text\{|\}(?!\^)", " ", tail))
    if _BARE_UNIT.fullmatch(tail) and _are_units(re.findall(r"[a-zA-Z]+", tail)):
        return scale, percent, parse_unit(tail)
    if _WORDS.fullmatch(tail) and all(_LONG_WORD.fullmatch(w) and len(w) > 2 for w in tail.split()[:1]):
        return scale, percent, parse_unit(tail)
    if re.fullmatch(r"\s*[\u4e00-\u9fff/]+", tail):
        return scale, percent, parse_unit(tail)
    if re.fullmatch(r"\s*[¤€£¥₹¢]", tail):
        return scale, percent, parse_unit(tail.strip())
    return None
