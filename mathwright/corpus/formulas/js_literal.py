"""Literals of JavaScript: strings, numbers, arrays and objects, as far as they hold nothing that has to be computed.

The library chompjs gives code back as if it were a string (`{a: f(x)}` as "f(x)", String.raw with its name), knows no
`\\x41` and raises where a literal is cut off; here none of that becomes a macro, and what was read before it is kept.
"""

from __future__ import annotations

import re
from typing import Any

MAX_DEPTH = 12
MAX_ITEMS = 5_000
"""Values of one literal; beyond that it is cut off."""

_SPACE = re.compile(r"(?:\s++|//[^\n]*+|/\*.*?\*/)*+", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_NAME = re.compile(r"[A-Za-z_$][\w$]*")
_STRING = {quote: re.compile(rf"{quote}((?:[^{quote}\\]|\\.)*){quote}", re.DOTALL) for quote in "\"'`"}
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|.))", re.DOTALL)
_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}
_WORDS = {"true": True, "false": False, "null": None, "undefined": None}


class _NotALiteralError(Exception):
    pass


def read_literal(source: str, position: int = 0) -> Any:
    """The value of the literal at `position` as str, int, float, bool, None, list or dict.

    Values that are no literals (functions, variables) end the list or object they stand in: what was read before them
    is returned. None where nothing can be read. Never raises.
    """
    try:
        return _Reader(source, position).value(0)
    except _NotALiteralError:
        return None


class _Reader:
    def __init__(self, source: str, position: int) -> None:
        self._source = source
        self._position = position
        self._items = 0

    def value(self, depth: int) -> Any:
        character = self._next()
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise _NotALiteralError
        if character in _STRING:
            return self._string(character)
        if character == "[":
            return self._array(depth)
        if character == "{":
            return self._object(depth)
        if (number := self._match(_NUMBER)) is not None:
            return float(number) if set(number) & set(".eE") else int(number[:18])
        name = self._match(_NAME)
        if name == "String" and self._source.startswith(".raw`", self._position):
            self._position += len(".raw")
            return self._raw_string()
        if name not in _WORDS:
            raise _NotALiteralError
        return _WORDS[name]

    def _next(self) -> str:
        space = _SPACE.match(self._source, self._position)
        self._position = space.end() if space is not None else self._position
        return self._source[self._position : self._position + 1]

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._source, self._position)
        if found is None:
            return None
        self._position = found.end()
        return found[0]

    def _string(self, quote: str) -> str:
        found = _STRING[quote].match(self._source, self._position)
        if found is None:
            raise _NotALiteralError
        self._position = found.end()
        return _ESCAPE.sub(_unescape, found[1])

    def _raw_string(self) -> str:
        end = self._source.find("`", self._position + 1)
        if end < 0:
            raise _NotALiteralError
        text = self._source[self._position + 1 : end]
        self._position = end + 1
        return text

    def _array(self, depth: int) -> list[Any]:
        self._position += 1
        items: list[Any] = []
        try:
            while self._next() != "]":
                items.append(self.value(depth + 1))
                self._comma()
        except _NotALiteralError:
            if depth == 0:
                return items
            raise
        self._position += 1
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        self._position += 1
        items: dict[str, Any] = {}
        try:
            while self._next() != "}":
                key = self._key()
                if self._next() != ":":
                    raise _NotALiteralError
                self._position += 1
                items[key] = self.value(depth + 1)
                self._comma()
        except _NotALiteralError:
            if depth == 0:
                return items
            raise
        self._position += 1
        return items

    def _key(self) -> str:
        character = self._next()
        if character in _STRING:
            return self._string(character)
        key = self._match(_NAME) or self._match(_NUMBER)
        if key is None:
            raise _NotALiteralError
        return key

    def _comma(self) -> None:
        if self._next() == ",":
            self._position += 1
        elif self._source[self._position : self._position + 1] not in ("]", "}"):
            raise _NotALiteralError


def _unescape(match: re.Match[str]) -> str:
    braced, four, two, simple = match.groups()
    if simple is not None:
        return _SIMPLE_ESCAPES.get(simple, simple)
    number = int(braced or four or two, 16)
    return chr(number) if number <= 0x10FFFF else ""
