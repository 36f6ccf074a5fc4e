"""What a run came to, in the last line of its output."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from mathwright.report.gathered import Run
from mathwright.report.overview import headline
from mathwright.run import console


def print_headline(run: Path, report: Path) -> None:
    """The last line of a run: where the report is, and the sentence it begins with."""
    console.print(Text.assemble((str(report), "bold green"), f": {headline(Run.read(run))}"), soft_wrap=True)
