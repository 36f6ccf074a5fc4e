"""`grounds.jsonl`: a line for each URL that was fetched, and why it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathwright.files import last_line, mend_tail
from mathwright.lines import json_text

if TYPE_CHECKING:
    from mathwright.corpus.crawl.store import Store


class ReasonsFile:
    """The lines are kept by the store; the file follows it, and catches up after a kill."""

    def __init__(self, path: Path, store: Store) -> None:
        mend_tail(path)
        last = last_line(path)
        self._file = path.open("ab")
        for line in store.lines_after(int(json.loads(last)["line"]) if last is not None else 0):
            self.write(line)

    def write(self, line: dict[str, Any]) -> None:
        self._file.write(json_text(line).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()
