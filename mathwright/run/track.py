"""Measurements handed to a tracker of experiments while they are made: Weights & Biases, or trackio."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.run.log import Log
from mathwright.run.scalars import tagged
from mathwright.run.stage import this_process_writes

TRACKERS = ("wandb", "trackio")
PROJECT = "mathwright"


@contextmanager
def tracked(name: str, *, run: Path, config: Mapping[str, Any], say: Callable[[str], None]) -> Iterator[None]:
    """Within it every measurement of every stage goes to a tracker too, as stage/kind/name over stage/step.

    A run that is resumed goes on under the same id. The project is the tracker's own setting (WANDB_PROJECT,
    TRACKIO_PROJECT), else `mathwright`. A tracker that fails while the run goes on is told of and left alone: the
    training does not end with it.

    Args:
        name: wandb or trackio; "" tracks nothing.
        run: the run's folder, by whose name it is known.
        config: the recipe.
        say: told what goes wrong.

    Raises MathwrightError for an unknown tracker, one that is not installed, or one that does not begin.
    """
    if not name or not this_process_writes():
        yield
        return
    module, opened = _open(name, run, config)
    known: set[str] = set()

    def follow(stage: str, measurement: Mapping[str, Any]) -> None:
        try:
            if stage not in known and hasattr(opened, "define_metric"):
                opened.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
            known.add(stage)
            values = {f"{stage}/{tag}": value for tag, value in tagged(measurement)}
            module.log({f"{stage}/step": measurement["step"], **values})
        except Exception as error:  # the network, a quota, a login that ran out
            Log.followers.remove(follow)
            say(f"{name} takes no more measurements ({error}); the run continues, all of them are in metrics.jsonl")

    Log.followers.append(follow)
    try:
        yield
    finally:
        if follow in Log.followers:
            Log.followers.remove(follow)
            module.finish()


def _open(name: str, run: Path, config: Mapping[str, Any]) -> tuple[Any, Any]:
    if name not in TRACKERS:
        raise MathwrightError(f"--track is {name!r}", hint=f"one of {', '.join(TRACKERS)}")
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise MathwrightError(f"--track {name} needs the package {name}", hint=f"pip install {name}") from error
    project = os.environ.get(f"{name.upper()}_PROJECT") or PROJECT
    given: dict[str, Any] = {"project": project, "name": run.name, "config": dict(config), "resume": "allow"}
    if name == "wandb":  # trackio knows a run by its name
        given["id"] = hashlib.sha256(str(run.absolute()).encode()).hexdigest()[:12]
    try:
        return module, module.init(**given)
    except Exception as error:  # not logged in, no network
        reason = next(iter(str(error).splitlines()), repr(error))
        raise MathwrightError(
            f"{name} did not begin: {reason}", hint=f"log in to it ({name} login), or leave --track out"
        ) from error
