"""Raised and lowered text of plain HTML: powers and indices are mathematics, footnotes and ordinals are not."""

from __future__ import annotations

import pytest

from mathwright.corpus.extract import extract

AROUND = "<p>The lesson begins with a paragraph that is read, since it is long enough to be one.</p>"
END = "<p>It ends with one.</p>"


def text_of(html: str) -> str:
    text = extract(f"<html><body>{AROUND}<p>{html}</p>{END}</body></html>".encode(), "http://example.org/").text
    return text.split("\n\n", 1)[1].rsplit("\n\n", 1)[0]


MATHEMATICS = [
    # letters that are words, too
    ("that a<sup>2</sup> + b<sup>2</sup> = c<sup>2</sup>", "that $a^2$ + $b^2$ = $c^2$"),
    ("2a<sup>4</sup> - 5a<sup>3</sup> + a<sup>2</sup>", "2$a^4$ - 5$a^3$ + $a^2$"),
    ("P = I<sup>2</sup>R", "P = $I^2$R"),
    # products
    ("E = mc<sup>2</sup>", "E = $mc^2$"),
    ("ax<sup>2</sup> + bx + c = 0", "$ax^2$ + bx + c = 0"),
    ("½mv<sup>2</sup>", "$\\frac{1}{2}mv^2$"),
    ("4πr<sup>2</sup>h", "4$\\pi r^2$h"),
    ("5xy<sup>3</sup> - 2ab<sup>4</sup>", "5$xy^3$ - 2$ab^4$"),
    ("nx<sup>n-1</sup>", "$nx^{n-1}$"),
    ("y = Ce<sup>kt</sup>", "y = $Ce^{kt}$"),
    ("F = Gm<sub>1</sub>m<sub>2</sub>/r<sup>2</sup>", "F = $Gm_1 m_2$/$r^2$"),
    ("GL<sub>n</sub>(R)", "$GL_n$(R)"),
    ("AB<sup>2</sup> + BC<sup>2</sup> = AC<sup>2</sup>", "$AB^2$ + $BC^2$ = $AC^2$"),
    ("x<sup>2</sup>y<sup>3</sup>", "$x^2 y^3$"),
    # scripts
    ("10<sup>–3</sup>, x<sup>n–1</sup>, sin<sup>–1</sup> x, x<sub>n–1</sub>",
     "$10^{-3}$, $x^{n-1}$, $\\sin^{-1}$ x, $x_{n-1}$"),
    ("10<sup>‑3</sup>", "$10^{-3}$"),
    ("x<sup>(n+1)/2</sup>, 2<sup>√2</sup>, 5<sup>2×3</sup>", "$x^{(n+1)/2}$, $2^{\\surd 2}$, $5^{2\\times 3}$"),
    ("max<sub>x∈S</sub>, ∑<sub>i∈I</sub>", "$\\max_{x\\in S}$, $\\sum_{i\\in I}$"),
    ("x<sup>a</sup>/x<sup>b</sup>", "$x^a$/$x^b$"),
    ("F<sub>total</sub> = 3", "$F_{\\mathrm{total}}$ = 3"),
    # brackets
    ("(1.05)<sup>n</sup>, 500(0.9)<sup>x</sup>, (-1)<sup>n+1</sup>", "$(1.05)^n$, 500$(0.9)^x$, $(-1)^{n+1}$"),
    ("A = P(1 + r/n)<sup>nt</sup>", "A = $P(1 + r/n)^{nt}$"),
    ("(x<sup>2</sup> + y<sup>2</sup>)<sup>1/2</sup>", "$(x^2 + y^2)^{1/2}$"),
    ("(<i>a</i> + <i>b</i>)<sup>2</sup>", "$(a + b)^2$"),
    ("((a + (b))c)<sup>n</sup>", "$((a + (b))c)^n$"),
    ("‖x‖<sub>2</sub>, ⟨x,y⟩<sup>2</sup>, ⌊x⌋<sup>2</sup>, ||v||<sup>2</sup>",
     "$\\|x\\|_2$, $\\langle x,y\\rangle^2$, $\\lfloor x\\rfloor^2$, $||v||^2$"),
    ("<big>(</big>a + b<big>)</big><sup>2</sup> = 4", "$(a + b)^2$ = 4"),
    ("[F(x)]<sub>a</sub><sup>b</sup>, F(x)|<sub>0</sub><sup>1</sup>", "$[F(x)]_a^b$, F(x)$|_0^1$"),
    # numbers
    ("0.5<sup>n</sup>, 100<sup>x</sup>, 1024<sup>k</sup>", "$0.5^n$, $100^x$, $1024^k$"),
    ("7F<sub>16</sub>, 777<sub>eight</sub>, 1011<sub>2</sub>", "$7F_{16}$, $777_{\\mathrm{eight}}$, $1011_2$"),
    ("123<sup>4</sup> = 228886641", "$123^4$ = 228886641"),
    # operators
    ("∫<sub>a</sub><sup>b</sup>f(x)dx, ∫<sup>b</sup><sub>a</sub>, log<sub>a</sub>x",
     "$\\int_a^b$f(x)dx, $\\int^b_a$, $\\log_a$x"),
    # wrappers and white space
    ("x<span><sup>2</sup></span>, <i>x</i><i><sup>2</sup></i>, 10<i><sup>n</sup></i>", "$x^2$, $x^2$, $10^n$"),
    ("x <sup>2</sup> + y <sup>2</sup> = 4, log <sub>2</sub> 8, a <sub>n</sub>",
     "$x^2$ + $y^2$ = 4, $\\log_2$ 8, $a_n$"),
    ('x<span style="display:inline-block"><sup style="font-size:inherit">2</sup><br /><sub>i</sub></span>', "$x^2_i$"),
    # raised by a length
    ('x<span style="vertical-align:0.4em;font-size:70%">2</span>, a<span '
     'style="vertical-align:-3pt;font-size:8pt">1</span>',
     "$x^2$, $a_1$"),
    ('10<span style="position:relative;top:-4.0pt;mso-text-raise:4.0pt;font-size:7.0pt">6</span>', "$10^6$"),
    ('x<span style="position:relative;bottom:0.5em;font-size:0.7em">2</span>', "$x^2$"),
    # no chemistry
    ("P<sub>1</sub>V<sub>1</sub> = P<sub>2</sub>V<sub>2</sub>", "$P_1 V_1$ = $P_2 V_2$"),
    ("H<sub>0</sub>: μ = 5", "$H_0$: μ = 5"),
    # before the symbol
    ("<sup>10</sup>C<sub>3</sub> = 120, <sub>n</sub>C<sub>r</sub>", "${}^{10}C_3$ = 120, ${}_nC_r$"),
    # accents
    ("x̄<sub>1</sub>, ŷ<sub>i</sub>, 𝑥<sup>2</sup>", "$\\bar{x}_1$, $\\hat{y}_i$, $x^2$"),
]  # fmt: skip


