"""Sums of units of one kind: 5 feet 6 inches, 2 hours and 15 minutes, 1小时30分, 25元5角, 30°15'."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

from mathwright.answers.unit_reader import parse_unit
from mathwright.answers.units import DEGREE, Unit

_PARTS = re.compile(
    r"[\s,]*(?:and\s+|\\text\{\s*and\s*\}\s*|又|零)?(\d+(?:\.\d+)?)\s*(?:\\text\{\s*)?([a-zA-Z]+\.?|[\u4e00-\u9fff]+|[°¤€£])(?:\s*,?\s*\})?"
)
_ANGLE = re.compile(r"(\d+)\s*°\s*(\d{1,2})\s*'\s*(?:(\d{1,2}(?:\.\d+)?)\s*(?:''|\"))?")
_TWO_NUMBERS = re.compile(r"\d[^\d]+\d")
_HOURS, _MINUTES = ("小时", "时", "个小时", "h"), "分钟"


def parse_compound(text: str) -> tuple[Fraction, Unit] | None:
    """The sum in its first unit, and this unit; None for anything else."""
    if not text[:1].isdigit() or not _TWO_NUMBERS.search(text):
        return None
    if angle := _ANGLE.fullmatch(text.strip()):
        degrees, minutes, seconds = angle.groups()
        return Fraction(degrees) + Fraction(minutes) / 60 + Fraction(seconds or 0) / 3600, DEGREE
    parts: list[tuple[Fraction, str]] = []
    position = 0
    while match := _PARTS.match(text, position):
        parts.append((Fraction(match.group(1)), match.group(2).rstrip(".")))
        position = match.end()
    if len(parts) < 2 or text[position:].strip():
        return None
    hours = parts[0][1] in _HOURS
    units = [parse_unit(_MINUTES if hours and word in ("分", "m") else word) for _, word in parts]
    first = next((f for f in _readings(units[0]) if all(_of_kind(u, f) for u in units)), None)
    if first is None:
        return None
    like = [reading for unit in units if (reading := _of_kind(unit, first))]
    if any(smaller.factor >= larger.factor for larger, smaller in pairwise(like)):
        return None  # `3 cm, 4 cm` are two lengths
    total = sum((number * unit.factor for (number, _), unit in zip(parts, like, strict=True)), Fraction(0))
    return total / first.factor, first


def _readings(unit: Unit | None) -> tuple[Unit, ...]:
    return (unit, *unit.others) if unit is not None else ()


def _of_kind(unit: Unit | None, like: Unit) -> Unit | None:
    """The reading of `unit` that measures what `like` measures, and can be added."""
    kind = like.dimensions, like.pi, Fraction(0)
    return next((u for u in _readings(unit) if (u.dimensions, u.pi, u.zero) == kind), None)
