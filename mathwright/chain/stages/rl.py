"""Stage `rl` (§4): reinforcement with GRPO and its relatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mathwright.chain.checks import require_model, require_template
from mathwright.chain.context import Context
from mathwright.chain.plan import Plan, rates, training_bytes, training_seconds
from mathwright.chain.spec import StageSpec
from mathwright.chain.stages.reward import models
from mathwright.errors import MathwrightError
from mathwright.files import content_mark
from mathwright.recipe import Recipe
from mathwright.records import JudgedGroup, read_jsonl
from mathwright.rl.check import check as check_rl
from mathwright.rl.check import check_sources
from mathwright.run import Stage


def reads(recipe: Recipe) -> Sequence[str]:
    assert recipe.rl is not None
    by_model = recipe.rl.reward == "model" or recipe.rl.step_reward == "model"
    return ("problems", "reward") if by_model or _values_read_reward(recipe) else ("problems",)


def _values_read_reward(recipe: Recipe) -> bool:
    """Whether a value model learns from what the reward stage leaves: its outcome model, its judged samples."""
    part = recipe.rl
    has_outcome = recipe.reward is not None and recipe.reward.kind != "process"
    return part is not None and part.method == "ppo" and has_outcome


def check(context: Context) -> None:
    recipe = context.recipe.rl
    assert recipe is not None
    check_rl(recipe)
    check_sources(recipe)
    require_template("template", context.recipe.template)
    if recipe.reference:
        require_model(recipe.reference, "rl.reference")
    if recipe.teacher:
        require_model(recipe.teacher, "rl.teacher")
    _check_reward_models(context.recipe)


def _check_reward_models(recipe: Recipe) -> None:
    """Raise MathwrightError where what is to reward is not what the recipe's reward part trains."""
    assert recipe.rl is not None
    asked = (
        ("reward", recipe.rl.reward == "model", "outcome", "rl.reward=rule"),
        ("step_reward", recipe.rl.step_reward == "model", "process", "rl.step_reward=arithmetic"),
        ("value_init", recipe.rl.value_init == "reward", "outcome", "rl.value_init=policy"),
    )
    for name, is_asked, kind, otherwise in asked:
        if not is_asked:
            continue
        value = getattr(recipe.rl, name)
        if recipe.reward is None:
            raise MathwrightError(
                f"rl.{name} is {value}, but the recipe has no reward part", hint=f"give it one, or set {otherwise}"
            )
        if recipe.reward.kind not in (kind, "both"):
            raise MathwrightError(
                f"rl.{name} is {value}, but reward.kind={recipe.reward.kind} trains no {kind} reward model",
                hint=f"set reward.kind={kind} (or both), or {otherwise}",
            )


def opens(recipe: Recipe) -> Sequence[tuple[str, str]]:
    assert recipe.rl is not None
    named = ((recipe.rl.reference, "rl.reference"), (recipe.rl.teacher, "rl.teacher"))
    return [(source, what) for source, what in named if source]


def contents(recipe: Recipe) -> Mapping[str, str]:
    part = recipe.rl
    assert part is not None
    named = (part.step_reward, *(term.function for term in part.extra_rewards))
    files = [function.rpartition(":")[0] for function in named if ".py:" in function]
    if part.pairs:
        files.append(part.pairs)
    return {file: content_mark([Path(file).expanduser()]) for file in files if Path(file).expanduser().is_file()}


