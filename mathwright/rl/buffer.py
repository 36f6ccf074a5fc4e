"""Rollouts on disk: the buffer an interrupted step goes on from, and the file people read.

    buffer/step-00000012/wave-0000.json   a finished wave of an exploration: its judged groups
    rollouts.jsonl                        some groups of each step

Exploring costs most of the time, so what has been explored and judged is kept until no checkpoint needs it: a run that
was killed computes none of it twice. JSON keeps floats to the bit.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mathwright.files import append_line, whole_lines, write_lines, write_text
from mathwright.lines import json_text
from mathwright.records import RolloutGroup, from_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Some groups of a step, explored and judged together."""

    groups: tuple[RolloutGroup, ...]
    unscored: Mapping[str, int]
    """Why responses have no reward."""
    seconds_generate: float
    seconds_reward: float


class RolloutBuffer:
    """The waves of the steps that may have to be trained on again."""

    def __init__(self, folder: Path, *, writes: bool = True) -> None:
        """writes: whether this process keeps what all explore; the others read the same folder."""
        self.folder = folder
        self.writes = writes

    def wave(self, step: int, number: int, explore: Callable[[], Wave]) -> Wave:
        """The wave of that number: read where it was finished before, else explored and kept."""
        path = self._step(step) / f"wave-{number:04d}.json"
        if path.is_file():
            return from_json(Wave, json.loads(path.read_text(encoding="utf-8")))
        wave = explore()
        if not self.writes:
            return wave
        write_text(path, json_text(to_json(wave)))
        return wave

    def forget(self, before: int) -> None:
        """Remove the waves of steps that no checkpoint goes on from."""
        for folder in self.folder.glob("step-*"):
            if self.writes and folder < self._step(before):
                shutil.rmtree(folder)

    def drop(self, step: int) -> None:
        """Remove the waves of a step: they are to be explored again."""
        if self.writes:
            shutil.rmtree(self._step(step), ignore_errors=True)

    def remove(self) -> None:
        """Remove it all: the training is over."""
        if self.writes:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _step(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}"


class RolloutFile:
    """rollouts.jsonl: lines {"step": ..., "group": a RolloutGroup}."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self.writes = writes

    def rewind(self, step: int) -> None:
        """Drop groups at or after `step`, and a last line cut short by a kill."""
        if not self.writes:
            return
        kept = [line for line in whole_lines(self.path) if json.loads(line)["step"] < step]
        write_lines(self.path, kept)

    def append(self, step: int, groups: Sequence[RolloutGroup]) -> None:
        if not self.writes:
            return
        for group in groups:
            append_line(self.path, json_text({"step": step, "group": to_json(group)}))
