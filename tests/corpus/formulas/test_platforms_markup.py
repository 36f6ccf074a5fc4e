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


def image(source: str, alt: str = "", more: str = "") -> str:
    return f'<p>So <img src="{source}" alt="{alt}" {more}> here.</p>'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(image("/i/1.gif", r"\frac{1}{2}"), r"So $\frac{1}{2}$ here.", id="a command"),
        pytest.param(image("/i/1.gif", "x^{2}"), "So $x^{2}$ here.", id="a script"),
        pytest.param(image("/i/1.gif", r"2\alpha"), r"So $2\alpha$ here.", id="a Greek letter"),
        pytest.param(image("data:image/png;base64,iVBO/tex/", r"\sqrt{x}+1"), r"So $\sqrt{x}+1$ here.", id="data: URI"),
        pytest.param(image("/i/1.gif", r"C:\alpha\beta.png"), "So here.", id="a path of Windows"),
        pytest.param(image("/i/1.gif", r"files\alpha\x"), "So here.", id="a path of folders"),
        pytest.param(image("/i/1.gif", r"Graph of \frac{1}{x} and its tangent"), "So here.", id="prose"),
        pytest.param(image("/i/1.gif", "a photograph"), "So here.", id="a photograph"),
        pytest.param(
            r'<p>So <svg role="img"><title>\frac{a}{b}</title><path d="M0"/></svg> here.</p>',
            r"So $\frac{a}{b}$ here.",
            id="the title of a drawing",
        ),
        pytest.param(
            "<p>So <svg><title>Menu</title></svg><img alt='x^{2}' src='1'> here.</p>", "So $x^{2}$ here.", id="an icon"
        ),
        pytest.param(image("/e.gif", "E = mc^2", 'width="60"'), "So E = mc^2 here.", id="an expression in a sentence"),
        pytest.param(image("/e.gif", "(x + 1)/(x - 2)"), "So (x + 1)/(x - 2) here.", id="a quotient in a sentence"),
        pytest.param(image("/e.gif", "sin(x)/x"), "So sin(x)/x here.", id="names of functions"),
        pytest.param(image("/e.gif", "12/05/2010"), "So here.", id="a date"),
        pytest.param(image("/e.gif", "area = length"), "So here.", id="words"),
        pytest.param(image("/e.gif", "x = 1", "width=640"), "So here.", id="a plot"),
    ],
)
def test_text_of_unknown_images(body: str, expected: str) -> None:
    assert text_of(body) == expected


FRACTION = "%5Cfrac%7B1%7D%7B2%7D"


@pytest.mark.parametrize(
    "source",
    [
        f"https://g.yuque.com/gr/latex?{FRACTION}#card=math&code=%5Cfrac%7B1%7D%7B2%7D&id=a",
        f"https://cdn.nlark.com/math/a.svg#card=math&code={FRACTION}&id=a",
        f"https://math.vercel.app/?from={FRACTION}",
        f"https://math.vercel.app/?inline={FRACTION}",
        f"https://math.now.sh?from={FRACTION}",
        f"https://example.org/latex/pic?math={FRACTION}",
        f"https://tex.z-dn.net/?f={FRACTION}",
        f"https://latex.ilemaths.net/latex-0.tex?{FRACTION}",
        f"https://www.sciweavers.org/tex2img.php?eq={FRACTION}&bc=White&fc=Black&im=jpg",
        f"/xwiki/bin/formula?tex={FRACTION}",
        f"http://mathurl.com/render.cgi?{FRACTION}%5Cnocache",
        f"https://latex.codecogs.com/png.image?%5Cdpi%7B110%7D%5Cbg%7Bwhite%7D{FRACTION}",
        r"https://latex.codecogs.com/gif.latex?\bg_white\fn_phv\large" + FRACTION,
        r"https://latex.codecogs.com/gif.latex?\inline&space;\dpi{150}&space;\bg_white&space;" + FRACTION,
        "https://math.21cnjy.com/MathMLToImage?mml=%3Cmath%3E%3Cmfrac%3E%3Cmn%3E1%3C%2Fmn%3E%3Cmn%3E2%3C%2Fmn%3E"
        "%3C%2Fmfrac%3E%3C%2Fmath%3E&key=1",
    ],
)
def test_formulas_in_addresses(source: str) -> None:
    assert text_of(image(source)) == r"So $\frac{1}{2}$ here."


def test_a_host_that_only_draws_formulas_has_them_in_any_field() -> None:
    assert text_of(image("https://tex.z-dn.net/?f=3x-2y")) == "So $3x-2y$ here."


