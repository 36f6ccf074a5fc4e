"""The leaves of MathML as TeX: identifiers, numbers, text and space; and how its elements are read."""

from __future__ import annotations

import re
from typing import Any

from mathwright.corpus.formulas.symbols import FILLER, FUNCTIONS, VARIANTS, to_tex

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


_EMPTY = frozenset({"mspace", "none", "mprescripts", "malignmark", "maligngroup"})


def children_of(node: Node) -> list[Node]:
    """The child elements.

    A parser of HTML does not know that `<m:none/>` is empty and puts what follows inside it: that is taken out again.
    """
    children = node.children.values()  # iterating over the collection itself takes quadratic time
    if ":" in (node.tag or "") and any(len(child.children) and name_of(child) in _EMPTY for child in children):
        flat: list[Node] = []
        for child in children:
            while child is not None:
                flat.append(child)
                inside = child.children.values() if name_of(child) in _EMPTY else []
                flat += inside[:-1]
                child = inside[-1] if inside else None
        return flat
    return children


def variant_of(node: Node) -> str:
    """The TeX command of an element's `mathvariant` (or MathML 1's `fontweight`), "" where it has none."""
    variant = node.getattr("mathvariant")
    if variant is None and node.getattr("fontweight") == "bold":
        variant = "bold"
    return VARIANTS.get(variant or "", "")


def identifier(node: Node, depth: int) -> str:
    text = text_of(node)
    variant = node.getattr("mathvariant") or node.getattr("fontstyle") or ""
    if (command := variant_of(node)) and text:
        return f"\\{command}{{{to_tex(text)}}}"
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
    variant = variant_of(node)
    tex = to_tex(text_of(node))
    return f"\\{variant}{{{tex}}}" if variant else tex


def words(node: Node, depth: int) -> str:
    text = _SPACE.sub(" ", node.text or "")
    if not text.strip(" \xa0"):
        return r"\ " if text else ""
    variant = node.getattr("mathvariant") or ""
    command = {"bold": "textbf", "italic": "textit", "monospace": "texttt"}.get(variant, "text")
    return f"\\{command}{{{text.translate(_TEXT_ESCAPES)}}}"


def quoted(node: Node, depth: int) -> str:
    """A string of a programming language, between its quotes."""
    left, right = node.getattr("lquote"), node.getattr("rquote")
    text = f"{chr(34) if left is None else left}{text_of(node)}{chr(34) if right is None else right}"
    return f"\\text{{{text.translate(_TEXT_ESCAPES)}}}"


_WIDTH = re.compile(r"\s*+(-?(?:\d++(?:\.\d++)?|\.\d++))\s*+(em|ex|px|pt|mm|cm)?\s*+")
_EMS = {"em": 1.0, "ex": 0.5, "px": 1 / 16, "pt": 1 / 12, "mm": 0.24, "cm": 2.4, None: 0.0}
_NAMED_WIDTHS = {"veryverythinmathspace": 0.06, "verythinmathspace": 0.12, "thinmathspace": 0.17,
                 "mediummathspace": 0.23, "thickmathspace": 0.28, "verythickmathspace": 0.34,
                 "veryverythickmathspace": 0.4}  # fmt: skip


def space(node: Node, depth: int) -> str:
    if node.getattr("linebreak") == "newline":
        return r" \\ "
    width = (node.getattr("width") or "").strip()
    found = _WIDTH.fullmatch(width)
    ems = float(found[1]) * _EMS[found[2]] if found is not None else _NAMED_WIDTHS.get(width, 0.0)
    return (
        r"\qquad " if ems >= 1.9 else r"\quad " if ems >= 0.9 else r"\;" if ems > 0.25 else r"\," if ems > 0.1 else ""
    )
