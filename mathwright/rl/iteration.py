"""One iteration of Algorithm 1 within the whole: what goes on from one to the next, and what it leaves for the reward
model, which is trained further on what the policy wrote and how that was judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mathwright.files import append_line, whole_lines, write_lines
from mathwright.judge import undecided
from mathwright.lines import json_text
from mathwright.records import JudgedGroup, RolloutGroup, from_json, to_json, write_jsonl

SAMPLES = "samples.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Iteration:
    """Where a training stands in Algorithm 1."""

    number: int = 1
    """Of the iteration, from 1."""
    steps_before: int = 0
    """Steps of the iterations before it."""
    position: int = 0
    """Where it begins in the order of the problems: iterations go on in it, as epochs do."""
    initial: str | Path | None = None
    """The model the first iteration began with, to measure the KL to; None in the first, whose pi_ref it is."""
    keeps_samples: bool = False
    """Whether all responses are kept with their verdicts, in samples.jsonl."""


ONLY = Iteration()
"""A training that is not iterated."""


class Samples:
    """All judged groups of a training, by step while it goes, as plain `JudgedGroup`s once it is over."""

    def __init__(self, folder: Path, *, keeps: bool) -> None:
        """keeps: whether this process writes them, and anybody wants them."""
        self._by_step = folder / "samples-by-step.jsonl"
        self._path = folder / SAMPLES
        self._keeps = keeps

    def rewind(self, step: int) -> None:
        """Drop groups at or after `step`, which is about to be explored again, and a last line cut short by a kill."""
        if self._keeps:
            write_lines(self._by_step, [line for line in whole_lines(self._by_step) if json.loads(line)["step"] < step])

    def append(self, step: int, groups: Sequence[RolloutGroup]) -> None:
        if self._keeps:
            for group in groups:
                append_line(self._by_step, json_text({"step": step, "group": to_json(judged_group(group))}))

    def write(self) -> None:
        """Write samples.jsonl. What it is made of stays until the stage has finished (`remove`): a training that is
        stopped in between makes it again."""
        if self._keeps:
            lines = whole_lines(self._by_step)
            write_jsonl(self._path, (from_json(JudgedGroup, json.loads(line)["group"]) for line in lines))

    def remove(self) -> None:
        """Remove the groups by step: the training is over, and samples.jsonl has them."""
        if self._keeps:
            self._by_step.unlink(missing_ok=True)


def judged_group(group: RolloutGroup) -> JudgedGroup:
    """The responses to a question with their verdicts, as the reward model learns from them."""
    verdicts = [r.verdict for r in group.rollouts]
    return JudgedGroup(
        problem_id=group.problem.id,
        prompt=group.prompt,
        responses=tuple(r.completion.text for r in group.rollouts),
        correct=tuple(None if v is None or undecided(v) else v.correct for v in verdicts),
        truncated=tuple(r.completion.finish != "stop" for r in group.rollouts),
    )