@pytest.mark.parametrize(("html", "expected"), MATHEMATICS, ids=lambda value: value[:40])
def test_mathematics(html: str, expected: str) -> None:
    assert text_of(html) == expected


OTHERS = [
    ("the table a<sup>2</sup> shows, and I<sup>3</sup> say", "the table a2 shows, and I3 say"),
    ("the 1<sup>st</sup>, 5<sup>eme</sup>, 1<sup>ers</sup>, n<sup>os</sup>, 3<sup>ra</sup>",
     "the 1st, 5eme, 1ers, nos, 3ra"),
    ("M<sup>r</sup> Smith, S<sup>t</sup> Paul, M<sup>c</sup>Coy", "Mr Smith, St Paul, McCoy"),
    ("in 2010<sup>3</sup>, 2001<sup>2, 3</sup>, 2002<sup>2-4</sup>, 45<sup>12,13,15</sup>",
     "in 2010³, 2001², ³, 2002²⁻⁴, 45¹²,¹³,¹⁵"),
    ("2003<sup><a href='#r2'>2</a>,<a href='#r3'>3</a></sup> x", "2003²,³ x"),
    ("13<sup>b</sup> and 14<sup>ab</sup> and 12<sup>*</sup> and 12<sup>(3)</sup>", "13b and 14ab and 12* and 12(3)"),
    ("In 1998<a href='#n1' role='doc-noteref'>1</a> and 42<a class='footnote-ref' href='#fn1'>1</a>",
     "In 1998¹ and 42¹"),
    ("Only $12<sup>99</sup> today", "Only $12.99 today"),
    ("1<sup>1</sup>/2 cups, 5<sup>3</sup>/8 inch", "1 1/2 cups, 5 3/8 inch"),
    ("5 ms<sup>–2</sup>, 3 J kg<sup>–1</sup>, 4 m<sup>2</sup>", "5 ms⁻², 3 J kg⁻¹, 4 m²"),
    ("CO<sub>2</sub> and H<sub>2</sub>O", "CO2 and H2O"),
    ("SO<sub>4</sub><sup>2−</sup>", "SO₄²⁻"),
    ("<sup>14</sup><sub>6</sub>C, <sup>235</sup>U", "¹⁴₆C, ²³⁵U"),
    ("<sup>1</sup>University of the North", "1 University of the North"),
    ("and/or<sup>2</sup> the cost<sup>3</sup> - which is", "and/or2 the cost3 - which is"),
    ("the (k+1)<sup>th</sup>, Tracker™<sup>1</sup>, RTK<sup>n</sup>", "the (k+1)th, Tracker™1, RTKn"),
    ("(see below)<sup>3</sup>", "(see below)³"),
]  # fmt: skip


