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

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import mathwright
from mathwright.errors import MathwrightError
from mathwright.files import PARTIAL, jsonable, write_json
from mathwright.run import aside, lock
from mathwright.run.inputs import Begun, Standing, by_path, differences, fingerprint, said
from mathwright.run.stage import SilentStage, Stage, read_manifest, this_process_writes


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
            theirs = self._name_of_run()
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
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MathwrightError(f"{path} cannot be made: {error.strerror}", hint="choose another --out") from error
        with lock.hold(self.path):
            if not self._known.is_file():
                write_json(self._known, self._recipe)

    @property
    def _known(self) -> Path:
        return self.path / "recipe.json"

    def _name_of_run(self) -> str:
        try:
            return json.loads(self._known.read_text(encoding="utf-8"))["name"]
        except (ValueError, KeyError, TypeError) as error:
            raise MathwrightError(
                f"{self._known} is damaged: {error}",
                hint="restore it, or choose another --out; nothing was overwritten",
            ) from error

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

    def standing(self, name: str, *inputs: Any, growing: Collection[str] = ()) -> Standing:
        """How what is in the stage's folder stands to these inputs. Touches nothing."""
        return Standing.of(self.path / name, fingerprint(name, *inputs), by_path(inputs), growing)

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
        stage_type = Stage if this_process_writes() else SilentStage
        mark = fingerprint(name, *inputs, *([revision] if revision else []))
        stage = stage_type(name, path, mark)
        if not stage.writes:
            return stage
        self._keep_recipe()
        aside.recover(path)
        found = self.standing(name, *inputs, growing=growing)
        begun = Begun(
            fingerprint=fingerprint(name, *inputs),
            version=mathwright.__version__,
            inputs=by_path(inputs),
            settings=by_path([dict(settings or {})]),
        )
        if found.state == "same" and not clear:
            assert found.begun is not None
            _warn_of_version(stage, found.begun)
            if settings is not None and not stage.finished:
                _go_on(stage, found.begun, begun.settings)
            return stage
        if found.begun is not None and found.begun.start is not None and found.begun.start["given"] == str(start):
            begun = replace(begun, start=found.begun.start)
        if not lock.helpers_gone(self.path):
            raise lock.in_use(self.path)
        if clear and found.state != "nothing":
            stage.say(f"removing {path} (--clear)")
            aside.remove(path)
        if clear or found.state == "nothing":
            aside.begin_stage(path, begun.as_json(), kept=None)
        elif found.state == "grown" and read_manifest(path) is None:
            stage.say(f"more of the same is asked for ({said(found.changes)}): continuing")
            write_json(path / aside.BEGUN, begun.as_json())
        else:
            _begin_elsewhere(stage, found, begun, start)
        return stage


_BEFORE_A_RUN = {lock.LOCK, lock.HELPERS, "recipe.json" + PARTIAL}
"""What a command that was killed at its very beginning leaves in a folder."""


def _warn_of_version(stage: Stage, begun: Begun) -> None:
    if begun.version and begun.version != mathwright.__version__:
        stage.warn(
            f"begun with mathwright {begun.version}, this is {mathwright.__version__}: its format is the same, so it "
            "stays; --clear makes it again"
        )


def _go_on(stage: Stage, begun: Begun, settings: Mapping[str, Any]) -> None:
    """Go on with a stage under settings that change nothing of its result, and say which are others."""
    if changes := differences(begun.settings, settings):
        stage.say(f"resuming with {said(changes)}")
        write_json(stage.path / aside.BEGUN, replace(begun, settings=settings).as_json())


def _begin_elsewhere(stage: Stage, found: Standing, begun: Begun, start: Path | None) -> None:
    """Set aside what stands in the place of a stage, and begin it: from what was there, if that is less of the same."""
    path = stage.path
    kept = aside.free_name(path)
    if begun.start is None and start is not None and start.is_relative_to(path.resolve()):
        at = kept / start.relative_to(path.resolve())
        begun = replace(begun, start={"given": str(start), "at": str(at)})
    grown = found.state == "grown"
    why = f"more of the same is asked for ({said(found.changes)})" if grown else found.why
    stage.say(f"{why}: what was there is kept as {kept.name}/")
    aside.begin_stage(path, begun.as_json(), kept=kept, beginning=path if grown else None)


def require_disk(path: Path, size_bytes: int, what: str) -> None:
    """Raise MathwrightError before work starts where the disk has no room for what the work will write."""
    existing = next(p for p in (path, *path.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < size_bytes:
        raise MathwrightError(
            f"{existing}: {free / 2**30:.1f} GiB free, {what} needs about {size_bytes / 2**30:.1f} GiB",
            hint="free some space or choose another --out",
        )
