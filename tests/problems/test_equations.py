"""Arithmetic of word problems: what it is worth, in the notation of the data sets, and what is refused."""

import gzip
import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.problems.equations import (
    Binary,
    EquationError,
    Expression,
    Negative,
    Number,
    decimal_text,
    evaluate,
    number,
    parse,
    plain_answer,
)
from tests.properties import examples

DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=135/3", Fraction(45)),
        ("x=120*80%*15%", Fraction(72, 5)),
        ("x=2(1/2)*4", Fraction(10)),  # a mixed number, not 2 times a half
        ("2(3+4)", Fraction(14)),
        ("2(5/4)", Fraction(5, 2)),  # no proper fraction: a product
        ("(1+2)(3+4)", Fraction(21)),
        ("5((7)/(10))", Fraction(57, 10)),
        ("((5)/(6))×3÷(1-20%)", Fraction(25, 8)),
        ("(2/5)%", Fraction(1, 250)),
        ("２×（３＋４）", Fraction(14)),
        ("[2*(3+4)]:7", Fraction(2)),
        ("2^3^2", Fraction(512)),
        ("-2^2", Fraction(-4)),
        ("2--3", Fraction(5)),
        ("1,250+5", Fraction(1255)),
        (".5*4", Fraction(2)),
        ("8-4-2", Fraction(2)),
        ("8/4/2", Fraction(1)),
    ],
)
def test_the_value_of_an_equation(text: str, value: Fraction) -> None:
    assert evaluate(parse(text)) == value


@pytest.mark.parametrize(
    "text",
    ["", "x=", "1/0", "2+", "(1+2", "1+2)", "import os", "2**0.5", "2^9999", "9^64^64", "__import__('os')", "x=y+1",
     "0^-1",
     "(" * 300 + "1" + ")" * 300, "-" * 390 + "1", "1;2", "1 2"],
)  # fmt: skip
def test_what_is_no_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(EquationError):
        evaluate(parse(text))
    assert number(text) is None


def expressions() -> st.SearchStrategy[Expression]:
    numbers = st.builds(Number, st.integers(1, 99).map(str))
    return st.recursive(
        numbers,
        lambda inner: st.builds(Binary, st.sampled_from("+-*/"), inner, inner) | st.builds(Negative, inner),
        max_leaves=8,
    )


def plain(node: Expression) -> str:
    """Fully parenthesised, which Python reads the same way."""
    if isinstance(node, Number):
        return node.text
    if isinstance(node, Negative):
        return f"(-{plain(node.inside)})"
    return f"({plain(node.left)} {node.operator} {plain(node.right)})"


@examples(150)
@given(expressions())
def test_against_python_with_fractions(node: Expression) -> None:
    text = plain(node)
    in_fractions = "".join(f"Fraction({word})" if word.isdigit() else word for word in _words(text))
    try:
        expected = eval(in_fractions, {"Fraction": Fraction})  # of our own numbers
    except ZeroDivisionError:
        with pytest.raises(EquationError):
            evaluate(parse(text))
        return
    assert evaluate(parse(text)) == expected


def _words(text: str) -> list[str]:
    import re

    return re.findall(r"\d+|\D", text)


def test_decimals_are_exact() -> None:
    assert decimal_text(Fraction(1, 8)) == "0.125"
    assert decimal_text(Fraction(-5, 2)) == "-2.5"
    assert decimal_text(Fraction(7)) == "7"
    assert decimal_text(Fraction(1, 3)) is None


@pytest.mark.parametrize(
    ("given_answer", "plain_one"),
    [("(11/20)", "11/20"), ("5((7)/(10))", "57/10"), ("336/48%", "700"), ("25%", "25%"), ("45", "45"), ("2/3", "2/3"),
     ("1.50", "1.50"), ("a(b)", "a(b)")],
)  # fmt: skip
def test_answers_are_written_as_everybody_does(given_answer: str, plain_one: str) -> None:
    assert plain_answer(given_answer) == plain_one


@pytest.mark.parametrize(("name", "wrong"), [("math23k_test.jsonl", 0), ("ape210k_valid.jsonl.gz", 1)])
def test_real_equations_give_their_answers(name: str, wrong: int) -> None:
    file = DATA / "chinese" / name
    if not file.is_file():
        pytest.skip("the real data is not here")
    with gzip.open(file, "rt") if name.endswith(".gz") else file.open() as lines:
        rows = [json.loads(line) for line in lines]
    assert sum(evaluate(parse(row["equation"])) != number(row["ans"]) for row in rows) == wrong
