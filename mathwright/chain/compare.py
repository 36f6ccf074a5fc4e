"""Table 1 (§2.2): the same model trained on each corpus alone for the same number of tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mathwright.pretrain import train
from mathwright.pretrain.recipe import CompareRecipe
from mathwright.run import Stage, read_manifest


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
    """Train `model` once on each corpus and set the held-out bits per byte side by side.

    Each corpus is a stage of its own inside this one: finished trainings are not repeated when the run goes on.
    """
    table: list[dict[str, Any]] = []
    for component in recipe.corpora:
        folder = stage.path / component.name
        part = stage.part(component.name)
        if not part.finished:
            training = dataclasses.replace(recipe.training, mixture=(dataclasses.replace(component, weight=1.0),))
            train.run(
                training,
                part,
                model=model,
                corpora={component.name: corpora[component.name]},
                heldout=heldout,
                dtype=dtype,
                seed=seed,
                device=device,
            )
        manifest = read_manifest(folder)
        assert manifest is not None
        table.append({"corpus": component.name, **manifest["summary"]})
    for row in table:
        stage.say(
            f"{row['corpus']}: {row['bits_per_byte_before']:.3f} -> {row['bits_per_byte_after']:.3f} bits per byte"
        )
    stage.finish(
        outputs={component.name: stage.path / component.name / "model" for component in recipe.corpora},
        summary={"table": table},
    )
