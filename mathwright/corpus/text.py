"""The one text normaliser in front of the classifier, in training and in serving.

fastText sees words between spaces, so what counts as a word is decided here. The rules: Unicode NFC (NFKC would turn
`x²` into `x2`), TeX commands stay whole with their backslash, every other symbol is a word of its own (`\\frac{a}{b}`
gives `\\frac { a } { b }`, which generalises where the unsplit string is seen once), lines are joined by spaces, CJK
text is cut into characters (there are no spaces to cut at; DeepSeek-Coder-V2 reports that it must be split, and does so
by BPE). Characters, because fastText's word n-grams of 1 to 3 put the words together again (nearly all Chinese words
have one to three characters), and because there is no vocabulary to train, ship and keep the same for every language.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

VERSION = 1
"""Raise it with every change of the rules: a model trained under another version is refused."""

CJK = (
    "\u3040-\u30ff"  # hiragana, katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\U00020000-\U0003ffff"  # Han, supplementary planes
)
"""Characters of scripts written without spaces, for use inside a character class."""

INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
"""Soft hyphen, zero-width characters and direction marks: they can stand inside a word and are not part of it."""

_WORD = re.compile(rf"\\[a-zA-Z]+|[{CJK}]|[^\W_{CJK}]+|[^\w\s\x00-\x1f\x7f-\x9f]|_")
_COUNTED = re.compile(rf"[{CJK}]|[^\s{CJK}]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Normaliser:
    """Text to the single line of space-separated words that fastText reads."""

    lower: bool = True

    @property
    def hash(self) -> str:
        """Identifies version, patterns and options; stored with a model and compared when it is loaded."""
        rules = (VERSION, self.lower, _WORD.pattern, INVISIBLE.pattern)
        return hashlib.sha256(repr(rules).encode()).hexdigest()[:16]

    def __call__(self, text: str) -> str:
        text = unicodedata.normalize("NFC", INVISIBLE.sub("", text))
        if self.lower:
            text = text.lower()
        # Cutting at symbols also takes apart `__label__x` and `</s>`, which fastText would read as a label and as
        # the end of the line.
        return " ".join(_WORD.findall(text))


def count_words(text: str) -> int:
    """Words of a text as a recipe's `min_words` counts them: between spaces, CJK characters singly."""
    return len(_COUNTED.findall(text))
