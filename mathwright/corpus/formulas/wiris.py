"""MathML as Wiris' editor keeps it: with quotation marks for the characters of markup, so that nothing touches it.

A filter of the platform turns it back before a reader sees it. Where the filter is gone, as on a page that moved to
another system, it stands in the text.
"""

from __future__ import annotations

import re

CHARACTERS = str.maketrans({"«": "<", "»": ">", "¨": '"', "§": "&"})
_OPENINGS = ("«math", "&laquo;math")
SIGNS = _OPENINGS
_MARK = re.compile(r"(?:«|&laquo;)(/?)math(?=[\s»&])", re.IGNORECASE)
_ENTITIES = {"&laquo;": "«", "&raquo;": "»", "&uml;": "¨", "&sect;": "§"}
MAX_LENGTH = 50_000
"""Characters of one formula."""
MAX_TAG = 5_000
"""So far back it is looked for the beginning of a tag that a formula stands in."""


def with_wiris_formulas(source: str) -> str:
    """A page's source with MathML where its text has Wiris' form of it.

    In an attribute it stays as it is: there quotation marks would end the attribute.
    """
    pieces: list[str] = []
    copied = 0
    opening: re.Match[str] | None = None
    for mark in _MARK.finditer(source):
        if not mark[1]:
            opening = mark
            continue
        end = next((mark.end() + len(end) for end in ("»", "&raquo;") if source.startswith(end, mark.end())), None)
        if opening is not None and end is not None and end - opening.start() <= MAX_LENGTH:
            markup = _as_markup(source[opening.start() : end])
            if markup.count("<") > 2 and not _stands_in_tag(source, opening.start()):
                pieces += source[copied : opening.start()], markup
                copied = end
        opening = None
    return "".join(pieces) + source[copied:]


def _as_markup(formula: str) -> str:
    for entity, character in _ENTITIES.items():
        formula = formula.replace(entity, character)
    return formula.translate(CHARACTERS)


def _stands_in_tag(source: str, position: int) -> bool:
    first = max(0, position - MAX_TAG)
    return source.rfind("<", first, position) > source.rfind(">", first, position)