def plan(recipe: Recipe, num_gpus: int) -> Plan:
    part = recipe.rl
    assert part is not None
    check_rl(part)
    batch = part.problems_per_step * part.group_size
    has_values = part.method == "ppo"
    tokens = part.iterations * part.num_steps * batch * part.sampling.max_new_tokens
    scorers = (part.reward == "model") + (part.step_reward == "model")
    return Plan(
        reads=(f"{models(recipe)[0]}/model", *_reward_models(recipe), "problems/train.jsonl"),
        writes=("rl/model", *(("rl/value_model",) if has_values else ()), "rl/rollouts.jsonl", "rl/checkpoints"),
        num_steps=part.iterations * part.num_steps,
        num_tokens=tokens,
        memory_bytes=training_bytes(
            recipe.model,
            num_gpus=num_gpus,
            micro_batch_tokens=part.micro_batch_tokens,
            frozen=1 + scorers + (part.iterations > 1),
            trained=1 + has_values,
            lora=part.lora,
        ),
        seconds=training_seconds(
            recipe.model,
            num_gpus=num_gpus,
            trained=tokens * part.inner_updates * (1 + has_values),
            read=2 * tokens,
            generated=tokens,
            generation_batch=min(part.generation_batch, batch),
        ),
        notes=(
            f"{part.problems_per_step} questions x G = {part.group_size}: {batch:,} outputs a step",
            "tokens are an upper bound; the cache of the rollouts comes on top of the memory",
            rates(part.optimiser, part.num_steps),
            *((f"{part.iterations} iterations of {part.num_steps:,} steps",) if part.iterations > 1 else ()),
        ),
    )


def _reward_models(recipe: Recipe) -> Sequence[str]:
    """Where the reward models lie that are read."""
    part, reward = recipe.rl, recipe.reward
    assert part is not None
    outcome = "reward/model" if reward is None or reward.kind == "outcome" else "reward/outcome/model"
    return (
        *((outcome,) if part.reward == "model" or _values_read_reward(recipe) else ()),
        *(("reward/process/model",) if part.step_reward == "model" else ()),
    )


def run(context: Context, stage: Stage) -> None:
    part = context.recipe.rl
    assert part is not None
    _warn_of_other_responses(context.recipe, stage)
    if part.iterations > 1:
        _iterate(context, stage)
        return
    from mathwright.rl.training import run

    reward_model, value_samples = _of_reward_stage(context)
    run(
        part,
        stage,
        model=Path(context.start_model("rl")),
        reward_model=reward_model,
        value_samples=value_samples,
        problems=context.problems("train"),
        template=context.recipe.template,
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        solutions=context.solutions() if part.method == "sft" else (),
        heldout=context.problems("test") if part.evaluate_every else (),
        device=context.device,
        process_model=_process_model(context),
    )


def _warn_of_other_responses(recipe: Recipe, stage: Stage) -> None:
    """Say where what rewards, or what a value model begins with, has learned from responses of another kind."""
    part, reward = recipe.rl, recipe.reward
    assert part is not None
    if reward is None or reward.mode == part.mode:
        return
    learned = [
        *(["the reward model"] if part.reward == "model" else []),
        *(["what the value model begins with"] if _values_read_reward(recipe) else []),
    ]
    if learned:
        stage.warn(
            f"rl.mode is {part.mode}, but {' and '.join(learned)} comes from responses of mode {reward.mode}: "
            f"set reward.mode={part.mode}"
        )


def _process_model(context: Context) -> Path | None:
    part = context.recipe.rl
    return context.output("reward", "process_model") if part is not None and part.step_reward == "model" else None


def _of_reward_stage(context: Context) -> tuple[Path | None, list[JudgedGroup]]:
    """The reward model, and the judged samples that a value model learns from; nothing where neither is asked for."""
    part, values = context.recipe.rl, _values_read_reward(context.recipe)
    assert part is not None
    if part.reward != "model" and not values:
        return None, []
    samples = context.output("reward", "samples")
    wanted = values and part.value_pretraining and samples.is_file()  # none were sampled for rankings from files
    return context.output("reward", "model"), list(read_jsonl(samples, JudgedGroup)) if wanted else []


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
        value_start=_of_reward_stage(context),
        problems=context.problems("train"),
        template=context.recipe.template,
        dtype=context.recipe.model.dtype,
        seed=context.recipe.seed,
        heldout=context.problems("test") if part.evaluate_every else (),
        device=context.device,
        process_model=_process_model(context),
    )


RL = StageSpec(
    name="rl",
    about="§4 Reinforce with GRPO and its relatives.",
    run=run,
    check=check,
    opens=opens,
    contents=contents,
    plan=plan,
    reads=reads,
    models=models,
    uses_template=lambda recipe: True,
    asks=True,
    keeps_checkpoints=True,
    parallel=True,
)
