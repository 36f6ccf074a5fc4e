"""Fenced blocks of a text, and of a growing one what its last line closes, without reading it all for each fence."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"([ \t]*)(`{3,})([^`]*)")
_KEPT_TEXTS = 128
_LONG_CHARS = 4096  # up to here reading all again is cheaper than looking for what is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block that is closed."""

    language: str
    """The first word behind the opening fence, in lower case."""
    text: str
    """Its lines, without the fences and without a line end at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a fenced block stands in a text."""

    language: str
    start: int
    """Of the line of the opening fence."""
    content: int
    """Of the text between the fences."""
    close: int
    """Of the line of the closing fence; -1 where there is none."""
    end: int
    """Behind the closing fence and its line end."""


@dataclass(slots=True)
class _Reading:
    """What is known of a text up to a line end."""

    position: int = 0
    """Where the next line begins."""
    start: int = 0
    """Where the line of the opening fence begins."""
    indent: int = 0
    ticks: int = 0
    """Of the fence that is open; 0 where none is."""
    language: str = ""
    content: int = 0
    """Where the text of the open or of the last block begins."""
    last: tuple[int, int] | None = None
    """Begin and end of the text of a closed block with nothing but blank lines behind it."""


class FenceReader:
    """Reads texts that grow: each one that begins with one seen before is read from there on.

    A fence closes a block if it is not indented further, and has no fewer ticks, than the one that opened it, and
    stands alone on its line; any other fence within a block is its text.
    """

    def __init__(self) -> None:
        self._known: deque[tuple[str, _Reading]] = deque(maxlen=_KEPT_TEXTS)

    def closed_at_end(self, text: str) -> Block | None:
        """The block that a text of finished lines ends with, blank lines behind it aside."""
        reading = self._resume(text)
        while (end := text.find("\n", reading.position)) >= 0:
            _read_line(reading, text, end)
        if len(text) > _LONG_CHARS:
            self._known.append((text, reading))
        if reading.last is None:
            return None
        begin, end = reading.last
        return Block(language=reading.language, text=text[begin:end].removesuffix("\n").removesuffix("\r"))

    def _resume(self, text: str) -> _Reading:
        for index in range(len(self._known) - 1, -1, -1):
            earlier, reading = self._known[index]
            if text.startswith(earlier):
                del self._known[index]
                return reading
        return _Reading()


def places(text: str) -> Iterator[Place]:
    """The fenced blocks of a whole text in order, by the rules of `FenceReader`; the last one may lack its end."""
    reading = _Reading()
    while reading.position < len(text):
        end, was_open = text.find("\n", reading.position), reading.ticks > 0
        _read_line(reading, text, end if end >= 0 else len(text))
        if was_open and reading.ticks == 0 and reading.last is not None:
            content, close = reading.last
            end = min(reading.position, len(text))
            yield Place(language=reading.language, start=reading.start, content=content, close=close, end=end)
    if reading.ticks:
        end = len(text)
        yield Place(
            language=reading.language, start=reading.start, content=min(reading.content, end), close=-1, end=end
        )


def _read_line(reading: _Reading, text: str, end: int) -> None:
    line = text[reading.position : end].rstrip()
    fence = _FENCE.fullmatch(line)
    if reading.ticks == 0:
        if fence is not None:
            reading.indent, reading.ticks = len(fence[1]), len(fence[2])
            reading.language = (fence[3].split() or [""])[0].lower()
            reading.start, reading.content = reading.position, end + 1
        if line:
            reading.last = None
    elif fence is not None and not fence[3] and len(fence[1]) <= reading.indent and len(fence[2]) >= reading.ticks:
        reading.last = (reading.content, reading.position)
        reading.ticks = 0
    reading.position = end + 1
