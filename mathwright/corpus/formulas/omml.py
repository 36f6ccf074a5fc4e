r"""Word's formulas (OMML, ECMA-376 part 1, 22.1) as MathML.

Word's pages have them in conditional comments (`<!--[if gte msEquation 12]>`), beside pictures without a text for every
other program. There the text of a run stands in `m:r` itself, among spans and italics that only set fonts.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ELEMENT

Node = Any
"""An element of resiliparse's tree."""

_MAX_DEPTH = 60
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]|\S")
_WORD = re.compile(r"[^\W\d_]{2,}")
_NARY = "∫"
"""The operator of an `m:nary` that names none."""


def omml_to_mathml(markup: str) -> str:
    """MathML of the formulas in a piece of Word's markup, "" where there is none."""
    body = HTMLTree.parse(markup).body
    if body is None:
        return ""
    formulas = []
    for node in body.query_selector_all("m\\:omath").values():
        around = node.parent_element
        display = ' display="block"' if around is not None and around.tag == "m:omathpara" else ""
        formulas.append(f"<math{display}>{_children(node, 0)}</math>")
    return "".join(formulas)


def _children(node: Node, depth: int) -> str:
    if depth > _MAX_DEPTH:
        return _tokens(node.text or "")
    return "".join(_convert(child, depth) for child in node.child_nodes.values() if child.type == ELEMENT)


def _convert(node: Node, depth: int) -> str:
    name = node.tag
    if name == "m:r":
        return _run(node)
    if name.endswith("pr") and name.startswith("m:"):  # properties
        return ""
    parts = _Parts(node, depth)
    match name:
        case "m:f":
            return _fraction(parts)
        case "m:ssup":
            return f"<msup>{parts['m:e']}{parts['m:sup']}</msup>"
        case "m:ssub":
            return f"<msub>{parts['m:e']}{parts['m:sub']}</msub>"
        case "m:ssubsup":
            return f"<msubsup>{parts['m:e']}{parts['m:sub']}{parts['m:sup']}</msubsup>"
        case "m:spre":
            before = f"{parts['m:sub']}{parts['m:sup']}"
            return f"<mmultiscripts>{parts['m:e']}<mprescripts></mprescripts>{before}</mmultiscripts>"
        case "m:rad":
            degree = parts["m:deg"]
            if degree == _EMPTY:
                return f"<msqrt>{parts['m:e']}</msqrt>"
            return f"<mroot>{parts['m:e']}{degree}</mroot>"
        case "m:nary":
            return _nary(parts)
        case "m:d":
            return _delimited(parts)
        case "m:func":
            return f"{parts['m:fname']}<mo>\u2061</mo>{parts['m:e']}"
        case "m:acc":
            return f'<mover accent="true">{parts["m:e"]}<mo>{escape(parts.value("m:chr") or "^")}</mo></mover>'
        case "m:bar":
            tag = "mover" if parts.value("m:pos") == "top" else "munder"
            return f"<{tag}>{parts['m:e']}<mo>‾</mo></{tag}>"
        case "m:groupchr":
            tag = "mover" if parts.value("m:pos") == "top" else "munder"
            return f"<{tag}>{parts['m:e']}<mo>{escape(parts.value('m:chr') or '⏟')}</mo></{tag}>"
        case "m:limlow":
            return f"<munder>{parts['m:e']}{parts['m:lim']}</munder>"
        case "m:limupp":
            return f"<mover>{parts['m:e']}{parts['m:lim']}</mover>"
        case "m:m":
            rows = ("".join(f"<mtd>{cell}</mtd>" for cell in row.all("m:e")) for row in parts.rows())
            return f"<mtable>{''.join(f'<mtr>{row}</mtr>' for row in rows)}</mtable>"
        case "m:eqarr":
            return f"<mtable>{''.join(f'<mtr><mtd>{cell}</mtd></mtr>' for cell in parts.all('m:e'))}</mtable>"
        case _:  # boxes, phantoms, fonts
            return f"<mrow>{_children(node, depth + 1)}</mrow>"


