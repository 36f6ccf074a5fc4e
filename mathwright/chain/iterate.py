"""Algorithm 1 whole (§4.1.4): iterations of reinforcement, each with a new pi_ref and a reward model trained further.

    1   pi_theta <- the SFT model
    2   for iteration = 1 .. I:
    3       pi_ref <- pi_theta                                     reset_reference
    4-11    M steps                                                rl/iteration_K/   rl.training.run
    12      train r_phi further on what was explored, with 10%     rl/reward_K/      reward.refresh.refresh
            of what was explored before                            refresh_reward, replay_share

Lines 4-11 and 12 are parts of the stage (`Stage.part`), each with its own manifest: one that has finished is not
repeated, one that was killed goes on. The rankings of line 12 come from the iteration's own responses and verdicts;
nothing is sampled for them. Problems that the reward stage held out are never trained on in any iteration.

The paper leaves these open. Here optimiser and schedule of the policy begin anew in each iteration, the questions go on
in their order where the last iteration ended, and "10% of historical data" is a tenth of each batch.

Beside the models the stage leaves metrics.jsonl and rollouts.jsonl of all iterations, their steps counted through, and
in its summary a matrix: how well the reward model of each iteration (0: as it was) ranks the samples of each iteration
(0: of the SFT model) on held-out problems.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mathwright.chain import work
from mathwright.files import write_lines
from mathwright.lines import file_lines, json_text
from mathwright.lm import heads, parallel
from mathwright.records import JudgedGroup, Problem, read_jsonl
from mathwright.reward import refresh, scoring
from mathwright.reward.recipe import RewardRecipe
from mathwright.rl import training
from mathwright.rl.iteration import SAMPLES, Iteration
from mathwright.rl.recipe import RLRecipe
from mathwright.run import Stage, read_manifest
from mathwright.stats import mean_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardModelFiles:
    """What the reward stage left."""

    recipe: RewardRecipe
    model: Path
    samples: Path
    """Judged groups it was trained on."""
    heldout: Path
    """Judged groups of problems it was not trained on."""


def run(
    recipe: RLRecipe,
    stage: Stage,
    *,
    model: str | Path,
    reward: RewardModelFiles | None,
    problems: Sequence[Problem],
    template: str,
    dtype: str,
    seed: int,
    heldout: Sequence[Problem] = (),
    device: str = "cpu",
    process_model: str | Path | None = None,
    value_start: tuple[Path | None, Sequence[JudgedGroup]] = (None, ()),
) -> None:
    """Train `model` by `recipe.iterations` iterations; outputs model, rollouts, reward_model, value_model where used.

    Arguments are those of `rl.training.run`. reward: what the reward stage left; needed where recipe.reward is model.
    value_start: reward model and judged samples that a value model begins with; it is kept from iteration to iteration,
    each of which begins with its value_warmup_steps.

    Raises MathwrightError as `rl.training.run` and `reward.refresh.refresh` do.
    """
    policy: str | Path = model
    judges = Judges(stage, reward, dtype=dtype, seed=seed, device=device) if reward is not None else None
    first_judge, value_samples = value_start
    value_model: Path | None = None
    parts: list[Stage] = []
    steps_before = position = 0
    for number in range(1, recipe.iterations + 1):
        stage.say(f"iteration {number} of {recipe.iterations}")
        reinforce = partial(
            training.run,
            recipe if recipe.reset_reference else replace(recipe, reference=recipe.reference or str(model)),
            model=policy,
            reward_model=judges.newest if judges else first_judge,
            value_model=value_model,
            value_samples=value_samples,
            problems=problems,
            template=template,
            dtype=dtype,
            seed=seed,
            heldout=heldout,
            device=device,
            process_model=process_model,
            iteration=Iteration(
                number=number,
                steps_before=steps_before,
                position=position,
                initial=None if number == 1 else model,
                keeps_samples=judges is not None,
            ),
        )
        part = work.finish(stage.part(f"iteration_{number}"), reinforce, parallel=True)
        parts.append(part)
        summary = _summary_of(part)
        steps_before, position, policy = steps_before + summary["num_steps"], summary["position"], part.output("model")
        value_model = part.output("value_model") if recipe.method == "ppo" else None
        if judges is not None:
            judges.learn_from(part, number, recipe)
    if stage.writes:
        _finish(recipe, stage, parts, judges)
    parallel.barrier(parallel.world())


# --- the reward model -----------------------------------------------------------------------------


@dataclass(slots=True)
class Judges:
    """The reward models of a run, the newest last, and the samples they were trained on."""

    stage: Stage
    files: RewardModelFiles
    dtype: str
    seed: int
    device: str
    models: list[Path] = field(default_factory=list)
    history: list[JudgedGroup] = field(default_factory=list)
    heldout: list[list[JudgedGroup]] = field(default_factory=list)
    """Of held-out problems, by iteration: first those of the SFT model."""

    def __post_init__(self) -> None:
        self.models.append(self.files.model)
        # a reward model that was trained on rankings from files alone has sampled nothing
        self.history += _groups(self.files.samples)
        self.heldout.append(_groups(self.files.heldout))

    @property
    def newest(self) -> Path:
        return self.models[-1]

    def learn_from(self, part: Stage, number: int, recipe: RLRecipe) -> None:
        """Line 12: train the newest reward model further on what an iteration explored."""
        away = {group.problem_id for group in self.heldout[0]}
        explored = _groups(part.path / SAMPLES)
        new = [group for group in explored if group.problem_id not in away]
        self.heldout.append([group for group in explored if group.problem_id in away])
        if not recipe.refresh_reward:
            return
        if not any(True in group.correct and False in group.correct for group in new):
            self.stage.warn(
                f"iteration {number}: no question had both right and wrong responses: the reward model stays as it is"
            )
            return
        further = partial(
            refresh.refresh,
            self.files.recipe,
            reward_model=self.newest,
            samples=new,
            history=tuple(self.history),
            heldout=self.heldout[0],
            dtype=self.dtype,
            seed=self.seed + number,
            replay_share=recipe.replay_share,
            device=self.device,
        )
        refreshed = work.finish(self.stage.part(f"reward_{number}"), further)
        self.models.append(refreshed.output("model"))
        self.history += new

    def matrix(self) -> list[dict[str, Any]]:
        """A row for each reward model and each iteration's held-out samples: pair accuracy with its 95% interval."""
        rows = []
        for k, path in enumerate(self.models):
            model = heads.load(path, dtype=self.dtype, device=self.device)
            for j, groups in enumerate(self.heldout):
                accuracies = list(_accuracies(groups, scoring.score_groups(self.files.recipe, model, groups)))
                rows.append(
                    {
                        "reward_model": k,
                        "samples": j,
                        "num_problems": len(accuracies),
                        "pair_accuracy": sum(accuracies) / len(accuracies) if accuracies else None,
                        "pair_accuracy_interval": list(mean_interval(accuracies)) if accuracies else None,
                    }
                )
        return rows


