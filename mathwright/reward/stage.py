"""The reward stage: an outcome reward model, a process reward model, or both, each in a part of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mathwright.records import Problem
from mathwright.reward import process, training
from mathwright.reward.recipe import RewardRecipe, check
from mathwright.run import Stage, read_manifest

OUTCOME, PROCESS = "outcome", "process"


def run(
    recipe: RewardRecipe,
    stage: Stage,
    *,
    model: str | Path,
    problems: Sequence[Problem],
    template: str,
    dtype: str,
    seed: int,
    device: str = "cpu",
) -> None:
    """Train the reward models of `recipe.kind`; outputs `model` (of outcomes), `process_model` and what each has.

    Kind outcome is the stage itself; process and both have parts, `outcome/` and `process/`, each skipped once
    finished. The summary holds that of the outcome model as it is, that of the process model under `process`. Arguments
    and what is raised: `training.run`.
    """
    check(recipe)
    given: dict[str, Any] = {
        "model": model, "problems": problems, "template": template, "dtype": dtype, "seed": seed, "device": device,
    }  # fmt: skip
    if recipe.kind == "outcome":
        training.run(recipe, stage, **given)
        return
    outputs: dict[str, Path] = {}
    summary: dict[str, Any] = {}
    if recipe.kind == "both":
        part = stage.part(OUTCOME)
        if not part.finished:
            training.run(recipe, part, **given)
        manifest = read_manifest(part.path)
        assert manifest is not None
        outputs |= {name: part.output(name) for name in manifest["outputs"]}
        summary |= manifest["summary"]
    part = stage.part(PROCESS)
    if not part.finished:
        process.run(recipe, part, **given)
    manifest = read_manifest(part.path)
    assert manifest is not None
    outputs |= {f"process_{name}": part.output(name) for name in manifest["outputs"]}
    stage.finish(outputs=outputs, summary={**summary, PROCESS: manifest["summary"]})
