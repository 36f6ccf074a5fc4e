"""What work says while it goes: lines on the terminal, measurements, counts, and rows set aside with the reason."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text

from mathwright.files import append_line, jsonable, whole_lines, write_lines
from mathwright.lines import json_text
from mathwright.run.funnel import Funnel
from mathwright.run.progress import counting
from mathwright.run.scalars import Scalars
from mathwright.run.status import Status
from mathwright.terminal import console


class Log:
    """The log of work that fills a folder."""

    followers: ClassVar[list[Callable[[str, Mapping[str, Any]], None]]] = []
    """Called with the name of the work and each measurement (`run.track`)."""

    def __init__(self, name: str, path: Path) -> None:
        """name: stands before each line on the terminal."""
        self.name = name
        self.path = path
        self._funnels: list[Funnel] = []
        self._warnings: list[str] = []
        self._scalars = Scalars(path)
        self.status = Status(None)

    # -- measurements --

    def log(self, step: int, **values: float | int | str | None) -> None:
        """Append a measurement to metrics.jsonl, and for TensorBoard (run/scalars.py). `kind` tells series apart."""
        measurement = {"step": step, "time": round(time.time(), 3), **values}
        append_line(self.path / "metrics.jsonl", json.dumps(measurement))
        self._scalars.add(measurement, read_metrics(self.path))
        for follow in list(self.followers):
            follow(self.name, measurement)

    def metrics(self) -> list[dict[str, Any]]:
        """The measurements so far; a last line cut short by a kill is left out."""
        return list(read_metrics(self.path))

    def rewind_metrics(self, step: int, kind: str | None = None) -> None:
        """Drop measurements (of one kind) at or after `step`, which a resumed stage is about to make again."""
        kept = [m for m in self.metrics() if m["step"] < step or (kind is not None and m.get("kind") != kind)]
        write_lines(self.path / "metrics.jsonl", (json.dumps(m) for m in kept))
        self._scalars.again()

    # -- counts --

    def funnel(self, step: str, *, unit: str, num_in: int, num_out: int, dropped: Mapping[str, int]) -> None:
        """Report and keep what a step took in, put out and dropped by reason (zero counts are left out)."""
        funnel = Funnel(
            step=step, unit=unit, num_in=num_in, num_out=num_out, dropped={k: v for k, v in dropped.items() if v}
        )
        self._funnels = [f for f in self._funnels if f.step != step] + [funnel]
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in funnel.dropped.items())
        self.say(f"{step}: {num_in:,} {unit} in, {num_out:,} out" + (f" (dropped: {reasons})" if reasons else ""))

    def reject(self, step: str, row: Mapping[str, Any], reason: str) -> None:
        """Set a row aside in rejected/STEP.jsonl with the reason. The caller counts it in a funnel."""
        folder = self.path / "rejected"
        folder.mkdir(exist_ok=True)
        append_line(folder / f"{step}.jsonl", json_text({"reason": reason, **row}, default=jsonable))

    # -- progress --

    def say(self, message: str | Text) -> None:
        """A line of log on stderr, the name before it. A string is plain text, whatever it holds."""
        console.print(Text.assemble((f"{self.name:>8}", "bold cyan"), "  ", message), soft_wrap=True)

    def warn(self, message: str) -> None:
        """A line of log that says so. Kept for the manifest."""
        if message not in self._warnings:
            self._warnings.append(message)
            self.status.warn(self._warnings)
        self.say(Text.assemble(("warning", "yellow"), " ", message))

    @contextmanager
    def progress(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A progress bar; call the yielded function with the amount of work done since the last call.

        Where the log goes into a pipe or a file, a line a minute says how far it has come.
        """
        work = self.status.begin(description, total)
        with counting(work, name=self.name, advance=self.status.advance) as advance:
            yield advance
        self.status.end()  # work that was interrupted stays what the stage was at


def read_metrics(stage_path: Path) -> Iterator[dict[str, Any]]:
    """The measurements of a stage in the order they were made."""
    for line in whole_lines(stage_path / "metrics.jsonl"):
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue  # cut short by a kill, and continued by version 0.1.0
