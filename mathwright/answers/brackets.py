"""Where a text is open: brackets, braces and environments, so that it can be split outside them all.

Every function looks at each character a fixed number of times.
"""

from __future__ import annotations

import re

from mathwright.answers.normalise import SET_CLOSE, SET_OPEN

OPENING, CLOSING = "([" + SET_OPEN + "{", ")]" + SET_CLOSE + "}"
_ENVIRONMENT = re.compile(r"\\(begin|end)(?![a-zA-Z])")


def unbalanced(text: str) -> bool:
    """Whether a brace is closed that was not opened, or the other way round."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return True
    return depth != 0


def split_top(text: str, pattern: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """Split at the matches outside all brackets; returns the pieces and the separators between them."""
    depths = _depths(text)
    pieces, separators, start = [], [], 0
    for match in pattern.finditer(text):
        if depths[match.start()] > 0 or match.start() < start:
            continue
        pieces.append(text[start : match.start()])
        separators.append(match.group().strip())
        start = match.end()
    return [*pieces, text[start:]], separators


def _depths(text: str) -> list[int]:
    """How many brackets and environments are open before each character."""
    depths, depth = [], 0
    for character in text:
        depth -= character in CLOSING
        depths.append(depth)
        depth += character in OPENING
    if "\\begin" in text or "\\end" in text:
        inside, end = 0, 0
        for match in _ENVIRONMENT.finditer(text):
            if inside > 0:
                depths[end : match.start()] = [depth + 10**6 for depth in depths[end : match.start()]]
            inside, end = inside + (1 if match.group(1) == "begin" else -1), match.start()
    return depths


def encloses(text: str) -> bool:
    """Whether the first bracket is closed by the last character; `[0, 1)` counts."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character in OPENING) - (character in CLOSING)
        if depth == 0:
            return index == len(text) - 1
    return False
