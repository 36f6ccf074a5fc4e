"""What keeps hostile pages from costing more than seconds: limits of size, of attributes, of nesting."""

from __future__ import annotations

import html as entities
import re

MAX_HTML_BYTES = 8 << 20
"""Only this much of a page is read. The longest real pages (whole books on one page) have about 5 MB."""
MAX_TAGS = 400_000
"""Only so many tags of a page are read, end tags and all. Long real pages have some tens of thousands."""
MAX_ATTRIBUTES = 500
"""A tag with more attributes than this loses them: parsing takes the square of their number."""
MAX_NESTING = 1000
"""Pages whose elements nest deeper are read without a tree: what a tree offers costs the square of the depth."""


def cut_tags(source: str) -> tuple[str, bool]:
    """The page up to its MAX_TAGS-th tag, and whether anything was cut off."""
    if source.count("<") <= MAX_TAGS:
        return source, False
    return "<".join(source.split("<", MAX_TAGS + 1)[:-1]), True


MAX_OPTIONS = 2000
"""Pages with more choices in their forms lose the tags of them: the parser takes the square of their number."""
_OPTION = re.compile(r"</?option\b[^<>]*>?", re.IGNORECASE)


def drop_options(source: str) -> str:
    """The page without the tags of choices, where there are too many; what they say is no text of the page."""
    return _OPTION.sub(" ", source) if source.count("<o") + source.count("<O") > MAX_OPTIONS else source


_LONG_TAG = re.compile(r"<[a-zA-Z][^>]{2000}")
_HUGE_TAG = re.compile(
    r"""(<[a-zA-Z][^\s/<>]*+)(?:[\s/]++[^\s=>/]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"']*+))?)"""
    rf"""{{{MAX_ATTRIBUTES},}}+"""
)


def drop_huge_tags(source: str) -> tuple[str, int]:
    """The page without the attributes of tags that have too many of them (no real page has one); how many had."""
    # The exact look is half a millisecond a page; the rough one before it misses only a ">" inside quotes.
    if len(source) > 256_000 or _LONG_TAG.search(source):
        return _HUGE_TAG.subn(r"\1", source)
    return source, 0


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/<>]*)")
_FLAT = _set("""
    p li dt dd td th tr tbody thead tfoot option optgroup colgroup rt rp area base br col embed hr img input link meta
    param source track wbr circle path rect line use stop ellipse polygon mspace mprescripts none
""")
"""Elements that hold nothing, or that the next of their kind closes: without end tags they do not nest."""


def nesting(source: str) -> int:
    """How deep elements nest at most; 0 where a rough count says that it is not beyond MAX_NESTING."""
    if not _may_nest(source):
        return 0
    depth = deepest = 0
    for end, name in _TAG.findall(source):
        if name in _FLAT:
            continue
        if not end:
            depth += 1
            deepest = max(deepest, depth)
        elif depth:
            depth -= 1
    return deepest


_CHUNK = 16_384


def _may_nest(source: str) -> bool:
    """Whether somewhere there are more than MAX_NESTING start tags without an end tag so far, of whatever element."""
    open_tags = 0
    for start in range(0, len(source), _CHUNK):
        chunk = source[start : start + _CHUNK]
        ends = chunk.count("</")
        starts = chunk.count("<") - ends
        if open_tags + starts > MAX_NESTING:
            return True
        open_tags = max(0, open_tags + starts - ends)
    return False


_MARKS = (
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
_PILED_MARKS = re.compile(f"({_MARKS}{{30}}){_MARKS}+")
_LONG_SPACE = re.compile(r"[ \t]{1000,}+")
LONG_TEXT = 50_000


def without_long_runs(text: str) -> str:
    """A text without runs of spaces or accents over which later steps take the square of their length.

    Accents beyond 30 over one letter go (Unicode's stream-safe text), and 1000 spaces become one. Shorter texts than
    LONG_TEXT cost too little to be looked at.
    """
    if len(text) < LONG_TEXT:
        return text
    return _PILED_MARKS.sub(r"\1", _LONG_SPACE.sub(" ", text))


_MARKUP = re.compile(r"<!--(?s:.*?)-->|<(?P<end>/?)(?P<name>[a-zA-Z][^\s/<>]*)[^<>]*>?|<[!?][^<>]*>?")
_UNSEEN = frozenset(("script", "style", "template", "noscript", "svg", "title"))
_INLINE = _set("a abbr b code em font i kbd mark s samp small span strong sub sup tt u var")


def strip_tags(source: str) -> str:
    """The text of a page without a tree: what stands between the tags, blocks on lines of their own."""
    pieces: list[str] = []
    unseen = ""
    position = 0
    if "-->" not in source:
        source = source.replace("<!--", "<! ")  # the end of a comment would be looked for again and again
    for match in _MARKUP.finditer(source):
        if not unseen:
            pieces.append(source[position : match.start()])
        position = match.end()
        name = (match["name"] or "").lower()
        if unseen:
            unseen = "" if match["end"] and name == unseen else unseen
        elif name in _UNSEEN and not match["end"]:
            unseen = name
        elif name not in _INLINE and name:
            pieces.append("\n")
    if not unseen:
        pieces.append(source[position:])
    return entities.unescape("".join(pieces))