def _groups(path: Path) -> list[JudgedGroup]:
    return list(read_jsonl(path, JudgedGroup)) if path.is_file() else []


def _accuracies(groups: Sequence[JudgedGroup], scores: Sequence[Sequence[float | None]]) -> Iterator[float]:
    """Of each group with both right and wrong responses, the share of such pairs that is ordered rightly."""
    for group, row in zip(groups, scores, strict=True):
        judged = [(score, right) for score, right in zip(row, group.correct, strict=True) if score is not None]
        right = [score for score, was_right in judged if was_right is True]
        wrong = [score for score, was_right in judged if was_right is False]
        if right and wrong:
            yield sum((r > w) + (r == w) / 2 for r in right for w in wrong) / (len(right) * len(wrong))


# --- what it leaves -------------------------------------------------------------------------------


def _finish(recipe: RLRecipe, stage: Stage, parts: Sequence[Stage], judges: Judges | None) -> None:
    summaries = [_summary_of(part) for part in parts]
    _join(stage, parts, [summary["num_steps"] for summary in summaries])
    last = parts[-1]
    _link_tree(last.output("model"), stage.path / "model")
    outputs = {"model": stage.path / "model", "rollouts": stage.path / "rollouts.jsonl"}
    if recipe.method == "ppo":
        outputs["value_model"] = last.output("value_model")
    summary: dict[str, Any] = {
        **summaries[-1],
        **{name: value for name, value in summaries[0].items() if name.endswith("_begin")},
        **{name: sum(s[name] for s in summaries) for name in summaries[0] if name.startswith(("num_", "seconds_"))},
        "num_iterations": recipe.iterations,
        "iterations": summaries,
    }
    if judges is not None:
        outputs["reward_model"] = judges.newest
        summary["reward_matrix"] = judges.matrix()
        for row in summary["reward_matrix"]:
            if row["pair_accuracy"] is not None:
                stage.say(
                    f"reward model {row['reward_model']} on samples of iteration {row['samples']}: "
                    f"{row['pair_accuracy']:.1%} of pairs, {row['num_problems']} held-out problems"
                )
    stage.finish(outputs=outputs, summary=summary)


def _summary_of(part: Stage) -> Mapping[str, Any]:
    manifest = read_manifest(part.path)
    assert manifest is not None, "it has finished"
    return manifest["summary"]


def _join(stage: Stage, parts: Sequence[Stage], num_steps: Sequence[int]) -> None:
    """Measurements and rollouts of all iterations in the stage's own files, their steps counted through."""
    for name in ("metrics.jsonl", "rollouts.jsonl"):
        lines = []
        for k, part in enumerate(parts):
            before = sum(num_steps[:k])
            for line in file_lines(part.path / name):
                row = json.loads(line)
                lines.append(json_text({**row, "step": row["step"] + before}))
        write_lines(stage.path / name, lines)


def _link_tree(source: Path, target: Path) -> None:
    """The same files under another name: links where the file system has them, else copies."""

    def link(a: str, b: str) -> None:
        try:
            os.link(a, b)
        except OSError:
            shutil.copy2(a, b)

    made = target.with_name(f".{target.name}.partial")
    for old in (made, target):  # of a finish that was interrupted
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(source, made, copy_function=link)
    made.rename(target)
