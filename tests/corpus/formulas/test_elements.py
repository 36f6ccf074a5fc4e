"""MathML to TeX, TeX between delimiters, and what only looks like it."""

import html
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.delimiters import find_delimited
from mathwright.corpus.formulas.dollars import is_configured_formula, is_inline_formula
from mathwright.corpus.formulas.elements import KINDS
from mathwright.corpus.formulas.images import tex_in_address
from mathwright.corpus.formulas.katex import katex_to_tex
from mathwright.corpus.formulas.macros import find_definitions, used_definitions
from mathwright.corpus.formulas.mathml.presentation import mathml_to_tex
from mathwright.corpus.formulas.placeholders import EMPHASIS, STRONG, Formulas, clean_tex, restore
from mathwright.corpus.formulas.symbols import join, to_tex, trim
from tests.properties import examples

MATHML = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "golden" / "extract_mathml.jsonl").read_bytes().splitlines()
]


@pytest.mark.parametrize("case", MATHML, ids=lambda case: case["reason"])
def test_golden_mathml(case: dict) -> None:
    document = HTMLTree.parse(f"<math>{case['mathml']}</math>").document
    assert document is not None
    assert mathml_to_tex(document.query_selector("math")) == case["tex"]


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("≤", r"\leq"), ("ℝ", r"\mathbb{R}"), ("𝐱𝐲", r"\mathbf{xy}"), ("𝑥", "x"), ("𝛼", r"\alpha"), ("x", "x"),
        ("⊗", r"\otimes"), ("\u2061", ""), ("文", "文"), ("αx", r"\alpha x"), ("50%", r"50\%"),
    ],
)  # fmt: skip
def test_characters(text: str, tex: str) -> None:
    assert to_tex(text) == tex


@pytest.mark.parametrize(
    ("tex", "trimmed"),
    [
        (" x ", "x"), (r"\ ", r"\ "), (r" x\  ", r"x\ "), ("x\\\n", r"x\ "), (r" \\ ", r"\\"), (r" \\\ ", r"\\\ "),
        ("\\", "\\"), ("", ""), (" ", ""),
    ],
)  # fmt: skip
def test_trimming_leaves_the_space_of_an_escape(tex: str, trimmed: str) -> None:
    assert trim(tex) == trimmed


def test_join_separates_a_command_from_a_letter_only() -> None:
    assert join(r"\alpha", "x") == r"\alpha x"
    assert join(r"\alpha", "+") == r"\alpha+"
    assert join("x_i", "y") == "x_i y"
    assert join("", "x") == "x"


@pytest.mark.parametrize(
    ("inner", "formula"),
    [
        ("x", True), ("5", True), ("x+1", True), (r" \alpha ", True), ("n log n", True), ("a_1, a_2", True),
        ("5 and ", False), ("10 million to ", False), (" HOME ", False), ("", False), (" ", False),
        ("3.50 per pound, about ", False), ("100 for the first three months or ", False),
        ("HOME_DIR and ", False), ("{a} and ", False), ("('#x').hide(); ", False), ("a->b and ", False),
        ("i=0; ", False),
        (" 5.00 = 4 euros and ", False), ("x_1 ", True), (" x_1 ", True), ("5 = 2 + 3", True), ("x = max(a, b)", True),
    ],
)  # fmt: skip
def test_between_two_dollars(inner: str, formula: bool) -> None:
    assert is_inline_formula(inner) is formula


@pytest.mark.parametrize(
    ("inner", "formula"),
    [(" x ", True), ("n log n", True), ("5", True), ("5 and then ", False), ("for each of them ", False), (" ", False)],
)
def test_between_two_dollars_where_the_page_says_that_they_delimit(inner: str, formula: bool) -> None:
    assert is_configured_formula(inner) is formula


