"""Units: every pair of kinds is apart, every conversion goes back, and the table says what its symbols mean."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.answers import check_answer
from mathwright.answers.unit_reader import parse_unit
from mathwright.answers.units import SAME, Unit, conversions

KINDS = {
    "length": ["mm", "cm", "in", "ft", "yd", "km", "mi"],
    "area": ["cm^2", "square feet", "acres", "ha", "km^2"],
    "volume": ["mL", "L", "m^3", "teaspoons", "cups", "pints", "quarts", "gallons", "cubic inches"],
    "mass": ["mg", "g", "lb", "kg", "tonnes"],
    "time": ["ms", "s", "min", "h", "days", "weeks"],
    "months": ["months", "years", "decades", "centuries"],
    "speed": ["m/s", "km/h", "mph", "knots", "feet per second"],
    "acceleration": ["m/s^2", "ft/s^2"],
    "force": ["N", "kN", "lbf"],
    "energy": ["J", "kJ", "kWh", "kcal"],
    "power": ["W", "kW", "hp"],
    "pressure": ["Pa", "kPa", "atm", "psi"],
    "data": ["bits", "bytes", "KiB"],
    "frequency": ["Hz", "kHz", "MHz"],
    "charge": ["C", "mC"],
    "resistance": [r"\Omega", "k\\Omega"],
    "dollars": ["dollars", "USD", "cents"],
    "pesos": ["pesos"],
    "yuan": ["yuan", "CNY"],
    "dollars an hour": ["dollars per hour", "dollars per day"],
}
SPELLINGS = [(kind, spelling) for kind, spellings in KINDS.items() for spelling in spellings]


def written(number: object, spelling: str) -> str:
    return rf"{number}\text{{ {spelling}}}" if "\\" not in spelling else rf"{number}\ {spelling}"


def test_units_of_different_kinds_are_never_equal():
    for (kind, one), (other_kind, other) in itertools.combinations(SPELLINGS, 2):
        if kind != other_kind:
            assert not check_answer(written(5, one), written(5, other)).correct, (one, other)


def test_units_of_one_kind_are_equal_only_where_they_are_as_large():
    for spellings in KINDS.values():
        for one, other in itertools.combinations(spellings, 2):
            units = parse_unit(one), parse_unit(other)
            same_size = conversions(*units) == [SAME]
            assert check_answer(written(5, one), written(5, other)).correct == same_size, (one, other)


@given(
    st.sampled_from([kind for kind, spellings in KINDS.items() if len(spellings) > 1]),
    st.fractions(min_value=-1000, max_value=1000, max_denominator=50),
    st.data(),
)
def test_a_value_converted_exactly_is_the_same_answer_and_a_near_one_is_not(
    kind: str, value: Fraction, data: st.DataObject
):
    one, other = (data.draw(st.sampled_from(KINDS[kind])) for _ in range(2))
    [conversion] = conversions(parse_unit(one), parse_unit(other))
    there = value * conversion.factor
    texts = [written(f"\\frac{{{x.numerator}}}{{{x.denominator}}}", unit) for x, unit in ((value, one), (there, other))]
    assert check_answer(*texts).correct
    near = there + Fraction(1, 1000)
    assert not check_answer(texts[0], written(f"\\frac{{{near.numerator}}}{{{near.denominator}}}", other)).correct


@pytest.mark.parametrize(("kind", "spelling"), SPELLINGS)
def test_a_unit_on_one_side_only_is_left_out(kind: str, spelling: str):
    assert check_answer(written(5, spelling), "5").correct
    assert check_answer("5", written(5, spelling)).correct
    assert not check_answer(written(5, spelling), "6").correct


PREFIXES = {"Q": 30, "R": 27, "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1}
PREFIXES |= {"d": -1, "c": -2, "m": -3, "µ": -6, "n": -9, "p": -12, "f": -15, "z": -21, "y": -24}


@given(
    st.sampled_from(["m", "g", "s", "J", "W", "N", "Pa", "Hz", "V", "L", "eV", "Ω"]), st.sampled_from(sorted(PREFIXES))
)
def test_prefixes_are_powers_of_ten(symbol: str, prefix: str):
    unit, base = parse_unit(prefix + symbol), parse_unit(symbol)
    assert unit is not None and base is not None
    if prefix + symbol == "Rs":  # rupees
        return
    assert (unit.dimensions, unit.factor) == (base.dimensions, base.factor * Fraction(10) ** PREFIXES[prefix])


@pytest.mark.parametrize(
    ("text", "factor", "dimensions"),
    [
        ("N", 1, {"mass": 1, "length": 1, "time": -2}),
        ("kWh", 3_600_000, {"mass": 1, "length": 2, "time": -2}),
        ("kg m^2 s^{-2}", 1, {"mass": 1, "length": 2, "time": -2}),
        ("J/(kg·K)", 1, {"length": 2, "time": -2, "temperature": -1}),
        ("千米每小时", Fraction(5, 18), {"length": 1, "time": -1}),
        ("平方厘米", Fraction(1, 10_000), {"length": 2}),
        ("亩", Fraction(2000, 3), {"length": 2}),
        ("dollars per square foot", 1 / Fraction("0.3048") ** 2, {"USD": 1, "length": -2}),
        ("light-years", 9_460_730_472_580_800, {"length": 1}),
        (
            "psi",
            Fraction("0.45359237") * Fraction("9.80665") / Fraction("0.0254") ** 2,
            {"mass": 1, "length": -1, "time": -2},
        ),
    ],
)
def test_the_table(text: str, factor: int | Fraction, dimensions: dict[str, int]):
    assert parse_unit(text) == Unit(Fraction(factor), tuple(sorted(dimensions.items())))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (r"100\text{ °C}", r"212\text{ °F}", True),
        (r"0\text{ °C}", r"273.15\text{ K}", True),
        (r"20\text{ °C}", r"20\text{ K}", False),
        (r"-40\text{ °C}", r"-40\text{ °F}", True),
        (r"20^\circ", r"20\text{ °C}", True),
        (r"60\text{ rpm}", r"2\pi\text{ rad/s}", True),
        (r"1\text{ rad}", r"1^\circ", False),
        (r"\frac{\pi}{3}\text{ rad}", r"60^\circ", True),
        (r"8\text{ ounces}", r"1\text{ cup}", True),
        (r"8\text{ ounces}", r"\frac12\text{ lb}", True),
        (r"5\text{ tons}", r"10000\text{ pounds}", True),
        (r"5\text{ tons}", r"5000\text{ kg}", True),
        (r"5\text{ pounds}", "£5", True),
        (r"5\text{ square units}", r"5\text{ cubic units}", False),
        (r"5\text{ square units}", r"5\text{ cm}^2", True),
        (r"5\text{ m}^2", r"5\text{ m}", False),
        ("30°15'", "30.25°", True),
        ("30°15'", "30.15°", False),
        ("2 lb 8 oz", "2.5 lb", True),
        ("5 apples", "5 kg", False),
        ("5 apples", r"\$5", False),
        ("20%", "20°", False),
        ("20%", r"20\text{ cm}", False),
    ],
)
def test_scales_angles_and_words_of_two_readings(one: str, other: str, equal: bool):
    assert check_answer(one, other).correct == equal
    assert check_answer(other, one).correct == equal
