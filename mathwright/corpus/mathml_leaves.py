"""The leaves of MathML as TeX: identifiers, numbers, text and space; and how its elements are read."""

from __future__ import annotations

import re
from typing import Any

from mathwright.corpus.symbols import FILLER, FUNCTIONS, VARIANTS, to_tex

Node = Any
"""An element of resiliparse's tree (its classes have no common public type with the attributes used here)."""

_SPACE = re.compile(r"\s+")
_AROUND = " \t\n\r" + FILLER
_TEXT_ESCAPES = str.maketrans({c: "\\" + c for c in "#%&_{}$"} | {"\\": r"\backslash ", "\xa0": " "})


def name_of(node: Node) -> str:
    """Local name in lower case without a prefix (`<m:mi>`, `<mjx-mi>`)."""
    return (node.tag or "").lower().rpartition(":")[2]


def text_of(node: Node) -> str:
    return _SPACE.sub(" ", node.text or "").strip(_AROUND)


def children_of(node: Node) -> list[Node]:
    return node.children.values()  # iterating over the collection itself takes quadratic time


def identifier(node: Node, depth: int) -> str:
    text = text_of(node)
    variant = node.getattr("mathvariant") or ""
    if variant in VARIANTS:
        return f"\\{VARIANTS[variant]}{{{to_tex(text)}}}"
    if text in FUNCTIONS:
        return "\\" + text
    if len(text) > 1 and text.isalpha() and text.isascii():
        return f"\\mathit{{{text}}}" if variant == "italic" else f"\\mathrm{{{text}}}"
    if variant == "normal" and text.isascii() and text.isalpha():
        return f"\\mathrm{{{text}}}"
    return to_tex(text)


def function(node: Node, depth: int) -> str:
    """An identifier that is applied to what follows it."""
    text = text_of(node)
    return word(text) if len(text) > 1 and text.isalpha() and text.isascii() else identifier(node, depth)


def word(text: str) -> str:
    return "\\" + text if text in FUNCTIONS else f"\\operatorname{{{text}}}"


def number(node: Node, depth: int) -> str:
    variant = VARIANTS.get(node.getattr("mathvariant") or "")
    tex = to_tex(text_of(node))
    return f"\\{variant}{{{tex}}}" if variant else tex


def words(node: Node, depth: int) -> str:
    text = _SPACE.sub(" ", node.text or "")
    if not text.strip(" \xa0"):
        return r"\ " if text else ""
    variant = node.getattr("mathvariant") or ""
    command = {"bold": "textbf", "italic": "textit", "monospace": "texttt"}.get(variant, "text")
    return f"\\{command}{{{text.translate(_TEXT_ESCAPES)}}}"


def space(node: Node, depth: int) -> str:
    if node.getattr("linebreak") == "newline":
        return r" \\ "
    width = re.fullmatch(r"\s*(-?[\d.]+)\s*em\s*", node.getattr("width") or "")
    try:
        ems = float(width[1]) if width else 0.0
    except ValueError:
        return ""
    return (
        r"\qquad " if ems >= 1.9 else r"\quad " if ems >= 0.9 else r"\;" if ems > 0.25 else r"\," if ems > 0.1 else ""
    )
