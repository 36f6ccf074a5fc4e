"""Characters as decontamination sees them: of what kind each is, and the one form that all its spellings have."""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from mathwright.corpus.text import CJK, INVISIBLE


class Kind:
    """Kinds of characters, as numbers of a uint8; those from LETTER on make grams."""

    OTHER, FILLER, OPERATOR, POINT, COMMA, INVISIBLE, LIGATURE, LETTER, DIGIT, RAISED, CJK = range(11)


OPERATORS = " -+*/=<>^≠"
"""Operators by their number in `Grams.operators`; 0 is none."""
UNSURE = 128
"""Added to an operator that may be no operator: `- 3` at the start of a line, `*3*`, an en dash."""

EN_DASH = 0x2013
LAST_CODE = 0x3FFFF
"""Code points above are taken for this one."""
_SIGNS = {
    **dict.fromkeys("−‐‑", "-"),
    **dict.fromkeys("×·⋅∗", "*"),
    **dict.fromkeys("÷∕⁄", "/"),
    **dict.fromkeys("≤⩽", "<"),
    **dict.fromkeys("≥⩾", ">"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterTable:
    """What each character is and which form of it counts."""

    folded: np.ndarray
    """[code point] in lower case, without accent, in one form."""
    folded_16: np.ndarray
    """The same for code points of 16 bits."""
    kinds: np.ndarray
    """[code point] uint8."""
    ascii_lower: bytes
    ascii_kinds: bytes


@functools.cache
def characters() -> CharacterTable:
    """The table of all characters, made once a process."""
    folded = np.arange(LAST_CODE + 1, dtype=np.uint32)
    kinds = np.zeros(LAST_CODE + 1, dtype=np.uint8)
    is_cjk = re.compile(f"[{CJK}]").match
    for code in range(0x20000):
        char = chr(code)
        kinds[code], folded[code] = _kind_and_form(char, is_cjk(char) is not None)
    kinds[0x20000:] = Kind.CJK
    kinds[LAST_CODE] = Kind.OTHER  # what lies above, too
    return CharacterTable(
        folded=folded,
        folded_16=folded[: 1 << 16].astype(np.uint16),
        kinds=kinds,
        ascii_lower=bytes(folded[:256].astype(np.uint8)),
        ascii_kinds=bytes(kinds[:256]),
    )


def _kind_and_form(char: str, is_cjk: bool) -> tuple[int, int]:
    category = unicodedata.category(char)
    if char == "–":
        return Kind.OPERATOR, EN_DASH
    if char in _SIGNS or char in OPERATORS[1:]:
        return Kind.OPERATOR, ord(_SIGNS.get(char, char))
    if char.isspace() or char in "${}([\\":
        return Kind.FILLER, ord(char)
    if char in ".,":
        return Kind.POINT if char == "." else Kind.COMMA, ord(char)
    if "\ufb00" <= char <= "\ufb06":
        return Kind.LIGATURE, ord(char)
    if is_cjk:
        return Kind.CJK, ord(unicodedata.normalize("NFKC", char)[0])
    if category in ("Cf", "Mn", "Me") or category == "Cc" or INVISIBLE.match(char):
        return Kind.INVISIBLE, ord(char)
    if unicodedata.digit(char, None) is not None and (char in "²³¹" or 0x2070 <= ord(char) <= 0x2089):
        return (Kind.DIGIT if ord(char) >= 0x2080 else Kind.RAISED), ord(str(unicodedata.digit(char)))
    if not char.isalnum():
        form = unicodedata.normalize("NFKC", char)  # full-width brackets and signs
        return (
            _kind_and_form(form, False) if len(form) == 1 and form not in (char, ",", ".") else (Kind.OTHER, ord(char))
        )
    if category == "Nd":
        return Kind.DIGIT, ord(str(unicodedata.digit(char)))
    plain = unicodedata.normalize("NFKC", char)
    base = unicodedata.normalize("NFD", plain if len(plain) == 1 and plain.isalpha() else char)
    if len(base) > 1 and not all(unicodedata.combining(mark) for mark in base[1:]):
        base = char  # a Hangul syllable
    lower = base[0].lower()[0]
    return Kind.LETTER, ord("σ" if lower == "ς" else lower)


def classify(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Folded code points and kinds of the characters of a text, both to be written into."""
    table = characters()
    if text.isascii():
        raw = text.encode("ascii")
        codes = np.frombuffer(bytearray(raw.translate(table.ascii_lower)), dtype=np.uint8)
        return codes, np.frombuffer(bytearray(raw.translate(table.ascii_kinds)), dtype=np.uint8)
    at = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype=np.uint16).astype(np.intp)
    if len(at) == len(text):
        return table.folded_16[at], table.kinds[at]
    at = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.intp)
    np.minimum(at, LAST_CODE, out=at)
    return table.folded[at], table.kinds[at]
