"""What the parts of `gpu.sh` found: one JSON line each, and a summary to read, written again after every part.

    python benchmarks/gpu_results.py FOLDER PART --status 124 --seconds 60 --limit 60      # called by gpu.sh

Nothing but Python itself is imported, so that it works whatever has failed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ENDS = {0: "done", -1: "not begun: no time was left", 124: "cut at its time limit", 137: "killed at its time limit"}
"""What the exit status of `timeout` says; any other is a failure."""
LAST_LINES = 15
HIDDEN = frozenset({"part", "kind"})


def add(results: Path, part: str, **values: Any) -> None:
    """Append what a part found, for good: the next moment may be its last."""
    with results.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"part": part, **values}) + "\n")


def rows(results: Path) -> list[dict[str, Any]]:
    if not results.is_file():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def summary(folder: Path) -> str:
    """A Markdown page: how each part ended, and a table of what it found."""
    found = rows(folder / "results.jsonl")
    text = ["# Results on a GPU", ""]
    ended = {row["part"]: row for row in found if row.get("kind") == "end"}
    for part in dict.fromkeys(row["part"] for row in found):
        end = ended.get(part)
        text.append(f"## {part}: {_how_it_ended(end)}")
        text.append("")
        text += tables([row for row in found if row["part"] == part and row.get("kind") != "end"])
        if end is not None and end["status"] > 0:
            text += ["The last lines of its output:", "", *(f"    {line}" for line in end["last_lines"]), ""]
    return "\n".join(text)


def _how_it_ended(end: Mapping[str, Any] | None) -> str:
    if end is None:
        return "running"
    return f"{ENDS.get(end['status'], 'FAILED')}, {end['seconds']} s of {end['limit']}"


def tables(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows with the same names next to each other are one table."""
    lines: list[str] = []
    names: list[str] | None = None
    for row in found:
        own = [name for name in row if name not in HIDDEN]
        if own != names:
            lines += [*([""] if names else []), f"| {' | '.join(own)} |", "|---" * len(own) + "|"]
            names = own
        lines.append(f"| {' | '.join(_cell(row[name]) for name in own)} |")
    return [*lines, ""] if lines else lines


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items())
    if value is None:
        return ""
    text = f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1000 else str(value)
    return text.replace("|", "/").replace("\n", " ")


def last_lines(log: Path) -> list[str]:
    if not log.is_file():
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Note how a part of gpu.sh ended, and write the summary again.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("part")
    parser.add_argument("--status", type=int, required=True)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--limit", type=int, required=True)
    options = parser.parse_args()
    ended = {"kind": "end", "status": options.status, "seconds": options.seconds, "limit": options.limit}
    if options.status > 0:
        ended["last_lines"] = last_lines(options.folder / f"{options.part}.log")
    add(options.folder / "results.jsonl", options.part, **ended)
    (options.folder / "summary.md").write_text(summary(options.folder), encoding="utf-8")


if __name__ == "__main__":
    main()