@pytest.mark.parametrize(
    ("tex", "cleaned"),
    [
        (r"{\displaystyle E=mc^{2}}", ("E=mc^{2}", None)),
        (r"{\displaystyle a}+{b}", (r"{\displaystyle a}+{b}", None)),
        (r"\displaystyle x", ("x", None)),
        (r"\displaystylex", (r"\displaystylex", None)),
        (r"$x$", ("x", False)),
        (r"\[x\]", ("x", True)),
        ("$a$ and $b$", ("$a$ and $b$", None)),
        ("% <![CDATA[\na<b\n%]]>", ("a<b", None)),
        ("x\\ ", ("x\\ ", None)),
        ("$x\\ $", ("x\\ ", False)),
        ("$5 and 6\\$", ("$5 and 6\\$", None)),
        (r"\[x\\]", (r"\[x\\]", None)),
        (r"{\displaystyle x\ }", (r"x\ ", None)),
        (r"{\displaystyle x\}", (r"{\displaystyle x\}", None)),
    ],
)
def test_clean_tex(tex: str, cleaned: tuple[str, bool | None]) -> None:
    assert clean_tex(tex) == cleaned


@given(st.text(alphabet="a1 $\\()[]{}\n&<begin", max_size=80))
def test_looking_for_delimiters_changes_no_character(text: str) -> None:
    r"""Nothing but the delimiters and the space around formulas may change: \(..\) -> $..$, \[..\] -> $$..$$."""

    def letters(text: str) -> str:
        for delimiter in ("\\(", "\\)", "\\[", "\\]", "$"):
            text = text.replace(delimiter, "")
        return "".join(text.split())

    formulas = Formulas()
    restored, counts = restore(find_delimited(text, formulas), formulas)
    assert letters(restored) == letters(text)
    assert sum(counts.values()) == len(formulas.tex)


def test_formulas_thrown_away_with_boilerplate_are_not_counted() -> None:
    formulas = Formulas()
    kept = formulas.add("x", False, "mathml")
    formulas.add("y", False, "mathml")
    assert restore(f"a {kept} b", formulas) == ("a $x$ b", {"mathml": 1})


def test_a_page_that_cuts_an_escape_in_two_does_not_escape_the_dollar_that_closes() -> None:
    formulas = Formulas()
    cut, whole = formulas.add("x\\", False, "attribute"), formulas.add(r"x\\", False, "attribute")
    assert restore(f"{cut} and {whole}", formulas)[0] == r"$x\ $ and $x\\$"


def test_a_formula_inside_a_formula_is_written_once() -> None:
    formulas = Formulas()
    inner = formulas.add("x^2", False, "image")
    text, _ = restore(find_delimited(f"so $a + {inner}$ is", formulas), formulas)
    assert text == "so $a + x^2$ is"


# --- whatever the markup is ----------------------------------------------------------------------------

_LEAF = st.tuples(
    st.sampled_from(["mi", "mn", "mo", "mtext", "ms", "mspace", "none", "mprescripts", "ci", "cn", "plus", "bogus"]),
    st.text(alphabet="xy12{}()[]|\\$%&_^~#α∑→ℝ′−⁡ |,;", max_size=4),
)
_ATTRIBUTES = st.sampled_from(
    ["", "mathvariant='bold'", "stretchy='false'", "linethickness='0'", "notation='box circle'", "open='{' close=''",
     "columnlines='solid'", "form='prefix'", "bevelled='true'", "width='-1.5em'", "selection='9'", "separators='{}'"]
)  # fmt: skip
_INNER = [
    "mrow", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover", "mmultiscripts",
    "mtable", "mtr", "mlabeledtr", "mtd", "mfenced", "menclose", "mstyle", "mphantom", "maction", "semantics",
    "annotation-xml", "apply", "piecewise", "piece", "set", "interval", "lambda", "bvar", "merror", "mpadded",
]  # fmt: skip
_MARKUP = st.recursive(
    _LEAF.map(lambda leaf: f"<{leaf[0]}>{html.escape(leaf[1])}</{leaf[0]}>"),
    lambda inner: st.tuples(st.sampled_from(_INNER), _ATTRIBUTES, st.lists(inner, max_size=4)).map(
        lambda node: f"<{node[0]} {node[1]}>{''.join(node[2])}</{node[0]}>"
    ),
    max_leaves=25,
)


