"""Doing the work of a stage, or of a part of one, unless it is done."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable

from mathwright.run import Stage


def finish(stage: Stage, work: Callable[[Stage], None], *, parallel: bool = False, note: str = "") -> Stage:
    """Do the work of a stage, or of a part of one (`Stage.part`), unless it has finished. Returns it finished.

    Where several processes run, all of them call this together.

    Args:
        stage: what is to be finished; `work` ends with `stage.finish`.
        work: makes its artefacts.
        parallel: whether all processes do the work together; else the first does, and the others wait.
        note: said after "finished before, skipped".
    """
    from mathwright.lm import parallel as processes

    world = processes.world()
    finished = stage.finished
    processes.barrier(world)  # all have looked before the first can finish it
    if finished:
        stage.say(f"finished before, skipped{note}")
        return stage
    try:
        if stage.writes or parallel:
            work(stage)
        processes.barrier(world)  # until the first process has written what the next stage reads
    except BaseException:
        stage.pause()
        raise
    finally:
        _release_memory()
    return stage


def _release_memory() -> None:
    """Give a finished stage's memory back to the system: glibc keeps what was freed, and the next stage pays for it."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)
