"""Statuses, symmetry, the references of the benchmarks, hostile input."""

import random
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.answers import check_answer, check_response, check_responses, choice_letter, extract_answer
from mathwright.answers.numbers import parse_quantity
from tests.answers.references import options, references
from tests.properties import examples


def test_statuses():
    assert check_answer("5", "5").status == "correct"
    assert check_answer("6", "5").status == "incorrect"
    for nothing in ("", "   ", "$$", "\\frac{1}{", "x" * 5000):
        assert check_answer(nothing, "5").status == "unparsable_prediction", nothing
        assert check_answer("5", nothing).status == "unparsable_reference", nothing
    assert check_answer(r"\foo{3}+\bar", "5").status == "unparsable_prediction"
    assert check_answer("5", r"\foo{3}+\bar").status == "unparsable_reference"


def test_an_unparsable_reference_is_unscored_and_a_missing_answer_is_not():
    assert not check_response("\\boxed{5}", "").scored
    assert not check_response("no answer", "").scored
    verdict = check_response("I do not know", "5")
    assert (verdict.status, verdict.scored) == ("unparsable_prediction", True)


def test_batches_keep_their_order():
    pairs = [
        ("\\boxed{1}", "1"),
        ("\\boxed{\\sqrt{8}}", "2\\sqrt{2}"),
        ("nothing", "1"),
        ("\\boxed{\\sqrt{8}}", "3"),
        ("\\boxed{2}", "1"),
    ] * 3
    statuses = [verdict.status for verdict in check_responses(pairs)]
    assert statuses == ["correct", "correct", "unparsable_prediction", "incorrect", "incorrect"] * 3


def test_fallback_takes_the_last_formula_or_number_only_when_asked():
    assert extract_answer("There are 3 and then 4 pears") is None
    assert extract_answer("There are 3 and then 4 pears", fallback=True) == "4"
    assert extract_answer("We find $x=3$, hence $x+1=4$ as claimed.", fallback=True) == "x+1=4"


numbers = st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=10**4)


@given(numbers, numbers)
def test_fractions_are_compared_exactly(a: Fraction, b: Fraction):
    texts = [f"\\frac{{{x.numerator}}}{{{x.denominator}}}" for x in (a, b)]
    assert check_answer(texts[0], texts[1]).correct == (a == b)


@given(st.integers(min_value=-(10**40), max_value=10**40), st.sampled_from([-1, 0, 1]))
def test_big_integers_are_compared_exactly(n: int, step: int):
    assert check_answer(f"{n:,}", str(n + step)).correct == (step == 0)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000, places=6))
def test_decimals_are_their_value(decimal):
    quantity = parse_quantity(format(decimal, "f"))
    assert quantity is not None and quantity.value == Fraction(decimal)


ANSWERS = [
    *(
        "0.5",
        "50",
        "50%",
        "1/2",
        "5 cm",
        r"5\text{ m}",
        r"\$5",
        "500%",
        "11_2",
        "3",
        "3:1",
        "1,2",
        r"\{2,1\}",
        "(1,2)",
        "[1,2]",
    ),
    *(
        "[1,2)",
        "x=1",
        "1<x<2",
        "x>2",
        r"(2,\infty)",
        "C",
        "(C)",
        "c",
        "Carla",
        r"\pm 1",
        "1,-1",
        "",
        r"\frac{",
        "三",
        "1:20",
        "2:40",
    ),
    *(
        r"\begin{pmatrix}1\\2\end{pmatrix}",
        "2x+y=1",
        "y=1-2x",
        "e",
        r"\text{e}",
        "x",
        "X",
        "1;2",
        "0.3333333333333333",
        r"\frac13",
    ),
]


@examples(300)
@given(st.sampled_from(ANSWERS), st.sampled_from(ANSWERS))
def test_symmetry(a: str, b: str):
    swapped = {"unparsable_prediction": "unparsable_reference", "unparsable_reference": "unparsable_prediction"}
    forth, back = check_answer(a, b).status, check_answer(b, a).status
    if a == b or not ({"", r"\frac{"} >= {a, b}):
        assert back == swapped.get(forth, forth) or forth == back
    assert (forth == "correct") == (back == "correct")


