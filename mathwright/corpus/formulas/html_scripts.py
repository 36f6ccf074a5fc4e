r"""Mathematics written in plain HTML: `x<sup>2</sup>`, `a<sub>ij</sub>`, `∑<sub>i</sub><sup>n</sup>`.

Text extraction would turn `x<sup>2</sup>` into `x2`, which is another number. Where the element is a script of what
stands before it (`script_bases`), both become TeX (`$x^2$`), as MathML would; the rest of the expression stays the text
it is. Units keep Unicode's digits (`m²`), and so do digits of which nobody can say what they are, behind a number or a
formula. Other footnote marks, ordinals, trade marks and chemical formulas stay as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence, Set
from typing import Any

from resiliparse.parse.html import HTMLTree

from mathwright.corpus.formulas.html_expressions import (
    KIND,
    SCRIPT_TAGS,
    argument,
    has_line_above,
    html_to_tex,
    read_named_fractions,
    text_to_tex,
)
from mathwright.corpus.formulas.html_expressions import SIGNS as NAMED_FRACTIONS
from mathwright.corpus.formulas.placeholders import PLACEHOLDER_END, Formulas
from mathwright.corpus.formulas.raised import MAX_SCRIPTS, name_scripts
from mathwright.corpus.formulas.raised import SIGNS as RAISED
from mathwright.corpus.formulas.script_bases import Page, base_of, is_script, measured, unit_of
from mathwright.corpus.formulas.symbols import ACCENTS, FUNCTIONS, join, to_tex, trim

Node = Any
"""An element of resiliparse's tree."""

_UNICODE_DIGITS = str.maketrans("0123456789-−–+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁻⁺")
_UNICODE_BELOW = str.maketrans("0123456789-−–+", "₀₁₂₃₄₅₆₇₈₉₋₋₋₊")
_LINES = ("overline", "vinculum", "√", "&radic;", "&#8730;", "&#x221a;")
_NOTES = (
    "noteref",
    "footnote",
    "_ftn",
    *(f"href={quote}#{name}" for quote in "\"'" for name in ("fn", "note", "n1", "ref", "cite")),
)
SIGNS = frozenset(("</su", *_LINES, *_NOTES)) | RAISED | NAMED_FRACTIONS
"""A page whose source holds none of these has nothing for `read_scripts`."""


def read_scripts(tree: HTMLTree, formulas: Formulas, present: Set[str]) -> None:
    """Put placeholders where `<sup>` and `<sub>` are scripts of mathematical symbols, and lines stand above symbols.

    present: those of SIGNS that the page's source holds.
    """
    if tree.document is None:
        return
    name_scripts(tree, present)
    read_named_fractions(tree, formulas, present)
    if not present.isdisjoint(_LINES):
        _read_lines(tree, formulas)
    if "</su" in present or not present.isdisjoint(RAISED):
        _read_slashed(tree, formulas)
        nodes = tree.document.query_selector_all("sup, sub").values()[:MAX_SCRIPTS]
        scripts = [node for node in nodes if _is_script(node)]
        page = _facts(scripts)
        for node in scripts:
            if node.parent is not None and not formulas.full():
                _replace(tree, node, formulas, page)
        for node in nodes:
            if node.parent is not None:
                _keep_apart(tree, node)
    if not present.isdisjoint(_NOTES):
        for node in tree.document.query_selector_all(_NOTE_LINKS).values()[:MAX_SCRIPTS]:
            _keep_note_apart(node)


def _is_script(node: Node) -> bool:
    if not is_script(node.text or "", node.tag):
        return False
    return node.first_element_child is None or node.query_selector(_NO_TEXT) is None


_NO_TEXT = "a, img, input, button, br, span[class]:not([class^=cm])"
"""What stands in footnotes; classes of Computer Modern are tex4ht's."""


def _facts(scripts: Sequence[Node]) -> Page:
    # A chemical formula or a grade has capital letters and digits or signs; mathematics has other scripts, too.
    certain = sum(1 for node in scripts if node.tag == "sup" or not (node.text or "").strip().isdigit())
    numbered = any(
        node.tag == "sub" and (node.text or "").strip() in ("0", "1") and _text_before(node)[-1:].isupper()
        for node in scripts
    )
    return Page(few=certain < 3, numbered=numbered)


