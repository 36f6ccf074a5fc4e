"""What a stage is at, in a file beside its measurements: `mathwright watch` reads it.

    RUN/STAGE/status.json    while the stage works: the work at hand, how much of it is done, warnings so far

The file is gone once the stage has finished: from then on its manifest says everything. One that a kill left behind
says how far the stage had come.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mathwright.files import write_json

FILE = "status.json"
WRITE_S = 2.0
"""The file is written no more often than this."""


@dataclass(slots=True, kw_only=True)
class Work:
    """A piece of work of a stage that can be counted."""

    description: str
    total: int | None
    """Steps, pages, samples of the whole; None where nobody knows."""
    done: int = 0
    counted: tuple[float, int] | None = None
    """When something was first counted (seconds since 1970) and how much was done by then: what was resumed took no
    time, and the first step has a start of its own."""

    def advance(self, amount: int, now: float) -> None:
        """So much more of it is done, at this time."""
        self.done += amount
        if self.counted is None:
            self.counted = now, self.done

    def seconds_left(self, now: float) -> float | None:
        """At the speed so far; None where that cannot be told."""
        if self.total is None or self.counted is None or self.done <= self.counted[1]:
            return None
        began, before = self.counted
        return (self.total - self.done) * max(0.0, now - began) / (self.done - before)

    def said(self, now: float) -> str:
        """As a line of log: steps, 12 of 50, about 8 minutes left."""
        if self.total is None:
            return f"{self.description}: {self.done:,}"
        left = self.seconds_left(now)
        rest = f", about {duration(left)} left" if left is not None and self.done < self.total else ""
        return f"{self.description}: {self.done:,} of {self.total:,}{rest}"


class Status:
    """The status of a stage as the stage itself keeps it."""

    def __init__(self, folder: Path | None, clock: Callable[[], float] = time.time) -> None:
        """folder: of the stage; None for work that nobody is told of."""
        self._path = folder / FILE if folder is not None else None
        self._clock = clock
        self._written = 0.0
        self._warnings: Sequence[str] = ()
        self._has_begun = False
        self.work: Work | None = None

    def begin(self, description: str, total: int | None) -> Work:
        """A piece of work begins."""
        self.work = Work(description=description, total=total)
        self._has_begun = True
        self._write()
        return self.work

    def advance(self, amount: int) -> None:
        """So much more of it is done."""
        assert self.work is not None
        now = self._clock()
        self.work.advance(amount, now)
        if now - self._written >= WRITE_S:
            self._write()

    def end(self) -> None:
        """The work is done."""
        self.work = None
        self._write()

    def warn(self, warnings: Sequence[str]) -> None:
        """All warnings that there are now: written with the work, for a stage that has finished is warned of too."""
        self._warnings = tuple(warnings)
        if self._has_begun:
            self._write()

    def remove(self) -> None:
        """The stage has finished."""
        self._has_begun = False
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        self._written = self._clock()
        if self._path is None or not self._path.parent.is_dir():
            return
        work = asdict(self.work) if self.work is not None else None
        write_json(self._path, {"time": round(self._written, 3), "work": work, "warnings": list(self._warnings)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The status of a stage as others read it."""

    written: float
    """When it was written, in seconds since 1970."""
    work: Work | None
    warnings: tuple[str, ...]


def read_status(folder: Path) -> Told | None:
    """What a stage that has not finished is at; None where it says nothing."""
    try:
        found: Mapping[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    work = found["work"]
    if work is not None:
        work = Work(**{**work, "counted": tuple(work["counted"]) if work["counted"] else None})
    return Told(written=found["time"], work=work, warnings=tuple(found["warnings"]))


def duration(seconds: float) -> str:
    """As people say it: 40 seconds, 8 minutes, 3.5 hours, 12 days."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}" if seconds >= 10 * length else f"{seconds / length:.1f} {unit}"
    return "1 second" if f"{seconds:.0f}" == "1" else f"{seconds:.0f} seconds"
