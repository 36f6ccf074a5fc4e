"""Text that keeps its mathematics: golden pages, charsets, docutils' real output, hostile pages."""

import codecs
import json
import random
import re
import time
from pathlib import Path

import pytest
from docutils.core import publish_string
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.archive import read_pages
from mathwright.corpus.extract import decode, extract
from mathwright.corpus.extract.limits import MAX_HTML_BYTES, strip_tags
from mathwright.records import Page

PAGES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "golden" / "extract_pages.jsonl").read_bytes().splitlines()
]


@pytest.mark.parametrize("case", PAGES, ids=lambda case: case["reason"])
def test_golden_pages(case: dict) -> None:
    document = extract(f"<html><body>{case['html']}</body></html>".encode(), "http://example.org/")
    assert document.text == case["text"]
    assert document.notation == case["notation"]


def test_title_comes_from_head_or_first_heading() -> None:
    assert extract(b"<title> A\n &amp; B </title><h1>C</h1><p>x", "u").title == "A & B"
    assert extract(b"<h1>C <i>d</i></h1><p>x", "u").title == "C d"


# --- character sets ----------------------------------------------------------------------------------

CHINESE = "<p>证明：对任意整数成立，数学归纳法的第一步</p>"


@pytest.mark.parametrize(
    ("html", "charset"),
    [
        pytest.param(CHINESE.encode("gb18030"), "gb2312", id="header"),
        pytest.param(b'<meta charset="gbk">' + CHINESE.encode("gb18030"), None, id="meta"),
        pytest.param(b'<meta charset="gbk">' + CHINESE.encode("utf-8"), "iso-8859-1", id="valid UTF-8 wins"),
        pytest.param(codecs.BOM_UTF16_LE + CHINESE.encode("utf-16-le"), "utf-8", id="byte-order mark wins"),
        pytest.param(CHINESE.encode("gb18030") * 5, None, id="detection"),
        pytest.param(CHINESE.encode("gb18030") * 5, "no-such-charset", id="unknown name"),
        pytest.param(CHINESE.encode("utf-8") + b"\xe4\xb8", "utf-8", id="last character cut"),
    ],
)
def test_charset(html: bytes, charset: str | None) -> None:
    assert "对任意整数成立" in extract(html, "u", charset=charset).text


OLD = {
    "gbk": "数学归纳法是一种数学证明方法，通常被用于证明某个给定命题在整个自然数范围内成立。",
    "big5": "數學歸納法是一種數學證明方法，通常被用於證明某個給定命題在整個自然數範圍內成立。",
    "shift_jis": "数学的帰納法は、自然数に関する命題がすべての自然数に対して成り立つことを証明する手法です。",
    "euc-jp": "数学的帰納法は、自然数に関する命題がすべての自然数に対して成り立つことを証明する手法です。",
    "euc-kr": "수학적 귀납법은 모든 자연수에 대하여 어떤 명제가 성립함을 증명하는 방법이다.",
    "windows-1251": "Математическая индукция — метод доказательства утверждений для всех натуральных чисел.",
    "windows-1252": "Die vollständige Induktion beweist Aussagen für alle natürlichen Zahlen – „größer“ als n.",
    "windows-1255": "אינדוקציה מתמטית היא שיטת הוכחה של טענות על כל המספרים הטבעיים.",
    "windows-1256": "الاستقراء الرياضي طريقة لإثبات صحة عبارة لجميع الأعداد الطبيعية",
    "koi8-r": "Математическая индукция есть метод доказательства утверждений для всех натуральных чисел.",
}


@pytest.mark.parametrize("encoding", OLD)
@pytest.mark.parametrize("declared", ["header", "meta", "nowhere"])
def test_old_encodings_are_read_as_characters(encoding: str, declared: str) -> None:
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={encoding}">' if declared == "meta" else ""
    html = f"<html><head>{meta}<title>x</title></head><body><p>{OLD[encoding] * 8}</p></body></html>".encode(encoding)
    text = extract(html, "u", charset=encoding if declared == "header" else None).text
    assert text == OLD[encoding] * 8


def test_latin_1_means_what_browsers_take_it_for() -> None:
    assert decode(b"\x93quoted\x94 caf\xe9", "iso-8859-1") == "\u201cquoted\u201d café"


# --- docutils: the pages of the quickstart ------------------------------------------------------------

REST = r"""
Softmax
=======

Let :math:`x \in \mathbb{R}^n` and :math:`\alpha_i \leq \sqrt{2}`.

.. math::

   \sigma(x)_i = \frac{e^{x_i}}{\sum_{j=1}^n e^{x_j}}

* a list with :math:`\hat{y}`
"""


