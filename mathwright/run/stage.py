"""A stage of a run: its folder, what of it is done, and the manifest that is written last of all."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import resource
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.text import Text

import mathwright
from mathwright.files import write_json
from mathwright.machine import this_machine
from mathwright.run import aside
from mathwright.run.funnel import Funnel
from mathwright.run.log import Log
from mathwright.run.status import Status


class Stage(Log):
    """The folder and the record of one stage. Stages get it from `RunDirectory.stage`, parts of them from `part`."""

    writes = True
    """Whether this process writes the artefacts of the stage."""

    def __init__(self, name: str, path: Path, fingerprint: str) -> None:
        super().__init__(name, path)
        self.fingerprint = fingerprint
        self.status = Status(path if self.writes else None)
        self._started = time.monotonic()

    # -- resuming --

    def part(self, name: str) -> Stage:
        """A stage within this one: its folder, manifest, metrics and checkpoints are in the folder of that name.

        It has finished when its own manifest says so, under the inputs of the stage around it. Where several processes
        run the stage, each gets its part, and the same one of them writes.
        """
        path = self.path / name
        if self.writes:
            path.mkdir(parents=True, exist_ok=True)
        return type(self)(name, path, self.fingerprint)

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
        """Write the manifest, last of all. Outputs are given by name; those in the run are kept relative to the folder
        around the stage's own."""
        around = self.path.parent
        relative = {
            name: os.path.relpath(value, around) if Path(value).is_relative_to(around) else str(value)
            for name, value in outputs.items()
        }
        manifest = {
            "stage": self.name,
            "fingerprint": self.fingerprint,
            "version": mathwright.__version__,
            "outputs": relative,
            "funnels": [dataclasses.asdict(f) for f in self._funnels],
            "summary": dict(summary or {}),
            "seconds": round(self._seconds(), 2),
            "peak_memory_bytes": peak_memory_bytes(),
            "warnings": list(self._warnings),
            "made": made_by(),
        }
        path = self.path / aside.MANIFEST
        if path.is_file():  # of what the stage was before people decided otherwise
            aside.set_aside(path)
        write_json(path, manifest)
        self.status.remove()
        (self.path / aside.THREADS).unlink(missing_ok=True)
        self.say(
            f"finished in {manifest['seconds']:.0f} s, peak memory {manifest['peak_memory_bytes'] / 2**30:.2f} GiB"
        )
        if relative:
            made = (f"{name} {as_typed(around / path)}" for name, path in relative.items())
            self.say(f"made {', '.join(made)}")

    def output(self, name: str) -> Path:
        """An artefact of this stage, which has finished."""
        manifest = read_manifest(self.path)
        if manifest is None:
            raise ValueError(f"{self.path} has not finished, so it has no output {name!r} yet")
        return self.path.parent / manifest["outputs"][name]  # an absolute one stays as it is

    def begun_with(self) -> int | None:
        """On how many threads the command computed that began the stage; None where it did not say."""
        try:
            return int(json.loads((self.path / aside.THREADS).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def computes_on(self, threads: int) -> None:
        """Keep the number for the command that goes on with the stage, should this one be stopped."""
        if self.writes:
            write_json(self.path / aside.THREADS, threads)

    def pause(self) -> None:
        """Keep the time spent so far: called when a run is interrupted."""
        write_json(self.path / aside.CLOCK, {"seconds": self._seconds()})

    def _seconds(self) -> float:
        """Time spent on the stage, before interruptions too."""
        clock = self.path / aside.CLOCK
        earlier = json.loads(clock.read_text())["seconds"] if clock.is_file() else 0.0
        return earlier + time.monotonic() - self._started


def as_typed(path: Path) -> str:
    """A path as a person would type it here: below the current folder without what leads to that."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


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

    def warn(self, message: str) -> None:
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


def read_manifests(run: Path) -> dict[str, dict[str, Any]]:
    """The manifests of a run's finished stages by name, without those that were set aside."""
    found = ((path.name, read_manifest(path)) for path in run.iterdir() if path.is_dir())
    return {name: manifest for name, manifest in found if manifest is not None and manifest["stage"] == name}


def read_manifest(stage_path: Path) -> dict[str, Any] | None:
    """The manifest of a finished stage, or None."""
    path = stage_path / aside.MANIFEST
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def made_by() -> dict[str, str]:
    """Who makes an artefact: the command, when, on which machine, with which versions of what decides numbers."""
    machine = this_machine()
    torch = sys.modules.get("torch")  # a stage that does without it is not made to wait for it
    return {
        "command": shlex.join([*_program(Path(sys.argv[0])), *sys.argv[1:]]),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": ", ".join(part for part in (machine.processor, str(machine)) if part),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": f"{torch.__version__}, threads: {torch.get_num_threads()}" if torch else "",
    }


def _program(path: Path) -> list[str]:
    """What was typed to start this program."""
    return ["python", "-m", path.parent.name] if path.name == "__main__.py" else [path.name]


def this_process_writes() -> bool:
    """Whether this process writes into a run: of the processes that torchrun starts, the first does."""
    return "WORLD_SIZE" not in os.environ or os.environ.get("RANK", "0") == "0"


def peak_memory_bytes() -> int:
    """Peak resident memory of this process and of its largest finished child."""
    return 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