@examples(300)
@given(st.text(max_size=60), st.sampled_from(["5", "x+1", "(1,2)"]))
def test_any_text_gets_a_status(text: str, reference: str):
    assert check_response(f"\\boxed{{{text}}}", reference, timeout_s=5).status in (
        "correct",
        "incorrect",
        "unparsable_prediction",
        "timeout",
    )


UNREADABLE = {
    "": 2,  # MATH: two solutions whose box is empty
    "36}": 1,  # GAOKAO-Bench: a brace that nothing opens
}
"""The references that cannot be scored, and how often they occur."""


def test_every_reference_of_every_benchmark_equals_itself(shared_data: Path):
    texts = Counter(answer for _, answer in references(shared_data))
    sources = Counter(source for source, _ in references(shared_data))
    assert sources["math"] == 12_500 and len(sources) == 18
    pairs = [(f"Therefore \\boxed{{{text}}}.", text) for text in texts]
    failed = Counter()
    for text, verdict in zip(texts, check_responses(pairs), strict=True):
        if not verdict.correct or not check_answer(text, text).correct:
            failed[text.strip()] += texts[text]
            assert verdict.status in ("unparsable_reference", "unparsable_prediction"), (text, verdict)
    assert failed == UNREADABLE


def test_every_correct_option_names_its_letter(shared_data: Path):
    for choices, letter in options(shared_data):
        for written in (letter, f"({letter})", f"{letter}. {choices[ord(letter) - ord('A')]}", f"\\text{{({letter})}}"):
            assert choice_letter(written, choices) == letter, (written, choices)


def test_different_references_are_seldom_equal(shared_data: Path):
    """Two references that differ as texts are the same answer only if they really are: looked at by hand."""
    texts = sorted({answer for source, answer in references(shared_data) if source == "math"})
    sample = random.Random(0).sample(texts, 1000)
    equal = [(a, b) for a, b in zip(sample[::2], sample[1::2], strict=True) if check_answer(a, b, timeout_s=2).correct]
    assert len(equal) <= 3, equal


_DIGIT = re.compile(r"(?<![\d_^{])\d(?![\d}])")


def test_a_reference_with_another_digit_is_another_answer(shared_data: Path):
    """Near misses of real answers: one digit, one higher, is never accepted in a number, an interval or a formula."""
    texts = sorted({answer for source, answer in references(shared_data) if source == "math" and len(answer) > 4})
    accepted = []
    for text in random.Random(1).sample(texts, 400):
        digits = list(_DIGIT.finditer(text))
        if digits and "text" not in text and text[digits[-1].start()] != "9":
            place = digits[-1].start()
            near = f"{text[:place]}{int(text[place]) + 1}{text[place + 1 :]}"
            if check_answer(near, text, timeout_s=2).correct:
                accepted.append((near, text))
    assert not accepted


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch {path}')",
        "().__class__.__bases__[0].__subclasses__()",
        "open('{path}','w')",
        r"\operatorname{exec}('open(\"{path}\",\"w\")')",
        "lambda: 1",
        "x.__class__",
    ],
)
def test_code_in_an_answer_is_not_run(text: str, tmp_path: Path):
    path = tmp_path / "written"
    text = text.replace("{path}", str(path))
    for pair in ((text, "5"), ("5", text), (text, "x+1")):
        assert not check_answer(*pair).correct
    assert not path.exists()


@pytest.mark.parametrize(
    "unit",
    [
        "\\boxed{",
        "(",
        "\\(",
        "{",
        "$",
        "answer is ",
        "9",
        "\\frac",
        "x^",
        "1,",
        "\\text{",
        "}",
        "```python ",
        "故选",
        "答：",
        "<answer>",
        "{x: ",
        "Interval(",
        "[[",
        "①",
        "|",
        "1 hour ",
    ],
)
def test_a_hundred_thousand_characters_get_a_status(unit: str):
    text = unit * (100_000 // len(unit))
    extract_answer(text, fallback=True)
    assert check_response(text, "5").status in ("unparsable_prediction", "incorrect")
    assert check_answer(text, "5").status in ("unparsable_prediction", "incorrect")


def test_invalid_unicode():
    assert check_answer("\ud800", "5").status in ("unparsable_prediction", "incorrect")
    assert check_answer("\ud800x+1", "x+1").status in ("unparsable_prediction", "incorrect")
    assert check_answer("5\x00", "5").status in ("unparsable_prediction", "incorrect", "correct")
