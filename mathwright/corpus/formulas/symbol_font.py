"""Letters set in the font Symbol, which shows other characters for them: Greek, relations, operators.

Pages of before Unicode write π as `<font face="Symbol">p</font>`, and Word writes the same font's glyphs as characters
of the private use area (U+F070). What a reader saw is the character of the font's own encoding.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.signs import Selectors, all_signs, selector

Node = Any
"""An element of resiliparse's tree."""

_ASCII = " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"
"""From U+0020 on, by Adobe's table for Symbol."""
_UPPER = "ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪\uf0f0〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭"
"""From U+00A1 on."""
_PRIVATE = 0xF000
"""What Word adds to a code of such a font."""
_SHOWN = {0x20 + index: character for index, character in enumerate(_ASCII)}
_SHOWN |= {0xA1 + index: character for index, character in enumerate(_UPPER)}
_SHOWN |= {_PRIVATE + code: character for code, character in _SHOWN.items()}
_QUOTES = ('"', "'", "&quot;", "")
_FONT_SIGNS = tuple(f"{before}{quote}symbol" for before in ("face=", "family:", "family: ") for quote in _QUOTES)
_ELEMENTS: Selectors = {"font[face], [style*=ymbol]": _FONT_SIGNS}
SIGNS = all_signs(_ELEMENTS)
_FIRST_FONT = re.compile(r"""\A\s*["']?symbol["']?\s*(?:[,;]|\Z)""", re.IGNORECASE)
_FAMILY = re.compile(r"""font-family\s*:\s*(["']?symbol\b[^;]*)""", re.IGNORECASE)
_WORD = re.compile("[A-Za-z]{6}")
"""Text that was set in this font by mistake: nobody writes so many Greek letters in a row."""


def read_symbol_font(tree: HTMLTree, present: Set[str]) -> None:
    """Put the characters that a reader sees where letters are set in Symbol. present: those of SIGNS in the source."""
    wanted = selector(_ELEMENTS, present)
    if not wanted or tree.document is None:
        return
    for node in tree.document.query_selector_all(wanted).values():
        text = node.text or ""
        if not text.strip() or _WORD.search(text) or not _is_symbol(node):
            continue
        if node.first_element_child is None:
            node.text = text.translate(_SHOWN)
            continue
        for leaf in list(node):  # a tree must not change while it is walked
            if leaf.tag == "#text" and leaf.value and _font_around(leaf, node):
                leaf.value = leaf.value.translate(_SHOWN)


def _is_symbol(node: Node) -> bool:
    family = _FAMILY.search(node.getattr("style") or "")
    return _FIRST_FONT.match(family[1] if family is not None else node.getattr("face") or "") is not None


def _font_around(leaf: Node, node: Node) -> bool:
    """Whether no element between a text and the one in Symbol sets another font, or Symbol once more."""
    around = leaf.parent_element
    while around is not None and around != node:
        if around.getattr("face") or "font" in (around.getattr("style") or ""):
            return False
        around = around.parent_element
    return True
