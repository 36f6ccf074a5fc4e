"""Table 1 (§2.2): the same model trained on each corpus alone for the same number of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mathwright.chain import work
from mathwright.pretrain import train
from mathwright.pretrain.recipe import CompareRecipe, MixtureRecipe, PretrainRecipe
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
    """Train `model` once on each corpus and set the held-out bits per byte side by side.

    Each training is a part of this stage (`Stage.part`): one that has finished is not repeated when the run goes on.
    """
    parts: dict[str, Stage] = {}
    for component in recipe.corpora:
        train_alone = partial(
            train.run,
            _alone(recipe.training, component),
            model=model,
            corpora={component.name: corpora[component.name]},
            heldout=heldout,
            dtype=dtype,
            seed=seed,
            device=device,
        )
        parts[component.name] = work.finish(stage.part(component.name), train_alone, parallel=True)
    manifests = read_manifests(stage.path)
    table: list[dict[str, Any]] = [{"corpus": name, **manifests[name]["summary"]} for name in parts]
    for row in table:
        stage.say(
            f"{row['corpus']}: {row['bits_per_byte_before']:.3f} -> {row['bits_per_byte_after']:.3f} bits per byte"
        )
    stage.finish(
        outputs={name: part.output("model") for name, part in parts.items()},
        summary={"table": table},
    )


def _alone(training: PretrainRecipe, corpus: MixtureRecipe) -> PretrainRecipe:
    """The training on one corpus and nothing else."""
    return replace(training, mixture=(replace(corpus, weight=1.0),))
