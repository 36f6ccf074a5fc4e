"""Find what stands in `\\boxed{}` and `\\fbox{}`, also without braces, and which boxes are one answer."""

from __future__ import annotations

import re

from mathwright.answers.normalise import MAX_ANSWER_CHARS, closing_brace

MAX_BOXES = 64
"""So many boxes are looked at, from the end; more are an attack or a loop."""
MAX_CHARS_BETWEEN = 80
"""Boxes that belong together have no more between them."""

_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s*+(?P<brace>\{)?+")
_BARE_NUMBER = re.compile(r"[-+−]?+\s?\d(?:[\d,.]*+(?<=\d))?(?:/\d++)?(?:\s?\\?%)?")
_BARE_COMMAND = re.compile(r"\\[a-zA-Z]++")
_BARE_LETTER = re.compile(r"[A-Za-z](?=\s{0,3}(?:[$.,;:)\]\n]|\\[)\]]|\Z))")
_NOTHING = re.compile(r"(?:[\s.…_?]|\\(?:[lcd]?dots|quad|,|;|:| |_))*+")
"""What stands in a box that is only talked about."""
_BETWEEN = re.compile(
    r"(?P<word>[A-Za-z]++)|[\s$,;、]++|\\[()\[\],; ]|\\(?:q?quad)(?![a-zA-Z])|\\text\{\s{0,3}(?:and|or|,)\s{0,3}\}"
    r"|[和或与]|_(?:\w|\{\w{1,8}\})(?=\s{0,3}=)|="
)
_JOINT = re.compile(r"\s{0,3}(?:[,、]|(?:and|or)(?![a-zA-Z]))")
_PERCENT = re.compile(r"\s?(?:\\%|%)")


def last_boxes(text: str) -> tuple[int, str | None]:
    """Where the last box begins, and what stands in it and in the boxes that belong to it; (0, None) without one."""
    boxes: list[tuple[int, int, str]] = []
    limit, tries = len(text), 0
    # From the end, and only as far as boxes belong together: a long response costs no more than its last sentence.
    while (start := max(text.rfind("\\boxed", 0, limit), text.rfind("\\fbox", 0, limit))) >= 0:
        limit, tries = start, tries + 1
        if tries > MAX_BOXES:
            break
        box = _box_at(text, start)
        if box is None:
            continue
        end, content = box
        if boxes and not _belong_together(text, end, boxes[-1][0]):
            break
        boxes.append((start, end, content))
    contents: list[str] = []
    for _, _, content in reversed(boxes):
        if content not in contents:
            contents.append(content)
    return (boxes[0][0] if boxes else 0), ", ".join(contents) or None


def _box_at(text: str, start: int) -> tuple[int, str] | None:
    """End and content of the box command at `start`; None where it is not closed, or holds nothing."""
    window = text[start : start + MAX_ANSWER_CHARS]
    match = _BOX.match(window)
    if match is None:
        return None
    end = closing_brace(window, match.end() - 1) if match.group("brace") else _bare_end(window, match.end())
    if end < 0:
        return None
    content = window[match.end() : end].strip()
    if not content or _NOTHING.fullmatch(content):
        return None
    end += 1 if match.group("brace") else 0
    if percent := _PERCENT.match(window, end):  # written behind the box, but part of the value
        return start + percent.end(), content + percent.group().strip()
    return start + end, content


def _bare_end(text: str, start: int) -> int:
    """End of the value behind a box command without braces: `\\boxed 5`, `\\boxed\\frac{1}{2}`; -1 for a word."""
    if simple := _BARE_NUMBER.match(text, start) or _BARE_LETTER.match(text, start):
        return simple.end()
    command = _BARE_COMMAND.match(text, start)
    if command is None:
        return -1
    end = command.end()
    while text[end : end + 1] == "{":
        close = closing_brace(text, end)
        if close < 0:
            return -1
        end = close + 1
    return end


def _belong_together(text: str, start: int, end: int) -> bool:
    """Whether between two boxes stand only joints, names (`x =`) and what is counted (pears)."""
    if not 0 <= end - start <= MAX_CHARS_BETWEEN:
        return False
    position = start
    while position < end:
        token = _BETWEEN.match(text, position, end)
        if token is None:
            return False
        position = token.end()
        word = token.group("word")
        if word is None or word in ("and", "or"):
            continue
        names = len(word) == 1 and text[position:end].lstrip()[:1] in ("=", "_")
        if not names and not (word.islower() and _JOINT.match(text, position, end)):
            return False
    return True
