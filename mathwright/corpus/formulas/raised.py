"""Elements that are shown raised or lowered, in whatever markup, as `<sup>` and `<sub>` beside what they belong to."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.signs import word_signs

Node = Any
"""An element of resiliparse's tree."""

MAX_SCRIPTS = 20_000
_STYLED = (
    "superscript", "subscript", "mso-text-raise",
    *(f"vertical-align:{space}{value}" for space in ("", " ") for value in ("su", "text-top")),
    *(
        f"{quote}{before}"
        for quote in "\"'"
        for before in ("position:relative;", "position: relative;", "vertical-align:", "vertical-align: ")
    ),
)  # fmt: skip
"""Lengths in style sheets align icons: an element's own style begins with them."""
_WRAPPED = (
    *(f"<{tag}><su" for tag in ("i", "b", "em", "strong", "span", "font")),
    "supsub",
    '<span style="display:inline-block',
    '<span style="display: inline-block',
)
_NAMED = frozenset((*_STYLED, *word_signs("sup"), *word_signs("sub")))
SIGNS = _NAMED | {*_WRAPPED}
"""A page whose source holds none of these raises by `<sup>` and `<sub>` alone."""
_SHIFTED = re.compile(r"vertical-align\s*:\s*(sup|sub)(?:er)?\b")
_LENGTH = re.compile(
    r"(?:(?P<align>vertical-align|mso-text-raise)|(?P<top>(?<![\w-])top)|(?P<bottom>(?<![\w-])bottom))\s*:\s*"
    r"(?P<sign>-?)(?P<value>\d*\.?\d+)(?:em|ex|px|pt|%|rem)"
)
_TOP = re.compile(r"vertical-align\s*:\s*(?:text-)?(top|bottom)\b")
_RULE = re.compile(r"\.([\w-]{1,40})\s*\{[^{}]{0,400}?vertical-align\s*:\s*(sup|sub)(?:er)?\b")
_BY_CLASS = {"superscript": "sup", "sup": "sup", "subscript": "sub", "sub": "sub"}
_INLINE = frozenset(("span", "font", "a", "i", "em", "b", "strong", "small"))
_WRAPPERS = frozenset(("span", "font", "i", "em", "b", "strong", "small"))
_MAX_STYLES = 50
_MAX_RAISED = 40
"""What is longer was raised for its looks."""


def name_scripts(tree: HTMLTree, present: Set[str]) -> None:
    """Make `<sup>` and `<sub>` of elements that a style or a class raises or lowers, and take wrappers off them.

    A length above or below zero raises or lowers where the font is smaller, too.

    present: those of SIGNS that the page's source holds.
    """
    if present.isdisjoint(SIGNS) or tree.document is None:
        return
    document: Any = tree.document
    if not present.isdisjoint(_NAMED):
        _rename(tree, document)
    for node in document.query_selector_all("sup, sub").values()[:MAX_SCRIPTS]:
        _unwrap(node)


def _rename(tree: HTMLTree, document: Node) -> None:
    by_class = dict(_BY_CLASS)
    for style in document.query_selector_all("style").values()[:_MAX_STYLES]:
        by_class.update(_RULE.findall(style.text or ""))
    wanted = [f'span[class~="{name}"], font[class~="{name}"]' for name in list(by_class)[: 2 * _MAX_STYLES]]
    wanted.append('[style*="vertical-align"], [style*="text-raise"], [style*="relative"]')
    for node in document.query_selector_all(", ".join(wanted)).values()[:MAX_SCRIPTS]:
        classes = (by_class[name] for name in (node.getattr("class") or "").split() if name in by_class)
        tag = _shift(node.getattr("style") or "") or next(classes, "")
        if not tag or node.tag not in _INLINE or node.parent is None:
            continue
        text = (node.text or "").strip()
        if not text or len(text) > _MAX_RAISED or node.query_selector("sup, sub, img") is not None:
            continue
        script: Any = tree.create_element(tag)
        for child in list(node.child_nodes.values()):
            script.append_child(child)
        node.replace_with(script)


def _shift(style: str) -> str:
    """Whether a style raises (`sup`) or lowers (`sub`) a text; "" for neither."""
    shifted = _SHIFTED.search(style)
    if shifted is not None:
        return shifted[1]
    if "font-size" not in style and "text-raise" not in style:
        return ""
    top = _TOP.search(style)
    if top is not None:
        return "sup" if top[1] == "top" else "sub"
    length = _LENGTH.search(style)
    if length is None or not float(length["value"]):
        return ""
    below = bool(length["sign"]) != bool(length["top"])  # `top` counts downwards
    return "sub" if below else "sup"


def _unwrap(node: Node) -> None:
    """Take an element off that holds nothing but scripts: `x<i><sup>2</sup></i>`, `{{su}}` of MediaWiki."""
    for _ in range(3):
        around = node.parent_element
        if around is None or around.tag not in _WRAPPERS:
            return
        for child in around.child_nodes.values():
            if child.tag == "#text":
                if (child.value or "").strip():
                    return
            elif child.tag not in ("sup", "sub", "br"):
                return
        for child in list(around.child_nodes.values()):
            if child.tag in ("sup", "sub"):
                around.before(child)
        around.remove()
