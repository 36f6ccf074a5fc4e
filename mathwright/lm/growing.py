"""The text of a response while it is drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class GrowingText:
    """The text of a growing response, decoded token by token without decoding it all again each time."""

    def __init__(self, tokenizer: Any, follow: bool = True) -> None:
        self.value = ""
        self._tokenizer = tokenizer
        self._follow = follow  # nothing to look for, nothing to decode
        self._tokens: list[int] = []
        self._decoded = ""

    def push(self, token: int) -> int:
        """Add a token; returns by how many characters the text grew (0 in the middle of a character)."""
        if not self._follow:
            return 0
        self._tokens.append(token)
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
        self._tokens, self._decoded = [], ""

    def find_new(self, marks: Iterable[str], grown: int) -> int | None:
        """Where the first mark begins that the last `grown` characters completed."""
        starts = (self.value.find(mark, max(0, len(self.value) - grown - len(mark) + 1)) for mark in marks)
        return min((start for start in starts if start >= 0), default=None)

    def _decode(self, tokens: Iterable[int]) -> str:
        return self._tokenizer.decode(list(tokens), skip_special_tokens=True)
