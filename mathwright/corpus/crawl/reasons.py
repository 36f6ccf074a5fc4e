"""`grounds.jsonl`: a line for each URL that was fetched, and why it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathwright.lines import json_text

if TYPE_CHECKING:
    from mathwright.corpus.crawl.store import Store


class ReasonsFile:
    """The lines are kept by the store; the file follows it, and catches up after a kill."""

    def __init__(self, path: Path, store: Store) -> None:
        size, last = _whole_lines(path)
        self._file = path.open("ab")
        os.truncate(path, size)
        for line in store.lines_after(last):
            self.write(line)

    def write(self, line: dict[str, Any]) -> None:
        self._file.write(json_text(line).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _whole_lines(path: Path) -> tuple[int, int]:
    """(size up to the last whole line, its number) of a file that may end in the middle of a line."""
    if not path.is_file():
        return 0, 0
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 65_536))  # lines are shorter than this: URLs have at most 1,000 characters
        tail = file.read()
    whole = tail[: tail.rfind(b"\n") + 1]
    if not whole:
        return 0, 0
    return end - len(tail) + len(whole), int(json.loads(whole[whole[:-1].rfind(b"\n") + 1 :])["line"])
