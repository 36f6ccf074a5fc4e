"""What a gram is, written down plainly: one character after another, where the library works on arrays."""

import html

from mathwright.corpus.decontaminate import grams as tex
from mathwright.corpus.decontaminate.characters import LAST_CODE, OPERATORS, Kind, characters


def grams_slow(text: str) -> list[str]:
    """The grams of a text in order, operators in front of the grams they belong to."""
    text = "\n" * 8 + text + "\n" * 8
    chars, kinds = _read(text)
    _read_commands(chars, kinds)
    found: list[str] = []
    start = 0
    while start < len(chars):
        end = start + 1
        if kinds[start] in (Kind.LETTER, Kind.DIGIT, Kind.RAISED):
            while kinds[end] == kinds[start]:
                end += 1
        if kinds[start] >= Kind.LETTER:
            word = "".join(chars[start:end])
            if kinds[start] == Kind.LETTER and chars[start - 1] == "\\":
                word = tex.TEX_OTHER_NAMES.get(word, word)
            found.append(_operator(chars, kinds, start, end) + word)
        start = end
    return found


def _read(text: str) -> tuple[list[str], list[int]]:
    """Characters in one form and their kinds, without markup, invisible characters and marks between thousands."""
    chars, kinds = [_form(char) for char in text], [_kind(char) for char in text]
    for match in tex.TAG.finditer(text):
        kinds[match.start() : match.end()] = [Kind.FILLER] * len(match[0])
        if match[0][:4].lower() == "<sup":
            chars[match.end() - 1], kinds[match.end() - 1] = "^", Kind.OPERATOR
    for match in tex.ENTITY.finditer(text):
        char = html.unescape(match[0])
        if len(char) == 1 and (char.isascii() or not text.isascii()):
            kinds[match.start() : match.end()] = [Kind.INVISIBLE] * len(match[0])
            chars[match.end() - 1], kinds[match.end() - 1] = _form(char), _kind(char)
        elif char != match[0]:
            kinds[match.start() : match.end()] = [Kind.FILLER] * len(match[0])
    spelled = [
        (letter, Kind.LETTER if kind == Kind.LIGATURE else kind)
        for char, kind in zip(chars, kinds, strict=True)
        for letter in (tex.LIGATURES[ord(char) - 0xFB00] if kind == Kind.LIGATURE else char)
    ]
    chars, kinds = [char for char, _ in spelled], [kind for _, kind in spelled]
    for i in [i for i, kind in enumerate(kinds) if kind == Kind.COMMA]:
        left = i - 2 if chars[i - 1] in "{\\" else i - 1
        right = i + 2 if chars[i + 1] == "}" else i + 1
        right += 2 if chars[right] == "\\" and chars[right + 1] == "!" else 0
        digits_before = [kinds[left - k] == Kind.DIGIT for k in range(4)]
        digits_after = [kinds[right + k] == Kind.DIGIT for k in range(4)]
        if digits_before[0] and not all(digits_before) and digits_after == [True, True, True, False]:
            kinds[left + 1 : right] = [-1] * (right - left - 1)
    kept = [i for i, kind in enumerate(kinds) if kind not in (-1, Kind.INVISIBLE)]
    chars, kinds = [chars[i] for i in kept], [kinds[i] for i in kept]
    points = [i for i, kind in enumerate(kinds) if kind == Kind.POINT]
    for i in [i for i in points if kinds[i - 1] == kinds[i + 1] == Kind.DIGIT]:
        kinds[i] = Kind.DIGIT
    return chars, kinds


def _form(char: str) -> str:
    return chr(characters().folded[min(ord(char), LAST_CODE)])


def _kind(char: str) -> int:
    return int(characters().kinds[min(ord(char), LAST_CODE)])


def _read_commands(chars: list[str], kinds: list[int]) -> None:
    """TeX commands for layout are nothing, and those for an operator are the operator at their last letter."""
    for start in [i for i in range(1, len(chars)) if chars[i - 1] == "\\" and kinds[i] == Kind.LETTER]:
        end = start
        while kinds[end] == Kind.LETTER:
            end += 1
        name = "".join(chars[start:end])
        if name in tex.TEX_SIGNS or name in tex.TEX_LAYOUT.lower().split():
            kinds[start:end] = [Kind.FILLER] * (end - start)
        if name in tex.TEX_SIGNS:
            chars[end - 1], kinds[end - 1] = tex.TEX_SIGNS[name], Kind.OPERATOR


def _operator(chars: list[str], kinds: list[int], start: int, end: int) -> str:
    """The operator of a number or a single letter: the nearest one before it, brackets and blanks between them."""
    if kinds[start] == Kind.RAISED:
        return "^"
    if not (kinds[start] == Kind.DIGIT or (kinds[start] == Kind.LETTER and end == start + 1)):
        return ""
    place = start - 1
    while place > 0 and kinds[place] == Kind.FILLER:
        place -= 1
    is_emphasis = chars[place] == "*" and "*" in (chars[place - 1], chars[place + 1])
    if kinds[place] != Kind.OPERATOR or start - place - 1 > tex.MAX_GAP or is_emphasis:
        return ""
    sign = chars[place - 1] if chars[place] == "=" and chars[place - 1] in "<>" else chars[place]
    return "-" if sign == "\u2013" else sign if sign in OPERATORS else ""
