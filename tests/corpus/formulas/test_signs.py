"""Signs of markup: none is missed, and every selector has the signs that pages with its elements hold."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from mathwright.corpus.extract import main_content, page
from mathwright.corpus.formulas import elements, image_addresses, preparation, signs
from mathwright.corpus.formulas.signs import Signs, selector, word_signs

WORDS = ["math", "<math", "mathml", "th", "\ue000", '"math"']


@given(st.text(alphabet='<"mathl \ue000é', max_size=200), st.integers(1, 300))
def test_finds_what_a_search_for_each_finds_overlaps_and_ends_of_pieces_included(source: str, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signs, "_PIECE", piece)
        assert Signs(WORDS).find(source.encode("utf-8", "replace")) == {word for word in WORDS if word in source}


@given(st.one_of(st.from_regex(image_addresses._SOURCES), st.from_regex(image_addresses._SERVICE_ROOT)))
def test_quick_look_at_an_address_misses_no_service(address: str) -> None:
    assert image_addresses.is_service(address[: image_addresses.MAX_ADDRESS])


TABLES = [
    *(reader.selectors for reader in elements._READERS),
    main_content._MAIN,
    *main_content._ARTICLES,
    preparation._CODE,
]
EACH = [(part.strip(), selectors[names]) for selectors in TABLES for names in selectors for part in names.split(",")]


def element(part: str) -> str:
    """HTML of an element that a simple selector matches."""
    match = re.fullmatch(r"""([\w\\:-]*)(?:\[([\w-]+)(?:\^?=["']?([^"'\]]+)["']?)?\]|([.#])([\w-]+))?""", part)
    assert match is not None, part
    tag, attribute, value, sort, name = match.groups()
    tag = (tag or "div").replace("\\", "")
    if sort:
        attribute, value = {".": "class", "#": "id"}[sort], name
    return f'<{tag} {attribute}="{value or "x"}">' if attribute else f"<{tag}>"


@pytest.mark.parametrize(("part", "wanted"), EACH, ids=[part for part, _ in EACH])
def test_every_element_that_a_selector_matches_has_a_sign(part: str, wanted: tuple[str, ...]) -> None:
    source = f"<!doctype html><body>{element(part)}x"
    document = HTMLTree.parse(source).document
    assert document is not None and document.query_selector(part) is not None
    if part == ".katex":  # its sign is that of the elements inside, which tells it from the names of style sheets
        source += '<span class="katex-html">'
    if part.startswith(".MathJax"):
        source += "<script id=MathJax-Element-1>"
    present = page._SIGNS.find(source.encode())
    assert not present.isdisjoint(wanted)
    assert part in selector({part: wanted}, present)


@pytest.mark.parametrize("attribute", ['"math"', "'math'", "math", '"a math b"', '"a\nmath"', "'math\tb'", "Math"])
def test_a_word_of_an_attribute_is_seen_however_it_is_written(attribute: str) -> None:
    assert Signs(word_signs("math")).find(f"<p class={attribute}>".encode())
    assert not Signs(word_signs("math")).find(b"<p class='maths'>mathematics")
