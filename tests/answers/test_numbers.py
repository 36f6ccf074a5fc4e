"""What may stand around a number, and what the number then is."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.answers import check_answer
from mathwright.answers.numbers import parse_quantity
from mathwright.answers.spelled import number_in_words

COUNTED = [
    "apples",
    "red apples",
    "right triangles",
    "people",
    "children",
    "boxes of chocolate",
    "ways to arrange them",
]
HARMLESS = ["each", "in total", "altogether", "left"]
UNITS = ["cm", "square feet", "miles per hour", "dollars", "kg of rice", "years old", "degrees"]
ACTING = [
    *("or more", "or less", "at least", "at most", "minimum", "squared", "cubed", "doubled", "halved", "factorial"),
    *("and a half", "is impossible", "is not possible", "below zero", "plus", "minus", "thirds", "hundredths", "maybe"),
    *("or 6", "and 7", "to 9", "choose 2", "over 2", "times 3", "percentile", "repeating", "not", "if x > 0"),
]
ACTING_ON_UNITS = [words for words in ACTING if words not in ("squared", "cubed", "below zero", "percentile")]
POSITIVE = st.integers(min_value=5, max_value=10**6)


def written(number: object, words: str, form: int) -> str:
    return (f"{number} {words}", rf"{number}\text{{ {words}}}", rf"\text{{{number} {words}}}")[form]


FORMS = st.sampled_from([0, 1, 2])


@given(POSITIVE, st.sampled_from(COUNTED + HARMLESS + UNITS), FORMS)
def test_what_is_counted_or_measured_leaves_the_number(number: int, words: str, form: int):
    assert check_answer(written(number, words, form), str(number)).correct
    assert not check_answer(written(number, words, form), str(number + 1)).correct


@given(POSITIVE, st.sampled_from(ACTING), FORMS)
def test_words_that_act_on_a_number_do_not_leave_it(number: int, words: str, form: int):
    text = written(number, words, form)
    assert not check_answer(text, str(number)).correct
    assert not check_answer(str(number), text).correct


@given(
    POSITIVE,
    st.sampled_from(UNITS + COUNTED),
    st.sampled_from(ACTING_ON_UNITS),
)
def test_nor_do_they_behind_a_unit(number: int, unit: str, words: str):
    number_text = rf"{number}\text{{ {unit} {words}}}"
    assert not check_answer(number_text, str(number)).correct


@given(POSITIVE, st.text(alphabet="^_!*/'\\{}+-~|", min_size=1, max_size=3))
def test_signs_behind_a_number_are_not_dropped(number: int, signs: str):
    """No sign makes an equal of the bare number, but what TeX shows as nothing."""
    text = f"{number}{signs}"
    if parse_quantity(text) is not None:
        assert parse_quantity(text) == parse_quantity(str(number))
        assert not set(signs) & set("^_!*/'+-|")


@given(
    st.sampled_from(["20%", "5 km", "5 dollars", "5 units", "5 points"]),
    st.sampled_from(["increase", "east", "profit", "up", "more", "faster", "to the left"]),
    st.sampled_from(["decrease", "west", "loss", "down", "less", "slower", "to the right"]),
)
def test_two_numbers_that_say_more_must_say_the_same(number: str, one: str, other: str):
    assert check_answer(f"{number} {one}", f"{number} {one}").correct
    assert check_answer(f"{number} {one}", number).correct
    assert not check_answer(f"{number} {one}", f"{number} {other}").correct


@given(st.integers(min_value=-30, max_value=30), st.integers(min_value=-8, max_value=12))
def test_powers_are_worked_out(base: int, exponent: int):
    if base == 0 and exponent <= 0:
        return
    value = Fraction(abs(base)) ** exponent * (-1 if base < 0 else 1)
    text = f"{base}^{{{exponent}}}"
    for other in (value, abs(base), value + 1):
        fraction = f"\\frac{{{Fraction(other).numerator}}}{{{Fraction(other).denominator}}}"
        assert check_answer(text, fraction).correct == (other == value)


@given(*[st.integers(min_value=1, max_value=99)] * 3)
def test_a_dash_before_a_fraction_is_a_minus(whole: int, top: int, bottom: int):
    difference = Fraction(whole) - Fraction(top, bottom)
    mixed = Fraction(whole) + Fraction(top, bottom)
    for value in (difference, mixed):
        fraction = f"\\frac{{{value.numerator}}}{{{value.denominator}}}"
        assert check_answer(f"{whole}-{top}/{bottom}", fraction).correct == (value == difference)
        if top < bottom:
            assert check_answer(f"{whole} {top}/{bottom}", fraction).correct == (value == mixed)


def in_words(number: int) -> str:
    """The oracle: a number below a million in words, with hyphens and `and`."""
    small = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    names = [*small.split(), "seventeen", "eighteen", "nineteen"]
    tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    if number < 20:
        return names[number]
    if number < 100:
        return tens[number // 10 - 2] + (f"-{names[number % 10]}" if number % 10 else "")
    for size, word in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = number % size
            joined = "" if not rest else f" {in_words(rest)}" if rest >= 100 else f" and {in_words(rest)}"
            return f"{in_words(number // size)} {word}{joined}"
    raise AssertionError(number)


@given(st.integers(min_value=0, max_value=999_999))
def test_numbers_in_words(number: int):
    words = in_words(number)
    assert number_in_words(words) == number
    assert number_in_words(words.replace(" and ", " ").replace("-", " ")) == number
    assert check_answer(words, f"{number:,}").correct
    assert check_answer(f"negative {words}", f"-{number}").correct
    assert not check_answer(words, str(number + 1)).correct


PARTS = {
    2: "halves",
    3: "thirds",
    4: "quarters",
    5: "fifths",
    8: "eighths",
    10: "tenths",
    100: "hundredths",
    25: "twenty-fifths",
}


@given(st.integers(min_value=2, max_value=19), st.sampled_from(sorted(PARTS)), st.integers(min_value=1, max_value=50))
def test_fractions_in_words(top: int, bottom: int, whole: int):
    fraction, part = rf"\frac{{{top}}}{{{bottom}}}", PARTS[bottom]
    assert check_answer(f"{in_words(top)} {part}", fraction).correct
    assert check_answer(f"{top} {part}", fraction).correct
    assert not check_answer(f"{top} {part}", str(top)).correct
    if top < bottom:
        assert check_answer(
            f"{in_words(whole)} and {in_words(top)} {part}", rf"{whole}\frac{{{top}}}{{{bottom}}}"
        ).correct


@given(
    st.integers(min_value=2, max_value=12),
    st.integers(min_value=2, max_value=12),
    st.integers(min_value=1, max_value=9999),
)
def test_a_named_base_is_not_left_out_beside_another(base: int, other: int, number: int):
    digits, rest = "", number
    while rest:
        digits, rest = "0123456789AB"[rest % base] + digits, rest // base
    assert check_answer(f"{digits}_{{{base}}}", str(number)).correct
    assert check_answer(f"{digits}_{{{base}}}", rf"{number}_{{10}}").correct
    assert check_answer(f"{digits}_{{{base}}}", f"{digits}_{{{other}}}").correct == (
        base == other or (len(digits) == 1 and int(digits, base) < other)
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("three point one four", "3.14"),
        ("half a million", "500000"),
        ("a dozen", "12"),
        ("5 and a half", "5.5"),
        ("6 choose 2", "15"),
        ("10 minus 3", "7"),
        ("5 to the power of 2", "25"),
        ("the square root of 16", "4"),
        ("10 degrees below zero", "-10"),
        ("1.2 x 10^-3", "0.0012"),
        ("1'234'567", "1234567"),
        (r"0.\overline3", "1/3"),
        ("5‰", "0.005"),
        ("50 basis points", "0.5%"),
        (r"\$2.5M", "2500000"),
        ("5 out of 6", None),
        ("1.2.3", None),
        ("5%%", None),
        ("5 cm or so", None),
        ("5,", "5"),
        ("3个半小时", "3.5"),
        ("25个百分点", "25%"),
        ("零下3度", "-3"),
        ("5个以上", None),
        ("5元以内", None),
        ("5个多", None),
    ],
)
def test_readings(text: str, value: str | None):
    assert check_answer(text, value or "5").correct == (value is not None)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("3 p.m.", r"3\text{ PM}", True),
        ("3 p.m.", "15:00", True),
        (r"3\text{ PM}", r"3\text{ AM}", False),
        ("12:30 a.m.", "0:30", True),
        ("5 o'clock", "5:00", True),
        ("noon", "12 p.m.", True),
        ("下午3点30分", "15:30", True),
        ("10:30", r"\frac13", False),
        ("March 14th, 2024", "14 March 2024", True),
        ("March 14, 2024", "2024-03-14", True),
        ("3月14日", "March 14", True),
        ("March 14", "April 14", False),
        ("March 14", "14", False),
        (r"\text{A+}", r"\text{A-}", False),
        (r"\text{x/y}", r"\text{x-y}", False),
        ("right-angled triangle", "right angled triangle", True),
        ("第1,2组", "第12组", False),
        ("√12", r"2\sqrt3", True),
        ("√16", "6", False),
        (r"\sqrt12", r"2", True),
    ],
)
def test_times_dates_words_and_roots(one: str, other: str, equal: bool):
    assert check_answer(one, other).correct == equal
    assert check_answer(other, one).correct == equal
