"""Markup that a parser of HTML would misread, rewritten before it is parsed."""

from __future__ import annotations

import re

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
SIGNS = (":math", "/>")


def as_html(source: str, present: frozenset[str]) -> str:
    """The page as a parser of HTML should read it.

    MathML loses its prefix (`<m:mrow/>`, whatever the prefix is): to a parser of HTML an element with a prefix is an
    unknown one, which holds all that follows where it should be empty. In XHTML, elements closed in themselves
    (`<div/>`, `<iframe/>`) get the end tag without which they would hold the rest of the page.

    present: those of SIGNS that the source holds.
    """
    if ":math" in present:
        source = _without_prefixes(source)
    if "/>" in present and _XHTML.search(source, 0, _LOOKED_AT) is not None:
        source = _SELF_CLOSED.sub(r"<\1\2></\1>", source)
    return source


def _without_prefixes(source: str) -> str:
    prefixes = {match[1].lower() for match in _PREFIX.finditer(source)}
    if not prefixes or len(prefixes) > _MAX_PREFIXES:
        return source
    return _PREFIXED.sub(lambda tag: f"<{tag[1]}" if tag[2].lower() in prefixes else tag[0], source)
