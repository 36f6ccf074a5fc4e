"""The progress of an evaluation, with the accuracy so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mathwright.records import EvalRecord
from mathwright.run.progress import counting
from mathwright.run.status import Work


@contextmanager
def running_accuracy(total: int) -> Iterator[Callable[[EvalRecord], None]]:
    """Show how many of `total` samples are there, and how many of the task at hand are right; call with each."""
    right: dict[str, tuple[int, int]] = {}
    with counting(Work(description="samples", total=total)) as advance:

        def add(record: EvalRecord) -> None:
            what = f"{record.task}, {record.mode}"
            correct, scored = right.get(what, (0, 0))
            correct, scored = correct + record.verdict.correct, scored + record.verdict.scored
            right[what] = correct, scored
            advance(note=f"{what}: {correct / scored:.1%} of {scored:,} right" if scored else what)

        yield add
