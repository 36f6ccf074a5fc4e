"""The run directory: where the stages meet on disk, what is finished, and what can be resumed.

    runs/quickstart/
      recipe.json             the resolved recipe
      corpus/
        manifest.json         written last: what the stage read and wrote, counts, seconds, peak memory
        metrics.jsonl         a line a measurement
        rejected/             rows set aside, with the reason
        ...                   the artefacts
      pretrain/ ...

A stage is finished when its manifest bears the fingerprint of its recipe part and of its inputs. A finished stage
is skipped; one with another fingerprint is cleared and run again; one without a manifest goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from mathwright.errors import MathwrightError
from mathwright.lines import file_lines, json_text
from mathwright.terminal import console as console


def fingerprint(*parts: Any) -> str:
    """A short hash of recipe parts, records, paths' contents hashes or other JSON-like values."""
    text = json.dumps(parts, sort_keys=True, default=_jsonable, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _jsonable(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot fingerprint {type(value).__name__}")


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that the file is either the old one or the whole new one, whatever happens meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(json_text(value, indent=2, default=_jsonable) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """What went into a step, what came out and why the rest did not: in = out + the sum of dropped."""

    step: str
    unit: str
    num_in: int
    num_out: int
    dropped: Mapping[str, int]

    def __post_init__(self) -> None:
        if self.num_in != self.num_out + sum(self.dropped.values()):
            raise ValueError(
                f"funnel {self.step!r} does not add up: {self.num_in} in, {self.num_out} out, dropped {self.dropped}"
            )


def this_process_writes() -> bool:
    """Whether this process writes into a run: of the processes that torchrun starts, the first does."""
    return "WORLD_SIZE" not in os.environ or os.environ.get("RANK", "0") == "0"


class Stage:
    """The directory and the record of one stage of a run. Stages get it from `RunDirectory.stage`."""

    writes = True
    """Whether this process writes the artefacts of the stage."""

    def __init__(self, name: str, path: Path, fingerprint: str) -> None:
        self.name = name
        self.path = path
        self.fingerprint = fingerprint
        self._funnels: list[Funnel] = []
        self._started = time.monotonic()

    # -- measurements --

    def log(self, step: int, **values: float | int | str | None) -> None:
        """Append a measurement to the stage's metrics.jsonl. `kind="..."` tells series of one stage apart."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "time": round(time.time(), 3), **values}) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """The measurements so far; a last line cut short by a kill is left out."""
        return list(read_metrics(self.path))

    def rewind_metrics(self, step: int, kind: str | None = None) -> None:
        """Drop measurements (of one kind) at or behind `step`, which a resumed stage is about to make again."""
        kept = [m for m in self.metrics() if m["step"] < step or (kind is not None and m.get("kind") != kind)]
        partial = self.path / "metrics.jsonl.partial"
        partial.write_text("".join(json.dumps(m) + "\n" for m in kept), encoding="utf-8")
        partial.replace(self.path / "metrics.jsonl")

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
        with (folder / f"{step}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json_text({"reason": reason, **row}, default=_jsonable) + "\n")

    # -- progress --

    def say(self, message: str | Text) -> None:
        """A line of log on stderr, the stage's name before it. A string is plain text, whatever it holds."""
        console.print(Text.assemble((f"{self.name:>8}", "bold cyan"), "  ", message), soft_wrap=True)

    def warn(self, message: str) -> None:
        """A line of log that says so."""
        self.say(Text.assemble(("warning", "yellow"), " ", message))

    @contextmanager
    def progress(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A progress bar; call the yielded function with the amount of work done since the last call."""
        columns = (
            TextColumn(f"{self.name:>8} ", style="bold cyan", markup=False),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bars:
            task: TaskID = bars.add_task(description, total=total)
            yield lambda amount=1: bars.advance(task, amount)

    # -- resuming --

    def once(self, name: str, work: Callable[[Path], Any]) -> Any:
        """Do a part of the stage once: `work(folder)` fills `path/name` and returns a JSON value, which is kept.

        A part that was interrupted starts again in an empty folder. For parts that resume within themselves, do not
        use this but keep their own state in `path`. Funnels reported inside `work` are kept with it.
        """
        mark = self.path / f"{name}.done.json"
        if mark.is_file():
            done = json.loads(mark.read_text(encoding="utf-8"))
            self._funnels += [Funnel(**f) for f in done["funnels"]]
            return done["value"]
        folder = self.path / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        before = len(self._funnels)
        value = work(folder)
        write_json(mark, {"value": value, "funnels": [dataclasses.asdict(f) for f in self._funnels[before:]]})
        return value

    # -- finishing --

    @property
    def finished(self) -> bool:
        manifest = read_manifest(self.path)
        return manifest is not None and manifest["fingerprint"] == self.fingerprint

    def finish(self, *, outputs: Mapping[str, Path | str], summary: Mapping[str, Any] | None = None) -> None:
        """Write the manifest, last of all: outputs by name (paths inside the stage are kept relative to the run)."""
        run = self.path.parent
        relative = {
            name: os.path.relpath(value, run) if Path(value).is_relative_to(run) else str(value)
            for name, value in outputs.items()
        }
        earlier = json.loads(self._clock.read_text()) if self._clock.is_file() else {"seconds": 0.0}
        manifest = {
            "stage": self.name,
            "fingerprint": self.fingerprint,
            "outputs": relative,
            "funnels": [dataclasses.asdict(f) for f in self._funnels],
            "summary": dict(summary or {}),
            "seconds": round(earlier["seconds"] + time.monotonic() - self._started, 2),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        write_json(self.path / "manifest.json", manifest)
        self.say(
            f"finished in {manifest['seconds']:.0f} s, peak memory {manifest['peak_memory_bytes'] / 2**30:.2f} GiB"
        )

    @property
    def _clock(self) -> Path:
        return self.path / "clock.json"

    def pause(self) -> None:
        """Keep the time spent so far: called when a run is interrupted."""
        earlier = json.loads(self._clock.read_text()) if self._clock.is_file() else {"seconds": 0.0}
        write_json(self._clock, {"seconds": earlier["seconds"] + time.monotonic() - self._started})


class SilentStage(Stage):
    """A stage as every process but the first of a training sees it: it reads, writes nothing and says nothing."""

    writes = False

    def log(self, step: int, **values: float | int | str | None) -> None:
        pass

    def rewind_metrics(self, step: int, kind: str | None = None) -> None:
        pass

    def reject(self, step: str, row: Mapping[str, Any], reason: str) -> None:
        pass

    def say(self, message: str | Text) -> None:
        pass

    @contextmanager
    def progress(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        yield lambda amount=1: None

    def once(self, name: str, work: Callable[[Path], Any]) -> Any:
        mark = self.path / f"{name}.done.json"
        if mark.is_file():
            return json.loads(mark.read_text(encoding="utf-8"))["value"]
        with tempfile.TemporaryDirectory() as folder:
            return work(Path(folder))

    def finish(self, *, outputs: Mapping[str, Path | str], summary: Mapping[str, Any] | None = None) -> None:
        pass

    def pause(self) -> None:
        pass


class RunDirectory:
    """One run of one recipe on disk."""

    def __init__(self, path: str | Path, *, recipe_name: str, recipe: Mapping[str, Any]) -> None:
        """Open or make the directory.

        Raises MathwrightError where it holds something else: another recipe's run, or files that are not ours.
        """
        self.path = Path(path).absolute()
        if not this_process_writes():
            return  # the first process is looking at it, or making it
        known = self.path / "recipe.json"
        if self.path.exists() and not self.path.is_dir():
            raise MathwrightError(f"{path} is a file", hint="name a folder with --out")
        if known.is_file():
            theirs = json.loads(known.read_text(encoding="utf-8"))["name"]
            if theirs != recipe_name:
                raise MathwrightError(
                    f"{path} holds a run of recipe {theirs!r}, not {recipe_name!r}",
                    hint="choose another --out; nothing was overwritten",
                )
        elif self.path.is_dir() and any(self.path.iterdir()):
            raise MathwrightError(
                f"{path} is not empty and holds no run", hint="choose an empty or new folder with --out"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(known, {"name": recipe_name, "recipe": recipe})

    @staticmethod
    def fingerprint(name: str, *inputs: Any) -> str:
        """The fingerprint that a stage with these inputs has."""
        return fingerprint(name, *inputs)

    def stage(self, name: str, *inputs: Any, revision: str = "") -> Stage:
        """The stage of that name; its fingerprint is that of `inputs` (its recipe part, the stages it reads).

        What an earlier run left under another fingerprint is removed. `revision` stands for what the stage takes up by
        itself, such as decisions of people: under another one it is not finished, but keeps what it has.
        """
        path = self.path / name
        mark = self.fingerprint(name, *inputs)
        full_mark = self.fingerprint(name, *inputs, *([revision] if revision else []))
        if not this_process_writes():
            return SilentStage(name, path, full_mark)
        begun = path / "begun.json"
        if path.exists():
            theirs = json.loads(begun.read_text(encoding="utf-8"))["fingerprint"] if begun.is_file() else None
            if theirs != mark:
                shutil.rmtree(path)
        if not begun.is_file():
            write_json(begun, {"fingerprint": mark})
        return Stage(name, path, full_mark)


def read_manifest(stage_path: Path) -> dict[str, Any] | None:
    """The manifest of a finished stage, or None."""
    path = stage_path / "manifest.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def read_metrics(stage_path: Path) -> Iterator[dict[str, Any]]:
    """The measurements of a stage in the order they were made."""
    path = stage_path / "metrics.jsonl"
    if not path.is_file():
        return
    for line in file_lines(path):
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return  # the last line, cut short by a kill


def peak_memory_bytes() -> int:
    """Peak resident memory of this process and of its largest finished child."""
    return 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def require_disk(path: Path, size_bytes: int, what: str) -> None:
    """Raise MathwrightError before work starts where the disk has no room for what the work will write."""
    existing = next(p for p in (path, *path.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < size_bytes:
        raise MathwrightError(
            f"{existing}: {free / 2**30:.1f} GiB free, {what} needs about {size_bytes / 2**30:.1f} GiB",
            hint="free some space or choose another --out",
        )
