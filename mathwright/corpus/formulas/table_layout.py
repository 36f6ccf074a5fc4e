r"""Formulas that a page lays out in tables: a fraction is two rows and a line, a root a cell with one above.

So write jyeoo.com and the many Chinese sites that copy its exercises, in `<span class="MathJye">`. A formula in it may
be text with scripts, as in any HTML.
"""

from __future__ import annotations

import re
from typing import Any

from mathwright.corpus.formulas.html_expressions import KIND, html_to_tex
from mathwright.corpus.formulas.placeholders import has_placeholder
from mathwright.corpus.formulas.signs import all_signs
from mathwright.corpus.formulas.symbols import join, trim

Node = Any
"""An element of resiliparse's tree."""

_NAME = "layout-"
"""Before the names of the elements of these tables once they are read: in a paragraph, a table would end it."""
ELEMENTS = {".MathJye": ("mathjye",), '[mathtag="math"]': ("mathtag",)}
"""Selectors of formulas, with their signs."""
SIGNS = all_signs(ELEMENTS)
MAX_TABLES = 200
MAX_LENGTH = 4_000
"""Of a formula: what is longer is text in which formulas stand."""
_FIRST_MARK = 0xE100
_MARK = re.compile(f"[{chr(_FIRST_MARK)}-{chr(_FIRST_MARK + MAX_TABLES)}]")
"""Stands for a table that was read: HTML around it is read with it as one character."""
_BELOW = re.compile(r"border-bottom(?:-(?:style|width))?\s*+:(?!\s*+(?:0|none))", re.IGNORECASE)
_ABOVE = re.compile(r"border-top(?:-(?:style|width))?\s*+:(?!\s*+(?:0|none))", re.IGNORECASE)
_ROOT_IMAGE = re.compile(r"(?:root|sqrt)[\w-]{0,20}\.(?:png|gif|jpe?g|svg)", re.IGNORECASE)
_ROOT_AT_END = re.compile(r"(?:\\surd|√)\s*+\Z")


_OPENING = re.compile(r"mathjye|mathtag\s{0,2}=", re.IGNORECASE)
_SPAN = re.compile(r"<(/?)span\b([^<>]*+)>", re.IGNORECASE)
_OF_TABLE = re.compile(r"<(/?)(table|tbody|tr|td|th)(?=[\s>])", re.IGNORECASE)
MAX_MARKUP = 50_000
"""Characters of the markup of one formula."""


def with_inline_tables(source: str) -> str:
    """A page's source in which the tables of formulas are elements that may stand in a line."""
    pieces: list[str] = []
    copied = start = depth = 0
    for span in _SPAN.finditer(source):
        if depth == 0:
            if not span[1] and _OPENING.search(span[2]) is not None:
                start, depth = span.end(), 1
            continue
        depth += -1 if span[1] else 1
        if depth == 0 and span.start() - start <= MAX_MARKUP:
            pieces += source[copied:start], _OF_TABLE.sub(rf"<\1{_NAME}\2", source[start : span.start()])
            copied = span.start()
    return "".join(pieces) + source[copied:]


def read_layout(node: Node) -> tuple[str, bool, str] | None:
    """TeX of a formula laid out in tables; None where what stands there is none, or was read before."""
    text = node.text or ""
    if has_placeholder(text) or len(text) > MAX_LENGTH or not text.strip():
        return None
    tables = node.query_selector_all(f"table, {_NAME}table").values()
    if len(tables) > MAX_TABLES:
        return None
    made: list[str] = []
    for table in reversed(tables):  # those inside others first
        made.append(_table(table, made))
        table.text = chr(_FIRST_MARK + len(made) - 1)
    return trim(_expression(node, made)), False, KIND


def _expression(node: Node, made: list[str]) -> str:
    def shown(mark: re.Match[str]) -> str:
        index = ord(mark[0]) - _FIRST_MARK
        return made[index] if index < len(made) else ""

    return _MARK.sub(shown, html_to_tex(node))


def _table(table: Node, made: list[str]) -> str:
    rows = [[cell for cell in line.children.values() if cell.tag.removeprefix(_NAME) in ("td", "th")]
            for line in table.query_selector_all(f"tr, {_NAME}tr").values()]  # fmt: skip
    rows = [cells for cells in rows if cells]
    if len(rows) == 2 and len(rows[0]) == len(rows[1]) == 1:
        above, below = rows[0][0], rows[1][0]
        if _has_line(above, _BELOW) or _has_line(below, _ABOVE):
            return f"\\frac{{{trim(_expression(above, made))}}}{{{trim(_expression(below, made))}}}"
    lines = [_line(cells, made) for cells in rows]
    if len(lines) == 1:
        tex = ""
        for cell in lines[0]:
            tex = join(tex, cell)
        return tex
    return "\\begin{matrix} " + r" \\ ".join(" & ".join(cells) for cells in lines) + " \\end{matrix}" if lines else ""


def _line(cells: list[Node], made: list[str]) -> list[str]:
    """The cells of a row; a sign of a root and what stands under its line are one."""
    read: list[str] = []
    root = False
    for cell in cells:
        tex = trim(_expression(cell, made))
        if root and _has_line(cell, _ABOVE):
            read[-1] += f"\\sqrt{{{tex}}}"
            root = False
            continue
        sign = _ROOT_AT_END.search(tex)
        image = cell.query_selector("img[src]") if not tex else None
        root = sign is not None or (image is not None and _ROOT_IMAGE.search(image.getattr("src") or "") is not None)
        read.append(tex[: sign.start()] if sign is not None else tex)
    return read


def _has_line(cell: Node, line: re.Pattern[str]) -> bool:
    """Whether a line is drawn at that side of a cell, or of the one element that fills it."""
    if line.search(cell.getattr("style") or "") is not None:
        return True
    only = cell.first_element_child
    return only is not None and only.next_element is None and line.search(only.getattr("style") or "") is not None
