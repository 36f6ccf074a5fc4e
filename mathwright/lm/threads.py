"""How many threads a stage computes on where other programs keep cores busy.

torch cuts an operation into a part for each thread and waits for the last of them. A thread that shares its core with
another busy program holds all others up: two threads beside one such program took 3.3 times as long as alone, one
thread 1.7 times (docs/speed.md). So a stage takes as many threads as there are free cores when it begins, and stays
with them: other numbers of threads round differently. One that resumes takes those it began with, and so ends in the
same bits.

Who sets OMP_NUM_THREADS has the last word; torch.set_num_threads before, and nothing here raises that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from mathwright.machine import busy_cores, this_machine


@contextmanager
def fitted(say: Callable[[str], None], *, begun_with: int | None = None) -> Iterator[int]:
    """Compute on as many threads as there are free cores, within it; which number that is.

    Args:
        say: is told where that is fewer than there could be, or not what it would be now.
        begun_with: the number that work which goes on began with, if that is known.
    """
    limit = torch.get_num_threads()
    if limit == 1 or "OMP_NUM_THREADS" in os.environ:
        yield limit
        return
    cores, busy = this_machine().num_cores, busy_cores()
    free = free_cores(cores, busy)
    number = min(limit, begun_with or free)
    if number != min(limit, free):
        threads, others = counted(number), f"other programs keep {busy:.1f} of {cores} cores busy"
        say(f"goes on on {threads}, as it began, for the same bits; {others} (OMP_NUM_THREADS={free} is faster)")
    elif number < limit:
        others = f"other programs keep {busy:.1f} of {cores} cores busy"
        say(f"computes on {counted(number)}: {others} (set OMP_NUM_THREADS for another number)")
    torch.set_num_threads(number)
    try:
        yield number
    finally:
        torch.set_num_threads(limit)


def counted(number: int) -> str:
    """1 thread, 2 threads."""
    return f"{number} thread{'' if number == 1 else 's'}"


def free_cores(cores: int, busy: float) -> int:
    """Whole cores that others leave: a core of which they take less than half counts as free; at least one."""
    return max(1, int(cores - busy + 0.5))
