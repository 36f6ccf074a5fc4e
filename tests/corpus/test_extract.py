"""Text that keeps its mathematics: golden pages, charsets, docutils' real output, hostile pages."""

import codecs
import json
import random
import time
from pathlib import Path

import pytest
from docutils.core import publish_string

from mathwright.corpus.archive import read_pages
from mathwright.corpus.extract import MAX_HTML_BYTES, decode, extract
from mathwright.records import Page

PAGES = [json.loads(line) for line in (Path(__file__).parents[1] / "golden" / "extract_pages.jsonl").open()]


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
    "empty": b"",
}


@pytest.mark.parametrize("html", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_pages_come_back_in_time(html: bytes) -> None:
    start = time.process_time()
    document = extract(html, "u")
    assert time.process_time() - start < 5
    assert not any("\ue000" <= character <= "\ue004" for character in document.text)


def test_too_long_a_page_is_cut_not_refused() -> None:
    text = extract(b"<p>begin</p>" + b"<p>line</p>" * (MAX_HTML_BYTES // 11) + b"<p>end</p>", "u").text
    assert text.startswith("begin") and "end" not in text


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


def _labels(shared_data: Path) -> dict[str, str]:
    import gzip

    with gzip.open(shared_data / "web" / "labels.jsonl.gz", "rt") as file:
        return {row["url"]: row["kind"] for row in map(json.loads, file)}
