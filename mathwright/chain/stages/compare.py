"""Stage `compare` (§2.2): the same model trained on each corpus alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathwright.chain.checks import require_model, require_shards
from mathwright.chain.context import Context
from mathwright.chain.plan import Plan, rates, training_bytes
from mathwright.chain.spec import StageSpec
from mathwright.errors import MathwrightError
from mathwright.pretrain.recipe import check_comparison, trainings
from mathwright.recipe import Recipe
from mathwright.run import Stage


def reads(recipe: Recipe) -> Sequence[str]:
    return ("corpus",) if recipe.corpus is not None else ()


def models(recipe: Recipe) -> Sequence[str]:
    return ("model",)


def check(context: Context) -> None:
    from mathwright.pretrain.targets import read_targets

    recipe = context.recipe.compare
    assert recipe is not None
    if context.recipe.corpus is None:
        raise MathwrightError("a comparison needs held-out text", hint="give the recipe a corpus part")
    check_comparison(recipe)
    for path in recipe.targets or ():
        read_targets(Path(path), limit=1)
    require_shards(context, [component.path for component in recipe.corpora])
    if recipe.model is not None:
        require_model(recipe.model.source, "compare.model.source")


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.compare
    assert part is not None
    training, num_corpora = part.training, len(part.corpora)
    todo = trainings(part, recipe.seed)
    steps = training.num_tokens // training.batch_tokens
    return Plan(
        reads=tuple(f"{c.name}: {c.path}" for c in part.corpora),
        writes=tuple(f"compare/{t.name}/model" for t in todo),
        num_steps=steps * len(todo),
        num_tokens=steps * training.batch_tokens * len(todo),
        memory_bytes=training_bytes(
            part.model or recipe.model, num_gpus=num_gpus, micro_batch_tokens=training.micro_batch_tokens
        ),
        notes=(
            f"{num_corpora} corpora, {steps:,} steps each"
            + (f", {len(todo) // num_corpora} times (seeds and rates)" if len(todo) > num_corpora else ""),
            rates(training.optimiser, steps),
        ),
    )


def run(context: Context, stage: Stage) -> None:
    from mathwright.chain.compare import run

    part, heldout = context.recipe.compare, context.heldout()
    assert part is not None and heldout is not None, "check has seen to it"
    run(
        part,
        stage,
        model=part.model.source if part.model else context.start_model("compare"),
        corpora=context.shards((c.name, c.path) for c in part.corpora),
        heldout=heldout,
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        device=context.device,
    )


COMPARE = StageSpec(
    name="compare",
    about="§2.2 Train the same model on several corpora and compare.",
    run=run,
    check=check,
    plan=plan,
    reads=reads,
    models=models,
    takes_shards=True,
    keeps_checkpoints=True,
    parallel=True,
)
