"""Formulas of texts become MathML; what cannot be read, or is none, stays as it is; nothing else gets through."""

import re

import pytest

from mathwright.report.tex import formulas, mathml, trees_of, with_formulas


def found(text: str) -> list[str]:
    return [tex for _, _, tex, _ in formulas(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so $x^2$ is", ["x^2"]),
        ("$$\\frac12$$ and \\[ a \\] and \\(b\\)", ["\\frac12", "a", "b"]),
        ("the answer is \\boxed{\\frac{1}{2}}.", ["\\boxed{\\frac{1}{2}}"]),
        ("$\\boxed{4}$.", ["\\boxed{4}"]),
        ("it costs $5 and $6 in all", []),
        ("from $5 to $10", []),
        ("\\$5 and \\$6", []),
        ("a $ b $ c", []),
        ("open $x^2 and\nclosed$", []),
        ("\\boxed{never closed", []),
        ("\\boxed{" + "x" * 500 + "}", []),
        ("$x$$y$", []),
        ("", []),
    ],
)
def test_what_is_a_formula(text: str, expected: list[str]) -> None:
    assert found(text) == expected


def test_a_formula_is_set_and_its_tex_can_be_read() -> None:
    html = with_formulas("so $\\frac{a}{b} < 1$ & so")
    assert '<span class="formula" title="$\\frac{a}{b} &lt; 1$"><math display="inline">' in html
    assert "<mfrac>" in html and "<mo>&lt;</mo>" in html and html.endswith(" &amp; so")


@pytest.mark.parametrize("tex", ["\\frac", "{" * 50, "\\left(", "x_y_z_w", "^", "\\begin{pmatrix}1", "x" * 500])
def test_what_cannot_be_read_stays_as_it_is(tex: str) -> None:
    assert mathml(tex) is None or "math" in str(mathml(tex))
    assert re.sub("<[^>]*>", "", with_formulas(f"a {tex} b")) != ""


@pytest.mark.parametrize(
    "tex",
    [
        "\\href{javascript:alert(1)}{x}", "\\text{</math><script>alert(1)</script>}", "\\style{color:red}{x}",
        "\\class{a}{b}", "<script>alert(1)</script>", "\\color{red\" onclick=\"alert(1)}{x}", "\\unicode{x3C}script",
    ],
)  # fmt: skip
def test_nothing_but_elements_of_mathematics_gets_through(tex: str) -> None:
    html = with_formulas(f"${tex}$")
    tags = set(re.findall(r"<(/?[a-z]+)", html))
    assert "script" not in tags
    inside = re.sub(r'title="[^"]*"', "", html)
    assert not re.search(r"<[^>]* (href|style|on\w+)=", inside)


def test_texts_give_their_formulas_once_and_at_most_so_many() -> None:
    texts = ["$x$ and $x$", "$y$ and \\boxed{3}", "$z$"]
    assert list(trees_of(texts, 10)) == ["$x$", "$y$", "\\boxed{3}", "$z$"]
    assert list(trees_of(texts, 2)) == ["$x$", "$y$"]
