"""Stage `reward` (§4.1): reward models of outcomes and of steps, trained on samples of the SFT model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mathwright.chain.checks import require_template
from mathwright.chain.context import Context
from mathwright.chain.plan import Plan, training_bytes
from mathwright.chain.spec import StageSpec
from mathwright.problems.containers import data_mark, data_rows
from mathwright.recipe import Recipe
from mathwright.reward.recipe import RewardRecipe
from mathwright.reward.recipe import check as check_reward
from mathwright.run import Stage


def reads(recipe: Recipe) -> Sequence[str]:
    return ("problems",)


def contents(recipe: Recipe) -> Mapping[str, str]:
    part = recipe.reward
    assert part is not None
    return {file: data_mark(file) for file in (*part.files, *part.judged_files, *part.process.files)}


def models(recipe: Recipe) -> Sequence[str]:
    return (next((name for name in ("sft", "pretrain") if getattr(recipe, name) is not None), "model"),)


def check(context: Context) -> None:
    assert context.recipe.reward is not None
    require_template("template", context.recipe.template)
    check_reward(context.recipe.reward)
    if context.recipe.reward.kind != "process":
        for file in context.recipe.reward.files:
            next(data_rows(file, context.recipe.reward.fields))  # whether it is there and can be read


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.reward
    assert part is not None
    kept = part.num_problems * (1 - part.heldout_share)
    samples = steps = 0
    notes: list[str] = []
    if part.kind != "process":
        samples += part.num_problems * part.responses_per_problem
        steps += part.num_epochs * max(1, round(kept) // part.batch_rankings)
        notes.append(f"{samples:,} samples; steps and tokens are upper bounds (equal verdicts are dropped)")
    if part.kind != "outcome":
        process = part.process
        responses = part.num_problems * process.responses_per_problem
        samples += responses
        steps += part.num_epochs * max(1, round(kept * process.responses_per_problem) // process.batch_responses)
        each = "by the arithmetic on them" if process.labels == "rule" else f"by {process.num_completions} completions"
        notes.append(f"{responses:,} responses whose steps are labelled {each}, which are not among the tokens")
    return Plan(
        reads=(f"{models(recipe)[0]}/model", "problems/train.jsonl"),
        writes=_writes(part),
        num_steps=steps,
        num_tokens=samples * part.sampling.max_new_tokens,
        memory_bytes=training_bytes(
            recipe.model, num_gpus=num_gpus, micro_batch_tokens=part.micro_batch_tokens, lora=part.lora
        ),
        notes=tuple(notes),
    )


def _writes(part: RewardRecipe) -> tuple[str, ...]:
    if part.kind == "outcome":
        return ("reward/rankings.jsonl", "reward/model")
    outcome = ("reward/outcome/rankings.jsonl", "reward/outcome/model") if part.kind == "both" else ()
    return (*outcome, "reward/process/labels.jsonl", "reward/process/model")


def run(context: Context, stage: Stage) -> None:
    from mathwright.reward.stage import run

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
    about="§4.1 Train reward models: of outcomes on ranked samples, of steps on labelled ones.",
    run=run,
    check=check,
    plan=plan,
    reads=reads,
    contents=contents,
    models=models,
    uses_template=lambda recipe: True,
    asks=True,
    keeps_checkpoints=True,
)
