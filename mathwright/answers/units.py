"""Units of measure and money: what a unit expression stands for, and how one kind of unit is turned into another.

A unit is so many base units of given dimensions: `km/h` is 5/18 of {length: 1, time: -1}. All factors are exact; π is
kept apart (a degree is π/180 of a radian), and so is the zero of a scale of temperature.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mathwright.answers.unit_table import (
    CHINESE,
    CURRENCIES,
    DIMENSIONS,
    ENGLISH_FIRST,
    IRREGULAR_PLURALS,
    PREFIXES,
    UNITS,
)
from mathwright.answers.vocabulary import words_of


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure: `factor` times π^`pi` base units of the given dimensions (pairs name, exponent; sorted)."""

    factor: Fraction
    dimensions: tuple[tuple[str, int], ...]
    pi: int = 0
    zero: Fraction = Fraction(0)
    """Where the scale of a temperature begins, in kelvin."""
    others: tuple[Unit, ...] = ()
    """Its other readings: an ounce of weight is also one of volume."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """value of b = value of a * factor * π^pi + shift."""

    factor: Fraction = Fraction(1)
    pi: int = 0
    shift: Fraction = Fraction(0)


COUNTED = Unit(Fraction(1), (("counted", 1),))
"""Of things: apples, students. What they are is left out of the comparison."""
SAME = Conversion()

_SYMBOLS: dict[str, list[Unit]] = {}
_NAMES: dict[str, list[Unit]] = {}
_PREFIXABLE_SYMBOLS: set[str] = set()
_PREFIXABLE_NAMES: set[str] = set()
_CHINESE: dict[str, list[Unit]] = {}
_BY_SYMBOL = {symbol: power for symbols, power in PREFIXES.values() for symbol in symbols}


def _size(expression: str) -> Unit:
    """What a row of the table says: `1/1000 m^3`, `550 ft lbf s^-1`, `1/180 pi angle`."""
    factor, pi, dimensions = Fraction(1), 0, {}
    for term in expression.split():
        base, _, exponent = term.partition("^")
        power = int(exponent or 1)
        if base[0].isdigit():
            factor *= Fraction(base)
            continue
        if base == "pi":
            pi += power
            continue
        unit = Unit(Fraction(1), ((base, 1),)) if base in DIMENSIONS else readings(base)[0]
        factor *= unit.factor**power
        pi += unit.pi * power
        for name, times in unit.dimensions:
            dimensions[name] = dimensions.get(name, 0) + times * power
    return Unit(factor, tuple(sorted((n, e) for n, e in dimensions.items() if e)), pi)


def _build() -> None:
    for row in UNITS.strip().splitlines():
        symbols, names, size, *prefixes = (cell.strip() for cell in row.split("|"))
        unit = _size(size)
        for words, table in ((symbols, _SYMBOLS), (names, _NAMES)):
            for word in words.split():
                table.setdefault(word, []).append(unit)
        if prefixes:
            _PREFIXABLE_NAMES.update(names.split())
            _PREFIXABLE_SYMBOLS.update(symbols.split() if prefixes == ["p"] else [])
    for unit, symbol, names in ((CELSIUS, "℃", "celsius centigrade degc"), (FAHRENHEIT, "℉", "fahrenheit degf")):
        _SYMBOLS[symbol] = [unit]
        _NAMES.update({name: [unit] for name in names.split()})
    for row in CURRENCIES.strip().splitlines():
        code, signs, names, *hundredths = (cell.strip() for cell in row.split("|"))
        unit = Unit(Fraction(1), ((code, 1),))
        for word in (code, *signs.split()):
            _SYMBOLS.setdefault(word, []).append(unit)
        for name in names.split():
            _NAMES.setdefault(name, []).append(unit)
        for name in " ".join(hundredths).split():
            (_NAMES if len(name) > 1 else _SYMBOLS).setdefault(name, []).append(Unit(Fraction(1, 100), unit.dimensions))
    for entry in CHINESE.replace("\n", ";").split(";"):
        if entry.strip():
            name, _, size = entry.strip().partition(" ")
            unit = COUNTED if size == "counted" else _lone(size) or _size(size)
            _CHINESE.setdefault(name, []).append(unit)


CELSIUS = Unit(Fraction(1), (("temperature", 1),), zero=Fraction("273.15"))
FAHRENHEIT = Unit(Fraction(5, 9), (("temperature", 1),), zero=Fraction("459.67") * Fraction(5, 9))


def _lone(word: str) -> Unit | None:
    return found[0] if (found := readings(word)) else None


def readings(word: str) -> tuple[Unit, ...]:
    """Every unit that one word, symbol or sign may stand for; none where it is no unit."""
    if word in _SYMBOLS:
        return tuple(_SYMBOLS[word])
    if len(word) < 2 or word in ENGLISH_FIRST:
        return tuple(_CHINESE.get(word, ()))
    name = _singular(word.lower())
    return tuple(_NAMES.get(name) or _prefixed(word, name) or _abbreviated(word) or _CHINESE.get(word) or ())


_WITH_ES = ("ses", "xes", "zes", "ches", "shes")


def _singular(name: str) -> str:
    """The name of one, where that of several is known."""
    if name in _NAMES or name in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS.get(name, name)
    for stem in (name.removesuffix("s"), name.removesuffix("es") if name.endswith(_WITH_ES) else name):
        if stem != name and (stem in _NAMES or any(stem == p + n for p, n in _split_prefix(stem))):
            return stem
    return name


def _split_prefix(name: str) -> list[tuple[str, str]]:
    return [(p, name[len(p) :]) for p in PREFIXES if name.startswith(p) and name[len(p) :] in _PREFIXABLE_NAMES]


def _prefixed(word: str, name: str) -> list[Unit]:
    for prefix, rest in _split_prefix(name):
        return [_times(unit, PREFIXES[prefix][1]) for unit in _NAMES[rest]]
    for length in (1, 2):
        if word[length:] in _PREFIXABLE_SYMBOLS and word[:length] in _BY_SYMBOL:
            return [_times(unit, _BY_SYMBOL[word[:length]]) for unit in _SYMBOLS[word[length:]]]
    return []


def _times(unit: Unit, power: int) -> Unit:
    return Unit(unit.factor * Fraction(10) ** power, unit.dimensions, unit.pi)


_SHORT = words_of("lb hr min sec yr mo wk kg cm mm km dm ml dl mg gal oz qt pt ft yd mi kwh khz kw hz")


def _abbreviated(word: str) -> list[Unit]:
    """`lbs`, `Kg`, `HR`: a common symbol with the s of several or in other letters."""
    lower = word.lower()
    stem = lower if lower in _SHORT else lower.removesuffix("s")
    if stem not in _SHORT:
        return []
    spelled = _IN_CAPITALS.get(stem, stem)
    return list(_SYMBOLS.get(spelled) or _prefixed(spelled, spelled))


_IN_CAPITALS = {"kwh": "kWh", "khz": "kHz", "kw": "kW", "hz": "Hz"}


def one(options: tuple[Unit, ...]) -> Unit | None:
    """A word with several readings as one unit, or None where it has none."""
    if not options:
        return None
    first, *others = options
    return Unit(first.factor, first.dimensions, first.pi, first.zero, tuple(others))


def is_common(word: str) -> bool:
    """Whether a short word in small letters is sooner a unit than a product of letters."""
    return word in _SHORT or word in _COMMON or (len(word) > 2 and (word in _SYMBOLS or _singular(word) in _NAMES))


_COMMON = words_of("in nm ms ns ha hp kb mb gb cc gm cl kg ft yrs wks mos hrs lbs kgs")


def named(words: str) -> tuple[Unit, ...]:
    """The units of which this is the full name, words written together."""
    return tuple(_NAMES.get(_singular(words.lower()), ()))


def chinese_unit(text: str) -> str:
    """The longest name of a unit that the text begins with."""
    lengths = range(min(_LONGEST_CHINESE, len(text)), 0, -1)
    return next((text[:length] for length in lengths if text[:length] in _CHINESE), "")


_build()
_LONGEST_CHINESE = max(map(len, _CHINESE))
DEGREE = _SYMBOLS["°"][0]
RADIAN = _SYMBOLS["rad"][0]


_LARGEST_POWER = 12


def product(unit: Unit, factor: Unit, power: int) -> Unit | None:
    """`unit` times `factor` to a power; a scale of temperature keeps its zero only alone."""
    if abs(power) > _LARGEST_POWER:
        return None
    if not unit.dimensions and power == 1 and unit.factor == 1:
        return factor
    dimensions = dict(unit.dimensions)
    for name, exponent in factor.dimensions:
        dimensions[name] = dimensions.get(name, 0) + exponent * power
    kept = tuple(sorted((name, exponent) for name, exponent in dimensions.items() if exponent))
    return Unit(unit.factor * factor.factor**power, kept, unit.pi + factor.pi * power)


def conversions(a: Unit | None, b: Unit | None) -> list[Conversion]:
    """The ways to count `a` in units of `b`: several where a name has several readings, none for different kinds.

    A unit on one side only is left out.
    """
    if a is None or b is None or a == b:
        return [SAME]
    found: list[Conversion] = []
    for one in (a, *a.others):
        for other in (b, *b.others):
            conversion = _conversion(one, other)
            if conversion is not None and conversion not in found:
                found.append(conversion)
    return found


def _conversion(a: Unit, b: Unit) -> Conversion | None:
    if a.dimensions == b.dimensions:
        if a.zero or b.zero:
            return Conversion(a.factor / b.factor, 0, (a.zero - b.zero) / b.factor)
        return Conversion(a.factor / b.factor, a.pi - b.pi)
    if _unnamed(a, b) or _unnamed(b, a):
        return SAME
    # Degrees that do not say of what scale are those of the side that does.
    degrees, scale = (a, b) if a == DEGREE else (b, a)
    return SAME if degrees == DEGREE and scale in (CELSIUS, FAHRENHEIT) else None


def _unnamed(a: Unit, b: Unit) -> bool:
    """`5 units` says not of what; `5 square units` only that it is an area."""
    if len(a.dimensions) != 1 or a.dimensions[0][0] != "unit":
        return False
    exponent = a.dimensions[0][1]
    return exponent == 1 or b.dimensions == (("length", exponent),)


def is_measure(unit: Unit | None) -> bool:
    """Whether the unit measures something: neither money nor a count."""
    return unit is not None and any(name in DIMENSIONS and name != "unit" for name, _ in unit.dimensions)


def is_angle(unit: Unit | None) -> bool:
    return unit is not None and unit.dimensions == RADIAN.dimensions