@pytest.mark.parametrize(("html", "expected"), OTHERS, ids=lambda value: value[:40])
def test_what_is_none(html: str, expected: str) -> None:
    assert text_of(html) == expected


FRACTIONS = [
    ('<span class="frac nowrap">3<sup>1</sup>⁄<sub>4</sub></span>', "$3\\frac{1}{4}$"),
    ('<span class="frac">5<sup>&nbsp;1</sup>&frasl;<sub>2</sub></span>', "$5\\frac{1}{2}$"),
    ('<span class="fraction"><span class="whole">2</span><span class="num">1</span><span class="den">3</span></span>',
     "$2\\frac{1}{3}$"),
    ('<span class="frac">11<sup>1</sup>⁄<sub>2</sub></span>', "$11\\frac{1}{2}$"),
    ('<span class="mfrac"><span class="mnum">12</span><span class="mden">34</span></span>', "$\\frac{12}{34}$"),
    ('<span class="bruch"><span class="zaehler">1</span><span class="nenner">2</span></span>', "$\\frac{1}{2}$"),
    ('x = <span style="display:inline-block"><span style="display:block;border-bottom:1px '
     'solid">a+b</span><span style="display:block">c</span></span>',
     "x = $\\frac{a+b}{c}$"),
    ('0.<span style="text-decoration:overline;">3</span> = 1/3', "$0.\\overline{3}$ = 1/3"),
    ('0.1<span class="overline">6</span>, 0.<span class="vinculum">142857</span>',
     "$0.1\\overline{6}$, $0.\\overline{142857}$"),
    ('P(<span style="text-decoration:overline">A</span>) = 1 - P(A)', "P($\\overline{A}$) = 1 - P(A)"),
    ('is &radic;<span style="border-top:1px solid">x + 1</span> here', "is $\\sqrt{x + 1}$ here"),
]  # fmt: skip


@pytest.mark.parametrize(("html", "expected"), FRACTIONS, ids=lambda value: value[:40])
def test_fractions_and_lines_above(html: str, expected: str) -> None:
    assert text_of(html) == expected
