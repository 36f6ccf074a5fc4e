"""What the trainings of a comparison were measured as: the table, the curves, and who is ahead."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mathwright.pretrain.bits import Score
from mathwright.pretrain.comparison import Training, arms
from mathwright.pretrain.measures import figures, read_scores, unit_of
from mathwright.pretrain.recipe import START, CompareRecipe
from mathwright.pretrain.training import SCORES
from mathwright.pretrain.verdict import Verdict, foresee, judge
from mathwright.run import Stage, read_manifests, read_metrics

LAST_POINTS = 3
"""Points at the end of a training whose scatter is the noise of a measure."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of texts and questions after each training, and before any."""

    after: Mapping[tuple[str, float, int], Mapping[str, Sequence[Score]]]
    """By arm, rate and seed: by measure, of each text or question."""

    @classmethod
    def read(cls, recipe: CompareRecipe, stage: Stage, done: Sequence[Training]) -> Scores:
        """Those that the finished trainings have left in the stage's folder."""
        found: dict[tuple[str, float, int], Mapping[str, Sequence[Score]]] = {}
        for training in done:
            written = json.loads((stage.path / training.name / SCORES).read_text(encoding="utf-8"))
            found[training.arm.name, training.rate, training.seed] = read_scores(written["after"])
            if recipe.with_start and not training.start:  # the same in all
                found[START, training.rate, training.seed] = read_scores(written["before"])
        return cls(found)

    @property
    def measures(self) -> list[str]:
        """Names of what was measured."""
        return list(next(iter(self.after.values())))

    @property
    def num_seeds(self) -> int:
        return len({seed for _, _, seed in self.after})

    def of_arm(self, arm: str, measure: str) -> list[Score]:
        """Of all its trainings."""
        return [score for key, found in self.after.items() if key[0] == arm for score in found[measure]]

    def unit(self, measure: str) -> str:
        """In what the mean bits of a measure are."""
        return unit_of(next(iter(self.after.values()))[measure])

    def bits(self, measure: str) -> tuple[dict[str, dict[float, np.ndarray]], np.ndarray]:
        """Bits of each text under each seed [texts, seeds] by arm and rate, and the weight of each text."""
        bits: dict[str, dict[float, list[list[float]]]] = {}
        weights: list[float] = []
        for (arm, rate, _), found in self.after.items():
            bits.setdefault(arm, {}).setdefault(rate, []).append([s.nats / np.log(2) for s in found[measure]])
            weights = [score.weight for score in found[measure]]
        by_arm = {arm: {rate: np.array(v).T for rate, v in by_rate.items()} for arm, by_rate in bits.items()}
        return by_arm, np.array(weights, dtype=float)

    def verdicts(self) -> dict[str, list[Verdict]]:
        """The verdict on each pair of arms by each measure; none where there is one seed, arm or text."""
        found = {}
        for measure in self.measures if self.num_seeds > 1 else ():
            bits, weights = self.bits(measure)
            if len(bits) > 1 and len(weights) > 1:
                found[measure] = judge(bits, weights, unit=self.unit(measure))
        return found

    def foreseen(self, num_seeds: int) -> dict[str, float]:
        """The least difference that so many seeds would show, by measure, as far as these trainings tell."""
        found = {}
        for measure in self.measures:
            bits, weights = self.bits(measure)
            if len(bits) > 1 and len(weights) > 1:
                found[measure] = foresee(bits, weights, num_seeds=num_seeds)
        return found


# --- the table --------------------------------------------------------------------------------------


def table(recipe: CompareRecipe, stage: Stage, scores: Scores, todo: Sequence[Training]) -> list[dict[str, Any]]:
    """A row an arm: what it read, and its figures by measure, the mean over seeds and rates."""
    manifests = read_manifests(stage.path)
    rows = []
    for arm in arms(recipe):
        own = [manifests[t.name]["summary"] for t in todo if t.arm.name == arm.name]
        row = {**own[0], "corpus": arm.name, "after": arm.after, **_read_in_all(own[0])}
        if "bits_per_byte_after" in own[0]:
            row["bits_per_byte_after"] = float(np.mean([summary["bits_per_byte_after"] for summary in own]))
        rows.append(row | _figures(scores, arm.name))
    if recipe.with_start:
        row = {"corpus": START, "num_tokens": 0}
        if "bits_per_byte_before" in rows[0]:
            row |= dict.fromkeys(("bits_per_byte_before", "bits_per_byte_after"), rows[0]["bits_per_byte_before"])
        rows.append(row | _figures(scores, START))
    return rows


def _read_in_all(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Bytes of an arm, bytes a token, and how often its most read corpus was read."""
    num_bytes = sum(value for key, value in summary.items() if key.startswith("bytes/"))
    return {
        "num_bytes": num_bytes,
        "bytes_per_token": num_bytes / max(1, summary["num_tokens"]),
        "epochs": max(value for key, value in summary.items() if key.startswith("epochs/")),
    }


def _figures(scores: Scores, arm: str) -> dict[str, Any]:
    found = {}
    for measure in scores.measures:
        own = figures(scores.of_arm(arm, measure))
        bits = own.pop("bits")
        found[measure] = {scores.unit(measure).replace(" ", "_"): bits, **own}
    return {"measures": found}


# --- the curves -------------------------------------------------------------------------------------


def curves(stage: Stage, todo: Sequence[Training]) -> list[dict[str, Any]]:
    """Of each training the measures over its steps: lists of equal length by "measure/figure", and of step, tokens and
    bytes (Figure 3)."""
    found = []
    for training in todo:
        points = [m for m in read_metrics(stage.path / training.name) if m.get("kind") == "eval"]
        names = [name for name in points[0] if name not in ("kind", "time")] if points else []
        found.append(
            {
                "arm": training.arm.name,
                "rate": training.rate,
                "seed": training.seed,
                "points": {name: [point[name] for point in points] for name in names},
            }
        )
    return found


def signal_to_noise(drawn: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """By measure, the range of the arms' means over the scatter of the last points of a training: below about 2 the
    order of arms is mostly chance (Heineman et al. 2025). Empty where trainings have fewer than three points."""
    found = {}
    for name in {name for curve in drawn for name in curve["points"] if name.endswith("/bits")}:
        last = [(curve["arm"], np.array(curve["points"][name][1:][-LAST_POINTS:])) for curve in drawn]
        if any(len(values) < LAST_POINTS for _, values in last):
            continue
        noise = float(np.mean([values.std(ddof=1) for _, values in last]))
        means = list(_mean_by_arm(last))
        if noise > 0 and len(means) > 1:
            found[name.removesuffix("/bits")] = (max(means) - min(means)) / noise
    return found


def _mean_by_arm(last: Sequence[tuple[str, np.ndarray]]) -> Iterator[float]:
    for arm in dict.fromkeys(name for name, _ in last):
        yield float(np.mean([values[-1] for name, values in last if name == arm]))
