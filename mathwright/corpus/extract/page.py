"""From HTML to text that keeps its mathematics."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from mathwright.corpus.extract.controls import SIGNS as CONTROLS
from mathwright.corpus.extract.controls import show_controls
from mathwright.corpus.extract.encoding import decode
from mathwright.corpus.extract.limits import MAX_HTML_BYTES, limit_tags, strip_tags, without_long_runs
from mathwright.corpus.extract.main_content import SIGNS as MAIN_CONTENT
from mathwright.corpus.extract.main_content import keep_main_content
from mathwright.corpus.extract.markup import SIGNS as MARKUP
from mathwright.corpus.extract.markup import as_html
from mathwright.corpus.extract.numbering import with_labels
from mathwright.corpus.extract.structure import SIGNS as STRUCTURE
from mathwright.corpus.extract.structure import mend_structure
from mathwright.corpus.extract.unseen import SIGNS as UNSEEN
from mathwright.corpus.extract.unseen import remove_tips, remove_unseen
from mathwright.corpus.formulas.delimiters import find_delimited, has_delimiters
from mathwright.corpus.formulas.elements import SIGNS as NOTATION
from mathwright.corpus.formulas.elements import replace_elements
from mathwright.corpus.formulas.placeholders import RESERVED, Formulas, holds_formulas, restore
from mathwright.corpus.formulas.preparation import SIGNS as TEXT_PREPARATION
from mathwright.corpus.formulas.preparation import prepare_text
from mathwright.corpus.formulas.signs import Signs, tag_signs
from mathwright.records import Document

SHORT = 500
LITTLE = 5
"""Fewer than SHORT characters of main content out of LITTLE times as many are read again without the rules for it."""


def extract(html: bytes, url: str, *, charset: str | None = None) -> Document:
    """The main text of a page in reading order, its mathematics as TeX between `$...$` and `$$...$$`.

    html: the body in its original encoding; charset: what the HTTP header says of it. Navigation, headers,
    footers and sidebars are left out; headings, lists, tables, code and paragraphs stay apart; the text is in
    Unicode's NFC. `Document.notation` counts the formulas kept, by kind of markup.

    Never raises: whatever the bytes are, a Document comes back, with empty text at worst. A page beyond the limits is
    read in part, and `Document.problem` says in which.
    """
    problems: list[str] = []
    if len(html) > MAX_HTML_BYTES:
        problems.append(f"cut at {MAX_HTML_BYTES >> 20} MiB")
        html = html[:MAX_HTML_BYTES]
    source = decode(html, charset)
    present = _SIGNS.find(encoded := source.encode("utf-8", "replace"))
    if not present.isdisjoint(_RESERVED_CHARACTERS):
        source = RESERVED.sub("", source)
        present = _SIGNS.find(encoded := source.encode("utf-8", "replace"))
    markup = as_html(source, present)
    source, lost, too_deep = limit_tags(markup, encoded if markup is source else None)
    problems += lost
    if too_deep:
        title, text, formulas = "", strip_tags(source), Formulas()
    else:
        try:
            title, text, formulas = _read(source, present, problems)
        except ValueError as error:  # resiliparse's parser errors derive from it
            return Document(url=url, title="", text="", problem=f"not parsed: {error}")
    if not text.strip() and (left_out := strip_tags(source).strip()):
        problems.append(f"no text came out, though the page has {len(left_out):,} characters of it")
    text = without_long_runs(text)
    if has_delimiters(text, formulas):
        text = find_delimited(text, formulas)
    text, notation = restore(text, formulas, definitions=True)
    return Document(url=url, title=title, text=_normalise(text), notation=dict(notation), problem="; ".join(problems))


# --- tree to text ------------------------------------------------------------------------------------


_NOSCRIPT = tag_signs("noscript")
_NOFRAMES = tag_signs("noframes")
_FRAMES = re.compile(r"</?frame(?:set)?\b[^<>]*>", re.IGNORECASE)
_NOFRAMES_TAG = re.compile(r"<(/?)noframes\b", re.IGNORECASE)
_STREAMED = ('id="S:',)
_CLASSIFIER = ('class="classifier"',)
_NOTES = ("ltx_note_outer",)
_HIDDEN = ('aria-hidden="true"', "aria-hidden='true'", "aria-hidden=true")
_RESERVED_CHARACTERS = [chr(code) for code in range(0xE000, 0xE00A)]
"""Those of RESERVED."""
_SIGNS = Signs(
    NOTATION | TEXT_PREPARATION | MAIN_CONTENT | CONTROLS | STRUCTURE | UNSEEN
    | {*MARKUP, *_NOSCRIPT, *_NOFRAMES, *_STREAMED, *_CLASSIFIER, *_NOTES, *_HIDDEN, *_RESERVED_CHARACTERS}
)  # fmt: skip


def _read(source: str, present: frozenset[str], problems: list[str]) -> tuple[str, str, Formulas]:
    """Title and main text of a page, with placeholders, and the formulas that these stand for.

    present: those of _SIGNS that the source holds.
    """
    title, text, formulas, whole = _read_main(HTMLTree.parse(source), source, present, problems)
    if len(text) < SHORT and not present.isdisjoint(_STREAMED):
        title, text, formulas, whole = _read_main(_with_streamed(HTMLTree.parse(source)), source, present, problems)
    frames = not present.isdisjoint(_NOFRAMES) and not text.strip()
    if frames or (len(text) < SHORT and whole > LITTLE * len(text)):
        # The rules took nearly all, or all is in `noscript`: forums that scripts fill keep their text there.
        tree = HTMLTree.parse(_NOFRAMES_TAG.sub(r"<\1div", _FRAMES.sub("", source)) if frames else source)
        all_formulas = replace_elements(tree, present)
        everything = (tree.body.text or "") if tree.body is not None else ""
        prepare_text(tree, present, all_formulas, everything)
        remove_tips(tree, present)
        remove_unseen(tree, present, source)
        show_controls(tree, present, source, formulas=_may_have_formulas(all_formulas, everything))
        mend_structure(tree, present)
        all_text = _text(tree, _SKIPPED_AT_LEAST, noscript=True)
        if len(all_text) > LITTLE * len(text):
            return title, all_text, all_formulas
    return title, text, formulas


def _read_main(
    tree: HTMLTree, source: str, present: frozenset[str], problems: list[str]
) -> tuple[str, str, Formulas, int]:
    """Title and main text of a tree, its formulas, and the length of all text of the page."""
    formulas = replace_elements(tree, present)
    title = _title(tree, formulas)
    if not present.isdisjoint(_NOTES):
        _bracket_notes(tree)
    everything = tree.body.inner_text if tree.body is not None else ""
    prepare_text(tree, present, formulas, everything)
    if not present.isdisjoint(_CLASSIFIER):
        _separate_terms(tree)
    if not present.isdisjoint(_HIDDEN):
        _show_formulas(tree)
    remove_tips(tree, present)
    whole = len(everything) + (0 if present.isdisjoint(_NOSCRIPT) else _noscript(tree))
    if not keep_main_content(tree, present, len(everything)):
        problems.append("too many blocks of boilerplate in each other: some is kept")
    remove_unseen(tree, present, source)
    show_controls(tree, present, source, formulas=_may_have_formulas(formulas, everything))
    mend_structure(tree, present)
    return title, _text(tree, _SKIPPED), formulas, whole


def _may_have_formulas(formulas: Formulas, text: str) -> bool:
    return formulas.typeset or bool(formulas.tex) or ("\\" in text and "\\(" in text) or "$$" in text


def _with_streamed(tree: HTMLTree) -> HTMLTree:
    """The tree with the parts that React sends later, hidden at the end of the page, where a script would put them."""
    document = tree.document
    if document is None:
        return tree
    for part in document.query_selector_all('div[hidden][id^="S:"]').values():
        place = document.query_selector(f'template[id="B:{(part.getattr("id") or "")[2:]}"]')
        if place is not None:
            place.before(part)
            part.delattr("hidden")
    return tree


_SKIPPED_AT_LEAST = (
    "script", "style", "template", "svg", "iframe", "img", "area", "object", "video", "audio", "embed", ".headerlink",
    ".mw-editsection", ".linenos", ".ltx_tag_listingline",
    "i[aria-hidden=true]",
    "span[aria-hidden=true]",
    "a[aria-hidden=true]", "nav", "footer",
)  # fmt: skip
_SKIPPED = (*_SKIPPED_AT_LEAST[:-2], "noscript")


def _noscript(tree: HTMLTree) -> int:
    """Characters of text, or markup, that a page has for browsers without scripts."""
    nodes = tree.document.query_selector_all("noscript").values() if tree.document is not None else []
    return sum(len(node.text or "") for node in nodes[:20])


def _text(tree: HTMLTree, skipped: Sequence[str], *, noscript: bool = False) -> str:
    text = extract_plain_text(tree, main_content=False, alt_texts=True, noscript=noscript, skip_elements=skipped)
    return with_labels(text)


def _separate_terms(tree: HTMLTree) -> None:
    """Write the colon between a term and its type that docutils and Sphinx leave to the style sheet."""
    if tree.document is None:
        return
    for node in tree.document.query_selector_all("dt > .classifier").values():
        colon = tree.create_text_node(" : ")
        if colon is not None:
            node.before(colon)


def _show_formulas(tree: HTMLTree) -> None:
    """Keep formulas that are hidden from screen readers alone, which hear them in words from the element beside."""
    if tree.document is None:
        return
    for node in tree.document.query_selector_all("span[aria-hidden=true]").values():
        if not holds_formulas((node.text or "").replace("$", "")):  # prices are hidden and said, too
            continue
        beside = (node.previous_sibling, node.next_sibling)
        if not any(other is not None and other.tag != "#text" and holds_formulas(other.text or "") for other in beside):
            node.delattr("aria-hidden")


def _bracket_notes(tree: HTMLTree) -> None:
    """Put LaTeXML's notes, which stand where their mark is, in brackets in place of the marks and of their kind."""
    if tree.document is None:
        return
    for mark in tree.document.query_selector_all(".ltx_note > .ltx_note_mark").values():
        mark.remove()
    for note in tree.document.query_selector_all(".ltx_note_outer").values():
        for mark in note.query_selector_all(".ltx_note_mark, .ltx_note_type, .ltx_tag_note").values():
            mark.remove()
        opening, closing = tree.create_text_node(" ("), tree.create_text_node(")")
        if opening is not None and closing is not None and (note.text or "").strip():
            note.prepend(opening)
            note.append_child(closing)


_TITLE_SPACE = re.compile(r"\s+")


def _title(tree: HTMLTree, formulas: Formulas) -> str:
    title = tree.title or ""
    if not title.strip() and tree.document is not None:
        heading = tree.document.query_selector("h1")
        title = (heading.text or "") if heading is not None else ""
    return unicodedata.normalize("NFC", _TITLE_SPACE.sub(" ", restore(title, formulas)[0])).strip()


_EMPTY_LINES = re.compile("\n\n\n+")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\xad\u200b\u2060\ue000-\uf8ff\ufeff\ufffe\uffff]")
"""Controls, soft hyphens, zero-width spaces, and the private use area: glyphs of icon fonts."""


def _normalise(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    text = _CONTROLS.sub("", text)
    if any(f"{space}\n" in text for space in " \t\xa0"):
        text = "\n".join(line.rstrip(" \t\xa0") for line in text.split("\n"))
    text = _EMPTY_LINES.sub("\n\n", text).strip()
    if "| |" not in text:
        return text
    # a row of empty cells, alone: what stood there were pictures or controls
    return "\n\n".join(block for block in text.split("\n\n") if not block.startswith("| |") or block.strip("| "))
