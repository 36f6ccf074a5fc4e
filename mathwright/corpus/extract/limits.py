"""What keeps hostile pages from costing more than seconds: limits of size, of attributes, of nesting."""

from __future__ import annotations

import html as entities
import re

import numpy as np

MAX_HTML_BYTES = 8 << 20
"""Only this much of a page is read. The longest real pages (whole books on one page) have about 5 MB."""
MAX_TAGS = 400_000
"""Only so many tags of a page are read, end tags and all. Long real pages have some tens of thousands."""
MAX_ATTRIBUTES = 500
"""A tag with more attributes than this loses them: parsing takes the square of their number."""
MAX_NESTING = 1000
"""Pages whose elements nest deeper are read without a tree: what a tree offers costs the square of the depth."""


def limit_tags(source: str, encoded: bytes | None = None) -> tuple[str, list[str], bool]:
    """The page within the limits of tags, choices and attributes.

    encoded: the source in UTF-8, where that is known already. Returns the page with what it lost, in words, and whether
    its elements nest too deep for a tree.
    """
    problems: list[str] = []
    tags, options, depth = _count_tags(source.encode("utf-8", "replace") if encoded is None else encoded)
    if tags > MAX_TAGS:
        source = "<".join(source.split("<", MAX_TAGS + 1)[:-1])
        problems.append(f"cut at {MAX_TAGS} tags")
    if options > MAX_OPTIONS:
        source = _OPTION.sub(" ", source)
        depth = _count_tags(source.encode("utf-8", "replace"))[2]
    source, huge = _drop_huge_tags(source)
    if huge:
        problems.append(f"{huge} tags with more than {MAX_ATTRIBUTES} attributes lost them")
    too_deep = depth > MAX_NESTING and _nesting(source) > MAX_NESTING
    if too_deep:
        problems.append(f"elements nest more than {MAX_NESTING} deep: all text, without main content and markup")
    return source, problems, too_deep


_CHUNK = 8192


def _count_tags(encoded: bytes) -> tuple[int, int, int]:
    """Tags; those that may be of choices in forms, 0 of up to MAX_OPTIONS tags; at most how many start tags lack an
    end tag, of whatever element.

    Within a chunk the start tags are counted before the end tags, and of these only as many as surely close something.
    """
    codes = np.frombuffer(encoded, np.uint8)
    tags = codes[:-1] == ord("<")
    ends = tags & (codes[1:] == ord("/"))
    num_tags = int(np.count_nonzero(tags))
    options = tags & (codes[1:] | 0x20 == ord("o")) if num_tags > MAX_OPTIONS else ()
    open_tags = most = 0
    for start in range(0, len(tags), _CHUNK):
        count, closed = (int(np.count_nonzero(marks[start : start + _CHUNK])) for marks in (tags, ends))
        opened = count - closed
        most = max(most, open_tags + opened)
        # End tags at depth 0 close nothing: after them only what this chunk opens can be open.
        open_tags = max(opened, open_tags + opened - closed)
    return num_tags, int(np.count_nonzero(options)), most


MAX_OPTIONS = 2000
"""Pages with more choices in their forms lose the tags of them: the parser takes the square of their number."""
_OPTION = re.compile(r"</?option\b[^<>]*>?", re.IGNORECASE)

_LONG = 2000
_LONG_TAG = re.compile(rf"<[a-zA-Z][^>]{{{_LONG}}}")
_HUGE_TAG = re.compile(
    r"""(<[a-zA-Z][^\s/<>]*+)(?:[\s/]++[^\s=>/]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"']*+))?)"""
    rf"""{{{MAX_ATTRIBUTES},}}+"""
)


def _drop_huge_tags(source: str) -> tuple[str, int]:
    """The page without the attributes of tags that have too many of them (no real page has one); how many had."""
    # The exact look is half a millisecond a page; the rough one before it misses only a ">" inside quotes.
    if len(source) > 256_000 or _has_long_tag(source):
        return _HUGE_TAG.subn(r"\1", source)
    return source, 0


def _has_long_tag(source: str) -> bool:
    """Whether in some tag there is no ">" for _LONG characters."""
    start = 0
    while start + _LONG < len(source):
        end = source.rfind(">", start, start + _LONG)
        if end < 0:
            end = source.find(">", start + _LONG)
            end = len(source) if end < 0 else end
            if _LONG_TAG.search(source, start, end) is not None:
                return True
        start = end + 1
    return False


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/<>]*)")
_FLAT = _set("""
    p li dt dd td th tr tbody thead tfoot option optgroup colgroup rt rp area base br col embed hr img input link meta
    param source track wbr circle path rect line use stop ellipse polygon mspace mprescripts none
""")
"""Elements that hold nothing, or that the next of their kind closes: without end tags they do not nest."""


def _nesting(source: str) -> int:
    """How deep elements nest at most."""
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


_MARKS = (
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
_PILED, _SPACES = 30, 1000
_PILED_MARKS = re.compile(f"({_MARKS}{{{_PILED}}}){_MARKS}+")
_A_MARK = re.compile(_MARKS)
_LONG_SPACE = re.compile(rf"[ \t]{{{_SPACES},}}+")
LONG_TEXT = 50_000


def without_long_runs(text: str) -> str:
    """A text without runs of spaces or accents over which later steps take the square of their length.

    Accents beyond 30 over one letter go (Unicode's stream-safe text), and 1000 spaces become one. Shorter texts than
    LONG_TEXT cost too little to be looked at.
    """
    if len(text) < LONG_TEXT:
        return text
    half = _SPACES // 2  # so that any such run holds one of the pieces whole
    if any(not text[start : start + half].strip(" \t") for start in range(0, len(text), half)):
        text = _LONG_SPACE.sub(" ", text)
    if not text.isascii() and _A_MARK.search(text[::_PILED]) is not None:  # any such run has a mark there
        text = _PILED_MARKS.sub(r"\1", text)
    return text


_MARKUP = re.compile(r"<!--(?s:.*?)-->|<(?P<end>/?)(?P<name>[a-zA-Z][^\s/<>]*)[^<>]*>?|<[!?][^<>]*>?")
_UNSEEN = frozenset(("script", "style", "template", "noscript", "svg", "title"))
_INLINE = _set("a abbr b code em font i kbd mark s samp small span strong sub sup tt u var")


def strip_tags(source: str) -> str:
    """The text of a page without a tree: what stands between the tags, blocks on lines of their own."""
    pieces: list[str] = []
    unseen = ""
    position = 0
    closed, end, rest = source.rpartition("-->")
    source = closed + end + rest.replace("<!--", "<! ")  # whose end would be looked for again and again
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