# --- scripts -----------------------------------------------------------------------------------------

_ITALIC = frozenset(("i", "em", "var"))
_BOLD = frozenset(("b", "strong"))
_LETTERS = _ITALIC | _BOLD | {"span", "font", "u", "big", "small"}
"""Elements that may hold a part of what a script belongs to."""
_MAX_BEFORE = 240
_MAX_PIECES = 40


def _pieces_before(node: Node) -> tuple[str, list[tuple[Node, str]]]:
    """The text before a script in its line, and what it is made of, the last piece first: nodes with their text."""
    pieces: list[tuple[Node, str]] = []
    length = 0
    before = node.previous_sibling
    while before is not None and length < _MAX_BEFORE and len(pieces) < _MAX_PIECES:
        if before.tag == "#text":
            text = before.value or ""
        elif before.tag in _LETTERS and before.query_selector("a, img, br, sup, sub, div, p") is None:
            text = before.text or ""
        else:
            break
        pieces.append((before, text))
        length += len(text)
        before = before.previous_sibling
    return "".join(text for _, text in reversed(pieces)), pieces


def _replace(tree: HTMLTree, node: Node, formulas: Formulas, page: Page) -> None:
    before, pieces = _pieces_before(node)
    script = (node.text or "").strip()
    after = _text_after(node)
    tex = SCRIPT_TAGS[node.tag] + argument(html_to_tex(node))
    if not pieces:
        _replace_prescript(tree, node, formulas, before="", after=after)
        return
    last, last_text = pieces[0]
    if last.tag == "#text" and last_text.endswith(PLACEHOLDER_END):
        if formulas.extend_last(last_text, tex, KIND):
            _take_out(node)
        return
    if node.tag == "sup" and measured(before, after, script):
        node.replace_with(tree.create_text_node(f" {script}"))
        return
    if node.tag == "sup" and unit_of(before, script):
        _put(tree, node, script.translate(_UNICODE_DIGITS))
        return
    if last.tag in _ITALIC and len(last_text.strip()) <= 3 and last_text.strip():
        base = last_text
    else:
        base = base_of(before, after, script, node.tag, page)
    if not base:
        _replace_prescript(tree, node, formulas, before=before, after=after)
        return
    shown = _cut(pieces, len(base))
    if shown is None:
        return
    tex = join(shown, tex)
    before_it = node.previous_sibling
    if before_it is not None and before_it.tag == "#text" and formulas.extend_last(before_it.value or "", tex, KIND):
        _take_out(node)  # x^2y^3
    else:
        _put(tree, node, formulas.add(tex, False, KIND))


def _cut(pieces: Sequence[tuple[Node, str]], length: int) -> str | None:
    """Take the last `length` characters out of the pieces; TeX of them. None, and nothing is taken, where one of them
    is an element of which a part would stay."""
    taken: list[tuple[Node, str, int]] = []
    for node, text in pieces:
        if length <= 0:
            break
        part = min(length, len(text))
        if node.tag != "#text" and part < len(text.strip()):
            return None
        taken.append((node, text, part))
        length -= part
    tex = ""
    for node, text, part in reversed(taken):
        shown = _shown(text[len(text) - part :].replace("\xa0", " "))
        if node.tag in _BOLD and shown:
            shown = f"\\mathbf{{{shown}}}"
        tex = join(tex, shown)
        if node.tag == "#text" and part < len(text):
            node.value = text[: len(text) - part]
        else:
            node.remove()
    return trim(tex)


def _shown(base: str) -> str:
    """TeX of what a script belongs to."""
    if base.strip() in FUNCTIONS:
        return "\\" + base.strip()
    letter = unicodedata.normalize("NFD", base.strip())
    if len(letter) == 2 and letter[1] in ACCENTS and unicodedata.combining(letter[1]):
        return f"\\{ACCENTS[letter[1]]}{{{letter[0]}}}"
    return text_to_tex(base) if len(base) > 4 else to_tex(base)


def _put(tree: HTMLTree, node: Node, text: str) -> None:
    """Put a text in the place of a node, into the text before it where there is one; the text behind it joins them."""
    before = node.previous_sibling
    if before is not None and before.tag == "#text" and len(before.value or "") < _MAX_JOINED:
        before.value = (before.value or "") + text
        _take_out(node)
    elif (shown := tree.create_text_node(text)) is not None:
        node.replace_with(shown)
        _join(shown)


