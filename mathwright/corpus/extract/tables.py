"""Rows of tables whose cells hold paragraphs: extraction of text would put every cell on a line of its own."""

from __future__ import annotations

from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.signs import Selectors, all_signs, selector, tag_signs

Node = Any
"""An element of resiliparse's tree."""

_BLOCKS: Selectors = {
    ":is(td, th) > :is(p, div, br, center), :is(td, th) > :is(span, b, strong, a, code) > br": tag_signs("table"),
}
_ROWS: Selectors = {
    "[role=row]:not(tr) > [role]": ('role="row"', "role='row'", "role=row"),
}
SIGNS = all_signs(_BLOCKS, _ROWS)
_CELL_ROLES = frozenset(("cell", "gridcell", "columnheader", "rowheader"))
_LONG, _MUCH = 200, 800
"""A cell with more characters is one of a table that lays out a page; with more than MUCH, white space and all."""
_LAYOUT = "ul, ol, dl, h1, h2, h3, h4, h5, h6, pre, table, form, blockquote, details, article, section"
"""What such cells hold, and cells of data do not."""
_INNER = "p, div, br, center"
_DONE = "data-joined"
_MAX_CELLS = 50_000
_WORK = 30_000_000
"""Characters of rows that are read at most: tables in each other would cost the square of their depth."""


def join_cells(tree: HTMLTree, present: frozenset[str]) -> None:
    """Put what a cell of a row with several cells holds on one line, and make rows of elements that say they are.

    Rows stay as they are where a cell is long, or holds lists, headings, programs or tables: they lay out a page.
    present: those of SIGNS that the page's source holds.
    """
    document = tree.document
    if document is None:
        return
    if (rows := selector(_ROWS, present)) != "":
        _make_rows(tree, rows)
    if (blocks := selector(_BLOCKS, present)) == "":
        return
    count = work = 0
    for node in document.query_selector_all(blocks).values():
        cell: Node = node.parent_element
        while cell is not None and cell.tag not in ("td", "th"):
            cell = cell.parent_element
        row = cell.parent_element if cell is not None else None
        if row is None or row.hasattr(_DONE):
            continue
        row.setattr(_DONE, "")
        cells = [child for child in row.children.values() if child.tag in ("td", "th")]
        count += len(cells)
        if count > _MAX_CELLS or work > _WORK:
            return
        if len(cells) < 2:
            continue
        work += len(row.text or "")
        if not any(map(_lays_out, cells)):
            for cell in cells:
                _join(tree, cell)


def _lays_out(cell: Node) -> bool:
    if cell.first_element_child is None:
        return len(cell.text or "") > _MUCH
    text = cell.text or ""
    return len(text) > _MUCH or len(" ".join(text.split())) > _LONG or cell.query_selector(_LAYOUT) is not None


def _join(tree: HTMLTree, cell: Node) -> None:
    """One line of the blocks of a cell, with spaces between."""
    if cell.first_element_child is None:
        return
    blocks = cell.query_selector_all(_INNER).values()
    if not blocks:
        return
    for block in reversed(blocks):  # those inside before those around them
        inside: list[Node] = [] if block.tag == "br" else list(block.child_nodes.values())
        before, after = block.previous_sibling is not None, block.next_sibling is not None
        if before and inside:
            inside.insert(0, tree.create_text_node(" "))
        if after:
            inside.append(tree.create_text_node(" "))
        if inside:
            block.replace_with(*inside)
        else:
            block.remove()
    _trim_end(cell)


def _trim_end(cell: Node) -> None:
    """Take the space off the end of a cell."""
    node = cell.last_child
    while node is not None:
        if node.tag != "#text":
            node = node.last_child
        elif (value := (node.value or "").rstrip()) != "":
            node.value = value
            return
        else:
            around, empty = node.parent, node
            node = node.previous_sibling
            empty.remove()
            if node is None and around is not cell:
                return


def _make_rows(tree: HTMLTree, cells: str) -> None:
    """Make rows and cells of elements whose roles say so."""
    document: Any = tree.document
    for cell in document.query_selector_all(cells).values()[:_MAX_CELLS]:
        if cell.getattr("role") not in _CELL_ROLES or cell.tag in ("td", "th"):
            continue
        row = cell.parent_element
        if row.tag != "tr":
            if not all(map(_is_short_cell, row.children.values())):
                continue
            row = _renamed(tree, row, "tr")
        _join(tree, _renamed(tree, cell, "td"))


def _is_short_cell(cell: Node) -> bool:
    return cell.getattr("role") in _CELL_ROLES and not _lays_out(cell)


def _renamed(tree: HTMLTree, node: Node, tag: str) -> Node:
    """The node as an element of another kind."""
    renamed: Any = tree.create_element(tag)
    for child in list(node.child_nodes.values()):
        renamed.append_child(child)
    node.replace_with(renamed)
    return renamed
