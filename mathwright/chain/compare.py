"""Table 1 (§2.2): the same model trained on each corpus alone for the same number of tokens, and who is ahead.

Arms x seeds x learning rates, each a part of the stage. A seed fixes the order of the data of all arms, so that arms
are compared in pairs: by the bits per byte of the same held-out texts and worked solutions (`pretrain.verdict`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mathwright.chain import work
from mathwright.pretrain import training as pretraining
from mathwright.pretrain.bits import TextScore, mean_bits
from mathwright.pretrain.recipe import START, CompareRecipe, PretrainRecipe, Training, trainings
from mathwright.pretrain.targets import KINDS, Target, read_targets
from mathwright.pretrain.verdict import Verdict, foresee, judge
from mathwright.run import Stage, read_manifests


def run(
    recipe: CompareRecipe,
    stage: Stage,
    *,
    model: str | Path,
    corpora: Mapping[str, Path],
    heldout: Path,
    dtype: str,
    seed: int,
    device: str = "cpu",
) -> None:
    """Train `model` on each corpus, under each seed and at each rate, and say which is ahead.

    Each training is a part of this stage (`Stage.part`): one that has finished is not repeated when the run goes on.
    With several seeds, the least difference that all of them can show is said once two are done.
    """
    targets = _targets(recipe, seed)
    todo = trainings(recipe, seed)
    parts: dict[str, Stage] = {}
    for number, training in enumerate(todo):
        train_alone = partial(
            pretraining.run,
            _alone(recipe.training, training),
            model=model,
            corpora={training.corpus.name: corpora[training.corpus.name]},
            heldout=heldout,
            dtype=dtype,
            seed=training.seed,
            device=device,
            targets=targets,
        )
        parts[training.name] = work.finish(stage.part(training.name), train_alone, parallel=True)
        if number + 1 == 2 * len(recipe.corpora) and len(recipe.seeds or ()) > 2:
            _say_what_can_be_seen(recipe, stage, todo[: number + 1])
    scores = _Scores.read(recipe, stage, todo)
    table = _table(recipe, stage, scores, todo)
    for row in table:
        stage.say(
            f"{row['corpus']}: {row['bits_per_byte_before']:.3f} -> {row['bits_per_byte_after']:.3f} bits per byte"
        )
    verdicts = {measure: scores.verdicts(measure) for measure in scores.measures} if scores.num_seeds > 1 else {}
    for measure, found in verdicts.items():
        for verdict in found:
            stage.say(f"{measure}: {verdict}")
    stage.finish(
        outputs={name: part.output("model") for name, part in parts.items()},
        summary={
            "table": table,
            "verdicts": {name: [{"text": str(v), **asdict(v)} for v in found] for name, found in verdicts.items()},
        },
    )


def _targets(recipe: CompareRecipe, seed: int) -> dict[str, list[Target]]:
    paths = [Path(path) for path in recipe.targets or ()]
    return {path.name.partition(".")[0]: read_targets(path, limit=recipe.num_targets, seed=seed) for path in paths}


def _alone(recipe: PretrainRecipe, training: Training) -> PretrainRecipe:
    """The training on one corpus and nothing else, its windows in the order that all arms of the seed share."""
    corpus = replace(training.corpus, weight=1.0, tokens=None, order="compare")
    return replace(recipe, mixture=(corpus,), optimiser=replace(recipe.optimiser, lr=training.rate))


# --- what was measured ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scores:
    """The scores of texts after each training, and before any."""

    after: Mapping[tuple[str, float, int], Mapping[str, Sequence[TextScore]]]
    """By arm, rate and seed: by measure, of each text."""

    @classmethod
    def read(cls, recipe: CompareRecipe, stage: Stage, done: Sequence[Training]) -> _Scores:
        found: dict[tuple[str, float, int], dict[str, list[TextScore]]] = {}
        for training in done:
            path = stage.path / training.name / pretraining.SCORES
            written = json.loads(path.read_text(encoding="utf-8"))
            found[training.corpus.name, training.rate, training.seed] = _scores(written["after"])
            if recipe.with_start:  # the same in all
                found[START, training.rate, training.seed] = _scores(written["before"])
        return cls(found)

    @property
    def measures(self) -> list[str]:
        return list(next(iter(self.after.values())))

    @property
    def num_seeds(self) -> int:
        return len({seed for _, _, seed in self.after})

    def of_arm(self, arm: str, measure: str) -> list[TextScore]:
        """Of all its trainings."""
        return [score for key, found in self.after.items() if key[0] == arm for score in found[measure]]

    def bits(self, measure: str) -> tuple[dict[str, dict[float, np.ndarray]], np.ndarray]:
        """Bits of each text under each seed [texts, seeds] by arm and rate, and the bytes of each text."""
        bits: dict[str, dict[float, list[list[float]]]] = {}
        sizes: list[int] = []
        for (arm, rate, _), found in self.after.items():
            bits.setdefault(arm, {}).setdefault(rate, []).append([s.nats / np.log(2) for s in found[measure]])
            sizes = [score.num_bytes for score in found[measure]]
        by_arm = {arm: {rate: np.array(v).T for rate, v in by_rate.items()} for arm, by_rate in bits.items()}
        return by_arm, np.array(sizes, dtype=float)

    def verdicts(self, measure: str) -> list[Verdict]:
        bits, num_bytes = self.bits(measure)
        return judge(bits, num_bytes) if len(bits) > 1 and len(num_bytes) > 1 else []


def _scores(written: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, list[TextScore]]:
    return {measure: [TextScore(**score) for score in found] for measure, found in written.items()}


def _say_what_can_be_seen(recipe: CompareRecipe, stage: Stage, done: Sequence[Training]) -> None:
    """The least difference that all seeds can show, as far as the first two of them tell."""
    scores = _Scores.read(recipe, stage, done)
    for measure in scores.measures:
        bits, num_bytes = scores.bits(measure)
        if len(bits) > 1 and len(num_bytes) > 1:
            least = foresee(bits, num_bytes, num_seeds=len(recipe.seeds or ()))
            stage.say(f"{measure}: {len(recipe.seeds or ())} seeds can show a difference of {least:.4f} bits per byte")


def _table(recipe: CompareRecipe, stage: Stage, scores: _Scores, todo: Sequence[Training]) -> list[dict[str, Any]]:
    """A row an arm: what it read, and bits per byte by measure and by kind of text, mean over seeds and rates."""
    manifests = read_manifests(stage.path)
    table = []
    for corpus in recipe.corpora:
        own = [manifests[t.name]["summary"] for t in todo if t.corpus.name == corpus.name]
        after = float(np.mean([summary["bits_per_byte_after"] for summary in own]))
        row = {**own[0], "corpus": corpus.name, "bits_per_byte_after": after}
        table.append(row | _measures(scores, corpus.name))
    if recipe.with_start:
        before = table[0]["bits_per_byte_before"]
        row = {"corpus": START, "num_tokens": 0, "bits_per_byte_before": before, "bits_per_byte_after": before}
        table.append(row | _measures(scores, START))
    return table


def _measures(scores: _Scores, arm: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for measure in scores.measures:
        own = scores.of_arm(arm, measure)
        row = {"bits_per_byte": mean_bits(own)}
        for kind in KINDS:
            parts = [score.parts[kind] for score in own if kind in score.parts]
            if num_bytes := sum(size for _, size in parts):
                row[kind] = sum(nats for nats, _ in parts) / np.log(2) / num_bytes
        found[measure] = row
    return {"measures": found}
