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
# Scripts without spaces: Chinese characters, kana, bopomofo, and the punctuation of full width.
_CHINESE = "\u2e80-\u2fdf\u3001-\u312f\u31a0-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff60\U00020000-\U0003ffff"
_TAG_NAME = re.compile(r"</?+([^\s/<>]*+)")
_INLINE = frozenset(
    {"abbr", "b", "big", "cite", "code", "em", "font", "i", "ins", "mark", "q", "small", "span", "strong", "u"}
)
_LINE_OF_CHINESE = re.compile(rf"\n[ \t\r]*+(?=((?:<[^<>]++>)*+)[{_CHINESE}“‘—…])")
_ENDS_IN_CHINESE = re.compile(rf"[{_CHINESE}”’—…]")
_LOOKED_BACK = 300
_AS_IT_STANDS = re.compile(r"<(/?)(pre|listing|xmp|textarea|script|style)\b", re.IGNORECASE)
_OFTEN = ("、", "。", "，", "．", "的", "の")
_SHORT = 4000
"""So short a page may have none of _OFTEN, and is looked through in no time."""
_OMML_TAG = re.compile(r"<(/?)m:omath(?:para)?(?=[\s/>])([^<>]*)>", re.IGNORECASE)
SIGNS = (":math", "/>", "msEquation", "shadowrootmode", "<m:omath", *WIRIS_SIGNS, *LAYOUTS, *_OFTEN)


def as_html(source: str, present: frozenset[str]) -> str:
    """The page as a parser of HTML should read it.

    MathML loses its prefix (`<m:mrow/>`, whatever the prefix is): to a parser of HTML an element with a prefix is an
    unknown one, which holds all that follows where it should be empty. In XHTML, elements closed in themselves
    (`<div/>`, `<iframe/>`) get the end tag without which they would hold the rest of the page.

    A line of Chinese or Japanese goes on in the next: to a parser, the line end would be a space between words.

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
    if not (source.isascii() or (len(source) > _SHORT and present.isdisjoint(_OFTEN))):
        source = _with_lines_joined(source)
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


def _with_lines_joined(source: str) -> str:
    """Without line ends between characters of scripts that have no spaces, but where lines are kept as they are."""
    pieces: list[str] = []
    begun, kept = 0, ""
    for tag in _AS_IT_STANDS.finditer(source):
        name = tag[2].lower()
        if (not kept and not tag[1]) or (kept == name and tag[1]):
            piece = source[begun : tag.start()]
            pieces.append(piece if kept else _joined(piece))
            begun, kept = tag.start(), "" if kept else name
    return "".join([*pieces, source[begun:] if kept else _joined(source[begun:])])


def _joined(source: str) -> str:
    pieces: list[str] = []
    copied = 0
    for line in _LINE_OF_CHINESE.finditer(source):
        before = source[max(copied, line.start() - _LOOKED_BACK) : line.start()]
        text = before.rstrip(" \t\r\n")
        end = line.start() - len(before) + len(text)
        while text.endswith(">") and _are_inline(text[(tag := max(0, text.rfind("<"))) :]):
            text = text[:tag]
        if _ENDS_IN_CHINESE.match(text[-1:]) and _are_inline(line[1]):
            pieces.append(source[copied:end])
            copied = line.end()
    return "".join([*pieces, source[copied:]])


def _are_inline(tags: str) -> bool:
    return all(name.lower() in _INLINE for name in _TAG_NAME.findall(tags))


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
