"""A page's tree made ready for looking for formulas in its text."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from resiliparse.parse.html import HTMLTree
from resiliparse.parse.html.node import ELEMENT

from mathwright.corpus.formulas.delimiters import TAG, has_tags
from mathwright.corpus.formulas.html_scripts import SIGNS as SCRIPTS
from mathwright.corpus.formulas.html_scripts import read_scripts
from mathwright.corpus.formulas.macros import find_definitions
from mathwright.corpus.formulas.page_config import SIGNS as CONFIG_SIGNS
from mathwright.corpus.formulas.page_config import read_config
from mathwright.corpus.formulas.placeholders import EMPHASIS, LINE_END, PROTECT, STRONG, Formulas
from mathwright.corpus.formulas.signs import Selectors, all_signs, selector, tag_signs
from mathwright.corpus.formulas.symbol_font import SIGNS as SYMBOL_FONT
from mathwright.corpus.formulas.symbol_font import read_symbol_font
from mathwright.corpus.formulas.symbol_images import SIGNS as SYMBOL_IMAGES
from mathwright.corpus.formulas.symbol_images import read_symbol_images
from mathwright.corpus.formulas.symbols import FILLER

Node = Any
"""An element of resiliparse's tree."""


_IGNORED = ("_ignore",)
_DEFINITIONS = ("newcommand", "\\def", "DeclareMathOperator")
_EMPHASISED = ("<em>", "<strong>")
_CODE: Selectors = {name: tag_signs(name) for name in ("pre", "code", "kbd", "samp", "tt", "textarea")}
SIGNS = (
    all_signs(_CODE) | CONFIG_SIGNS | SYMBOL_FONT | SYMBOL_IMAGES | {*_IGNORED, *_DEFINITIONS, *SCRIPTS, *_EMPHASISED}
)


def prepare_text(tree: HTMLTree, present: Set[str], formulas: Formulas, text: str) -> None:
    """Make the tree ready for what stands in its text: delimiters, macros, emphasis, `<sup>` and `<sub>`.

    Reads the page's configuration; hides the text of programs and of regions in which the page typesets nothing; reads
    scripts of plain HTML; marks where Markdown may have taken an underscore of a formula for emphasis.

    present: those of SIGNS that the page's source holds; text: all that extraction may take from the tree.
    """
    if tree.document is None:
        return
    if formulas.typeset and not present.isdisjoint(CONFIG_SIGNS):
        formulas.config = read_config(tree)
    delimited = "$" in text or "\\" in text
    backticks = bool(formulas.config.asciimath) and "`" in text
    tags = has_tags(text)
    if delimited or backticks or tags:
        protect_code(tree, selector(_CODE, present), backticks=backticks, tags=tags)
    if formulas.typeset:
        if (delimited or backticks) and (not present.isdisjoint(_IGNORED) or len(formulas.config.ignored) > 2):
            _protect_ignored(tree, formulas)
        if not present.isdisjoint(_DEFINITIONS):
            everything = (tree.body.text or "") if tree.body is not None else ""
            formulas.definitions = find_definitions("\n".join([everything, *formulas.tex]))
    if not present.isdisjoint(SYMBOL_IMAGES):
        read_symbol_images(tree, present)
    if not present.isdisjoint(SYMBOL_FONT):
        read_symbol_font(tree, present)
    if not present.isdisjoint(SCRIPTS):
        read_scripts(tree, formulas, present)
    if formulas.typeset and delimited and not present.isdisjoint(_EMPHASISED):
        _mark_emphasis(tree)
    if "%" in text and ("\\" in text or "$$" in text) and _may_hold_comments(text):
        _mark_comments(tree)


def protect_code(tree: HTMLTree, elements: str, *, backticks: bool = False, tags: bool = False) -> None:
    """Hide dollars and backslashes (backticks, tags) of program text, so that they do not look like delimiters.

    elements: selector of the elements that hold it.
    """
    if tree.document is None or not elements:
        return
    for node in tree.document.query_selector_all(elements).values():
        text = node.text or ""
        hidden = _protected(text, tags=tags)
        if hidden == text or (not backticks and hidden == text.translate(_BACKTICKS)):
            continue
        if node.first_element_child is None or node.query_selector("br, div, p, li, tr, math, img") is None:
            node.text = hidden  # drops the highlighter's spans, which plain text does not show
            continue
        for leaf in list(node):  # a tree must not change while it is walked
            if leaf.tag == "#text" and leaf.value:
                leaf.value = _protected(leaf.value, tags=tags)


