"""Chinese numerals: 三十五, 二百零六, 三分之一, 百分之二十, 一点五, 3万."""

from __future__ import annotations

import re
from fractions import Fraction

_DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_PLACES = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 10**4, "亿": 10**8}
_NUMERAL = re.compile(r"[零〇一二两三四五六七八九十百千万亿]+")


def parse_numeral(text: str) -> Fraction | None:
    """The value of a whole text that is a Chinese numeral, else None."""
    if text.startswith("负"):
        value = parse_numeral(text[1:])
        return None if value is None else -value
    if text in ("半", "一半"):
        return Fraction(1, 2)
    if text.startswith("百分之"):
        value = parse_numeral(text[3:])
        return None if value is None else value / 100
    if "又" in text:
        whole, _, part = text.partition("又")
        values = parse_numeral(whole), parse_numeral(part) if "分之" in part else None
        return None if values[0] is None or values[1] is None else values[0] + values[1]
    if "分之" in text:
        bottom, _, top = text.partition("分之")
        values = parse_numeral(bottom), parse_numeral(top)
        return values[1] / values[0] if values[0] and values[1] is not None else None
    if "点" in text:
        whole, _, decimals = text.partition("点")
        value = _integer(whole)
        if value is None or not decimals or any(c not in _DIGITS for c in decimals):
            return None
        return value + Fraction(int("".join(str(_DIGITS[c]) for c in decimals)), 10 ** len(decimals))
    value = _integer(text)
    return None if value is None else Fraction(value)


def _integer(text: str) -> int | None:
    if not _NUMERAL.fullmatch(text):
        return None
    if all(c in _DIGITS for c in text):
        return int("".join(str(_DIGITS[c]) for c in text))
    total, section, digit = 0, 0, None
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS[character]
        elif character in _PLACES:
            section += (1 if digit is None else digit) * _PLACES[character]
            digit = None
        else:
            total = (total + section + (digit or 0)) * _MYRIADS[character]
            section, digit = 0, None
    return total + section + (digit or 0)
