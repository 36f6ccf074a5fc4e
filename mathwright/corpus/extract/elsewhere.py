"""Sections under a heading such as "Related articles": they point elsewhere, whatever their markup is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from resiliparse.parse.html.node import ELEMENT

from mathwright.corpus.formulas.placeholders import holds_formulas

Node = Any

_PHRASES = (
    "related", "similar posts", "similar threads", "similar questions", "similar products", "you may also",
    "you might also", "more from", "more like", "more on ", "recent posts", "recent articles", "read next", "also read",
    "customers also", "people also", "up next", "recommended for",
)  # fmt: skip
_STARTS = ("", "\n", " ", "\t")
SIGNS = frozenset(f">{start}{phrase}" for start in _STARTS for phrase in _PHRASES)
_HEADING = re.compile(rf"\W*(?:{'|'.join(map(re.escape, _PHRASES))})", re.IGNORECASE)
_HEADING_CHARACTERS = 60
_LINK_SHARE = 0.15
"""Under such a heading stands something else where less of it is links: "Related work" of a paper."""
_LISTING = 0.8
"""Pages with more of their text in links than this have such sections as their content."""
_SHARE = 0.4
"""What holds more of the text than this is no such section."""


def remove_sections_elsewhere(document: Node, size: int) -> None:
    """Take out of a tree the sections whose heading says that they point elsewhere, and that are links in part.

    size: characters of the main content.
    """
    of_page: float | None = None
    for heading in document.query_selector_all("h2, h3, h4, h5, h6").values():
        text = heading.inner_text.strip()
        if len(text) > _HEADING_CHARACTERS or _HEADING.match(text) is None:
            continue
        if of_page is None:
            of_page = sum(len(link.inner_text) for link in _links(document)) / max(1, size)
        if of_page > _LISTING:
            return
        section = list(_section(heading, text, _SHARE * size))
        texts = [node.inner_text for node in section]
        length = sum(map(len, texts))
        links = sum(len(link.inner_text) for node in section for link in _links(node))
        if _LINK_SHARE * length <= links and length < _SHARE * size and not any(map(holds_formulas, texts)):
            for node in section:
                node.remove()


def _links(node: Node) -> list[Node]:
    return [node] if node.type == ELEMENT and node.tag == "a" else list(node.query_selector_all("a").values())


def _section(heading: Node, text: str, limit: float) -> Iterator[Node]:
    """The element that begins with a heading and holds more; else the heading and what follows, up to the next."""
    block = heading
    while (parent := block.parent) is not None and parent.tag not in ("body", "main", "article"):
        words = parent.inner_text.strip()
        if not words.startswith(text) or len(words) > limit:
            break
        block = parent
    yield block
    if block.inner_text.strip() != text:
        return
    following = block.next_element_sibling
    while following is not None and not _ends(following, heading.tag):
        yield following
        following = following.next_element_sibling


def _ends(node: Node, level: str) -> bool:
    """Whether a section of this level ends before an element."""
    first = node if node.tag[0] == "h" and len(node.tag) == 2 else node.query_selector("h1, h2, h3, h4, h5, h6")
    return first is not None and first.tag <= level