def assert_balanced(tex: str) -> None:
    depth = 0
    for mark in re.findall(r"\\.|[{}]", tex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(mark, 0)
        assert depth >= 0, tex
    assert depth == 0, tex
    assert tex.count(r"\begin{") == tex.count(r"\end{")
    assert len(re.findall(r"\\left(?![a-z])", tex)) == len(re.findall(r"\\right(?![a-z])", tex)), tex
    assert "$" not in tex.replace(r"\$", ""), tex
    assert "\\" not in re.sub(r"\\.", "", tex, flags=re.DOTALL), f"a backslash at the end escapes what follows: {tex}"


@examples(300)
@given(_MARKUP)
def test_any_mathml_gives_balanced_tex(markup: str) -> None:
    document = HTMLTree.parse(f"<math>{markup}</math>").document
    assert document is not None
    assert_balanced(mathml_to_tex(document.query_selector("math")))


_KATEX_TEXT = "<span class='mord text'><span class='mord'>\xa0</span></span>"
_KATEX_LIST = "<span class='vlist-t'><span class='vlist-r'><span class='vlist'>{}</span></span></span>"


def katex_box(content: str, top: str) -> str:
    return f"<span style='top:{top}em'>{content}</span>"


@pytest.mark.parametrize(
    ("markup", "tex"),
    [
        (f"<span class='mord'>x</span>{_KATEX_TEXT}", r"x\ "),
        (f"<span class='mord overline'>{_KATEX_TEXT}</span>", r"\overline{\ }"),
        (f"<span class='mord underline'>{_KATEX_TEXT}</span>", r"\underline{\ }"),
        (f"<span class='mord sqrt'><span class='svg-align'>{_KATEX_TEXT}</span></span>", r"\sqrt{\ }"),
        (f"<span class='msupsub'>{_KATEX_LIST.format(katex_box(_KATEX_TEXT, '-3.1'))}</span>", r"^{\ }"),
        ("<span class='mfrac'>" + _KATEX_LIST.format(
            katex_box(_KATEX_TEXT, "-2.3") + katex_box("<span class='frac-line'></span>", "-3.2")
            + katex_box(_KATEX_TEXT, "-3.7")) + "</span>", r"\frac{\ }{\ }"),
    ],
)  # fmt: skip
def test_katex_keeps_the_space_of_an_escape(markup: str, tex: str) -> None:
    document = HTMLTree.parse(f"<span class='katex-html'>{markup}</span>").document
    assert document is not None
    found = katex_to_tex(document.query_selector(".katex-html"))
    assert found == tex
    assert_balanced(found)


def katex_rows(*rows: str) -> str:
    boxes = "".join(f"<span style='top:{top}em'><span class='pstrut' style='height:3em'></span>{row}</span>"
                    for top, row in zip((-3.61, -2.41), rows, strict=True))  # fmt: skip
    return f"<span class='col-align-l'>{_KATEX_LIST.format(boxes)}</span>"


_KATEX_NOT = "<span class='mrel'><span class='rlap'><span class='inner'>\ue020</span></span></span>"
_KATEX_SLASH = "<span class='llap'><span class='inner'><span class='mord'>/</span></span></span>"
_KATEX_RULES = "".join(
    f"<span style='top:{top}em'><span class='pstrut' style='height:3.45em'></span><span class='hline'></span></span>"
    for top in (-2.5, -3.7, -4.9)
)


@pytest.mark.parametrize(
    ("markup", "tex"),
    [
        pytest.param(f"x<span class='mrel'>{_KATEX_NOT}<span class='mrel'>=</span></span>", r"x \neq", id="not equal"),
        pytest.param(f"x<span class='mrel'><span class='mrel'>∈</span>{_KATEX_SLASH}</span>", r"x \notin", id="not in"),
        pytest.param("<span class='mord'>∣</span>x<span class='mord'>∣</span>", "|x|", id="bars"),
        pytest.param("a<span class='mrel'>∣</span>b", r"a \mid b", id="divides"),
        pytest.param("<span class='mopen'><span class='delimsizing size1'>(</span></span>x", r"\bigl(x", id="opening"),
        pytest.param("<span class='mord'><span class='delimsizing size2'>)</span></span>", r"\Big)", id="ordinary"),
        pytest.param("x<span class='mspace' style='margin-right:1em;'></span>y", r"x \quad y", id="quad"),
        pytest.param("<span class='mord mathsf'>PR</span><span class='mord'><span class='mord mathsf'>F</span>"
            f"<span class='msupsub'>{_KATEX_LIST.format(katex_box('<i class=mathsf>nk</i>', '-3.1'))}</span></span>",
            r"\mathsf{PRF^{nk}}", id="one font over a script"),
        pytest.param(f"q<span class='msupsub'>{_KATEX_LIST.format(katex_box('<span class=mathit>last</span>', '-3.1'))}"
            "</span>", r"q^\mathit{last}", id="script without braces"),
        pytest.param(_KATEX_LIST.format("<span style='top:-3.45em'><span class='pstrut' style='height:3.45em'></span>"
            f"<span class='mtable'>{katex_rows('a', 'b')}</span></span>{_KATEX_RULES}"),
            r"\begin{array}{l} \hline a \\ \hline b \\ \hline \end{array}", id="rules of a table"),
    ],
)  # fmt: skip
def test_katex_read_back(markup: str, tex: str) -> None:
    document = HTMLTree.parse(f"<span class='katex-html'>{markup}</span>").document
    assert document is not None
    assert katex_to_tex(document.query_selector(".katex-html")) == tex


# --- kinds, macros, literal places ----------------------------------------------------------------------


def test_every_kind_is_described_and_has_a_golden_page() -> None:
    pages = [
        json.loads(line)
        for line in (Path(__file__).parents[2] / "golden" / "extract_pages.jsonl").read_bytes().splitlines()
    ]
    seen = {kind for case in pages for kind in case["notation"]}
    # MathML with TeX in alttext, but not by LaTeXML: read with the same function as LaTeXML's.
    assert seen == KINDS.keys() - {"mathml_alttext"}


@pytest.mark.parametrize(
    ("text", "definitions"),
    [
        (r"\newcommand{\RR}{\mathbb{R}}", {"RR": r"\newcommand{\RR}{\mathbb{R}}"}),
        (r"\newcommand\x[1]{a{#1}b} c", {"x": r"\newcommand\x[1]{a{#1}b}"}),
        (r"\renewcommand*{\vec}[2][a]{#1 #2}", {"vec": r"\renewcommand*{\vec}[2][a]{#1 #2}"}),
        (r"\def\set#1#2{\{#1 \mid #2\}}", {"set": r"\def\set#1#2{\{#1 \mid #2\}}"}),
        (r"\DeclareMathOperator*{\argmax}{arg\,max}", {"argmax": r"\DeclareMathOperator*{\argmax}{arg\,max}"}),
        (r"\DeclarePairedDelimiter{\abs}{\lvert}{\rvert}",
         {"abs": r"\DeclarePairedDelimiter{\abs}{\lvert}{\rvert}"}),
        (r"\let\eps=\varepsilon", {"eps": r"\let\eps=\varepsilon"}),
        (r"\newcommand{\a}{1} \newcommand{\a}{2}", {"a": r"\newcommand{\a}{2}"}),
        (r"\newcommand{\cut}{{", {}),
        (r"\newcommand{\cut}", {}),
        (r"\defect{x}", {}),
    ],
)  # fmt: skip
def test_definitions_of_macros(text: str, definitions: dict[str, str]) -> None:
    assert find_definitions(text) == definitions


def test_definitions_in_use_are_found_through_other_definitions() -> None:
    definitions = {"a": r"\def\a{\b}", "b": r"\def\b{1}", "c": r"\def\c{2}"}
    assert used_definitions([r"x + \a"], definitions) == [r"\def\a{\b}", r"\def\b{1}"]
    assert used_definitions([r"\ab"], definitions) == []


@given(st.text(alphabet="a_*^ ${}\\()\n" + EMPHASIS + STRONG, max_size=60))
def test_no_mark_of_emphasis_is_left(text: str) -> None:
    formulas = Formulas()
    restored, _ = restore(find_delimited(text, formulas), formulas)
    assert EMPHASIS not in restored and STRONG not in restored
    assert sum(map(str.isalpha, restored)) == text.count("a"), "no letter comes or goes"


def test_images_in_addresses_are_decoded_once() -> None:
    assert tex_in_address("https://latex.codecogs.com/gif.latex?%2525%20+") == "%25 +"
    assert tex_in_address("//s0.wp.com/latex.php?bg=fff&latex=a%2Bb+%252B&fg=0") == "a+b %2B"
    assert tex_in_address("/img/photo.png?tex=1") == ""
