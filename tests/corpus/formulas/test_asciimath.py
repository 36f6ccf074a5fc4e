"""AsciiMath to TeX: the examples of its documentation, and whatever else may stand between backticks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.formulas.asciimath import asciimath_to_tex
from mathwright.corpus.formulas.asciimath_symbols import symbols


@pytest.mark.parametrize(
    ("source", "tex"),
    [
        ("sum_(i=1)^n i^3=((n(n+1))/2)^2", r"\sum_{i = 1}^n i^3 = \left(\frac{n(n + 1)}{2}\right)^2"),
        ("x = (-b +- sqrt(b^2-4ac))/(2a)", r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}"),
        ("int_-1^1 sqrt(1-x^2)dx = pi/2", r"\int_{-1}^1\sqrt{1 - x^2}dx = \frac{\pi}{2}"),
        ("[[a,b],[c,d]]((n),(k))", r"\begin{bmatrix} a & b \\ c & d \end{bmatrix}\begin{pmatrix} n \\ k \end{pmatrix}"),
        ("x/x={(1,if x!=0),(text(undefined),if x=0):}",
         r"\frac{x}{x} = \begin{cases} 1 & \text{ if }x \ne 0 \\ \text{undefined} & \text{ if }x = 0 \end{cases}"),
        ("a//b", "a / b"),
        ("(a,b]={x in RR | a < x <= b}", r"(a,b] = \{x \in \mathbb{R}|a < x \leq b\}"),
        ("abc-123.45^-1.1", "abc - 123.45^{-1.1}"),
        ("hat(ab) bar(xy) ulA vec v dotx ddot y",
         r"\hat{ab}\overline{xy}\underline{A}\vec{v}\dot{x}\ddot{y}"),
        ("bb{AB3}.bbb(AB].cc(AB).fr{AB}.tt[AB].sf(AB)",
         r"\mathbf{AB3}.\mathbb{AB}.\mathcal{AB}.\mathfrak{AB}.\mathtt{AB}.\mathsf{AB}"),
        (r'stackrel"def"= or \stackrel{\Delta}{=}', r"\overset{\text{def}}{=}\text{ or }\overset{\Delta}{=}"),
        (r"{::}_(\ 92)^238U", r"_{~92}^{238}U"),
        ("f(x)=sum_(n=0)^oo(f^((n))(a))/(n!)(x-a)^n",
         r"f(x) = \sum_{n = 0}^{\infty}\frac{f^{(n)}(a)}{n!}(x - a)^n"),
        ("d/dxf(x)=lim_(h->0)(f(x+h)-f(x))/h", r"\frac{d}{dx}f(x) = \lim_{h \to 0}\frac{f(x + h) - f(x)}{h}"),
        ("AA x in CC (sqrt(x^2) = |x|)", r"\forall x \in \mathbb{C}(\sqrt{x^2} = |x|)"),
    ],
)  # fmt: skip
def test_examples_of_the_documentation(source: str, tex: str) -> None:
    assert asciimath_to_tex(source) == tex


@pytest.mark.parametrize(
    ("source", "tex", "why"),
    [
        ("sin(x)/2", r"\frac{\sin(x)}{2}", "a function takes its argument before the fraction does"),
        ("log_2 8", r"\log_2 8", "a function with a script takes none"),
        ("f'(x)", "f'(x)", "prime"),
        ("{(x,y),(z,w)}", r"\{(x,y),(z,w)\}", "a set of pairs is no matrix"),
        ("[[1,2,|,3],[4,5,|,6]]", r"\left[\begin{array}{cc|c} 1 & 2 & 3 \\ 4 & 5 & 6 \end{array}\right]", "augmented"),
        ("root(3)(x)", r"\sqrt[3]{x}", "two arguments"),
        ("|x|/2", r"\frac{|x|}{2}", "bars are brackets where they have a partner"),
        ("alphabet", r"\alpha bet", "the longest symbol first"),
        (r"\alpha + \beta", r"\alpha + \beta", "TeX's backslash does no harm"),
        ('50% "of A&B_1"', r"50\%\text{of A\&B\_1}", "characters that TeX reads as commands"),
        ("2xx3", r"2 \times 3", "no space needed"),
        ("abs(x", r"\left|(\right|x", "a bracket that never closes is a character"),
        ("x^", "x^{}", "a script that is missing"),
        ("sqrt\\ ", "\\sqrt{~}", "a space that must not lose its blank and leave a backslash"),
        ("frac", r"\frac{}{}", "arguments that are missing"),
        ("", "", "nothing"),
    ],
)
def test_grammar(source: str, tex: str, why: str) -> None:
    assert asciimath_to_tex(source) == tex, why


_PIECES = [*symbols(), *"abcxyz019 \"'?{}()[]|", "ß", "文", "≤"]


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join))
def test_braces_and_fences_are_balanced_whatever_comes(source: str) -> None:
    tex = asciimath_to_tex(source)
    depth = 0
    for mark in re.findall(r"\\.|[{}]", tex):
        depth += {"{": 1, "}": -1}.get(mark, 0)
        assert depth >= 0
    assert depth == 0
    assert len(re.findall(r"\\left(?![a-zA-Z])", tex)) == len(re.findall(r"\\right(?![a-zA-Z])", tex))
    assert tex.count(r"\begin") == tex.count(r"\end")


def test_deep_and_long_input_takes_linear_time() -> None:
    for source in ("(" * 5_000, "sqrt" * 2_000, "|" * 5_000, "[[" * 2_000 + "]]" * 2_000, "x^" * 3_000, "sin" * 2_000):
        asciimath_to_tex(source)
