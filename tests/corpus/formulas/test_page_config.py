"""What a page tells MathJax and KaTeX, and the JavaScript it says it in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.js_literal import read_literal
from mathwright.corpus.formulas.page_config import MathConfig, read_config


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (r"""[['$','$'], ["\\(","\\)"]]""", [["$", "$"], ["\\(", "\\)"]]),
        (r"""{RR: "{\\bf R}", bold: ["{\\bf #1}", 1,],}""", {"RR": r"{\bf R}", "bold": [r"{\bf #1}", 1]}),
        ("{a: true, 'b': null, 2: -1.5e1}", {"a": True, "b": None, "2": -15.0}),
        ("[1, /* two */ 2, // three\n 3]", [1, 2, 3]),
        (r"'\u0041\x42\u{43}\q\
d'", "ABCqd"),
        ("{a: 1, b: function () { return 2 }, c: 3}", {"a": 1}),
        (r"String.raw`\bf{R}`", r"\bf{R}"),
        ("function", None),
        ("'never closed", None),
        ("", None),
    ],
)  # fmt: skip
def test_literals(source: str, value: object) -> None:
    assert read_literal(source) == value


@given(st.text(alphabet="[]{}:,'\"`\\ab1 -./*\n", max_size=60))
def test_reading_a_literal_never_raises(source: str) -> None:
    read_literal(source)


def test_nesting_is_bounded() -> None:
    assert read_literal("[" * 100_000) == []


def config_of(head: str) -> MathConfig:
    html = f"<html><head>{head}</head><body><pre>inlineMath: [['!!','!!']]</pre></body></html>"
    return read_config(HTMLTree.parse(html))


def test_a_page_that_says_nothing() -> None:
    config = config_of("<script src='https://cdn.example.org/mathjax@3/es5/tex-chtml.js'></script>")
    assert config == MathConfig()
    assert config.dollars() is None


@pytest.mark.parametrize(
    ("script", "inline", "display"),
    [
        pytest.param(
            r"MathJax.Hub.Config({tex2jax: {inlineMath: [['$','$'], ['\\(','\\)']], displayMath: [['$$','$$']]}});",
            (("$", "$"), ("\\(", "\\)")), (("$$", "$$"),), id="MathJax 2"),
        pytest.param(
            r"""window.MathJax = {"tex": {"inlineMath": [["\\(", "\\)"]]}};""",
            (("\\(", "\\)"),), None, id="MathJax 3"),
        pytest.param(
            r"MathJax = {tex: {inlineMath: {'[+]': [['$', '$']]}}}",
            (("$", "$"), ("\\(", "\\)")), None, id="MathJax 4 adds to the default"),
        pytest.param(
            r"renderMathInElement(document.body, {delimiters: [{left: '$$', right: '$$', display: true},"
            r" {left: '@', right: '@', display: false}]})",
            (("@", "@"),), (("$$", "$$"),), id="KaTeX's auto-render"),
        pytest.param("var inlineMath = compute();", None, None, id="computed"),
    ],
)  # fmt: skip
def test_delimiters(script: str, inline: object, display: object) -> None:
    for kind in ("", " type='text/x-mathjax-config'"):
        config = config_of(f"<script{kind}>{script}</script>")
        assert (config.inline, config.display) == (inline, display)


def test_code_shown_on_the_page_is_no_configuration() -> None:
    assert config_of("<script>var a = 1</script>").inline is None


def test_only_unusual_delimiters_are_custom() -> None:
    config = MathConfig(inline=(("$", "$"), ("[math]", "[/math]"), ("(", ")"), ("a", "a")), display=(("¡¡", "!!"),))
    assert config.custom() == (("[math]", "[/math]", False), ("¡¡", "!!", True))


@pytest.mark.parametrize(
    "head",
    [
        "<script src='ASCIIMathML.js'></script>",
        "<script src='https://cdn.example.org/mathjax/MathJax.js?config=AM_HTMLorMML-full'></script>",
        "<script src='//cdn.example.org/mathjax/2.7.5/MathJax.js?config=TeX-MML-AM_CHTML'></script>",
        "<script>MathJax = {loader: {load: ['input/asciimath', 'output/chtml']}}</script>",
        "<script type='text/x-mathjax-config'>MathJax.Hub.Config({asciimath2jax: {delimiters: [['`','`']]}})</script>",
    ],
)
def test_asciimath_is_seen_where_it_is_loaded(head: str) -> None:
    assert config_of(head).asciimath == (("`", "`"),)
    assert config_of("<script src='MathJax.js?config=TeX-AMS_HTML'></script>").asciimath == ()


def test_delimiters_of_asciimath() -> None:
    config = config_of(
        "<script>MathJax = {loader: {load: ['input/asciimath']}, asciimath: {delimiters: [['@@','@@']]},"
        "tex: {inlineMath: [['$','$']]}}</script>"
    )
    assert config.asciimath == (("@@", "@@"),)
    assert config.inline == (("$", "$"),)


def test_macros_become_newcommands() -> None:
    config = config_of(
        r"""<script>MathJax = {tex: {macros: {RR: "{\\bf R}", bold: ["{\\bf #1}", 1], d: ["#2/#1", 2, "x"]}}}</script>
        <script>renderMathInElement(document.body, {macros: {"\\f": "f(#1)"}});</script>"""
    )
    assert config.macros == {
        "RR": r"\newcommand{\RR}{{\bf R}}",
        "bold": r"\newcommand{\bold}[1]{{\bf #1}}",
        "d": r"\newcommand{\d}[2][x]{#2/#1}",
        "f": r"\newcommand{\f}[1]{f(#1)}",
    }


def test_ignored_classes() -> None:
    config = config_of("<script>MathJax = {options: {ignoreHtmlClass: 'no-math|draft', "
                       "processHtmlClass: 'yes'}}</script>")  # fmt: skip
    assert {"no-math", "draft", "mathjax_ignore"} <= config.ignored
    assert "yes" in config.processed
