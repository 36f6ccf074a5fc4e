"""Find the formulas of a text: between dollars, TeX's delimiters, or as a displayed environment."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula between delimiters: its place in the text, delimiters included, and what stands between them."""

    start: int
    end: int
    inner: str


_OPENER = re.compile(
    r"\$\$|\\\[|\\\(|(?<!\\)\$|\\begin\{(?P<environment>(?:align|equation|gather|multline|displaymath|math)\*?)\}"
)
_CLOSERS = {"\\[": "\\]", "\\(": "\\)"}
_DOLLAR = re.compile(r"(?<!\\)\$|\n")


def formulas(text: str) -> Iterator[Formula]:
    """The formulas of a text in order, `$...$` on one line.

    A dollar is money, not a delimiter, by the rule that Pandoc has: a formula's opening one has something directly
    behind it, its closing one something directly before it and no digit behind it ($5 and $6 are two prices); or both
    have a blank on the inner side.
    """
    position = 0
    gone: set[str] = set()  # closers that do not occur any more: each is looked for in vain once
    while opener := _OPENER.search(text, position):
        position = opener.end()
        kind = opener.group()
        environment = opener.group("environment")
        closer = f"\\end{{{environment}}}" if environment else _CLOSERS.get(kind, kind)
        if kind == "$":
            close = _closing_dollar(text, position)
        elif (close := text.find(closer, position) if kind not in gone else -1) < 0:
            gone.add(kind)
        if close <= position:
            continue
        inner = text[position:close]
        end = close + len(closer)
        yield Formula(opener.start(), end, inner if "\\\\" in inner else inner.replace("&", ""))
        position = end


def _closing_dollar(text: str, start: int) -> int:
    """The next dollar of the line where it closes a formula that begins at `start`, else -1."""
    close = _DOLLAR.search(text, start)
    if close is None or close.group() == "\n" or close.start() == start:
        return -1
    spaced = text[start].isspace()
    if text[close.start() - 1].isspace() != spaced or (not spaced and text[close.end() : close.end() + 1].isdigit()):
        return -1
    return close.start()


def last(found: Iterable[T]) -> T | None:
    """The last of what an iterator gives."""
    return next(iter(deque(found, maxlen=1)), None)
