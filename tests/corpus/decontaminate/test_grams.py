"""The grams of a text are those of the plain definition, whatever the text."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.decontaminate.grams import grams
from tests.oracles.decontamination import grams_slow

PIECES = [
    *("a", "B", "é", "word", "Straße", "ﬁ", "ﬄ", "ς", "中", "文", "한", "１", "²", "₃", "\u0661"),
    *("𝒳", "\U00020000", "\U0010ffff", "&lt;", "&times;", "&nbsp;", "&bogus;", "&#x41;", "&;"),
    *("0", "7", "12", "123", "4567", ",", "{,}", "\\,", ",\\!", ".", "1,000", "1{,}000,000"),
    *("+", "-", "–", "−", "*", "**", "×", "/", "=", "<", ">", "<=", ">=", "≠", "≤", "^", "|", "#", ";"),
    *(" ", "\n", "\r\n", "\t", "\u3000", "\xa0", "\u00ad", "\u200b", "\u0301", "\x00", "\ud800", "            "),
    *("\\", "\\times", "\\cdot ", "\\neq", "\\le", "\\left", "\\Big", "\\dfrac", "\\alpha", "\\quad", "\\sin"),
    *("<b>", "</b>", "<sup>", "<SUP class='x'>", "<br/>", "<", "&amp;"),
    *("-\n", "- ", "* ", "> ", "(", "{", "$", "["),
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
ascii_texts = st.lists(st.sampled_from([piece for piece in PIECES if piece.isascii()]), max_size=30).map("".join)


@pytest.mark.parametrize("seed", range(3))
def test_long_texts_have_the_grams_of_the_definition(seed):
    """Enough of them that no two pieces have not met; ASCII, where characters are bytes, among them."""
    rng = random.Random(seed)
    for pieces in (PIECES, [piece for piece in PIECES if piece.isascii()]):
        text = "".join(rng.choices(pieces, k=8000))
        assert grams(text) == grams_slow(text)


@given(st.one_of(texts, ascii_texts, st.text(max_size=40)))
def test_any_text_has_the_grams_of_the_definition(text):
    assert grams(text) == grams_slow(text)


def test_the_grams_of_real_pages_are_those_of_the_definition(shared_data):
    from mathwright.corpus.archive import read_pages
    from mathwright.corpus.extract import extract
    from mathwright.records import Page

    pages = (page for page in read_pages(shared_data / "web" / "pages-00000.warc.gz") if isinstance(page, Page))
    for page, _ in zip(pages, range(40), strict=False):
        text = extract(page.html, page.url).text[:20_000]
        assert grams(text) == grams_slow(text)
