"""Few-shot accuracy of the models of a comparison, by `mathwright eval` (§2.2, Table 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from mathwright.engines.choose import EngineOptions, open_engine
from mathwright.eval.measure import measure
from mathwright.eval.settings import Settings, Shard
from mathwright.lm import parallel
from mathwright.pretrain.comparison import task_and_mode
from mathwright.pretrain.recipe import CompareRecipe
from mathwright.records import EvalRecord, SolutionFormat
from mathwright.run import Stage
from mathwright.stats import wilson_interval

LEAST_CORRECT = 20
"""Fewer right answers than these say nothing about an order."""
LONGEST_ANSWER = 1024  # §4.2
KEPT = ("task", "mode", "accuracy", "num_problems", "unscored", "truncated", "unparsable", "mean_tokens")
"""What of an evaluation's row goes into the summary; the rest is in its own folder."""


def run(
    recipe: CompareRecipe, stage: Stage, *, model: Path | str, name: str, dtype: str, seed: int, device: str
) -> None:
    """Accuracy of a model on the recipe's tasks, with the paper's number of worked examples; finishes the stage.

    Samples are kept one by one, so that a stopped measurement goes on; several processes share the problems.
    """
    world = parallel.world()
    options = EngineOptions(dtype=dtype, device=device)
    rows: list[dict[str, Any]] = []
    for mode in dict.fromkeys(task_and_mode(task)[1] for task in recipe.tasks or ()):
        settings = _settings(recipe, str(model), mode, seed)
        own_share = partial(
            measure,
            settings,
            stage.path / mode,
            partial(open_engine, settings.model, options),
            dtype=dtype,
            shard=Shard(index=world.rank, count=world.size),
            name=name,
        )
        outcome = own_share()
        parallel.barrier(world)
        if stage.writes and not outcome.complete:  # others were done after this one
            outcome = own_share()
        if stage.writes:
            chance = _chance(outcome.records)
            for row in outcome.rows:
                kept = {name: row[name] for name in KEPT}
                rows.append(kept | floor(row["accuracy"], row["num_problems"], chance[row["task"]]))
    for row in rows:
        stage.say(describe(row))
    stage.finish(outputs={}, summary={"table": rows})


def _settings(recipe: CompareRecipe, model: str, mode: str, seed: int) -> Settings:
    modes: tuple[SolutionFormat, ...] = ("pot",) if mode == "pot" else ("tool",) if mode == "tool" else ("cot",)
    return Settings(
        model=model,
        tasks=tuple(name for name, own in map(task_and_mode, recipe.tasks or ()) if own == mode),
        modes=modes,
        data=recipe.benchmark_data or None,
        template="plain",
        shots="paper",
        max_new_tokens=recipe.task_tokens or LONGEST_ANSWER,
        limit=recipe.num_task_problems,
        seed=seed,
    )


def _chance(records: Sequence[EvalRecord]) -> dict[str, float]:
    """The accuracy of guessing by task: of questions without options 0."""
    by_task: dict[str, list[float]] = {}
    for record in records:
        options = record.problem.choices
        by_task.setdefault(record.task, []).append(1 / len(options) if options else 0.0)
    return {task: fmean(shares) for task, shares in by_task.items()}


def floor(accuracy: float, num_problems: int, chance: float) -> dict[str, Any]:
    """The interval of an accuracy, the accuracy of guessing, and whether the one is not above the other: the interval
    reaches down to it, or fewer than 20 answers are right."""
    low, high = wilson_interval(accuracy * num_problems, num_problems)
    at_floor = low <= chance or accuracy * num_problems < LEAST_CORRECT
    return {"interval": [low, high], "chance": chance, "at_floor": at_floor}


def describe(row: Mapping[str, Any]) -> str:
    """A row in a line."""
    low, high = row["interval"]
    return (
        f"{row['task']} ({row['mode']}): {row['accuracy']:.1%} of {row['num_problems']:,}, {low:.1%} to {high:.1%}"
        + (" (at floor)" if row["at_floor"] else "")
    )


def mean_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a task and mode, the mean over the trainings of an arm; seeds bring no new problems to the interval."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["task"], row["mode"]), []).append(row)
    means = []
    for (task, mode), own in found.items():
        accuracy, num_problems = fmean(row["accuracy"] for row in own), own[0]["num_problems"]
        means.append(
            {
                "task": task,
                "mode": mode,
                "accuracy": accuracy,
                "num_problems": num_problems,
                "num_trainings": len(own),
                **floor(accuracy, num_problems, own[0]["chance"]),
            }
        )
    return means
