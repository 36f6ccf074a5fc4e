"""Stage `reward` (§4.1): a reward model trained on ranked samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathwright.chain.checks import require_template
from mathwright.chain.context import Context
from mathwright.chain.plan import Plan, training_bytes
from mathwright.chain.spec import StageSpec
from mathwright.recipe import Recipe
from mathwright.reward.recipe import check as check_reward
from mathwright.run import Stage


def reads(recipe: Recipe) -> Sequence[str]:
    return ("problems",)


def models(recipe: Recipe) -> Sequence[str]:
    return (next((name for name in ("sft", "pretrain") if getattr(recipe, name) is not None), "model"),)


def check(context: Context) -> None:
    assert context.recipe.reward is not None
    require_template("template", context.recipe.template)
    check_reward(context.recipe.reward)


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.reward
    assert part is not None
    samples = part.num_problems * part.responses_per_problem
    steps = part.num_epochs * max(1, round(part.num_problems * (1 - part.heldout_share)) // part.batch_rankings)
    return Plan(
        reads=(f"{models(recipe)[0]}/model", "problems/train.jsonl"),
        writes=("reward/rankings.jsonl", "reward/model"),
        num_steps=steps,
        num_tokens=samples * part.sampling.max_new_tokens,
        memory_bytes=training_bytes(
            recipe.model.scratch, num_gpus=num_gpus, micro_batch_tokens=part.micro_batch_tokens
        ),
        notes=(f"{samples:,} samples; steps and tokens are upper bounds (equal verdicts are dropped)",),
    )


def run(context: Context, stage: Stage) -> None:
    from mathwright.reward.train import run

    assert context.recipe.reward is not None
    run(
        context.recipe.reward,
        stage,
        model=Path(context.start_model("reward")),
        problems=context.problems("train"),
        template=context.recipe.template,
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        device=context.device,
    )


REWARD = StageSpec(
    name="reward",
    about="§4.1 Train a reward model on ranked samples.",
    run=run,
    check=check,
    plan=plan,
    reads=reads,
    models=models,
    uses_template=lambda recipe: True,
    asks=True,
    keeps_checkpoints=True,
)
