"""Formulas as platforms and editors really write them: a case a family, with what the text must hold."""

import pytest

from mathwright.corpus.extract import extract

BEFORE = "<p>An opening paragraph with enough words in it to be the text of a page that somebody wrote.</p>"


def text_of(body: str, head: str = "") -> str:
    page = f"<!DOCTYPE html><html><head>{head}</head><body><article>{BEFORE}{body}</article></body></html>"
    return extract(page.encode(), "https://example.org/").text.removeprefix(BEFORE[3:-4]).strip()


OWN = """<script>MathJax = {tex: {inlineMath: [['@@', '@@']], displayMath: [['@@@@', '@@@@']]}};</script>"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("<p>Let <MATH><MSUP><MI>y</MI><MN>3</MN></MSUP></MATH>.</p>", "Let $y^3$.", id="capital tags"),
        pytest.param(
            "<p>Let <x:math><x:msubsup><x:mi>a</x:mi><x:mrow/><x:mn>4</x:mn></x:msubsup></x:math>.</p>",
            "Let $a^4$.",
            id="any prefix, and an empty element closed in itself",
        ),
        pytest.param(
            '<p><math alttext="StartRoot 7 EndRoot"><msqrt><mn>7</mn></msqrt></math></p>',
            r"$\sqrt{7}$",
            id="alttext that is spoken",
        ),
        pytest.param(
            "<p><math><semantics><msqrt><mn>7</mn></msqrt><annotation encoding='text/plain'>root 7</annotation>"
            r"<annotation encoding='application/x-tex'>\surd 7</annotation></semantics></math></p>",
            r"$\surd 7$",
            id="annotations of which one is TeX",
        ),
        pytest.param(
            '<p>Of <img alt="LaTeX: \\frac{5}{6}" class="equation_image" src="/equation_images/1"> here</p>',
            r"Of $\frac{5}{6}$ here",
            id="image with a label before its TeX",
        ),
        pytest.param(
            '<p>Of <img src="/equation_images/%255Cfrac%257B5%257D%257B6%257D"> here</p>',
            r"Of $\frac{5}{6}$ here",
            id="TeX in a path, encoded twice",
        ),
        pytest.param(
            '<p>Of <img src="https://latex.codecogs.com/svg.latex?a&amp;plus;b"> here</p>',
            "Of $a+b$ here",
            id="plus as codecogs' editor writes it",
        ),
        pytest.param(
            "<p>Of <img data-mathml='«math»«msup»«mi»z«/mi»«mn»5«/mn»«/msup»«/math»' alt='z to the 5' src='a.png'> in"
            " math</p>",
            "Of $z^5$ in math",
            id="MathML in an attribute, in Wiris's quotation marks",
        ),
        pytest.param(
            '<div class="math"><p><span class="eqno">(4)</span><img src="_images/math/7.png" alt="a=\\pi"></p></div>',
            r"$$a=\pi$$",
            id="Sphinx's picture of a display",
        ),
        pytest.param(
            '<p>Of <span data-formula="n"><embed src="a.svg"></span> things</p>',
            "Of $n$ things",
            id="attribute of an element that shows nothing",
        ),
        pytest.param(
            "<p>So</p><div class='latex-rendered' data-attrs='{\"persistentExpression\": \"\\\\pi r^2\"}'></div>",
            "So\n\n$$\\pi r^2$$",
            id="TeX in JSON in an attribute",
        ),
        pytest.param(
            '<p>Of <span class="mjpage"><svg aria-labelledby="t"><title id="t">e^{i\\pi}</title></svg></span></p>',
            r"Of $e^{i\pi}$",
            id="title of MathJax's picture",
        ),
        pytest.param(
            '<p>Of <span class="mjx-chtml"><span class="mjx-math"><span class="mjx-mfrac"><span class="mjx-box">'
            '<span class="mjx-numerator"><span class="mjx-mn"><span class="mjx-char">5</span></span></span>'
            '<span class="mjx-denominator"><span class="mjx-mi"><span class="mjx-char">q</span></span></span>'
            '<span class="mjx-line"></span></span></span></span></span></p>',
            r"Of $\frac{5}{q}$",
            id="MathJax 2's CommonHTML alone",
        ),
        pytest.param(
            "<p>Of <inline-formula><alternatives><tex-math>$a_1$</tex-math><mml:math><mml:mi>a</mml:mi></mml:math>"
            "</alternatives></inline-formula></p>",
            "Of $a_1$",
            id="one formula for several readers",
        ),
        pytest.param(
            '<p>Of <span class="katex-eq" data-katex-display="false">a \\le b</span></p>',
            r"Of $a \le b$",
            id="WordPress plugin",
        ),
        pytest.param(
            r'<p>Of <span data-tex="u = 0 \\">u = 0 \\</span></p>',
            "Of $u = 0$",
            id="row end after the last row",
        ),
        pytest.param("<p>$$a = b % why\n  + c$$</p>", "$$a = b + c$$", id="comment in TeX"),
        pytest.param(r"<p>\[x = 5\% \\ % half" + "\ny\\]</p>", r"$$x = 5\% \\ y$$", id="comment after a row end"),
        pytest.param("<p>$$A \\text{ %*% } B\n= C$$</p>", r"$$A \text{ %*% } B = C$$", id="percent in a text"),
        pytest.param("<p>The sign \\(+\\) is plus.</p>", "The sign $+$ is plus.", id="operator alone"),
        pytest.param(
            "<p>Takes 4<span class='frac'><span class='num'>3</span>⁄<span class='den'>8</span></span> h</p>",
            r"Takes 4$\frac{3}{8}$ h",
            id="fraction after a whole number",
        ),
        pytest.param("<p>Takes 4<sup>3</sup>⁄<sub>8</sub> h</p>", r"Takes 4$\frac{3}{8}$ h", id="fraction of scripts"),
        pytest.param(
            "<p>So <span class='intbl'><em>3</em><strong>8</strong></span></p>",
            r"So $\frac{3}{8}$",
            id="table fraction",
        ),
        pytest.param(
            "<p><span class='texhtml'>1 + <span class='sfrac'><span class='num'><i>a</i> + 1</span>"
            "<span class='den'><i>b</i></span></span></span></p>",
            r"$1 + \frac{a + 1}{b}$",
            id="fraction in an expression of HTML",
        ),
        pytest.param(
            "<p><span class='texhtml'>√<span style='border-top:1px solid'><i>a</i> + 1</span></span></p>",
            r"$\sqrt{a + 1}$",
            id="root with a line over what it is taken of",
        ),
    ],
)
def test_formulas_as_they_are_written(body: str, expected: str) -> None:
    assert text_of(body) == expected


def test_the_longest_delimiter_of_a_page_opens() -> None:
    assert text_of("<p>So @@@@a+b@@@@ and @@c@@.</p>", OWN) == "So\n$$a+b$$\nand $c$."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>Of 5 <img alt='a smile' src='a.png'> things</p>", "Of 5 things"),
        ("<p>In math <img alt='Fig. 3' class='figure' src='b.png'> 3</p>", "In math 3"),
        ("<p>Of <span data-formula='see the table below'></span> things</p>", "Of things"),
        ("<p>Has 100% of\nthem, $5 and $6</p>", "Has 100% of them, $5 and $6"),
        ("<p>Costs $x$:</p><pre>a = b % c\n  d = e % f\n\ng</pre>", "Costs $x$:\n\na = b % c\n  d = e % f\n\ng"),
        ("<p>A <span class='frac'>fraction</span> of it</p>", "A fraction of it"),
        ("<p>2<span class='sfrac'><span class='sr-only'>+</span><span class='num'>1</span>/<span class='den'>2</span>"
         "</span></p>", "2+1/2"),
    ],
)  # fmt: skip
def test_what_is_no_formula_stays_text(body: str, expected: str) -> None:
    assert text_of(body) == expected