_MAX_JOINED = 5_000
"""A text that is longer is not made longer still: to copy it for each script would take the square of its length."""


def _take_out(node: Node) -> None:
    """Remove a node; the texts before and behind it become one."""
    before = node.previous_sibling
    node.remove()
    if before is not None and before.tag == "#text":
        _join(before)


def _join(text: Node) -> None:
    following = text.next_sibling
    if following is not None and following.tag == "#text" and len(text.value or "") < _MAX_JOINED:
        text.value = (text.value or "") + (following.value or "")
        following.remove()


_PRE_BASE = re.compile(r"[A-Z]\Z")
_ISOTOPE = re.compile(r"[A-Z][a-z]?(?![a-z])")
_WORD = re.compile(r"[A-Z]?[a-z]{2}")
_OPEN_BEFORE = re.compile(r"(?:[\s=+−×·*/(\[,:-]|\A)\Z")


def _replace_prescript(tree: HTMLTree, node: Node, formulas: Formulas, *, before: str, after: str) -> None:
    """A script that stands before its symbol: ⁿC_k, ¹⁴₆C, ²³⁵U; a footnote that stands before a word keeps apart."""
    script = (node.text or "").strip()
    following = node.next_sibling
    if following is None or not _OPEN_BEFORE.search(before) or node.first_element_child is not None:
        return
    beyond = following.next_sibling if following.tag == "#text" else None
    if following.tag == "#text" and _PRE_BASE.fullmatch(following.value or "") and beyond is not None:
        if beyond.tag in SCRIPT_TAGS:
            tex = f"{{}}{SCRIPT_TAGS[node.tag]}{argument(html_to_tex(node))}{following.value}"
            following.remove()
            _put(tree, node, formulas.add(tex, False, KIND))
        return
    if not script.isdigit():
        return
    if following.tag in SCRIPT_TAGS and following.tag != node.tag and (following.text or "").strip().isdigit():
        if _ISOTOPE.match(_text_after(following)):
            below = (following.text or "").strip()
            digits = _UNICODE_DIGITS, _UNICODE_BELOW
            first, second = digits if node.tag == "sup" else digits[::-1]
            following.remove()
            _put(tree, node, script.translate(first) + below.translate(second))
    elif node.tag == "sup" and len(script) > 1 and _ISOTOPE.match(after):
        _put(tree, node, script.translate(_UNICODE_DIGITS))
    elif node.tag == "sup" and _WORD.match(after):
        _put(tree, node, f"{script} ")


# --- what is no script -------------------------------------------------------------------------------

_FORMULA_ENDS = (PLACEHOLDER_END, "\\)", "\\]", "$")
_ENDS_NUMBER = re.compile(r"[\d⁰¹²³⁴⁵⁶⁷⁸⁹)\]|][.,]?\Z")
_FEW_DIGITS = re.compile(r"[-−+]?\d{1,4}(?:\s*[,;–−-]\s*\d{1,4})*")
_PRICE = re.compile(r"[$£€]\s?\d{1,5}\Z")
_CHARGE = re.compile(r"\d{0,2}[+−–-]")
_INLINE = frozenset({"a", "span", "b", "i", "em", "strong", "small", "font", "cite", "u", "sup", "sub"})


def _keep_apart(tree: HTMLTree, node: Node) -> None:
    """Digits that are no script of a symbol, behind a number or a formula: a footnote must not make another of it."""
    digits = (node.text or "").strip()
    if not _FEW_DIGITS.fullmatch(digits):
        _show_charge(node, digits)
        return
    before = _text_before(node)
    if len(digits) == 2 and node.tag == "sup" and _PRICE.search(before):
        node.replace_with(tree.create_text_node(f".{digits}"))
    elif _ENDS_NUMBER.search(before) or before.endswith(_FORMULA_ENDS):
        node.text = digits.translate(_UNICODE_DIGITS if node.tag == "sup" else _UNICODE_BELOW)


def _show_charge(node: Node, script: str) -> None:
    """The charge of an ion behind its number of atoms: SO₄²⁻, not SO42−."""
    below = node.previous_sibling
    if node.tag != "sup" or below is None or below.tag != "sub" or not _CHARGE.fullmatch(script):
        return
    if (below.text or "").strip().isdigit():
        below.text = (below.text or "").strip().translate(_UNICODE_BELOW)
        node.text = script.translate(_UNICODE_DIGITS)