@pytest.mark.parametrize("math_output", ["MathML", "MathJax https://example.org/MathJax.js"])
def test_docutils_gives_the_tex_that_was_written(math_output: str) -> None:
    html = publish_string(REST, writer="html5", settings_overrides={"math_output": math_output})
    document = extract(bytes(html), "u")
    written = (
        r"$x\in\mathbb{R}^n$", r"$\alpha_i\leq\sqrt{2}$", r"$\hat{y}$",
        r"$$\sigma(x)_i=\frac{e^{x_i}}{\sum_{j=1}^ne^{x_j}}$$",
    )  # fmt: skip
    squeezed = "".join(document.text.split())
    assert [tex for tex in written if "".join(tex.split()) not in squeezed] == []
    assert sum(document.notation.values()) == 4
    assert document.text.startswith("Softmax\n")


# --- whatever the bytes are ---------------------------------------------------------------------------

HOSTILE = {
    "nested blocks": b"<div>" * 50_000 + b"x",
    "nested MathML": b"<math>" + b"<mrow>" * 50_000 + b"x",
    "math in math": b"<math><mi>x" * 10_000,
    "KaTeX in KaTeX": b'<span class="katex"><span class="katex-html">x' * 5_000,
    "attributes without end": b"<p " + b" ".join(b'a%d="x"' % i for i in range(100_000)) + b">hello</p>",
    "huge attribute": b'<p class="' + b"x " * 1_000_000 + b'">hello</p>',
    "null bytes": b"<p>a\0b" * 20_000,
    "invalid UTF-8": bytes(range(128, 256)) * 2_000,
    "random bytes": random.Random(0).randbytes(200_000),
    "dollars": b"<p>" + b"$a " * 50_000,
    "unclosed brackets": b"<p>" + b"\\[" * 50_000,
    "unclosed environments": b"<p>" + b"\\begin{align} x" * 20_000,
    "backslashes": b"<p>$" + b"\\" * 100_000,
    "only angle brackets": b"<" * 200_000,
    "reserved characters": "<p>\ue0005\ue001 \ue002".encode(),
    "scripts on scripts": b"<math>" + b"<msup><mi>x</mi>" * 5_000,
    "menus in menus around all": b"<div class=nav>" * 900 + b"<a>some words</a> " * 50_000,
    "noscript in noscript around all": b"<p>x" + b"<noscript>" * 900 + b"some words " * 200_000,
    "headers in headers around all": b"<header>" * 900 + b"<p>some words " * 50_000,
    "empty": b"",
}