@pytest.mark.parametrize(
    "source",
    [
        "/mathematics/photo.jpg?code=a_b.png",
        "https://maths.example/i.png?f=thumb_12",
        "https://maths.example/i.png?from=http://x/?a=b",
        "https://context.example/i.png?eq=a_b",
        "https://example.org/i.png?code=%5Cfrac",
    ],
)
def test_addresses_of_other_images(source: str) -> None:
    assert text_of(image(source, more='class="photo"')) == "So here."


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            '<p>So <img class="equation_image" title="x" alt="LaTeX: x^2+3" data-equation-content="x^2+3" src="/eq/1">'
            '<span class="hidden-readable"><math><msup><mi>x</mi><mn>2</mn></msup><mo>+</mo><mn>3</mn></math></span>'
            " here.</p>",
            "So $x^2+3$ here.",
            id="Canvas",
        ),
        pytest.param(
            '<p>So <span class="inline-eqn"><span class="tex"><span class="texImage"><img alt="$x^2$" src="1">'
            '</span><script type="math/tex">x^2</script></span></span> here.</p>',
            "So $x^2$ here.",
            id="IOP",
        ),
        pytest.param(
            '<p>So <span class="eq"><img alt="$x^2$" src="1"><math><msup><mi>x</mi><mn>2</mn></msup></math></span></p>',
            "So $x^2$",
            id="an image beside MathML",
        ),
        pytest.param(
            '<p>So <span><img alt="$x$" src="1.gif"> = <script type="math/tex">y^2</script></span> here.</p>',
            "So $x$ = $y^2$ here.",
            id="two formulas in one wrapper",
        ),
        pytest.param(
            '<p>So <img alt="$x$" src="1.gif"> <script type="math/tex">y^2</script> here.</p>',
            "So $x$ $y^2$ here.",
            id="two formulas in a paragraph",
        ),
        pytest.param(
            '<p>So <!-- MATH $x^{2}+1$ --><IMG SRC="img1.gif" ALT="tex2html_wrap_inline123"> here.</p>',
            "So $x^{2}+1$ here.",
            id="LaTeX2HTML's comment",
        ),
        pytest.param(
            "<p>So</p><!-- MATH\n \\begin{displaymath}\ny^{2}\n\\end{displaymath}\n --><DIV><IMG SRC='img1.gif' "
            "ALT='tex2html_wrap123'></DIV><p>here.</p>",
            "So\n\n$$y^{2}$$\n\nhere.",
            id="LaTeX2HTML's comment before a block",
        ),
        pytest.param(
            '<p>So <SPAN CLASS="MATH"><IMG SRC="img1.gif" ALT="tex2html_wrap_inline123"></SPAN> here.</p>',
            "So here.",
            id="LaTeX2HTML's name alone",
        ),
        pytest.param(
            "<p>So <!-- MATHS teacher --><img src='photo.jpg' alt='Ann'> here.</p>", "So here.", id="another comment"
        ),
    ],
)
def test_copies_and_sources_beside_images(body: str, expected: str) -> None:
    assert text_of(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param('<p>Let 2 <IMG SRC="le.gif" ALT="&lt;="> x.</p>', "Let 2 <= x.", id="a relation"),
        pytest.param('<p>An angle of 2<img src="pi.gif" alt="pi">/3.</p>', "An angle of 2 pi/3.", id="a Greek letter"),
        pytest.param('<p>The <img src="r.gif" alt="square root of"> 2.</p>', "The square root of 2.", id="a phrase"),
        pytest.param('<p>If a <img src="1.gif" alt="≠"> b.</p>', "If a ≠ b.", id="a sign"),
        pytest.param('<p>If a <img src=1.gif alt="+"> b.</p>', "If a + b.", id="an operator between"),
        pytest.param(
            '<p>If <img src=1.gif alt="pi"><img src=2.gif alt="&gt;"> 3.</p>', "If pi> 3.", id="images side by side"
        ),
        pytest.param(
            "<p>So <img src=1 alt=' ph'> <img src=2 alt=' -&gt;'> <img src=1 alt=' ph'> <img src=3 alt=Home> is.</p>",
            "So ph -> ph is.",
            id="variables beside",
        ),
        pytest.param("<p>Ann <img src=1 alt='*'><img src=1 alt='*'></p>", "Ann", id="stars of a rank"),
        pytest.param('<p><img src="x.gif" alt="+"> Open all.</p>', "Open all.", id="a button"),
        pytest.param('<p>So</p><div><img src="x.gif" alt="pi"></div>', "So", id="alone"),
    ],
)
def test_pictures_of_symbols(body: str, expected: str) -> None:
    assert text_of(body) == expected


