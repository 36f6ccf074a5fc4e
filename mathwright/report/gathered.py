"""A run as its artefacts say it: recipe, manifests, measurements. What the pages of a report are made from."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.run import read_manifests, read_metrics

STAGES = ("problems", "model", "corpus", "compare", "pretrain", "sft", "reward", "rl", "eval")
"""In the order of the paper."""
STAGE_TITLES = {
    "problems": "Problems",
    "model": "Start model",
    "corpus": "Corpus",
    "compare": "Corpora compared",
    "pretrain": "Pre-training",
    "sft": "Fine-tuning",
    "reward": "Reward model",
    "rl": "Reinforcement",
    "eval": "Evaluation",
}
MODEL_TITLES = {"model": "start", "pretrain": "before SFT", "sft": "after SFT", "rl": "after RL"}
"""What a model is called in figures: by what it has behind it."""


FIXED_SAMPLES = ("sft", "rft", "dpo", "dpo_sum")
"""Methods of RL that learn from samples drawn beforehand: their reward says nothing of the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewards:
    """The mean reward at both ends of a training."""

    first: float
    last: float
    error: float
    """Standard error of the difference, over steps."""
    steps: str
    """How many steps each is the mean of, in words."""


@dataclass(frozen=True)
class Run:
    """A run's folder, read once."""

    path: Path
    name: str
    recipe: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Run:
        """Raises MathwrightError where `path` holds no run, or a damaged one."""
        file = path / "recipe.json"
        if not file.is_file():
            raise MathwrightError(f"{path} holds no run", hint="name the folder given to `mathwright run --out`")
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return cls(path=path, name=found["name"], recipe=found["recipe"])
        except (ValueError, KeyError, TypeError) as error:
            raise MathwrightError(f"{file} is damaged: {error}", hint="restore it, or run the recipe again") from error

    @cached_property
    def manifests(self) -> dict[str, dict[str, Any]]:
        """Of the finished stages, in the order of the paper; others behind."""
        finished = read_manifests(self.path)
        known = [name for name in STAGES if name in finished]
        return {name: finished[name] for name in [*known, *sorted(finished.keys() - set(known))]}

    @cached_property
    def unfinished(self) -> list[str]:
        """Stages that have begun and not finished, in the order of the paper."""
        begun = (name for name in STAGES if (self.path / name).is_dir() and any((self.path / name).iterdir()))
        return [name for name in begun if name not in self.manifests]

    def rewards(self) -> Rewards | None:
        """Mean rewards of the first and the last fifth of RL's steps.

        None of fewer than ten steps, and of methods whose samples are not the policy's own.
        """
        if self.summary("rl").get("method") in FIXED_SAMPLES:
            return None
        means = [m["reward_mean"] for m in self.metrics("rl", "train") if m.get("reward_mean") is not None]
        size = len(means) // 5
        if size < 2:
            return None
        ends = (means[:size], means[-size:])
        return Rewards(
            first=statistics.mean(ends[0]),
            last=statistics.mean(ends[1]),
            error=math.sqrt(sum(statistics.variance(end) / size for end in ends)),
            steps=f"{size} steps",
        )

    @property
    def stages(self) -> list[str]:
        """Stages there is something to see of."""
        known = [name for name in STAGES if name in self.manifests or name in self.unfinished]
        return [*known, *(name for name in self.manifests if name not in STAGES)]

    def summary(self, stage: str) -> Mapping[str, Any]:
        """What the stage says of itself; empty before it has finished."""
        return self.manifests.get(stage, {}).get("summary", {})

    def metrics(self, stage: str, kind: str = "train") -> list[dict[str, Any]]:
        """Measurements of one kind; `stage` may be a part of one (`reward/process`)."""
        return [row for row in read_metrics(self.path / stage) if row.get("kind") == kind]

    @property
    def evaluation(self) -> Mapping[str, Any]:
        return self.summary("eval")

    @property
    def table(self) -> list[dict[str, Any]]:
        """Rows of the evaluation, one a model and mode."""
        return self.evaluation.get("table", [])

    def steps_of_evaluation(self) -> Iterator[dict[str, Any]]:
        """Comparisons of a model with the one before it: what one stage contributed."""
        models = self.evaluation.get("models", [])
        follows = set(itertools.pairwise(models))
        yield from (row for row in self.evaluation.get("comparisons", []) if (row["before"], row["after"]) in follows)


def model_title(name: str) -> str:
    return MODEL_TITLES.get(name, name)


def stage_title(name: str) -> str:
    return STAGE_TITLES.get(name, name.replace("_", " ").capitalize())
