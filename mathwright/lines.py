"""JSON in files, safe for every string: what is written can be read back, and by every reader of lines.

Texts of models and of the web hold characters that are line ends to some (U+0085, U+2028, U+2029), and halves of
surrogate pairs, which no encoding can write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


def json_text(value: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    """A value as JSON in readable characters; halves of surrogate pairs are escaped, as `\\ud800`.

    Read back, all strings are the same, but that two halves in a row have become the character they stand for. Without
    `indent` it is one line to whoever takes a line feed for the end of one.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=default)
    return text if is_text(text) else _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def is_text(text: str) -> bool:
    """Whether UTF-8 can hold it: no half of a surrogate pair stands alone in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, to be written where escapes mean nothing."""
    return text if is_text(text) else _SURROGATE.sub("\ufffd", text)


def file_lines(path: Path) -> Iterator[str]:
    """The lines of a file of UTF-8, without their line feeds. Nothing else ends one (see `str.splitlines`)."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n")