def annotated(settings: str) -> str:
    return (
        "<p>So <math><semantics><mfrac><mn>1</mn><mn>2</mn></mfrac>"
        f'<annotation encoding="latex">{settings}</annotation></semantics></math> here.</p>'
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(annotated(r'{"version":"1.1","math":"\frac{1}{2}"}'), r"So $\frac{1}{2}$ here.", id="not escaped"),
        pytest.param(annotated(r'{"version":"1.1","math":"\\frac{1}{2}"}'), r"So $\frac{1}{2}$ here.", id="escaped"),
        pytest.param(annotated(r'{"math":"\\(\\frac{1}{2}\\)"}'), r"So $\frac{1}{2}$ here.", id="with delimiters"),
        pytest.param(annotated(r'{"math":"\(\frac{1}{2}\)"}'), r"So $\frac{1}{2}$ here.", id="bare delimiters"),
        pytest.param(annotated(r'{"latex": "a \\\\ b"}'), r"So $a \\ b$ here.", id="rows"),
        pytest.param(annotated(r"{x} + 1"), "So ${x} + 1$ here.", id="TeX in braces"),
        pytest.param("<p>Let <var>A_1, \\ldots, A_N</var> be.</p>", r"Let $A_1, \ldots, A_N$ be.", id="AtCoder"),
        pytest.param("<p>Modulo <var>10^9+7</var>.</p>", "Modulo $10^9+7$.", id="AtCoder, a power"),
        pytest.param("<p>In <var>1 \\leq N \\leq 10^5</var>.</p>", r"In $1 \leq N \leq 10^5$.", id="AtCoder, bounds"),
        pytest.param("<p>In <var>\\max(A_i, B_{i+1})</var>.</p>", r"In $\max(A_i, B_{i+1})$.", id="AtCoder, scripts"),
        *(
            pytest.param(f"<p>Set <var>{name}</var> now.</p>", f"Set {name} now.", id=f"var {name}")
            for name in ("my_variable_name", "n_args", "__init__", "HEAD^", "^C", "max_2", "C:\\temp", "N")
        ),
        pytest.param('<p>So <span class="asciimath">x^2/3</span>.</p>', r"So $\frac{x^2}{3}$.", id="Discourse"),
        pytest.param('<p>So <span class="AM">`x^2/3`</span> here.</p>', r"So $\frac{x^2}{3}$ here.", id="IMathAS"),
        pytest.param('<p>At <span class="AM">AM</span> here.</p>', "At AM here.", id="before noon"),
    ],
)
def test_elements_of_platforms(body: str, expected: str) -> None:
    assert text_of(body) == expected


LINE = 'style="border-bottom:1px solid black"'
UNDER = "style='border-top:1px solid'"


def jyeoo(inner: str) -> str:
    return f'<p>So <span class="MathJye" mathtag="math">{inner}</span> here.</p>'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            jyeoo(f"<table><tr><td {LINE}>1</td></tr><tr><td>x</td></tr></table>"),
            r"So $\frac{1}{x}$ here.",
            id="fraction",
        ),
        pytest.param(
            jyeoo('<table><tr><td><img src="/img/root.png"></td><td style="border-top:black 1px">ab</td></tr></table>'),
            r"So $\sqrt{ab}$ here.",
            id="root with an image",
        ),
        pytest.param(
            jyeoo(
                '2<table><tr><td><font>√</font></td><td style="border-top: 1px solid">3</td></tr></table>+x<sup>2</sup>'
            ),
            r"So $2\sqrt{3}+x^2$ here.",
            id="root in an expression",
        ),
        pytest.param(
            jyeoo(
                f"<table><tr><td {LINE}>a+<table><tr><td>√</td><td {UNDER}>2</td></tr></table></td>"
                "</tr><tr><td>b<sub>1</sub></td></tr></table>"
            ),
            r"So $\frac{a+\sqrt{2}}{b_1}$ here.",
            id="nested",
        ),
        pytest.param(
            jyeoo("{<table><tr><td>x=1</td></tr><tr><td>y=2</td></tr></table>"),
            r"So $\{\begin{matrix} x=1 \\ y=2 \end{matrix}$ here.",
            id="rows without a line",
        ),
        pytest.param(jyeoo("x<sup>2</sup>-1"), "So $x^2-1$ here.", id="scripts"),
    ],
)
def test_formulas_laid_out_in_tables(body: str, expected: str) -> None:
    assert text_of(body) == expected
