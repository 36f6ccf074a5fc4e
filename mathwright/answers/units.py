"""Units of measure and money: which spellings are one unit, and by what factor units of one kind differ.

A unit is a pair (factor, dimensions): `km/h` is (5/18, {length: 1, time: -1}). A word that is no unit (apples,
students) says what is counted and is left out of the comparison.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_TABLE: dict[str, tuple[str, Fraction, str]] = {}
_SINGLE_LETTERS = {"m", "g", "s", "h", "l", "t", "L"}


def _add(dimension: str, factor: str | int, spellings: str) -> None:
    for spelling in spellings.split():
        _TABLE[spelling] = (dimension, Fraction(factor), spelling)


_add("length", 1, "m meter meters metre metres 米")
_add("length", "1/10", "dm decimeter decimeters 分米")
_add("length", "1/100", "cm centimeter centimeters centimetre centimetres 厘米")
_add("length", "1/1000", "mm millimeter millimeters millimetre millimetres 毫米")
_add("length", 1000, "km kilometer kilometers kilometre kilometres 千米 公里")
_add("length", "0.0254", "inch inches")
_add("length", "0.3048", "ft foot feet")
_add("length", "0.9144", "yd yard yards")
_add("length", "1609.344", "mi mile miles")
_add("mass", "1/1000", "g gram grams 克")
_add("mass", 1, "kg kilogram kilograms 千克 公斤")
_add("mass", "1/1000000", "mg milligram milligrams 毫克")
_add("mass", 1000, "t ton tons tonne tonnes 吨")
_add("mass", "0.45359237", "lb lbs pound pounds")
_add("mass", "0.028349523125", "oz ounce ounces")
_add("time", 1, "s sec secs second seconds 秒")
_add("time", 60, "min mins minute minutes 分钟")
_add("time", 3600, "h hr hrs hour hours 小时 时")
_add("time", 86400, "day days 天")
_add("time", 604800, "week weeks 星期 周")
_add("volume", "1/1000", "l L liter liters litre litres 升")
_add("volume", "1/1000000", "ml mL milliliter milliliters 毫升")
_add("volume", "0.003785411784", "gallon gallons gal")
_add("angle", 1, "° degree degrees deg 度")
_add("angle", "1/60", "arcmin arcminutes")
_add("usd", 1, "¤ dollar dollars usd USD 美元")
_add("usd", "1/100", "cent cents ¢")
_add("eur", 1, "€ euro euros")
_add("gbp", 1, "£")
_add("cny", 1, "¥ yuan 元 人民币")
_add("cny", "1/10", "角")
_add("inr", 1, "₹ rupee rupees")
_add("count", 12, "打")
_add("celsius", 1, "celsius")
_add("fahrenheit", 1, "fahrenheit")
# Compounds whose factor is that of their parts.
_TABLE["mph"] = ("length/time", Fraction("0.44704"), "mph")

_SQUARED = {"sq", "square", "sq.", "平方"}
_CUBED = {"cubic", "cu", "cu.", "立方"}
_TOKEN = re.compile(r"\^\{?(-?\d)\}?|[°¤€£¥₹¢]|[a-zA-Z]+|平方|立方|[\u4e00-\u9fff]+|/|\d")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure: `factor` base units of the given dimensions (pairs name, exponent; sorted)."""

    factor: Fraction
    dimensions: tuple[tuple[str, int], ...]


NO_UNIT = Unit(Fraction(1), (("none", 1),))
"""Of another kind than every unit."""


def is_unit_word(word: str) -> bool:
    """Whether a bare word behind a number is a unit: `cm` is; `m` alone may as well be a variable."""
    return word in _TABLE and word not in _SINGLE_LETTERS


_PARTS = re.compile(r"[\s,]*(?:and\s+)?(\d+(?:\.\d+)?)\s*(?:\\text\{\s*)?([a-zA-Z]+\.?|[\u4e00-\u9fff]+)(?:\s*\})?")


def parse_compound(text: str) -> tuple[Fraction, Unit] | None:
    """`5 feet 6 inches` or `1小时30分`: the sum in its first unit, and this unit; None for anything else."""
    if not text[:1].isdigit() or not re.search(r"\d[^\d]+\d", text):
        return None
    parts, position = [], 0
    while match := _PARTS.match(text, position):
        parts.append((Fraction(match.group(1)), match.group(2).rstrip(".")))
        position = match.end()
    if len(parts) < 2 or text[position:].strip():
        return None
    hours = parts[0][1] in ("小时", "时")
    units = [parse_unit("分钟" if hours and word == "分" else word) for _, word in parts]
    first = units[0]
    if first is None or any(unit is None or unit.dimensions != first.dimensions for unit in units):
        return None
    return sum((number * unit.factor for (number, _), unit in zip(parts, units, strict=True) if unit), Fraction(0)) / (
        first.factor
    ), first


def parse_unit(text: str) -> Unit | None:
    """The unit that `text` names, or None where it names none (or names what is counted)."""
    factor = Fraction(1)
    dimensions: dict[str, int] = {}
    sign, power = 1, 1
    last: tuple[str, Fraction, int] | None = None
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word.startswith("^") and last is not None:
            name, size, exponent = last
            extra = int(token.group(1)) * exponent - exponent
            dimensions[name] = dimensions.get(name, 0) + extra
            factor *= size**extra
            last = None
        elif word in ("/", "per", "每"):
            sign = -1
        elif word.lower() in _SQUARED or word.lower() in _CUBED:
            power = 2 if word.lower() in _SQUARED else 3
        elif word in _TABLE or word.lower() in _TABLE:
            name, size, _ = _TABLE.get(word) or _TABLE[word.lower()]
            for part in [name] if name != "length/time" else []:
                dimensions[part] = dimensions.get(part, 0) + sign * power
            if name == "length/time":
                dimensions["length"] = dimensions.get("length", 0) + 1
                dimensions["time"] = dimensions.get("time", 0) - 1
            factor *= size ** (sign * power)
            last = (name, size, sign * power)
            power = 1
        elif word.lower() not in ("of", "the", "in"):
            return None
    kept = tuple(sorted((name, exponent) for name, exponent in dimensions.items() if exponent))
    return Unit(factor, kept) if kept else None
