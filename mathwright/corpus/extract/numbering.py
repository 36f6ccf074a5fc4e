"""Numbers of lists that do not begin with 1, and letters: what a browser shows before an item, not its place."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.placeholders import LABEL

Node = Any
"""An element of resiliparse's tree."""

_CLASSES = (
    "lower-alpha", "upper-alpha", "lower-roman", "upper-roman", "lower-latin", "upper-latin",
    "loweralpha", "upperalpha", "lowerroman", "upperroman", "list-none", "list-unstyled",
)  # fmt: skip
_KINDS = _CLASSES[:6]
_TYPES = (f"type={quote}{kind}" for quote in ("", "'", '"') for kind in "ai")
_ORDERED = "<ol"
SIGNS = frozenset((" start=", "reversed", "<li value", "<ol style", *_CLASSES, *_TYPES, _ORDERED))
"""What stands in the source of a page with such a list."""
_LISTS = "ol[start], ol[reversed], ol[type], ol[style*=list-style], ol[class*=er], ol[class*=list-], li[value]"
_DONE = "data-labelled"
_STYLE = re.compile(r"(?<![\w-])(lower|upper)-?(alpha|latin|roman)(?![\w-])")
_UNMARKED = re.compile(r"list-style(?:-type)?\s*:\s*none|(?<![\w-])list-(?:none|unstyled)(?![\w-])")
"""Lists whose items have nothing before them."""
_SHOWN = re.compile(f"(?:\\d+\\.|•) ?{LABEL}([^{LABEL}]{{0,12}}){LABEL} ?")
_MAX_ITEMS = 20_000
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ROMAN = ((100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))


def label_items(tree: HTMLTree, present: Set[str]) -> None:
    """Put its label before the text of each item whose place in the list does not say it.

    present: those of SIGNS that the page's source holds.
    """
    if tree.document is None or _ORDERED not in present or len(present & SIGNS) == 1:
        return
    if not present.isdisjoint(_KINDS):
        _note_styles(tree.document)
    count = 0
    for found in tree.document.query_selector_all(_LISTS).values():
        node = found.parent_element if found.tag == "li" else found
        if node is None or node.tag != "ol" or node.hasattr(_DONE):
            continue
        node.setattr(_DONE, "")
        items = [child for child in node.children.values() if child.tag == "li"]
        count += len(items)
        if count > _MAX_ITEMS:
            return
        down = node.hasattr("reversed")
        number = _number(node.getattr("start"), len(items) if down else 1)
        for place, item in enumerate(items, 1):
            number = _number(item.getattr("value"), number)
            label = _label(number, *_kind(node))
            if label != str(place):
                shown: Any = tree.create_text_node(f"{LABEL}{label}.{LABEL} " if label else LABEL + LABEL)
                _first_block(item).prepend(shown)
            number += -1 if down else 1


def _note_styles(document: Node) -> None:
    """Write the letters that the page's own style gives to classes of lists on the lists themselves."""
    for style in document.query_selector_all("style").values()[:_MAX_STYLES]:
        for rule in _RULE.findall(style.text or "")[:_MAX_STYLES]:
            for node in document.query_selector_all(f"ol.{rule[0]}").values():
                if not node.hasattr("style"):
                    node.setattr("style", f"list-style-type:{rule[1]}")


_RULE = re.compile(
    r"(?<![\w-])ol\.([A-Za-z][\w-]{0,60})\s?\{[^{}]{0,500}?list-style(?:-type)?:\s?((?:lower|upper)-(?:alpha|latin|roman))"
)
_MAX_STYLES = 20


def _first_block(item: Node) -> Node:
    """What holds the first words of an item: a label before a paragraph would stand on a line of its own."""
    for _ in range(_MAX_DEPTH):
        first = item.first_child
        while first is not None and first.tag == "#text" and not (first.value or "").strip():
            first = first.next_sibling
        if first is None or first.tag not in _BLOCKS:
            break
        item = first
    return item


_MAX_DEPTH = 5
_BLOCKS = frozenset({"p", "div", "h2", "h3", "h4", "h5", "h6", "section", "blockquote"})


def with_labels(text: str) -> str:
    """The text with the labels of `label_items` in place of the places of their items."""
    return _SHOWN.sub(lambda shown: f"{shown[1]} " if shown[1] else "", text) if LABEL in text else text


def _number(value: str | None, otherwise: int) -> int:
    return int(value) if value is not None and re.fullmatch(r"-?\d{1,6}", value.strip()) else otherwise


def _kind(node: Node) -> tuple[str, bool]:
    """Numbers, letters, Roman numerals or none, and whether in capitals."""
    names = f"{node.getattr('style') or ''} {node.getattr('class') or ''}"
    if _UNMARKED.search(names) is not None:
        return "none", False
    style = _STYLE.search(names)
    if style is not None:
        return ("roman" if style[2] == "roman" else "alpha"), style[1] == "upper"
    name = (node.getattr("type") or "").strip()
    return {"a": "alpha", "i": "roman"}.get(name.lower(), "decimal"), name.isupper()


def _label(number: int, kind: str, capital: bool) -> str:
    if kind == "none":
        label = ""
    elif kind == "alpha" and 1 <= number <= len(_LETTERS):
        label = _LETTERS[number - 1]
    elif kind == "roman" and 1 <= number < 400:
        label = ""
        for value, numeral in _ROMAN:
            while number >= value:
                label, number = label + numeral, number - value
    else:
        return str(number)
    return label.upper() if capital else label
