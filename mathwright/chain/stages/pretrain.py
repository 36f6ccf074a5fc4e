"""Stage `pretrain` (§2.3): continued pre-training on a mixture of corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mathwright.chain.checks import require_shards
from mathwright.chain.context import Context
from mathwright.chain.plan import Plan, rates, training_bytes, training_seconds
from mathwright.chain.spec import StageSpec
from mathwright.chain.texts import is_text, shards_of, texts_mark
from mathwright.pretrain.recipe import check as check_training
from mathwright.recipe import Recipe
from mathwright.run import Stage


def reads(recipe: Recipe) -> Sequence[str]:
    return ("corpus",) if recipe.corpus is not None else ()


def models(recipe: Recipe) -> Sequence[str]:
    return ("model",)


def contents(recipe: Recipe) -> Mapping[str, str]:
    assert recipe.pretrain is not None
    return {c.path: texts_mark(c.path) for c in recipe.pretrain.mixture if is_text(c.path)}


def check(context: Context) -> None:
    recipe = context.recipe.pretrain
    assert recipe is not None
    check_training(recipe)
    require_shards(context, [component.path for component in recipe.mixture])


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.pretrain
    assert part is not None
    passes = part.num_epochs is not None
    steps = 0 if passes else part.num_tokens // part.batch_tokens
    return Plan(
        reads=(recipe.model.source, *(f"{c.name}: {c.path} ({c.weight:.0%})" for c in part.mixture)),
        writes=("pretrain/model", "pretrain/checkpoints"),
        num_steps=steps,
        num_tokens=steps * part.batch_tokens,
        memory_bytes=training_bytes(recipe.model, num_gpus=num_gpus, micro_batch_tokens=part.micro_batch_tokens),
        seconds=None
        if passes
        else training_seconds(recipe.model, num_gpus=num_gpus, trained=steps * part.batch_tokens),
        notes=(
            *((f"steps are those of {part.num_epochs:g} passes, known once the texts are read",) if passes else ()),
            rates(part.optimiser, steps),
        ),
    )


def run(context: Context, stage: Stage) -> None:
    from mathwright.pretrain.training import run

    part = context.recipe.pretrain
    assert part is not None
    model = context.start_model("pretrain")
    corpora = context.shards((c.name, c.path) for c in part.mixture if not is_text(c.path))
    heldout = context.heldout()
    for component in part.mixture:
        if is_text(component.path):
            seed = context.recipe.seed
            corpora[component.name], own = shards_of(component, stage, tokenizer=model, seed=seed)
            heldout = heldout or own
    run(
        part,
        stage,
        model=model,
        corpora=corpora,
        heldout=heldout,
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        device=context.device,
    )


PRETRAIN = StageSpec(
    name="pretrain",
    about="§2.3 Continue the pre-training of a model on a mixture of corpora.",
    run=run,
    check=check,
    plan=plan,
    reads=reads,
    contents=contents,
    models=models,
    takes_shards=True,
    keeps_checkpoints=True,
    parallel=True,
)
