"""From HTML to text that keeps its mathematics."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Sequence

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import HTMLTree

from mathwright.corpus.extract.limits import MAX_HTML_BYTES, limit_tags, strip_tags, without_long_runs
from mathwright.corpus.extract.main_content import SIGNS as MAIN_CONTENT
from mathwright.corpus.extract.main_content import keep_main_content
from mathwright.corpus.formulas.delimiters import find_delimited, has_delimiters
from mathwright.corpus.formulas.elements import SIGNS as NOTATION
from mathwright.corpus.formulas.elements import replace_elements
from mathwright.corpus.formulas.placeholders import RESERVED, Formulas, restore
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
    present = _SIGNS.find(source)
    if not present.isdisjoint(_RESERVED_CHARACTERS):
        source = RESERVED.sub("", source)
        present = _SIGNS.find(source)
    source, lost, too_deep = limit_tags(source)
    problems += lost
    if too_deep:
        title, text, formulas = "", strip_tags(source), Formulas()
    else:
        try:
            title, text, formulas = _read(source, present, problems)
        except ValueError as error:  # resiliparse's parser errors derive from it
            return Document(url=url, title="", text="", problem=f"not parsed: {error}")
    text = without_long_runs(text)
    if has_delimiters(text, formulas):
        text = find_delimited(text, formulas)
    text, notation = restore(text, formulas, definitions=True)
    return Document(url=url, title=title, text=_normalise(text), notation=dict(notation), problem="; ".join(problems))


# --- bytes to characters -----------------------------------------------------------------------------

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META = re.compile(rb"<meta[^>]{0,300}charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_XML = re.compile(rb"\A\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_ESCAPED = ("iso-2022-jp", "utf-16", "utf-16le", "utf-16be", "utf-16-le", "utf-16-be", "hz-gb-2312", "utf-7")
"""Encodings whose bytes are valid UTF-8, or have to be believed, when they are declared."""


def decode(html: bytes, charset: str | None) -> str:
    """Characters of a page: by byte-order mark, by being valid UTF-8, by header, by meta element, by detection.

    Valid UTF-8 comes before what is declared: text in another encoding is hardly ever valid UTF-8 by chance,
    and declarations are often wrong.
    """
    for bom, encoding in _BOMS:
        if html.startswith(bom):
            return html[len(bom) :].decode(encoding, "replace")
    declared = [name for name in (_codec(charset), _codec(_declared(html))) if name]
    for name in declared:
        if name in _ESCAPED:
            return html.decode(name, "replace")
    try:
        return html.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(html) - 4:  # only the last character is cut
            return html.decode("utf-8", "ignore")
    for name in declared:
        if name != "utf-8":
            return html.decode(name, "replace")
    text = html.decode(_codec(detect_encoding(html)) or "utf-8", "replace")
    return _korean(html) or text if "\ufffd" in text else text


def _korean(html: bytes) -> str | None:
    """The characters of a page in EUC-KR that declares nothing: the detection takes many for another encoding."""
    try:
        text = html.decode("cp949")
    except UnicodeDecodeError:
        return None
    hangul = sum("\uac00" <= character <= "\ud7a3" for character in text)
    return text if 2 * hangul > sum(not character.isascii() for character in text) else None


def _declared(html: bytes) -> str | None:
    found = _XML.search(html[:300]) or _META.search(html[:8192])
    return found[1].decode("ascii") if found else None


def _codec(name: str | None) -> str | None:
    """Python's codec for a name found in the wild, as browsers understand it (latin-1 means cp1252)."""
    if not name:
        return None
    mapped = map_encoding_to_html5(name, fallback_utf8=False) or name
    mapped = {"gbk": "gb18030", "gb2312": "gb18030", "euc-kr": "cp949", "shift_jis": "cp932", "big5": "big5hkscs"}.get(
        mapped.lower(), mapped
    )
    try:
        return codecs.lookup(mapped).name
    except (LookupError, ValueError):  # a name with a null character is a ValueError
        return None


# --- tree to text ------------------------------------------------------------------------------------


_NOSCRIPT = tag_signs("noscript")
_CLASSIFIER = ('class="classifier"',)
_RESERVED_CHARACTERS = [chr(code) for code in range(0xE000, 0xE008)]
"""Those of RESERVED."""
_SIGNS = Signs(NOTATION | TEXT_PREPARATION | MAIN_CONTENT | {*_NOSCRIPT, *_CLASSIFIER, *_RESERVED_CHARACTERS})


def _read(source: str, present: frozenset[str], problems: list[str]) -> tuple[str, str, Formulas]:
    """Title and main text of a page, with placeholders, and the formulas that these stand for.

    present: those of _SIGNS that the source holds.
    """
    tree = HTMLTree.parse(source)
    formulas = replace_elements(tree, present)
    title = _title(tree, formulas)
    everything = tree.body.inner_text if tree.body is not None else ""
    prepare_text(tree, present, formulas, everything)
    if not present.isdisjoint(_CLASSIFIER):
        _separate_terms(tree)
    whole = len(everything) + (0 if present.isdisjoint(_NOSCRIPT) else _noscript(tree))
    if not keep_main_content(tree, present, len(everything)):
        problems.append("too many blocks of boilerplate in each other: some is kept")
    text = _text(tree, _SKIPPED)
    if len(text) < SHORT and whole > LITTLE * len(text):
        # The rules took nearly all, or all is in `noscript`: forums that scripts fill keep their text there.
        tree = HTMLTree.parse(source)
        all_formulas = replace_elements(tree, present)
        prepare_text(tree, present, all_formulas, (tree.body.text or "") if tree.body is not None else "")
        all_text = _text(tree, _SKIPPED_AT_LEAST, noscript=True)
        if len(all_text) > LITTLE * len(text):
            return title, all_text, all_formulas
    return title, text, formulas


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
    return extract_plain_text(tree, main_content=False, alt_texts=True, noscript=noscript, skip_elements=skipped)


def _separate_terms(tree: HTMLTree) -> None:
    """Write the colon between a term and its type that docutils and Sphinx leave to the style sheet."""
    if tree.document is None:
        return
    for node in tree.document.query_selector_all("dt > .classifier").values():
        colon = tree.create_text_node(" : ")
        if colon is not None:
            node.before(colon)


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
    text = "\n".join(line.rstrip(" \t\xa0") for line in text.split("\n"))
    return _EMPTY_LINES.sub("\n\n", text).strip()
