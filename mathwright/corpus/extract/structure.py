"""Structure that readers see and plain text would lose: lines that a style makes, terms before what they open."""

from __future__ import annotations

import re
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.extract.numbering import SIGNS as NUMBERING
from mathwright.corpus.extract.numbering import label_items
from mathwright.corpus.extract.tables import SIGNS as TABLES
from mathwright.corpus.extract.tables import join_cells
from mathwright.corpus.extract.unseen import style_signs
from mathwright.corpus.formulas.signs import Selectors, all_signs, selector, tag_signs

Node = Any
"""An element of resiliparse's tree."""

_INLINE = ("span", "a", "b", "strong", "em", "i", "small", "label")
_SUMMARIES: Selectors = {"summary": tag_signs("summary")}
_QUOTED: Selectors = {"blockquote > cite:first-child, blockquote > div > cite:first-child": tag_signs("cite")}
_STYLED: Selectors = {
    ", ".join(f"{tag}[style*=display]" for tag in _INLINE): style_signs(
        "display", "block", "list-item", "table", "flex", "grid"
    )
}
_LISTED: Selectors = {"span[role=listitem]": ("listitem",)}
_LINES: Selectors = {**_SUMMARIES, **_QUOTED, **_STYLED, **_LISTED}
SIGNS = all_signs(_LINES) | NUMBERING | TABLES
_BLOCK = re.compile(r"(?<![\w-])display\s*:\s*(?:block|list-item|table|flex|grid)\s*(?:;|!|\Z)")
_COLON = re.compile("[:\uff1a]")
_MAX_NODES = 20_000


def mend_structure(tree: HTMLTree, present: frozenset[str]) -> None:
    """Make a tree's structure one that text extraction reads; of main content alone, which is walked in less time.

    present: those of SIGNS that the page's source holds.
    """
    present &= SIGNS
    if not present:
        return
    _make_lines(tree, present)
    join_cells(tree, present)
    label_items(tree, present)


def _make_lines(tree: HTMLTree, present: frozenset[str]) -> None:
    document = tree.document
    if document is None or (wanted := selector(_LINES, present)) == "":
        return
    for node in document.query_selector_all(wanted).values()[:_MAX_NODES]:
        is_line = _names(node) if node.tag == "cite" else node.tag == "summary" or _is_block(node)
        if is_line or node.getattr("role") == "listitem":
            _make_line(tree, node)


def _make_line(tree: HTMLTree, node: Node) -> None:
    line: Any = tree.create_element("div")
    for child in list(node.child_nodes.values()):
        line.append_child(child)
    node.append_child(line)


def _names(cite: Node) -> bool:
    """Whether it says who wrote what follows: `Ann wrote:`."""
    return _COLON.search(cite.text or "") is not None


def _is_block(node: Node) -> bool:
    return _BLOCK.search(node.getattr("style") or "") is not None
