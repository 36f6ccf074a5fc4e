"""The run directory: where the stages meet on disk, what is finished, and what can be resumed.

    runs/quickstart/
      recipe.json             the resolved recipe
      run.lock                held by the command that works on the run
      corpus/
        begun.json            written first: what the stage is made from
        manifest.json         written last: what the stage read and wrote, counts, seconds, peak memory
        metrics.jsonl         a line a measurement
        rejected/             rows set aside, with the reason
        ...                   the artefacts
      pretrain/ ...
      pretrain.2026-11-29/    what was made from other inputs and stood in the way

A stage is finished when its manifest bears the fingerprint of its inputs: what changes the result of its recipe part
(`affects`), the format it is written in, and the stages it reads. A finished stage is skipped; one without
a manifest goes on where it stopped; one that is only asked for more of the same goes on from there. What was made from
other inputs is set aside under a dated name, with what differs said, and never removed.
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
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

import mathwright
from mathwright.errors import MathwrightError
from mathwright.files import append_line, jsonable, whole_lines, write_json, write_lines
from mathwright.lines import json_text
from mathwright.run import aside, lock
from mathwright.run.affects import result_of
from mathwright.run.inputs import Begun, Standing, by_path, differences, said
from mathwright.terminal import console as console


def fingerprint(*parts: Any) -> str:
    """A short hash of recipe parts, records or other JSON-like values; of records, what changes the result counts."""
    text = json.dumps(result_of(parts), sort_keys=True, default=jsonable, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


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
        append_line(self.path / "metrics.jsonl", json.dumps({"step": step, "time": round(time.time(), 3), **values}))

    def metrics(self) -> list[dict[str, Any]]:
        """The measurements so far; a last line cut short by a kill is left out."""
        return list(read_metrics(self.path))

    def rewind_metrics(self, step: int, kind: str | None = None) -> None:
        """Drop measurements (of one kind) at or after `step`, which a resumed stage is about to make again."""
        kept = [m for m in self.metrics() if m["step"] < step or (kind is not None and m.get("kind") != kind)]
        write_lines(self.path / "metrics.jsonl", (json.dumps(m) for m in kept))

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

    def part(self, name: str) -> Stage:
        """A stage within this one, with a manifest of its own, finished under the same inputs."""
        if self.writes:
            (self.path / name).mkdir(exist_ok=True)
        return type(self)(name, self.path / name, self.fingerprint)

    def once(self, name: str, work: Callable[[Path], Any]) -> Any:
        """Do a part of the stage once: `work(folder)` fills `path/name` and returns a JSON value, which is kept.

        A part that was interrupted starts again in an empty folder: what it had half made is removed, and nothing
        else; a folder of that name that this part did not begin is set aside. For parts that resume within
        themselves, do not use this but keep their own state in `path`. Funnels reported inside `work` are kept.
        """
        done, begun, folder = self._marks(name)
        if done.is_file():
            kept = json.loads(done.read_text(encoding="utf-8"))
            self._funnels += [Funnel(**f) for f in kept["funnels"]]
            return kept["value"]
        if os.path.lexists(folder):
            if begun.is_file():
                aside.remove(folder)
            else:
                self.say(f"{name}/ was there before this part was begun: kept as {aside.set_aside(folder).name}/")
        begun.touch()
        folder.mkdir(parents=True)
        before = len(self._funnels)
        value = work(folder)
        write_json(done, {"value": value, "funnels": [dataclasses.asdict(f) for f in self._funnels[before:]]})
        begun.unlink()  # what is done is never taken for half made
        return value

    def again(self, name: str) -> None:
        """Have a part done again by the next `once`: what it has made is set aside, and said."""
        done, begun, folder = self._marks(name)
        begun.unlink(missing_ok=True)
        if not done.is_file():
            return
        if os.path.lexists(folder):
            self.say(f"{name}/ is made again; the earlier one is kept as {aside.set_aside(folder).name}/")
        done.rename(aside.free_name(done))

    def _marks(self, name: str) -> tuple[Path, Path, Path]:
        return self.path / f"{name}.done.json", self.path / f"{name}.begun", self.path / name

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
            "version": mathwright.__version__,
            "outputs": relative,
            "funnels": [dataclasses.asdict(f) for f in self._funnels],
            "summary": dict(summary or {}),
            "seconds": round(earlier["seconds"] + time.monotonic() - self._started, 2),
            "peak_memory_bytes": peak_memory_bytes(),
        }
        path = self.path / aside.MANIFEST
        if path.is_file():  # of what the stage was before people decided otherwise
            aside.set_aside(path)
        write_json(path, manifest)
        self.say(
            f"finished in {manifest['seconds']:.0f} s, peak memory {manifest['peak_memory_bytes'] / 2**30:.2f} GiB"
        )

    @property
    def _clock(self) -> Path:
        return self.path / aside.CLOCK

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
        """Open or make the directory. An earlier recipe of the run is replaced when the first stage is opened.

        Raises MathwrightError where it holds something else: another recipe's run, or files that are not ours.
        """
        self.path = Path(path).absolute()
        self._recipe = {"name": recipe_name, "recipe": recipe}
        if not this_process_writes():
            return  # the first process is looking at it, or making it
        if self.path.exists() and not self.path.is_dir():
            raise MathwrightError(f"{path} is a file", hint="name a folder with --out")
        if self._known.is_file():
            theirs = json.loads(self._known.read_text(encoding="utf-8"))["name"]
            if theirs != recipe_name:
                raise MathwrightError(
                    f"{path} holds a run of recipe {theirs!r}, not {recipe_name!r}",
                    hint="choose another --out; nothing was overwritten",
                )
            return
        if self.path.is_dir() and not {entry.name for entry in self.path.iterdir()} <= _BEFORE_A_RUN:
            raise MathwrightError(
                f"{path} is not empty and holds no run", hint="choose an empty or new folder with --out"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        with lock.hold(self.path):
            if not self._known.is_file():
                write_json(self._known, self._recipe)

    @property
    def _known(self) -> Path:
        return self.path / "recipe.json"

    def _keep_recipe(self) -> None:
        """Write the recipe of now; one with other values stays under a dated name."""
        new = json.loads(json.dumps(self._recipe, default=jsonable))
        if json.loads(self._known.read_text(encoding="utf-8")) != new:
            aside.copy_aside(self._known)
            write_json(self._known, new)

    @contextmanager
    def lock(self) -> Iterator[lock.RunLock | None]:
        """Hold the run against other commands; None in all processes of a training but the first.

        Raises lock.InUseError, naming who holds it, where another command does.
        """
        if not this_process_writes():
            yield None
            return
        with lock.hold(self.path) as held:
            yield held

    @staticmethod
    def fingerprint(name: str, *inputs: Any) -> str:
        """The fingerprint that a stage with these inputs has."""
        return fingerprint(name, *inputs)

    def standing(self, name: str, *inputs: Any, growing: Collection[str] = ()) -> Standing:
        """How what is in the stage's folder stands to these inputs. Touches nothing."""
        return Standing.of(self.path / name, self.fingerprint(name, *inputs), by_path(inputs), growing)

    def stage(
        self,
        name: str,
        *inputs: Any,
        revision: str = "",
        settings: Mapping[str, Any] | None = None,
        growing: Collection[str] = (),
        start: Path | None = None,
        clear: bool = False,
    ) -> Stage:
        """The stage of that name; its fingerprint is that of `inputs` (its recipe part, the stages it reads).

        What was made from other inputs is set aside under a dated name, and said with what differs.

        Args:
            name: of the stage and its folder.
            inputs: what its result depends on.
            revision: stands for what the stage takes up by itself, such as decisions of people: under another one it
                is not finished, but keeps what it has.
            settings: what changes memory, speed or display alone, by path; kept for people to read.
            growing: paths of inputs of which a larger value is more of the same.
            start: a model named by hand; where it lies in what is set aside, begun.json says where it is then.
            clear: remove what is there, whatever it was made from.
        """
        path = self.path / name
        mark = self.fingerprint(name, *inputs)
        full_mark = self.fingerprint(name, *inputs, *([revision] if revision else []))
        if not this_process_writes():
            return SilentStage(name, path, full_mark)
        self._keep_recipe()
        aside.recover(path)
        stage = Stage(name, path, full_mark)
        found = self.standing(name, *inputs, growing=growing)
        begun: dict[str, Any] = {
            "fingerprint": mark,
            "version": mathwright.__version__,
            "inputs": by_path(inputs),
            "settings": by_path([dict(settings or {})]),
        }
        if found.state == "same" and not clear:
            assert found.begun is not None
            _warn_of_version(stage, found.begun)
            changes = differences(found.begun.settings, begun["settings"]) if settings is not None else []
            if changes and not stage.finished:
                stage.say(f"going on with {said(changes)}")
                write_json(path / aside.BEGUN, dataclasses.asdict(found.begun) | {"settings": begun["settings"]})
            return stage
        if found.begun is not None and found.begun.start is not None and found.begun.start["given"] == str(start):
            begun["start"] = found.begun.start
        if not lock.helpers_gone(self.path):
            raise lock.in_use(self.path)
        if clear:
            if found.state != "nothing":
                stage.say(f"removing {path} (--clear)")
            aside.remove(path)
            aside.begin_stage(path, begun, kept=None)
        elif found.state == "nothing":
            aside.begin_stage(path, begun, kept=None)
        elif found.state == "grown" and read_manifest(path) is None:
            stage.say(f"more of the same is asked for ({said(found.changes)}): going on")
            write_json(path / aside.BEGUN, begun)
        else:
            kept = aside.free_name(path)
            if "start" not in begun and start is not None and start.is_relative_to(path.resolve()):
                begun["start"] = {"given": str(start), "at": str(kept / start.relative_to(path.resolve()))}
            why = f"more of the same is asked for ({said(found.changes)})" if found.state == "grown" else found.why
            stage.say(f"{why}: what was there is kept as {kept.name}/")
            aside.begin_stage(path, begun, kept=kept, beginning=path if found.state == "grown" else None)
        return stage


_BEFORE_A_RUN = {lock.LOCK, lock.HELPERS, "recipe.json.partial"}
"""What a command that was killed at its very beginning leaves in a folder."""


def _warn_of_version(stage: Stage, begun: Begun) -> None:
    if begun.version and begun.version != mathwright.__version__:
        stage.warn(
            f"begun with mathwright {begun.version}, this is {mathwright.__version__}: its format is the same, so it "
            "stays; --clear makes it again"
        )


def read_manifest(stage_path: Path) -> dict[str, Any] | None:
    """The manifest of a finished stage, or None."""
    path = stage_path / aside.MANIFEST
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def read_metrics(stage_path: Path) -> Iterator[dict[str, Any]]:
    """The measurements of a stage in the order they were made."""
    for line in whole_lines(stage_path / "metrics.jsonl"):
        yield json.loads(line)


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
