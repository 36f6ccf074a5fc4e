"""What MathQuill, an editor of exercise pages, shows of a formula, as TeX: the copy that it keeps, else read back."""

from __future__ import annotations

from typing import Any

from resiliparse.parse.html.node import ELEMENT

from mathwright.corpus.formulas.placeholders import clean_tex
from mathwright.corpus.formulas.symbols import FUNCTIONS, join, to_tex, trim

Node = Any
"""An element of resiliparse's tree."""

ELEMENTS = {
    ".mq-math-mode, .mq-editable-field": ("mq-math-mode", "mq-editable-field"),
    ".dcg-mq-math-mode, .dcg-mq-editable-field": ("dcg-mq-math-mode", "dcg-mq-editable-field"),
    ".mathquill-rendered-math": ("mathquill-rendered-math",),
}
"""Selectors of formulas, with their signs."""
_PREFIXES = ("mq-", "dcg-mq-", "")
"""Of MathQuill's classes: its own, that of Desmos, and none in old versions."""
_MAX_DEPTH = 40


def read_mathquill(node: Node) -> tuple[str, bool, str] | None:
    copy = node.query_selector(_with_prefixes("selectable"))
    tex = clean_tex(copy.text or "")[0] if copy is not None else ""
    if not tex.strip():
        root = node.query_selector(_with_prefixes("root-block"))
        tex = _row(root if root is not None else node, 0)
    return (tex, False, "mathquill") if tex.strip() else None


def _row(node: Node, depth: int) -> str:
    tex = ""
    for child in node.child_nodes.values():
        if child.tag == "#text":
            tex = join(tex, to_tex((child.value or "").replace("\u200b", "").strip()))
        elif child.type == ELEMENT and depth < _MAX_DEPTH:
            tex = join(tex, _construct(child, tex, depth + 1))
    return tex


def _construct(node: Node, before: str, depth: int) -> str:
    names = {name.removeprefix("dcg-").removeprefix("mq-") for name in (node.getattr("class") or "").split()}
    inner = _row(node, depth)
    if "fraction" in names:
        return f"\\frac{{{_part(node, 'numerator', depth)}}}{{{_part(node, 'denominator', depth)}}}"
    if "supsub" in names:
        below, above = _part(node, "sub", depth), _part(node, "sup", depth)
        return ("" if before else "{}") + (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")
    if "nthroot" in names:
        return ""  # read with the root behind it
    if "sqrt-prefix" in names or "cursor" in names or "textarea" in names or "selectable" in names:
        return ""
    if "sqrt-stem" in names:
        return f"\\sqrt{_degree(node)}{{{trim(inner)}}}"
    if "large-operator" in names:
        sign = node.query_selector("big")
        operator = to_tex((sign.text or "").strip()) if sign is not None else ""
        below, above = _part(node, "from", depth), _part(node, "to", depth)
        return operator + (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")
    if "text-mode" in names:
        return f"\\text{{{node.text or ''}}}"
    if node.tag in ("sup", "sub"):
        return ("" if before else "{}") + ("^" if node.tag == "sup" else "_") + f"{{{trim(inner)}}}"
    if node.tag == "var" and inner in FUNCTIONS:
        return "\\" + inner
    return inner


def _with_prefixes(name: str) -> str:
    return ", ".join(f".{prefix}{name}" for prefix in _PREFIXES)


def _part(node: Node, name: str, depth: int) -> str:
    found = node.query_selector(_with_prefixes(name))
    return "" if found is None else trim(_row(found, depth))


def _degree(stem: Node) -> str:
    """The index of a root: it stands before the sign of the root."""
    around = stem.parent_element
    before = around.previous_sibling if around is not None else None
    if before is None or before.type != ELEMENT or "nthroot" not in (before.getattr("class") or ""):
        return ""
    return f"[{trim(_row(before, 0))}]"
