"""Stage `rl` (§4): reinforcement with GRPO and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathwright.chain.checks import require_model, require_template
from mathwright.chain.context import Context
from mathwright.chain.plan import Plan, rates, training_bytes
from mathwright.chain.spec import StageSpec
from mathwright.chain.stages.reward import models
from mathwright.errors import MathwrightError
from mathwright.recipe import Recipe
from mathwright.rl.check import check as check_rl
from mathwright.rl.methods.table import TABLE_10
from mathwright.run import Stage


def reads(recipe: Recipe) -> Sequence[str]:
    assert recipe.rl is not None
    return ("problems", "reward") if recipe.rl.reward == "model" else ("problems",)


def check(context: Context) -> None:
    from mathwright.rl.functions import import_function
    from mathwright.rl.step_scorers import step_scorer

    recipe = context.recipe.rl
    assert recipe is not None
    check_rl(recipe)
    require_template("template", context.recipe.template)
    for term in recipe.extra_rewards:
        if term.kind == "function":
            import_function(term.function)
    if TABLE_10[recipe.method].reward == "steps":
        step_scorer(recipe.step_reward)
    if recipe.reference:
        require_model(recipe.reference, "rl.reference")
    if recipe.reward == "model" and context.recipe.reward is None:
        raise MathwrightError(
            "rl.reward is model, but the recipe has no reward part", hint="give it one, or set rl.reward=rule"
        )


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.rl
    assert part is not None
    check_rl(part)
    batch = part.problems_per_step * part.group_size
    by_model = part.reward == "model"
    return Plan(
        reads=(f"{models(recipe)[0]}/model", *(("reward/model",) if by_model else ()), "problems/train.jsonl"),
        writes=("rl/model", "rl/rollouts.jsonl", "rl/checkpoints"),
        num_steps=part.iterations * part.num_steps,
        num_tokens=part.iterations * part.num_steps * batch * part.sampling.max_new_tokens,
        memory_bytes=training_bytes(
            recipe.model.scratch,
            num_gpus=num_gpus,
            micro_batch_tokens=part.micro_batch_tokens,
            frozen=1 + by_model + (part.iterations > 1),
        ),
        notes=(
            f"{part.problems_per_step} questions x G = {part.group_size}: {batch:,} outputs a step",
            "tokens are an upper bound; the cache of the rollouts comes on top of the memory",
            rates(part.optimiser, part.num_steps),
            *((f"{part.iterations} iterations of {part.num_steps:,} steps",) if part.iterations > 1 else ()),
        ),
    )


def run(context: Context, stage: Stage) -> None:
    part = context.recipe.rl
    assert part is not None
    if part.iterations > 1:
        _iterate(context, stage)
        return
    from mathwright.rl.train import run

    run(
        part,
        stage,
        model=Path(context.start_model("rl")),
        reward_model=context.output("reward", "model") if part.reward == "model" else None,
        problems=context.problems("train"),
        template=context.recipe.template,
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        solutions=context.solutions() if part.method == "sft" else (),
        heldout=context.problems("test") if part.evaluate_every else (),
        device=context.device,
    )


def _iterate(context: Context, stage: Stage) -> None:
    from mathwright.chain.iterate import RewardModelFiles, run

    part, reward = context.recipe.rl, context.recipe.reward
    assert part is not None
    files = None
    if part.reward == "model":
        assert reward is not None, "check has seen to it"
        files = RewardModelFiles(
            recipe=reward,
            model=context.output("reward", "model"),
            samples=context.output("reward", "samples"),
            heldout=context.output("reward", "heldout"),
        )
    run(
        part,
        stage,
        model=Path(context.start_model("rl")),
        reward=files,
        problems=context.problems("train"),
        template=context.recipe.template,
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        heldout=context.problems("test") if part.evaluate_every else (),
        device=context.device,
    )


RL = StageSpec(
    name="rl",
    about="§4 Reinforce with GRPO and its relatives.",
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
