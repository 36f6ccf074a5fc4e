"""The text of a response while it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

Decode = Callable[[tuple[int, ...]], str]
PAIRS = 2**16
"""Texts of neighbouring tokens that are kept."""


def decoded_by(tokenizer: Any) -> Decode:
    """What a few tokens are as text, special ones left out; the texts of pairs that come again are remembered.

    For as long as the tokenizer stays as it is. A tokenizer takes 60 us for a pair, most of it before it decodes.
    """

    @lru_cache(maxsize=PAIRS)
    def decode(tokens: tuple[int, ...]) -> str:
        return tokenizer.decode(list(tokens), skip_special_tokens=True)

    return decode


class GrowingText:
    """The text of a growing response, decoded token by token without decoding it all again each time."""

    def __init__(self, decode: Decode, follow: bool = True) -> None:
        """decode: see `decoded_by`. follow: without it no token is looked at."""
        self.value = ""
        self._decode = decode
        self._follow = follow  # nothing to look for, nothing to decode
        self._tokens: tuple[int, ...] = ()
        self._decoded = ""

    def push(self, token: int) -> int:
        """Add a token; returns by how many characters the text grew (0 in the middle of a character)."""
        if not self._follow:
            return 0
        self._tokens += (token,)
        text = self._decode(self._tokens)
        if len(text) <= len(self._decoded) or text.endswith("\ufffd"):
            return 0
        new = text[len(self._decoded) :]
        self.value += new
        # One token of context is kept: some tokenizers decode a token differently at the beginning of a text.
        self._tokens = self._tokens[-1:]
        self._decoded = self._decode(self._tokens)
        return len(new)

    def insert(self, text: str) -> None:
        self.value += text
        self._tokens, self._decoded = (), ""

    def find_new(self, marks: Iterable[str], grown: int) -> int | None:
        """Where the first mark begins that the last `grown` characters completed."""
        starts = (self.value.find(mark, max(0, len(self.value) - grown - len(mark) + 1)) for mark in marks)
        return min((start for start in starts if start >= 0), default=None)
