"""The progress of an evaluation, with the accuracy so far."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mathwright.records import EvalRecord
from mathwright.terminal import console


class RunningAccuracy:
    """A bar with the running accuracy of what was drawn in this process."""

    def __init__(self, total: int) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[accuracy]}", markup=False),
            console=console,
            transient=True,
        )
        self._bar = self._bars.add_task("", total=total, accuracy="")
        self._right: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> RunningAccuracy:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def add(self, record: EvalRecord) -> None:
        what = f"{record.task}, {record.mode}"
        right, scored = self._right.get(what, (0, 0))
        right, scored = right + record.verdict.correct, scored + record.verdict.scored
        self._right[what] = right, scored
        shown = f"{right / scored:.1%} of {scored:,} right" if scored else ""
        self._bars.update(self._bar, advance=1, description=what, accuracy=shown)