_BACKTICKS = {ord("`"): PROTECT[ord("`")]}


def _protected(text: str, *, tags: bool) -> str:
    text = text.translate(PROTECT)
    return TAG.sub(lambda tag: tag[0][0] + FILLER + tag[0][1:], text) if tags and has_tags(text) else text


def _protect_ignored(tree: HTMLTree, formulas: Formulas) -> None:
    """Hide what looks like delimiters where the page's configuration says that nothing is typeset."""
    document = tree.document
    names = [name for name in sorted(formulas.config.ignored) if re.fullmatch(r"[A-Za-z][\w-]*", name)]
    selector = ", ".join(f".{name}" for name in names)
    for node in document.query_selector_all(selector).values() if document is not None else ():
        text = node.text or ""
        if "$" in text or "\\" in text or "`" in text:
            _protect_below(node, formulas.config.processed, 0)


def _protect_below(node: Node, processed: frozenset[str], depth: int) -> None:
    for child in node.child_nodes.values():
        value = child.value if child.tag == "#text" else child.text
        if not value or not ("$" in value or "\\" in value or "`" in value):
            continue
        if child.tag == "#text":
            child.value = value.translate(PROTECT)
        elif child.type == ELEMENT and depth < 200 and processed.isdisjoint((child.getattr("class") or "").split()):
            _protect_below(child, processed, depth + 1)


_SURELY_COMMENTED = re.compile(r"%(?<![\d\\]%)(?<!\d %)[^\n%]*+\n")
"""Not a percentage at the end of a line."""
_COMMENTED_LINE = re.compile(r"%[^\n%]*+\n")


def _may_hold_comments(text: str) -> bool:
    """Whether a line may end in a comment of TeX: what may begin a formula stands before it, not too far."""
    return any(
        _OPENING.search(text, max(0, comment.start() - _LONGEST_FORMULA), comment.start()) is not None
        for comment in _SURELY_COMMENTED.finditer(text)
    )


_OPENING = re.compile(r"\$|\\(?:[(\[]|begin\b)")
_LONGEST_FORMULA = 5_000
_NO_FORMULAS = frozenset((*_CODE, "script", "style"))
"""Elements in whose text no formula is looked for."""
_DEEPEST = 50
"""Elements so deep are walked whole: the text of each in turn would cost the square of the depth."""


def _mark_comments(tree: HTMLTree) -> None:
    """Mark where a line ends behind a `%`: the text that comes out has spaces for the ends of lines.

    Elements whose text has no such line are passed over: to walk every node took a third of the extraction's time.
    """
    todo: list[tuple[Node, int]] = [(tree.body, 0)] if tree.body is not None else []
    while todo:
        node, depth = todo.pop()
        if not _has_comment(node.text):
            continue
        for child in list(node) if depth == _DEEPEST else node.child_nodes.values():
            if child.tag == "#text" and _has_comment(child.value):
                child.value = _COMMENTED_LINE.sub(lambda match: f"{match[0][:-1]}{LINE_END}\n", child.value or "")
            elif child.type == ELEMENT and depth < _DEEPEST and child.tag not in _NO_FORMULAS:
                todo.append((child, depth + 1))


def _has_comment(text: str | None) -> bool:
    return text is not None and "%" in text and _COMMENTED_LINE.search(text) is not None


_MARKS = {"em": EMPHASIS, "strong": STRONG}


def _mark_emphasis(tree: HTMLTree) -> None:
    """Mark emphasis that may have been an underscore or a star of a formula: text with a delimiter stands before it."""
    document = tree.document
    for node in document.query_selector_all("em, strong").values() if document is not None else ():
        before = node.previous_sibling
        if before is None or before.tag != "#text":
            continue
        text = before.value or ""
        if "$" in text or "\\" in text or text[:1] in _MARKS.values():
            mark = _MARKS[node.tag or "em"]
            before.value = text + mark
            following = node.next_sibling
            if following is not None and following.tag == "#text":
                following.value = mark + (following.value or "")
            elif (closing := tree.create_text_node(mark + FILLER)) is not None:  # a lone character would get lost
                node.after(closing)
