"""Exact numbers: what most answers are, read without a parser and compared as fractions.

Integers, decimals, repeating decimals, fractions, mixed numbers, thousands separators, scientific notation,
percentages, money, units, numbers in another base, Chinese numerals. Nothing is ever a float.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from mathwright.answers.chinese import parse_numeral
from mathwright.answers.compound import parse_compound
from mathwright.answers.spelled import number_in_words, rank_in_words, read_spelled
from mathwright.answers.suffix import read_suffix
from mathwright.answers.units import Unit, is_measure, one, product, readings

MAX_DIGITS = 2000
MAX_EXPONENT = 5000

# Thousands by comma, space or apostrophe; the Indian way only where a group begins with 0, since `10,20,300` is a list.
_UNSIGNED = (
    r"(?:\d{1,2}(?=[\d,]*,0)(?:,\d{2})+,\d{3}(?![\d,])|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?: \d{3})+(?:\.\d+)?"
    r"|\d{1,3}(?:'\d{3})+(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+)"
)
_DECIMAL = rf"[-+]?\s*{_UNSIGNED}"
_DOTTED = re.compile(r"(\d*)\.(\d*)\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?")
_ORDINAL = re.compile(r"(?<=\d)\s*(?:\^\s*)?\{?\s*(?:\\text\{\s*)?(?:st|nd|rd|th)(?![a-z])\s*\}{0,2}")
_REPEATING = re.compile(r"(\d*)\.(\d*)(?:\\(?:overline|bar|dot|overset\{\.\})\s*(?:\{(\d+)\}|(\d))|\((\d+)\))")
_ELLIPSIS = re.compile(r"(\d{0,40})\.(\d{0,40}?)(\d{1,6}?)\3{2,40}(?:\.\.\.|\\[lcd]?dots)")
_SCIENTIFIC = re.compile(
    rf"({_UNSIGNED})(?:[eE]([-+]?\d+)|\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*(?:\{{\s*\(?\s*([-+]?\d+)\s*\)?\s*\}}|([-+]?\d+)))"
)
_FRACTION = re.compile(rf"\\frac\{{\s*({_DECIMAL})\s*\}}\{{\s*({_DECIMAL})\s*\}}|({_UNSIGNED})\s*/\s*({_DECIMAL})")
_MIXED = re.compile(r"(\d+)\s*(?:\\frac\{\s*(\d+)\s*\}\{\s*(\d+)\s*\}|(?:\s| and )(\d+)\s*/\s*(\d+))")
_BASE = re.compile(
    r"\(?(?:\\text\{)?([0-9][0-9A-Za-z]*|[A-Z0-9]+)\}?\)?\s*(?:_\s*\{?\s*\(?(?:\\text\{)?\s*(?:base\s*\}?\s*)?(\d+|[a-z]+)\s*\}?\s*\)?\s*\}?"
    r"|\(?(?:\\text\{)?\s*\(?(?:in )?base[ -](\d+|[a-z]+)\)?\}?\)?)"
)
_PLAIN = re.compile(_UNSIGNED)
_POWER = re.compile(r"\s*\^\s*(?:\{\s*\(?\s*([-+]?\d+)\s*\)?\s*\}|([-+]?\d+))")
_SIGN = re.compile(r"\s*(?:([-+])|(negative|minus)\b|(零下|负))\s*")
_MONEY = re.compile(
    r"\s*(?:\\text\{\s*)?(?:([A-Z]{0,2}[¤€£¥₹₩₽฿₫₺₦₱₪₴₵৳₿])|([A-Z]{3}|Rs|RM|Rp)\.?(?=\s|\}|\d))(?:\s*\})?\s*"
)
_TEXT_NUMBER = re.compile(r"\\text\{\s*([-+]?[\d¤€£¥₹][\d.,/]*)(?=[\s}a-zA-Z%°])")
_FIRST_TEXT = re.compile(r"\\text\{\s*([^{}]*)\}")
_ANY_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_SPOKEN = re.compile(r"(?:negative|minus|零下|负)?\s*[a-z\d]", re.IGNORECASE)
_SIMPLE = re.compile(r"-?\d+(?:\.\d+)?")
_SAID_AGAIN = re.compile(r"\s*\(\s*([\w.,-][\w., -]{0,60}?)\s*\)")
_LARGEST_POWER_BITS = 8000


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
    """With a base, ten included: the digits read in base ten."""
    qualifier: str = ""
    """Words behind unit or count that say more: profit, east."""


def parse_quantity(text: str) -> Quantity | None:
    """The quantity that the whole cleaned text is, or None."""
    if len(text) > MAX_DIGITS:
        return None
    if _SIMPLE.fullmatch(text):
        return _simple(text)
    if text[:1].isalpha() and (rank := rank_in_words(text)) is not None:
        return Quantity(Fraction(rank))
    if text.startswith("\\text{"):
        text = _opened(text)
    text = _ORDINAL.sub("", text)
    if compound := parse_compound(text):
        return Quantity(compound[0], unit=compound[1])
    unit_before = None
    rest, sign = text, 1
    for _ in range(2):  # -¤5 and ¤-5
        if match := _MONEY.match(rest):
            money = readings(match.group(1) or match.group(2)) or readings((match.group(1) or " ")[-1])
            if not money or is_measure(money[0]) or unit_before:
                return None
            unit_before, rest = one(money), rest[match.end() :]
        if match := _SIGN.match(rest):
            sign *= 1 if match.group(1) == "+" else -1
            rest = rest[match.end() :]
    number = _number(rest.lstrip())
    if number is None:
        return None
    quantity, tail = number
    if (again := _SAID_AGAIN.fullmatch(tail)) and _said(again.group(1)) == quantity.value:
        tail = ""
    suffix = read_suffix(tail, quantity.value, measured=unit_before is not None)
    if suffix is None:
        return None
    unit = suffix.unit
    if unit is not None and unit_before is not None and unit != unit_before:
        unit = product(unit_before, unit, 1)  # ¤20 per hour
    scale = suffix.scale
    return Quantity(
        value=sign * (quantity.value + suffix.added) * scale,
        percent=suffix.percent or quantity.percent,
        unit=unit or unit_before,
        places=quantity.places if scale == 1 else 0,
        digits=quantity.digits,
        base=quantity.base,
        written=None if quantity.written is None else sign * quantity.written,
        qualifier=suffix.qualifier,
    )


def _simple(text: str) -> Quantity:
    """Digits and nothing else, as most answers are."""
    places = len(text.partition(".")[2])
    return Quantity(Fraction(text), places=places, digits=len(text.replace(".", "").lstrip("-0")))


def _said(text: str) -> Fraction | None:
    return _decimal(text) if _PLAIN.fullmatch(text) else number_in_words(text)


def _opened(text: str) -> str:
    """`\\text{5 cm}` with its number outside of the text."""
    opened = _TEXT_NUMBER.sub(lambda m: rf"{m.group(1)}\text{{", text, count=1)
    if opened != text:
        return opened.replace(r"\text{}", "")
    words = _FIRST_TEXT.match(text)
    return words.group(1) + text[words.end() :] if words and _SPOKEN.match(words.group(1)) else text


def _number(text: str) -> tuple[Quantity, str] | None:
    """The unsigned number at the start of `text` and what follows it."""
    if text[:1].isalpha() or " " in text:
        plain = _ANY_TEXT.sub(r" \1", text).lstrip() if "\\text" in text else text
        if "\\" not in plain and (spelled := read_spelled(plain)):
            return Quantity(spelled[0]), plain[spelled[1] :]
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
    if match := _PLAIN.match(text):
        if power := _POWER.match(text, match.end()):
            return _raised(_decimal(match.group()), int(power.group(1) or power.group(2)), text[power.end() :])
        written = re.sub(r"[, ']", "", match.group())
        places = len(written.partition(".")[2])
        digits = len(written.replace(".", "").lstrip("0"))
        return Quantity(_decimal(written), places=places, digits=digits), text[match.end() :]
    return _chinese(text)


def _chinese(text: str) -> tuple[Quantity, str] | None:
    match = re.match(r"一?半(?![\u4e00-\u9fff])|负?[零〇一二两三四五六七八九十百千万亿点分之又]+", text)
    if not match:
        return None
    value = parse_numeral(match.group())
    if value is None:
        return None
    percent = match.group().startswith("百分之")
    return Quantity(value * 100 if percent else value, percent=percent), text[match.end() :]


def _raised(base: Fraction, exponent: int, tail: str) -> tuple[Quantity, str] | None:
    """2^{10}, worked out where that is no work."""
    bits = base.numerator.bit_length() + base.denominator.bit_length()
    if abs(exponent) * bits > _LARGEST_POWER_BITS and not (base == 10 and abs(exponent) <= MAX_EXPONENT):
        return None
    return None if base == 0 and exponent <= 0 else (Quantity(base**exponent), tail)


def _based(match: re.Match[str], text: str) -> tuple[Quantity, str] | None:
    digits, subscript, named = match.groups()
    written_base = subscript or named
    spelled = number_in_words(written_base)
    base = int(written_base) if written_base.isdigit() else int(spelled) if spelled else 0
    if not 2 <= base <= 36:
        return None
    try:
        value = int(digits, base)
    except ValueError:
        return None
    written = Fraction(digits) if digits.isdigit() else None
    return Quantity(Fraction(value), base=base, written=written), text[match.end() :]


def _decimal(written: str) -> Fraction:
    return Fraction(re.sub(r"[, +']", "", written).rstrip("."))


def _repeating(whole: str, fixed: str, repeated: str) -> Fraction:
    """whole.fixed followed by `repeated` for ever, as a geometric series."""
    tail = Fraction(int(repeated), (10 ** len(repeated) - 1) * 10 ** len(fixed))
    return Fraction(f"{whole or 0}.{fixed or 0}") + tail
