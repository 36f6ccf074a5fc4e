"""Presentation MathML as TeX (and content MathML, where nothing else is there).

Used where a page gives no TeX of its own beside the MathML (docutils, old MathJax output, word processors). Rows,
operators and fences are in `mathml.rows`, scripts and accents in `mathml.scripts`, leaves in `mathml.leaves`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mathwright.corpus.formulas.mathml import scripts
from mathwright.corpus.formulas.mathml.content import CONTENT, content_to_tex
from mathwright.corpus.formulas.mathml.leaves import (
    Node,
    children_of,
    identifier,
    name_of,
    number,
    quoted,
    space,
    text_of,
    variant_of,
    words,
)
from mathwright.corpus.formulas.mathml.rows import (
    ELEMENTS,
    MAX_DEPTH,
    argument,
    column_lines,
    convert,
    environment,
    has_no_bar,
    is_tall,
    matrix_environment,
    nth,
    only,
    only_table,
    operator,
    row,
    table_rows,
)
from mathwright.corpus.formulas.symbols import join, to_tex, trim

MAX_NODES = 20_000
"""A formula of more elements than this gives only its text."""

_SPACE = re.compile(r"\s+")
_MOD = re.compile(
    r"(?:\\quad ?|\\;)?\((?:\\(?:mathrm|operatorname)\{mod\}|\\bmod)(?:\\[;,]|\s)*+"
    r"((?:[^(){}\\]|\\[A-Za-z]++|\{[^{}]*+\})++)\)"
)
"""How MathML shows \\pmod."""


def mathml_to_tex(math: Node) -> str:
    """TeX of a `<math>` element (or any element of MathML), "" where it shows nothing. Never raises."""
    if len(math.get_elements_by_tag_name("*")) > MAX_NODES:
        return to_tex(text_of(math))
    return trim(_SPACE.sub(" ", _MOD.sub(r"\\pmod{\1}", convert(math, 0))))


# --- tables ------------------------------------------------------------------------------------------


def _table(node: Node, depth: int) -> str:
    rows = table_rows(node, depth)
    if len(rows) == 1 and len(rows[0]) == 1:
        return rows[0][0]
    alignment = str(node.getattr("columnalign") or "").split()
    lines = column_lines(node)
    if lines:
        return _ruled(rows, alignment, lines)
    kind = node.getattr("class") or ""
    aligned = "align" in kind or node.getattr("displaystyle") == "true" or alignment[:2] == ["right", "left"]
    return environment("cases" if "cases" in kind else "aligned" if aligned else "matrix", rows)


def _ruled(rows: list[list[str]], alignment: list[str], lines: list[bool]) -> str:
    """A table with lines between columns: the last value given counts for the columns that follow."""
    columns = ""
    width = max((len(cells) for cells in rows), default=0)
    for index in range(width):
        columns += (alignment[min(index, len(alignment) - 1)][:1] if alignment else "") or "c"
        columns += "|" if index < width - 1 and lines[min(index, len(lines) - 1)] else ""
    return environment("array", rows, f"{{{columns}}}")


def _fenced(node: Node, depth: int) -> str:
    opening = node.getattr("open")
    closing = node.getattr("close")
    separators = node.getattr("separators")
    opening = "(" if opening is None else opening.strip()
    closing = ")" if closing is None else closing.strip()
    marks = "," if separators is None else "".join(separators.split())
    children = children_of(node)
    if len(children) == 1:
        table = only_table(children[0])
        known = matrix_environment(table, opening, closing) if table is not None else None
        if table is not None and known is not None:
            return environment(known, table_rows(table, depth))
        fraction = only(children[0], "mfrac")
        if fraction is not None and has_no_bar(fraction) and (opening, closing) == ("(", ")"):
            parts = children_of(fraction)
            return f"\\binom{{{argument(nth(parts, 0), depth)}}}{{{argument(nth(parts, 1), depth)}}}"
    inner = ""
    for index, child in enumerate(children):
        if index and marks:
            inner += to_tex(marks[min(index, len(marks)) - 1]) + " "
        inner = join(inner, convert(child, depth))
    left, right = _fence(opening), _fence(closing)
    if is_tall(inner):
        return f"{join(chr(92) + 'left', left or '.')}{inner}\\right{right or '.'}"
    return join(left, inner) + right


def _fence(text: str) -> str:
    return "|" if text in ("|", "∣") else to_tex(text)


# --- columns of elementary arithmetic ----------------------------------------------------------------

_NO_ROWS = frozenset({"mscarries", "mscarry", "none"})


def _column(node: Node, depth: int) -> str:
    """A calculation in a column, a number a row: side by side they would be another number."""
    return _rows_of_column(_column_rows(children_of(node), depth))


def _long_division(node: Node, depth: int) -> str:
    """Divisor, result and dividend come first, the steps follow."""
    divisor, result, dividend = (argument(nth(children_of(node), index), depth) for index in range(3))
    first = [result, f"{divisor}\\overline{{){dividend}}}"] if dividend else [divisor, result]
    return _rows_of_column([*first, *_column_rows(children_of(node)[3:], depth)])


_LINE = r"\hline"


def _column_rows(nodes: Sequence[Node], depth: int) -> list[str]:
    rows: list[str] = []
    for node in nodes:
        name = name_of(node)
        if name == "msline":
            rows.append(_LINE)
        elif name == "msgroup" and depth < MAX_DEPTH:
            rows += _column_rows(children_of(node), depth + 1)
        elif name not in _NO_ROWS:
            rows.append(argument(node, depth))
    return rows


def _rows_of_column(rows: Sequence[str]) -> str:
    tex = ""
    for line in filter(None, rows):
        tex += " " if not tex or tex.endswith(_LINE) else r" \\ "
        tex += line
    return f"\\begin{{array}}{{r}}{tex} \\end{{array}}" if tex else ""


# --- wrappers ----------------------------------------------------------------------------------------

_ENCLOSURES = (
    ("box", "boxed"), ("roundedbox", "boxed"), ("circle", "boxed"), ("top", "overline"), ("bottom", "underline"),
    ("radical", "sqrt"), ("updiagonalstrike", "cancel"), ("downdiagonalstrike", "bcancel"),
    ("horizontalstrike", "hcancel"), ("actuarial", "overline"), ("madruwb", "underline"),
)  # fmt: skip


def _enclosed(node: Node, depth: int) -> str:
    inner = trim(row(children_of(node), depth))
    notations = (node.getattr("notation") or "longdiv").split()
    if "longdiv" in notations:
        return f"\\overline{{){inner}}}"
    if {"updiagonalstrike", "downdiagonalstrike"} <= set(notations):
        return f"\\xcancel{{{inner}}}"
    if {"top", "bottom", "left", "right"} <= set(notations):
        return f"\\boxed{{{inner}}}"
    for notation, command in _ENCLOSURES:
        if notation in notations:
            return f"\\{command}{{{inner}}}"
    return inner


def _group(node: Node, depth: int) -> str:
    variant = variant_of(node)
    inner = row(children_of(node), depth) if len(node.children) else to_tex(text_of(node))
    return f"\\{variant}{{{trim(inner)}}}" if variant and inner.strip() else inner


def _semantics(node: Node, depth: int) -> str:
    """The presentation, wherever it stands; the content where there is none."""
    children = children_of(node)
    if not children:
        return to_tex(text_of(node))
    if name_of(children[0]) not in CONTENT:
        return convert(children[0], depth)
    for child in children[1:]:
        presented = name_of(child) == "annotation-xml" and "resentation" in (child.getattr("encoding") or "")
        if presented and (tex := row(children_of(child), depth)):
            return tex
    return convert(children[0], depth)


def _action(node: Node, depth: int) -> str:
    """What a `maction` shows before anybody acts."""
    children = children_of(node)
    selection = node.getattr("selection") or ""
    chosen = nth(children, int(selection[:4]) - 1) if selection.isascii() and selection.isdigit() else None
    shown = chosen if chosen is not None else nth(children, 0)
    return to_tex(text_of(node)) if shown is None else convert(shown, depth)


def _phantom(node: Node, depth: int) -> str:
    inner = trim(row(children_of(node), depth))
    return f"\\phantom{{{inner}}}" if inner else ""


def _error(node: Node, depth: int) -> str:
    return f"\\text{{{to_tex(text_of(node))}}}" if not len(node.children) else row(children_of(node), depth)


def _nothing(node: Node, depth: int) -> str:
    return ""


ELEMENTS.update({
    "math": _group, "mrow": _group, "mstyle": _group, "mpadded": _group, "merror": _error, "mtd": _group,
    "semantics": _semantics, "maction": _action, "mphantom": _phantom, "menclose": _enclosed, "mfenced": _fenced,
    "mi": identifier, "mn": number, "mo": lambda node, depth: operator(node, text_of(node), False),
    "mtext": words, "ms": quoted, "mspace": space,
    "mfrac": scripts.fraction, "msqrt": scripts.square_root, "mroot": scripts.root, "msub": scripts.sub,
    "msup": scripts.sup, "msubsup": scripts.sub_sup, "munder": scripts.under, "mover": scripts.over,
    "munderover": scripts.under_over, "mmultiscripts": scripts.multiscripts, "mtable": _table,
    "annotation": _nothing, "annotation-xml": _nothing, "none": _nothing, "mprescripts": _nothing,
    "mstack": _column, "mlongdiv": _long_division,
    "maligngroup": _nothing, "malignmark": _nothing,
    **dict.fromkeys(CONTENT, content_to_tex),
})  # fmt: skip
