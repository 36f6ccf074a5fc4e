r"""Rows of MathML as TeX: operators and their spaces, fences that stretch, tables between fences, binomials.

`convert` turns any element into TeX; what each element means is registered in ELEMENTS (by `mathml.presentation`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mathwright.corpus.formulas.mathml.leaves import Node, children_of, function, name_of, text_of, word
from mathwright.corpus.formulas.symbols import BINARIES, FUNCTIONS, RELATIONS, join, to_tex, trim

MAX_DEPTH = 100
"""Markup nested deeper than this gives only its text: no formula is so deep, but hostile pages are."""

ELEMENTS: dict[str, Callable[[Node, int], str]] = {}
"""Name of an element -> what turns it into TeX, given the element and its depth."""

_OPENING = frozenset(["(", "[", "{", "⟨", "〈", "⌊", "⌈", "⟦"])
_CLOSING = frozenset([")", "]", "}", "⟩", "〉", "⌋", "⌉", "⟧"])
_BARS = frozenset(["|", "∣", "‖", "∥"])
_TALL = re.compile(r"\\(?:frac|binom|begin|underset|overset|underbrace|overbrace)\b|\\(?:sum|prod|bigcap|bigcup|int)_")
_MATRICES = {("(", ")"): "pmatrix", ("[", "]"): "bmatrix", ("|", "|"): "vmatrix", ("‖", "‖"): "Vmatrix",
             ("∥", "∥"): "Vmatrix", ("{", "}"): "Bmatrix", ("{", ""): "cases"}  # fmt: skip
_WRITTEN = {"!=": r"\neq", "<=": r"\leq", ">=": r"\geq", "->": r"\to", "=>": r"\Rightarrow", "<->": r"\leftrightarrow",
            "<=>": r"\Leftrightarrow", "...": r"\ldots", "⁢": "", "||": r"\|", "**": "**", "<-": r"\leftarrow",
            "+-": r"\pm", "|->": r"\mapsto", ":=": ":=", "==": "==", "//": "//"}  # fmt: skip
"""Operators written with several characters."""
_RELATIONS = RELATIONS | {"->", "=>", "<->", "<=>", "<-", "|->"}


def convert(node: Node, depth: int) -> str:
    """TeX of any element of MathML; the text of one that is nested too deep."""
    if depth > MAX_DEPTH:
        return to_tex(text_of(node))
    known = ELEMENTS.get(name_of(node))
    return row(children_of(node), depth) or to_tex(text_of(node)) if known is None else known(node, depth + 1)


def argument(node: Node | None, depth: int) -> str:
    """The TeX of an element as an argument in braces, braces left out."""
    return "" if node is None else trim(convert(node, depth))


def nth(children: Sequence[Node], index: int) -> Node | None:
    return children[index] if index < len(children) else None


def is_tall(tex: str) -> bool:
    """Whether fences around it would stretch."""
    return _TALL.search(tex) is not None


def row(nodes: Sequence[Node], depth: int) -> str:
    """TeX of elements in a row."""
    parts: list[str] = []
    open_fences: list[tuple[int, str]] = []
    index = 0
    while index < len(nodes):
        node = nodes[index]
        fenced = _fenced_table(nodes, index, depth) or _binomial(nodes, index, depth)
        if fenced is not None:
            tex, used = fenced
            parts.append(tex)
            index += used
            continue
        if name_of(node) == "mo":
            text = text_of(node)
            parts.append(operator(node, text, 0 < index < len(nodes) - 1 and _can_be_left_of_infix(nodes[index - 1])))
            _stretch(node, text, parts, open_fences)
        elif name_of(node) == "mi" and index + 1 < len(nodes) and text_of(nodes[index + 1]) == "\u2061":
            parts.append(function(node, depth))
        else:
            parts.append(convert(node, depth))
        index += 1
    tex = ""
    for part in _stretch_bars(parts):
        tex = join(tex, part)
    return tex


def _stretch(node: Node, text: str, parts: list[str], open_fences: list[tuple[int, str]]) -> None:
    r"""Keep account of the fence that is the last part; `\left` and `\right` where it closes around something tall."""
    form = node.getattr("form")
    fence = "" if node.getattr("stretchy") == "false" else text
    if text in _OPENING or (text in _BARS and form == "prefix"):
        parts[-1] = to_tex(text) if text not in "|∣" else "|"
        open_fences.append((len(parts) - 1, fence))
    elif (text in _CLOSING or (text in _BARS and form == "postfix")) and open_fences:
        parts[-1] = to_tex(text) if text not in "|∣" else "|"
        start, opening = open_fences.pop()
        if opening and fence and is_tall("".join(parts[start + 1 : -1])):
            parts[start] = join(r"\left", parts[start])
            parts[-1] = r"\right" + parts[-1]


def _stretch_bars(parts: list[str]) -> list[str]:
    r"""`|...|` around something tall as \left| ... \right|; a bar does not say whether it opens or closes."""
    if len(parts) > 2 and parts[0] == parts[-1] and parts[0] in ("|", r"\|") and is_tall("".join(parts[1:-1])):
        return [r"\left" + parts[0], *parts[1:-1], r"\right" + parts[-1]]
    return parts


def operator(node: Node, text: str, infix: bool) -> str:
    """TeX of an `mo`; infix: whether it stands between two operands, so that it has spaces around it."""
    if text in (",", ";"):
        return text + " "
    if text == "mod":
        return r" \bmod " if infix else r"\bmod "
    if text.isalpha() and text.isascii() and len(text) > 1:
        tex = word(text)
        return tex + " " if infix and text not in FUNCTIONS else tex
    tex = _WRITTEN.get(text)
    if tex is None:
        tex = to_tex(text)
    if text in ("|", "∣") and tex == r"\mid" and not infix:
        tex = "|"
    if infix and (text in _RELATIONS or text in BINARIES) and node.getattr("form") not in ("prefix", "postfix"):
        return f" {tex} "
    return f"{tex} " if text in _RELATIONS else tex


def _can_be_left_of_infix(node: Node) -> bool:
    """Whether an operator behind this node stands between two operands (`a - b`), not before one (`= -b`)."""
    return name_of(node) != "mo" or text_of(node) in _CLOSING or text_of(node) in ("|", "!", "'", "′", "…", "⋯")


# --- tables and binomials between fences -----------------------------------------------------------------


def _fenced_table(nodes: Sequence[Node], index: int, depth: int) -> tuple[str, int] | None:
    """A matrix or cases: (TeX, nodes used) where the table at `index + 1` stands between fences."""
    if name_of(nodes[index]) != "mo" or index + 1 >= len(nodes):
        return None
    opening = text_of(nodes[index])
    if opening not in ("(", "[", "{", "|", "‖", "∥"):
        return None
    table = only_table(nodes[index + 1])
    if table is None:
        return None
    behind = nth(nodes, index + 2)
    closing = text_of(behind) if behind is not None and name_of(behind) == "mo" else ""
    known = matrix_environment(table, opening, closing)
    used = 3 if behind is not None and name_of(behind) == "mo" and (known or not closing) else 2
    if known is None:
        if opening != "{":
            return None
        known = "cases"
    return environment(known, table_rows(table, depth)), used


def matrix_environment(table: Node, opening: str, closing: str) -> str | None:
    """The environment for a table between these fences; None where there is none, or lines need an `array`."""
    return None if column_lines(table) else _MATRICES.get((opening, closing))


def _binomial(nodes: Sequence[Node], index: int, depth: int) -> tuple[str, int] | None:
    """A fraction without a bar between parentheses: (TeX, nodes used)."""
    if index + 2 >= len(nodes) or text_of(nodes[index]) != "(" or text_of(nodes[index + 2]) != ")":
        return None
    if only(nodes[index], "mo") is None or only(nodes[index + 2], "mo") is None:
        return None
    fraction = only(nodes[index + 1], "mfrac")
    if fraction is None or not has_no_bar(fraction):
        return None
    children = children_of(fraction)
    return f"\\binom{{{argument(nth(children, 0), depth)}}}{{{argument(nth(children, 1), depth)}}}", 3


def has_no_bar(fraction: Node) -> bool:
    thickness = (fraction.getattr("linethickness") or "").strip()
    return re.fullmatch(r"0+(\.0*)?[a-z%]*", thickness) is not None


def only(node: Node, name: str) -> Node | None:
    """The element of that name that is all there is in `node`."""
    for _ in range(4):
        if name_of(node) == name:
            return node
        children = children_of(node)
        if name_of(node) not in ("mrow", "mstyle", "mpadded", "mjx-texatom") or len(children) != 1:
            return None
        node = children[0]
    return None


def only_table(node: Node) -> Node | None:
    """The table that is all there is in `node`."""
    return only(node, "mtable")


def table_rows(table: Node, depth: int) -> list[list[str]]:
    """The cells of a table; labels of equations are left out."""
    rows: list[list[str]] = []
    for line in children_of(table):
        if name_of(line) not in ("mtr", "mlabeledtr"):
            continue
        cells = [c for c in children_of(line) if name_of(c) == "mtd"]
        if name_of(line) == "mlabeledtr":
            cells = cells[1:]
        rows.append([trim(row(children_of(cell), depth)) or to_tex(text_of(cell)) for cell in cells])
    return rows


def column_lines(table: Node) -> list[bool]:
    """Whether a line is drawn behind each column; empty where none is."""
    lines = [line != "none" for line in (table.getattr("columnlines") or "").split()]
    return lines if any(lines) else []


def environment(name: str, rows: list[list[str]], columns: str = "") -> str:
    """TeX of a table; columns: the argument of `array`."""
    body = r" \\ ".join(" & ".join(cells) for cells in rows)
    return f"\\begin{{{name}}}{columns} {body} \\end{{{name}}}"
