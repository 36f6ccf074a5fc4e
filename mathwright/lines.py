"""JSON in files, safe for every string: what is written can be read back, and by every reader of lines.

Texts of models and of the web hold characters that are line ends to some (U+0085, U+2028, U+2029), and halves of
surrogate pairs, which no encoding can write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
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


def plain_json(value: Any) -> Any:
    """A value of a publisher's row as JSON can hold it: no NaN and infinities (None); dates, decimals, bytes as text.

    What nests more than a hundred levels deep is cut off there.
    """
    return _plain(value, 0)


MAX_NESTING = 100


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if depth >= MAX_NESTING:
        return None
    if isinstance(value, Mapping):
        return {str(name): _plain(item, depth + 1) for name, item in value.items()}
    return [_plain(item, depth + 1) for item in value] if isinstance(value, list | tuple) else str(value)


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
