"""What a run improved, in the last line of its output."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from mathwright.run import console, read_manifest


def headline(run: Path) -> str:
    """What a finished run improved, in one line: the last model against the first, with its interval."""
    manifest = read_manifest(run / "eval")
    if manifest is None:
        return "no evaluation yet"
    models = manifest["summary"]["models"]
    parts = [
        f"{row['mode']} {row['difference']:+.1%} ({row['interval'][0]:+.1%} to {row['interval'][1]:+.1%})"
        for row in manifest["summary"]["comparisons"]
        if (row["before"], row["after"]) == (models[0], models[-1])
    ]
    return (
        f"accuracy from {models[0]} to {models[-1]}: {', '.join(parts)}" if parts else "one model, nothing to compare"
    )


def print_headline(run: Path, report: Path) -> None:
    """The last line of a run: where the report is and what improved."""
    console.print(Text.assemble((str(report), "bold green"), f": {headline(run)}"), soft_wrap=True)
