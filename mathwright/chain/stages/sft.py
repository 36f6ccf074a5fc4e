"""Stage `sft` (§3): fine-tuning on worked solutions."""

from __future__ import annotations

from collections.abc import Sequence

from mathwright.chain.checks import require_template
from mathwright.chain.context import Context
from mathwright.chain.plan import Plan, rates, training_bytes
from mathwright.chain.spec import StageSpec
from mathwright.recipe import Recipe
from mathwright.run import Stage
from mathwright.sft.recipe import check as check_sft


def reads(recipe: Recipe) -> Sequence[str]:
    return ("problems",)


def models(recipe: Recipe) -> Sequence[str]:
    return ("pretrain",) if recipe.pretrain is not None else ("model",)


def check(context: Context) -> None:
    assert context.recipe.sft is not None
    require_template("template", context.recipe.template)
    check_sft(context.recipe.sft)


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.sft
    assert part is not None
    return Plan(
        reads=(f"{models(recipe)[0]}/model", "problems/solutions.jsonl"),
        writes=("sft/model", "sft/checkpoints"),
        num_steps=part.num_steps,
        num_tokens=part.num_steps * part.batch_rows * part.context,
        memory_bytes=training_bytes(recipe.model.scratch, num_gpus=num_gpus, micro_batch_tokens=part.context),
        notes=(f"{part.batch_rows} rows of {part.context:,} tokens a step", rates(part.optimiser, part.num_steps)),
    )


def run(context: Context, stage: Stage) -> None:
    from mathwright.sft.train import run

    assert context.recipe.sft is not None
    run(
        context.recipe.sft,
        stage,
        model=context.start_model("sft"),
        problems=context.problems("train"),
        solutions=context.solutions(),
        template=context.recipe.template,
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        device=context.device,
    )


SFT = StageSpec(
    name="sft",
    about="§3 Fine-tune on worked solutions: chain of thought, program of thought, tool-integrated.",
    run=run,
    check=check,
    plan=plan,
    reads=reads,
    models=models,
    uses_template=lambda recipe: True,
    asks=True,
    keeps_checkpoints=True,
    parallel=True,
)
