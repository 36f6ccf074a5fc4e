"""Formulas in the markup of single platforms, and what only looks like such markup."""

import pytest

from mathwright.corpus.extract import extract

BEFORE = "<p>An opening paragraph with enough words in it to be the text of a page that somebody wrote.</p>"


def text_of(body: str, head: str = "") -> str:
    page = f"<!DOCTYPE html><html><head>{head}</head><body><article>{BEFORE}{body}</article></body></html>"
    return extract(page.encode(), "https://example.org/").text.removeprefix(BEFORE[3:-4]).strip()


def math(inner: str) -> str:
    return f"<p>So <math>{inner}</math> here.</p>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            math('<cn type="e-notation">6.02<sep/>23</cn>'), r"So $6.02\times 10^{23}$ here.", id="e-notation"
        ),
        pytest.param(math('<cn type="rational">1<sep/>3</cn>'), r"So $\frac{1}{3}$ here.", id="rational"),
        pytest.param(math('<cn type="complex-cartesian">1<sep/>2</cn>'), "So $1+2i$ here.", id="complex"),
        pytest.param(math('<cn type="complex-cartesian">1<sep/>-2</cn>'), "So $1-2i$ here.", id="complex, minus"),
        pytest.param(math('<cn type="complex-polar">2<sep/>3</cn>'), "So $2 e^{3i}$ here.", id="polar"),
        pytest.param(math("<cn>12</cn>"), "So $12$ here.", id="plain number"),
        pytest.param(
            math("<mstack><mn>424</mn><msrow><mo>+</mo><mn>33</mn></msrow><msline/><mn>457</mn></mstack>"),
            r"So $\begin{array}{r} 424 \\ +33 \\ \hline 457 \end{array}$ here.",
            id="column addition",
        ),
        pytest.param(
            math(
                "<mlongdiv><mn>3</mn><mn>435.3</mn><mn>1306</mn><msgroup><msrow><mn>12</mn></msrow><msline/>"
                "<mn>10</mn></msgroup></mlongdiv>"
            ),
            r"So $\begin{array}{r} 435.3 \\ 3\overline{)1306} \\ 12 \\ \hline 10 \end{array}$ here.",
            id="long division",
        ),
    ],
)
def test_numbers_and_columns_of_mathml(body: str, expected: str) -> None:
    assert text_of(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            '<p>So <span class="dcg-mq-math-mode"><span class="dcg-mq-root-block"><var>x</var><span class='
            '"dcg-mq-supsub dcg-mq-sup-only"><span class="dcg-mq-sup">2</span></span>+<span class="dcg-mq-fraction '
            'dcg-mq-non-leaf"><span class="dcg-mq-numerator">1</span><span class="dcg-mq-denominator">y</span></span>'
            "</span></span> here.</p>",
            r"So $x^{2}+\frac{1}{y}$ here.",
            id="MathQuill with Desmos' prefix",
        ),
        pytest.param(
            "<p>So <m:oMath><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>"
            "</m:oMath> here.</p>",
            r"So $\frac{1}{2}$ here.",
            id="OMML",
        ),
        pytest.param(
            "<p>So</p><m:omathpara><m:omath><m:ssup><m:e><m:r>x</m:r></m:e><m:sup><m:r>2</m:r></m:sup></m:ssup>"
            "</m:omath></m:omathpara><p>here.</p>",
            "So\n\n$$x^2$$\n\nhere.",
            id="OMML, a display in small letters",
        ),
        pytest.param(
            "<p>So <m:oMath><m:rad><m:radPr><m:degHide m:val='1'/></m:radPr><m:deg/><m:e><m:r><m:t>y</m:t></m:r></m:e>"
            "</m:rad></m:oMath>, <m:oMath><m:r><m:t>n</m:t></m:r></m:oMath>.</p>",
            r"So $\sqrt{y}$, $n$.",
            id="OMML with elements closed in themselves",
        ),
        pytest.param("<p>So <m:oMath><m:r><m:t>n</m:t></m:r> without end</p>", "So n without end", id="OMML, cut off"),
        pytest.param(
            "<p>So «math xmlns=¨http://www.w3.org/1998/Math/MathML¨»«msup»«mi»x«/mi»«mn»2«/mn»«/msup»«mo»§#177;«/mo»"
            "«mn»1«/mn»«/math» here.</p>",
            r"So $x^2 \pm 1$ here.",
            id="Wiris' safe MathML in the text",
        ),
        pytest.param(
            "<p>So &laquo;math&raquo;&laquo;msup&raquo;&laquo;mi&raquo;x&laquo;/mi&raquo;&laquo;mn&raquo;2"
            "&laquo;/mn&raquo;&laquo;/msup&raquo;&laquo;/math&raquo; here.</p>",
            "So $x^2$ here.",
            id="Wiris' safe MathML in entities",
        ),
        pytest.param(
            '<p>So <img class="Wirisformula" src="x.png" alt="x squared" data-mathml="«math»«msup»«mi»x«/mi»«mn»2«/mn»'
            '«/msup»«/math»"> here.</p>',
            "So $x^2$ here.",
            id="Wiris' safe MathML in an attribute stays there",
        ),
        pytest.param("<p>On dit «math» ou «/math».</p>", "On dit «math» ou «/math».", id="a word in quotation marks"),
    ],
)
def test_editors(body: str, expected: str) -> None:
    assert text_of(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("<p>Given $$$n$$$ and $$$a_i \\le 5$$$.</p>", r"Given $n$ and $a_i \le 5$.", id="three dollars"),
        pytest.param(
            "<p>The sum is $$$$$$\\sum_{i} a_i$$$$$$ here.</p>",
            "The sum is\n$$\\sum_{i} a_i$$\nhere.",
            id="six dollars",
        ),
        pytest.param("<p>From $$$ to $$$$.</p>", "From $$$ to $$$$.", id="classes of prices"),
        pytest.param("<p>Get $$$CASH$$$ now, $$$ - $$$.</p>", "Get $$$CASH$$$ now, $$$ - $$$.", id="words in dollars"),
        pytest.param("<p>Let [;x^2;] and [; \\alpha ;].</p>", r"Let $x^2$ and $\alpha$.", id="TeX the World"),
        pytest.param(
            "<p>Write [;comment] or [; more words ;].</p>", "Write [;comment] or [; more words ;].", id="no TeX"
        ),
        pytest.param("<p>Use <code>[;x^2;]</code> and [;y;].</p>", "Use [;x^2;] and $y$.", id="TeX the World in code"),
        pytest.param(
            "<p>Let |$x^2$| be |$a$| and |$\\beta$|, |$y$|.</p>", r"Let $x^2$ be $a$ and $\beta$, $y$.", id="bars"
        ),
        pytest.param(
            "<p>The size |$A$| of $A$ and $B$, $C$.</p>", "The size |$A$| of $A$ and $B$, $C$.", id="one size"
        ),
    ],
)
def test_delimiters_of_platforms(body: str, expected: str) -> None:
    assert text_of(body) == expected