@pytest.mark.parametrize("html", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_pages_come_back_in_time(html: bytes) -> None:
    start = time.process_time()
    document = extract(html, "u")
    assert time.process_time() - start < 5
    assert not any("\ue000" <= character <= "\ue007" for character in document.text)


DEEP = (
    "b",
    "i",
    "font",
    "a",
    "span",
    "div",
    "ul",
    "table",
    "svg",
    "math",
    "article",
    "nav",
    "button",
    "details",
    "my-x",
)


@pytest.mark.parametrize("tag", DEEP)
def test_nesting_of_any_element_comes_back_in_time_with_a_reason(tag: str) -> None:
    start = time.process_time()
    document = extract(f"<p>before</p>{f'<{tag}>' * 100_000}after".encode(), "u")
    assert time.process_time() - start < 5
    assert "1000 deep" in document.problem
    assert "before" in document.text


@pytest.mark.parametrize("tag", ["p", "li", "td", "br", "dd", "option"])
def test_elements_that_close_each_other_do_not_nest(tag: str) -> None:
    document = extract(f"<main>{f'<{tag}>x' * 1500}</main>".encode(), "u")
    assert "nest" not in document.problem


CUT = {
    "cut at 8 MiB": b"<p>word</p>" + b"x " * (MAX_HTML_BYTES // 2),
    "cut at 400000 tags": b"<p>word</p>" + b"<br>" * 500_000,
    "1 tags with more than 500 attributes lost them": b"<p " + b" ".join(b"a%d=1" % i for i in range(600)) + b">word",
}


@pytest.mark.parametrize("reason", CUT)
def test_what_a_limit_left_out_is_said(reason: str) -> None:
    document = extract(CUT[reason], "u")
    assert document.problem == reason
    assert document.text.startswith("word")


def test_an_ordinary_page_has_no_problem() -> None:
    assert extract(b"<p>word</p>", "u").problem == ""


def test_text_without_a_tree_has_its_lines_and_no_programs() -> None:
    text = strip_tags("<title>T</title><p>a<b>b</b> &lt;</p><script>if (1 < 2) x</script><li>c<!-- <p>no --><br>d")
    assert text.split() == ["ab", "<", "c", "d"]


def test_too_long_a_page_is_cut_not_refused() -> None:
    text = extract(b"<p>begin</p>" + b"<p>line</p>" * (MAX_HTML_BYTES // 11) + b"<p>end</p>", "u").text
    assert text.startswith("begin") and "end" not in text


PIECES = (
    b"<div>", b"</div>", b"<p class='nav'>", b"<math><mi>x", b"</math>", b"$x$", b"\\(", b"\\)", b"<!--", b"-->",
    b"<script>", b"</script>", b"<td>", b"<article>", b"<main>", b"<select><option>", b"&#x41;", b"&amp", b"\0",
    b"\xff\xfe", b"\xe4\xb8", b"<svg>", b"<template>", b"<a href=", b'"', b"<span class=katex>", b"<img alt='$x$'>",
    b"word ", b"<body hidden>",
)  # fmt: skip


@given(st.binary(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join), st.none() | st.text())
def test_no_bytes_make_it_raise(html: bytes, charset: str | None) -> None:
    document = extract(html, "u", charset=charset)
    assert not document.problem.startswith("not parsed")


@pytest.mark.parametrize(
    "markup",
    [
        '<span class="katex"><span class="katex-html"><span class="base"><span class="mord">x</span></span>'
        "</span></span>",
        "<math><msup><mi>x</mi><mn>2</mn></msup><mtable><mtr><mtd>1</mtd></mtr></mtable></math>",
        '<mjx-container><mjx-math><mjx-msup><mjx-mi><mjx-c class="mjx-c1D465"></mjx-c></mjx-mi></mjx-msup></mjx-math>'
        "</mjx-container>",
        '<span class="MathJax"><span class="math"><span class="mrow"><span class="mi">x</span></span></span></span>',
        '<span class="texhtml">x<sup>2</sup></span> y<sub><i>i</i></sub>',
        '<span class="math">\\(x\\)</span> <pre><code>$x<b>y</b></code></pre> $a<em>b</em>$',
        '<div class="tex2jax_ignore">$x$ <p>$y$ <b class="tex2jax_process">$z$</b></p></div>',
    ],
)
def test_processing_instructions_anywhere_are_passed_over(markup: str) -> None:
    page = f"<!doctype html><script src=mathjax.js></script><body><p>{markup} end"
    document = extract(re.sub(r"(?<=>)", "<?target $x?>", page).encode(), "u")
    assert "end" in document.text
    assert "target" not in document.text
    assert document.notation == extract(page.encode(), "u").notation


# --- real pages ---------------------------------------------------------------------------------------


def test_real_pages_have_mathematics_where_it_is(shared_data: Path) -> None:
    pages = [p for p in read_pages(shared_data / "web" / "pages-00003.warc.gz") if isinstance(p, Page)][:150]
    assert len(pages) == 150
    kinds: set[str] = set()
    labels = _labels(shared_data)
    wrong = 0
    for page in pages:
        document = extract(page.html, page.url, charset=page.charset)
        kinds |= set(document.notation)
        formulas = sum(document.notation.values())
        label = labels.get(page.url, "unknown")
        wrong += (label == "math" and formulas == 0) or (label == "nonmath" and formulas > 2)
    assert {"math_span", "tex_delimiters", "dollars"} <= kinds
    assert wrong <= 3, "the labels are good to a few in a hundred, no more"


def test_real_pages_cut_and_mixed_never_raise(shared_data: Path) -> None:
    pages = [p for p in read_pages(shared_data / "web" / "pages-00005.warc.gz") if isinstance(p, Page)][:60]
    chance = random.Random(0)
    for page in pages:
        html = bytearray(page.html[: chance.randrange(2000, 60_000)])
        for _ in range(200):
            html[chance.randrange(len(html))] = chance.randrange(256)
        other = chance.choice(pages).html
        extract(bytes(html) + other[chance.randrange(len(other)) :][:20_000], page.url, charset=page.charset)


def _labels(shared_data: Path) -> dict[str, str]:
    import gzip

    with gzip.open(shared_data / "web" / "labels.jsonl.gz", "rt") as file:
        return {row["url"]: row["kind"] for row in map(json.loads, file)}


def test_a_row_of_empty_cells_leaves_nothing():
    page = (
        "<body><article><p>Before.</p><table><tr><td><img src=a></td><td></td><td></td></tr></table><p>{}</p></article>"
    )
    text = extract(page.format("After.").encode(), "http://example.org/").text
    assert "|" not in text and "Before." in text and "After." in text
    graph = "<pre>| | |\n| | * a commit\n| | |\n</pre>"
    assert "| | |\n| | * a commit" in extract(page.format(graph).encode(), "http://example.org/").text
