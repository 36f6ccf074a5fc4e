"""Markup that a parser of HTML would misread, rewritten before it is parsed."""

from __future__ import annotations

import re

from mathwright.corpus.formulas.omml import omml_to_mathml
from mathwright.corpus.formulas.table_layout import SIGNS as LAYOUTS
from mathwright.corpus.formulas.table_layout import with_inline_tables
from mathwright.corpus.formulas.wiris import SIGNS as WIRIS_SIGNS
from mathwright.corpus.formulas.wiris import with_wiris_formulas

_PREFIX = re.compile(r"<([A-Za-z][\w.-]{0,20}):math\b", re.IGNORECASE)
_PREFIXED = re.compile(r"<(/?)([A-Za-z][\w.-]{0,20}):(?=[A-Za-z])")
_MAX_PREFIXES = 10
_XHTML = re.compile(r"\A\s*<\?xml\s|<!DOCTYPE\s[^>]{0,200}\bXHTML\b|<html\s[^>]{0,400}\bxmlns\s*=", re.IGNORECASE)
_LOOKED_AT = 2000
_VOID = (
    "area|base|basefont|bgsound|br|col|command|embed|frame|hr|image|img|input|isindex|keygen|link|meta|param|source"
    "|track|wbr"
)
# Quotes are read, for a ">" may stand between them.
_SELF_CLOSED = re.compile(
    rf"""<(?!(?:{_VOID})[\s/>])([a-zA-Z][\w.:-]*+)((?:\s++[^\s"'<>/=]++(?:\s*+=\s*+(?:"[^"<>]*+"|'[^'<>]*+'))?+)*+)\s*+/>""",
    re.IGNORECASE,
)
_WORD_OPENING = re.compile(r"<!--\[if gte msEquation \d{1,3}\]>")
_WORD_CLOSING = "<![endif]-->"
_TEMPLATE = re.compile(r"<(/?)template\b([^<>]*)>", re.IGNORECASE)
_OMML_TAG = re.compile(r"<(/?)m:omath(?:para)?(?=[\s/>])([^<>]*)>", re.IGNORECASE)
SIGNS = (":math", "/>", "msEquation", "shadowrootmode", "<m:omath", *WIRIS_SIGNS, *LAYOUTS)


def as_html(source: str, present: frozenset[str]) -> str:
    """The page as a parser of HTML should read it.

    MathML loses its prefix (`<m:mrow/>`, whatever the prefix is): to a parser of HTML an element with a prefix is an
    unknown one, which holds all that follows where it should be empty. In XHTML, elements closed in themselves
    (`<div/>`, `<iframe/>`) get the end tag without which they would hold the rest of the page.

    A template that is the shown content of an element (`shadowrootmode`) becomes a block. Word's formulas, which it
    writes into comments for itself or which others left in the page, become MathML, and so do those of Wiris in
    quotation marks that no filter of a platform turned back. Tables that lay out a formula become elements that may
    stand in a line.

    present: those of SIGNS that the source holds.
    """
    if "msEquation" in present:
        source = _with_word_formulas(source)
    if "<m:omath" in present:
        source = _with_omml(source)
    if not present.isdisjoint(WIRIS_SIGNS):
        source = with_wiris_formulas(source)
    if not present.isdisjoint(LAYOUTS):
        source = with_inline_tables(source)
    if "shadowrootmode" in present:
        source = _with_shadows(source)
    if ":math" in present:
        source = _without_prefixes(source)
    if "/>" in present and _XHTML.search(source, 0, _LOOKED_AT) is not None:
        source = _SELF_CLOSED.sub(r"<\1\2></\1>", source)
    return source


def _with_word_formulas(source: str) -> str:
    pieces: list[str] = []
    copied = 0
    for opening in _WORD_OPENING.finditer(source):
        if opening.start() < copied:
            continue
        end = source.find(_WORD_CLOSING, opening.end())
        if end < 0:
            break
        markup = _SELF_CLOSED.sub(r"<\1\2></\1>", source[opening.end() : end])
        pieces += source[copied : opening.start()], omml_to_mathml(markup)
        copied = end + len(_WORD_CLOSING)
    return "".join(pieces) + source[copied:]


def _with_omml(source: str) -> str:
    """Word's formulas as elements of the page: each outermost one that ends becomes MathML."""
    pieces: list[str] = []
    copied = start = depth = 0
    for tag in _OMML_TAG.finditer(source):
        if tag[2].endswith("/"):
            continue
        if not tag[1]:
            start = tag.start() if depth == 0 else start
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                markup = _SELF_CLOSED.sub(r"<\1\2></\1>", source[start : tag.end()])
                pieces += source[copied:start], omml_to_mathml(markup)
                copied = tag.end()
    return "".join(pieces) + source[copied:]


def _with_shadows(source: str) -> str:
    shown: list[bool] = []

    def block(tag: re.Match[str]) -> str:
        if not tag[1]:
            shown.append("shadowrootmode" in tag[2].lower())
            return f"<div{tag[2]}>" if shown[-1] else tag[0]
        return "</div>" if shown and shown.pop() else tag[0]

    return _TEMPLATE.sub(block, source)


def _without_prefixes(source: str) -> str:
    prefixes = {match[1].lower() for match in _PREFIX.finditer(source)}
    if not prefixes or len(prefixes) > _MAX_PREFIXES:
        return source
    return _PREFIXED.sub(lambda tag: f"<{tag[1]}" if tag[2].lower() in prefixes else tag[0], source)