_NOTE_LINKS = (
    'a[href^="#"], a[role=doc-noteref], a[class*=noteref], a[class*=footnote], span[class=footnote], a[rel=footnote]'
)
_NOTE = re.compile(r"\s*\[?(\d{1,3})\]?\s*")


def _keep_note_apart(node: Node) -> None:
    """The number of a note that is a link right behind a number: 1998 and note 1 are not 19981."""
    found = _NOTE.fullmatch(node.text or "")
    before = node.previous_sibling
    if found is None or before is None or before.tag != "#text" or not (before.value or "")[-1:].isdigit():
        return
    if not (node.text or "").strip().startswith("[") and node.query_selector("img") is None:
        node.text = found[1].translate(_UNICODE_DIGITS)


def _text_before(node: Node) -> str:
    """What is shown before an element in its line, as far as one element goes."""
    around: Any = node
    for _ in range(4):
        before = around.previous_sibling
        if before is not None:
            text = before.value if before.tag == "#text" else before.text if before.tag in _INLINE else ""
            return text or ""
        around = around.parent_element
        if around is None or around.tag not in _INLINE:
            return ""
    return ""


def _text_after(node: Node) -> str:
    following = node.next_sibling
    if following is None:
        return ""
    if following.tag == "#text":
        return following.value or ""
    return (following.text or "") if following.tag in _LETTERS else ""


# --- fractions and lines above ------------------------------------------------------------------------

_SLASHES = ("/", "⁄", "∕")
_PART = re.compile(r"[-−+\w.,]{1,12}")


def _read_slashed(tree: HTMLTree, formulas: Formulas) -> None:
    """Fractions written as `<sup>1</sup>⁄<sub>2</sub>`: without their markup `3¹⁄₂` would be 31⁄2."""
    nodes = tree.document.query_selector_all("sup").values() if tree.document is not None else []
    for node in nodes[:MAX_SCRIPTS]:
        slash: Any = node.next_sibling
        if slash is None or slash.tag != "#text" or (slash.value or "").strip() not in _SLASHES:
            continue
        below: Any = slash.next_sibling
        if below is None or below.tag != "sub" or formulas.full():
            continue
        parts = [(part.text or "").strip() for part in (node, below)]
        if all(map(_PART.fullmatch, parts)):
            tex = f"\\frac{{{trim(html_to_tex(node))}}}{{{trim(html_to_tex(below))}}}"
            placeholder = tree.create_text_node(formulas.add(tex, False, KIND))
            if placeholder is not None:
                node.replace_with(placeholder)
                slash.remove()
                below.remove()


_LINED = '[style*="overline"], .overline, .vinculum, .overbar, span[style*="border-top"]'
_MAX_LINED = 20
_DECIMAL = re.compile(r"(?<![\w.,])\d{0,9}[.,]\d*\Z")
_ROOT_SIGN = re.compile(r"√\s*\Z")


def _read_lines(tree: HTMLTree, formulas: Formulas) -> None:
    """Roots, repeating decimals and complements, which are a line above: without it 0.3̅ is another number."""
    document: Any = tree.document
    for node in document.query_selector_all(_LINED).values()[:MAX_SCRIPTS]:
        text = (node.text or "").strip()
        if not text or len(text) > _MAX_LINED or node.tag not in _LETTERS or node.parent is None or formulas.full():
            continue
        before = node.previous_sibling
        said = (before.value or "") if before is not None and before.tag == "#text" else ""
        inner = trim(html_to_tex(node))
        if (root := _ROOT_SIGN.search(said)) is not None:
            start, tex = root.start(), f"\\sqrt{{{inner}}}"
        elif text.isdigit() and (decimal := _DECIMAL.search(said)) is not None:
            start, tex = decimal.start(), f"{decimal[0]}\\overline{{{text}}}"
        elif text.isalpha() and len(text) <= 3 and has_line_above(node):
            start, tex = len(said), f"\\overline{{{inner}}}"
        else:
            continue
        if before is not None and start < len(said):
            before.value = said[:start]
        _put(tree, node, formulas.add(tex, False, KIND))