_EMPTY = "<mrow></mrow>"


class _Parts:
    """The parts of a construct, by name; what only sets a font may stand around them."""

    def __init__(self, node: Node, depth: int) -> None:
        self._depth = depth
        self._nodes: list[Node] = []
        self._properties: Node | None = None
        todo = list(node.child_nodes.values())[::-1]
        while todo:
            child = todo.pop()
            if child.type != ELEMENT:
                continue
            if not child.tag.startswith("m:"):
                todo += list(child.child_nodes.values())[::-1]
            elif child.tag == f"{node.tag}pr":
                self._properties = child
            else:
                self._nodes.append(child)

    def __getitem__(self, name: str) -> str:
        return f"<mrow>{next(iter(self.all(name)), '')}</mrow>"

    def all(self, name: str) -> list[str]:
        """MathML of all parts of a name."""
        return [_children(node, self._depth + 1) for node in self._nodes if node.tag == name]

    def rows(self) -> list[_Parts]:
        return [_Parts(row, self._depth) for row in self._nodes if row.tag == "m:mr"]

    def value(self, name: str) -> str | None:
        """The `m:val` of a property; None where it is not given."""
        if self._properties is None:
            return None
        for node in self._properties.query_selector_all(name.replace(":", "\\:")).values():
            return node.getattr("m:val") or ""
        return None


def _run(node: Node) -> str:
    """The text of a run as identifiers, numbers and operators; upright words as one."""
    upright = False
    for node_of_style in node.query_selector_all("m\\:rpr").values():
        styles = [style.getattr("m:val") for style in node_of_style.query_selector_all("m\\:sty").values()]
        upright = "p" in styles or bool(node_of_style.query_selector_all("m\\:nor"))
    text = node.text or ""
    if upright and _WORD.search(text):
        return f"<mtext>{escape(text)}</mtext>" if " " in text.strip() else f"<mi>{escape(text.strip())}</mi>"
    return _tokens(text)


def _tokens(text: str) -> str:
    made = []
    for token in _TOKEN.findall(text):
        tag = "mn" if token[0].isdigit() else "mi" if token.isalpha() else "mo"
        made.append(f"<{tag}>{escape(token)}</{tag}>")
    return "".join(made)


def _fraction(parts: _Parts) -> str:
    above, below = parts["m:num"], parts["m:den"]
    match (parts.value("m:type") or "").lower():
        case "lin":
            return f"{above}<mo>/</mo>{below}"
        case "nobar":
            return f'<mfrac linethickness="0">{above}{below}</mfrac>'
        case _:
            return f"<mfrac>{above}{below}</mfrac>"


def _nary(parts: _Parts) -> str:
    operator = f"<mo>{escape(parts.value('m:chr') or _NARY)}</mo>"
    below, above = parts["m:sub"], parts["m:sup"]
    beside = (parts.value("m:limloc") or "").lower() == "subsup"
    if below == _EMPTY == above:
        return operator + parts["m:e"]
    if above == _EMPTY:
        tag, limits = ("msub" if beside else "munder"), below
    elif below == _EMPTY:
        tag, limits = ("msup" if beside else "mover"), above
    else:
        tag, limits = ("msubsup" if beside else "munderover"), below + above
    return f"<{tag}>{operator}{limits}</{tag}>{parts['m:e']}"


def _delimited(parts: _Parts) -> str:
    opening, closing = parts.value("m:begchr"), parts.value("m:endchr")
    opening = "(" if opening is None else opening
    closing = ")" if closing is None else closing
    separator = parts.value("m:sepchr") or "|"
    inner = f"<mo>{escape(separator)}</mo>".join(f"<mrow>{part}</mrow>" for part in parts.all("m:e"))
    fences = [f"<mo>{escape(fence)}</mo>" if fence else "" for fence in (opening, closing)]
    return f"<mrow>{fences[0]}{inner}{fences[1]}</mrow>"
