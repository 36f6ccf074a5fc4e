"""What can be wrong with an RL recipe, found before anything is loaded (so `--dry-run` finds it too)."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from mathwright.errors import MathwrightError
from mathwright.functions import EACH, TOGETHER, import_function
from mathwright.lm.checks import check_lora, check_lowest, check_optimiser
from mathwright.rl.methods.table import TABLE_10
from mathwright.rl.recipe import RLRecipe
from mathwright.rl.value_check import check_values

LOWEST = (
    ("num_steps", 1),
    ("problems_per_step", 1),
    ("group_size", 1),
    ("inner_updates", 1),
    ("kl_coef", 0.0),
    ("advantage_eps", 0.0),
    ("checkpoint_every", 0),
    ("saved_groups", 0),
    ("generation_batch", 1),
    ("micro_batch_tokens", 1),
    ("num_minibatches", 1),
    ("max_resampling", 0),
    ("wave_responses", 1),
    ("evaluate_every", 0),
    ("num_evaluated", 1),
    ("num_problems", 0),
    ("value_updates", 1),
    ("value_pretraining", 0),
    ("value_warmup_steps", 0),
    ("kl_horizon", 1),
    ("importance_low", 0.0),
    ("iterations", 1),
)
CLIPS_HIGHER = ("dapo", "gspo", "cispo")
"""Methods that `clip_eps_high` is of."""
WEIGHS_TOKENS = ("grpo", "grpo_process", "ppo", "dr_grpo", "dapo", "cispo", "gdpo", "distill")
"""Methods in which each token has a weight of its own, which an importance weight can be multiplied with."""


def check(recipe: RLRecipe) -> None:
    """Raise MathwrightError for a recipe that cannot be run, or whose method would not be the one it names.

    Functions that the recipe names are imported and must take the arguments they will be called with.
    """
    check_lowest("rl", recipe, LOWEST)
    check_optimiser("rl", recipe.optimiser)
    _check_sampling(recipe)
    if recipe.clip_eps <= 0:
        raise MathwrightError(f"rl.clip_eps is {recipe.clip_eps}", hint="it must be above 0: --set rl.clip_eps=0.2")
    if recipe.max_logprob_gap <= 0:
        raise MathwrightError(
            f"rl.max_logprob_gap is {recipe.max_logprob_gap}: rounding alone would stop the run",
            hint="--set rl.max_logprob_gap=1.0",
        )
    if recipe.num_minibatches > recipe.problems_per_step:
        raise MathwrightError(
            f"rl.num_minibatches is {recipe.num_minibatches}, but a step has {recipe.problems_per_step} questions",
            hint=f"a step is cut by questions: --set rl.num_minibatches={recipe.problems_per_step}",
        )
    _check_method(recipe)
    _check_left_out(recipe)
    _check_iterations(recipe)
    _check_parts(recipe)
    check_values(recipe)
    _check_responses(recipe)


def check_sources(recipe: RLRecipe) -> None:
    """Raise MathwrightError where a method lacks what it learns from, or it is named for one that reads nothing there.

    What is named is opened where it is used.
    """
    if recipe.method == "distill" and not recipe.teacher:
        raise MathwrightError(
            "rl.method=distill has no teacher", hint="name a model of the same vocabulary: --set rl.teacher=FOLDER"
        )
    if recipe.teacher and recipe.method != "distill":
        raise MathwrightError(
            f"rl.teacher has no part in rl.method={recipe.method}", hint="set rl.method=distill, or rl.teacher="
        )
    if recipe.teacher and recipe.reference:
        raise MathwrightError(
            "rl.reference has no part in rl.method=distill, whose reference is the teacher", hint="set rl.reference="
        )
    if recipe.pairs and recipe.method not in ("dpo", "dpo_sum"):
        raise MathwrightError(f"rl.pairs has no part in rl.method={recipe.method}", hint="set rl.method=dpo")
    if recipe.pairs and not Path(recipe.pairs).is_file():
        raise MathwrightError(f"rl.pairs: {recipe.pairs}: no such file", hint="name a file of JSON lines (docs/rl.md)")


def _check_sampling(recipe: RLRecipe) -> None:
    sampling = recipe.sampling
    if sampling.temperature <= 0:
        raise MathwrightError(
            f"rl.sampling.temperature is {sampling.temperature:g}: "
            + ("a group of greedy responses is one response G times" if not sampling.temperature else "it is above 0"),
            hint="--set rl.sampling.temperature=1.0",
        )
    check_lowest("rl.sampling", sampling, [("max_new_tokens", 1), ("top_k", 0)])
    if not 0 < sampling.top_p <= 1:
        raise MathwrightError(
            f"rl.sampling.top_p is {sampling.top_p}", hint="it is a share of the probability: --set rl.sampling.top_p=1"
        )
    # of the other methods the data is chosen, by its answers, and its likelihood trained whoever drew it
    if TABLE_10[recipe.method].data != "policy" or (sampling.top_p == 1 and sampling.top_k == 0):
        return
    cut = f"rl.sampling.top_p={sampling.top_p:g}" if sampling.top_p < 1 else f"rl.sampling.top_k={sampling.top_k}"
    if recipe.truncated_sampling == "refuse":
        raise MathwrightError(
            f"{cut} draws from a part of the vocabulary, but {recipe.method} trains the policy over all of it: "
            "what would be trained is not what was drawn",
            hint="--set rl.sampling.top_p=1 --set rl.sampling.top_k=0, or, knowing the bias (docs/rl.md), "
            "--set rl.truncated_sampling=whole_vocabulary",
        )
    if recipe.truncated_sampling == "importance" and recipe.importance == "off":
        raise MathwrightError(
            f"{cut} with rl.truncated_sampling=importance, but rl.importance=off: nothing would weigh the tokens",
            hint="--set rl.importance=truncate",
        )
    if recipe.engine == "vllm" and recipe.truncated_sampling != "importance":
        raise MathwrightError(
            f"{cut} does not go with rl.engine=vllm: it does not say how probable a token was over the whole "
            "vocabulary, so generator and training could not be compared",
            hint="set rl.engine=local, or --set rl.truncated_sampling=importance --set rl.importance=truncate",
        )


def _check_method(recipe: RLRecipe) -> None:
    method, row = recipe.method, TABLE_10[recipe.method]
    if row.compares and recipe.group_size < 2 and not recipe.pairs:
        raise MathwrightError(
            f"rl.group_size is {recipe.group_size}: {method} compares the responses to one question",
            hint="--set rl.group_size=8, or another number of at least 2",
        )
    if method in ("dpo", "dpo_sum") and recipe.kl_coef == 0:
        raise MathwrightError("rl.kl_coef is 0: it is beta of Eq. 12", hint="--set rl.kl_coef=0.1")
    if row.reward != "any" and recipe.reward != "rule":
        raise MathwrightError(
            f"rl.reward={recipe.reward} does not go with rl.method={method}",
            hint="set rl.reward=rule: "
            + ("steps have a model of their own, rl.step_reward=model" if row.reward == "steps" else "Table 10"),
        )
    if row.reward != "any" and recipe.extra_rewards:
        raise MathwrightError(
            f"rl.extra_rewards has no part in rl.method={method}, which would leave it out silently",
            hint="set rl.extra_rewards=[] or rl.method=grpo",
        )
    if recipe.max_resampling and not row.compares:
        raise MathwrightError(
            f"rl.max_resampling has no part in rl.method={method}, which prefers nothing within a group",
            hint="set rl.max_resampling=0, or rl.method=grpo",
        )
    if row.reward != "steps" and recipe.step_reward != "arithmetic":
        raise MathwrightError(
            f"rl.step_reward has no part in rl.method={method}", hint="set rl.method=grpo_process, which rewards steps"
        )
    for name, silent in (("outcome_weight", 0), ("process_credit", "sum")):
        if row.reward != "steps" and getattr(recipe, name) != silent:
            raise MathwrightError(
                f"rl.{name} has no part in rl.method={method}", hint="set rl.method=grpo_process, which rewards steps"
            )
    if not 0 <= recipe.outcome_weight < math.inf:
        raise MathwrightError(f"rl.outcome_weight is {recipe.outcome_weight}", hint="it is a number of at least 0")
    if recipe.outcome_weight and recipe.step_reward == "arithmetic":
        raise MathwrightError(
            "rl.outcome_weight counts the verdict twice: the last step of rl.step_reward=arithmetic is the verdict",
            hint="set rl.outcome_weight=0, or rl.step_reward=model",
        )
    if method == "rloo" and (recipe.inner_updates > 1 or recipe.num_minibatches > 1):
        raise MathwrightError(
            "rl.method=rloo makes one update of each exploration: its loss has no ratio to the policy that explored",
            hint="set rl.inner_updates=1 and rl.num_minibatches=1, or rl.method=grpo",
        )
    if recipe.clip_eps_high is not None and method not in CLIPS_HIGHER:
        raise MathwrightError(
            f"rl.clip_eps_high has no part in rl.method={method}, which clips by rl.clip_eps on both sides",
            hint=f"set rl.clip_eps_high=None, or rl.method to one of {', '.join(CLIPS_HIGHER)}",
        )
    if recipe.clip_eps_high is not None and recipe.clip_eps_high <= 0:
        raise MathwrightError(
            f"rl.clip_eps_high is {recipe.clip_eps_high}", hint="it must be above 0: --set rl.clip_eps_high=0.28"
        )


def _check_left_out(recipe: RLRecipe) -> None:
    """Raise MathwrightError for a field that is set and that nothing would read."""
    iterated, learned = recipe.iterations > 1, recipe.reward == "model"
    rewards_any = TABLE_10[recipe.method].reward == "any"
    read = (
        ("standardise_reward", learned, f"rl.reward={recipe.reward}"),
        ("sigmoid_reward", learned, f"rl.reward={recipe.reward}"),
        ("truncation_reward", recipe.reward != "functions", "rl.reward=functions"),
        ("truncation_reward", rewards_any, f"rl.method={recipe.method}"),
        ("num_problems", not recipe.pairs, "rl.pairs"),
        ("reset_reference", iterated, "rl.iterations=1"),
        ("refresh_reward", iterated, "rl.iterations=1"),
        ("replay_share", iterated, "rl.iterations=1"),
        ("refresh_reward", learned, "rl.reward=rule"),
        ("replay_share", learned, "rl.reward=rule"),
    )
    defaults = {field.name: field.default for field in dataclasses.fields(recipe)}
    for name, is_read, where in read:
        if not is_read and getattr(recipe, name) != defaults[name]:
            raise MathwrightError(
                f"rl.{name} has no part in {where}, which would leave it out silently",
                hint=f"leave rl.{name} out, or set {where.partition('=')[0]} otherwise",
            )


def _check_iterations(recipe: RLRecipe) -> None:
    if recipe.iterations == 1:
        return
    if TABLE_10[recipe.method].data == "solutions" or recipe.pairs:
        raise MathwrightError(
            f"rl.iterations is {recipe.iterations}, but rl.method={recipe.method} explores nothing",
            hint="set rl.iterations=1 and more rl.num_steps, or rl.method=grpo",
        )
    if not 0 <= recipe.replay_share < 1:
        raise MathwrightError(
            f"rl.replay_share is {recipe.replay_share}", hint="it is a share of a batch: 0 or more, below 1, as in 0.1"
        )


def _check_parts(recipe: RLRecipe) -> None:
    """LoRA, and the functions that are called."""
    if recipe.lora is not None and recipe.lora.dropout:
        raise MathwrightError(
            f"rl.lora.dropout is {recipe.lora.dropout}: the policy that is trained would not be the one that explored",
            hint="--set rl.lora.dropout=0",
        )
    check_lora("rl", recipe.lora)
    for term in recipe.extra_rewards:
        if (term.kind == "function") != bool(term.function):
            raise MathwrightError(
                f"rl.extra_rewards: kind {term.kind!r} with function {term.function!r}",
                hint="kind function needs function=module:name; the other kinds take none",
            )
        if term.function:
            import_function(term.function, takes=TOGETHER if term.batched else EACH)
        if term.batched and term.kind != "function":
            raise MathwrightError(
                f"rl.extra_rewards: kind {term.kind!r} with batched", hint="batched is said of a function"
            )
    if recipe.reward == "functions" and not recipe.extra_rewards:
        raise MathwrightError(
            "rl.reward is functions, but rl.extra_rewards names none",
            hint="add RewardTermRecipe(function='my_rewards.py:f'), or set rl.reward=rule",
        )
    if ":" not in recipe.step_reward and recipe.step_reward not in ("arithmetic", "model"):
        raise MathwrightError(
            f"unknown step reward {recipe.step_reward!r}",
            hint="set rl.step_reward to arithmetic, to model, or to module:name of a function",
        )
    if ":" in recipe.step_reward:
        import_function(recipe.step_reward, "step reward", takes=EACH)


def _check_responses(recipe: RLRecipe) -> None:
    """What any method may do with its responses, if it can."""
    generates = TABLE_10[recipe.method].data == "policy"
    if recipe.mask_truncated and not generates:
        raise MathwrightError(
            f"rl.mask_truncated has no part in rl.method={recipe.method}, whose responses are chosen",
            hint="set rl.mask_truncated=false",
        )
    if recipe.importance != "off" and recipe.method not in WEIGHS_TOKENS:
        raise MathwrightError(
            f"rl.importance={recipe.importance} has no part in rl.method={recipe.method}, which weighs whole responses",
            hint=f"set rl.importance=off, or rl.method to one of {', '.join(WEIGHS_TOKENS)}",
        )
    if not recipe.importance_low < 1 < recipe.importance_high:
        raise MathwrightError(
            f"rl.importance_low is {recipe.importance_low} and rl.importance_high {recipe.importance_high}: a token "
            "that both find equally probable, whose weight is 1, would be cut",
            hint="--set rl.importance_low=0.5 --set rl.importance_high=5",
        )
