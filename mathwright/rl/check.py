"""What can be wrong with an RL recipe, found before anything is loaded (so `--dry-run` finds it too)."""

from __future__ import annotations

from mathwright.errors import MathwrightError
from mathwright.lm.checks import check_lowest, check_optimiser
from mathwright.rl.functions import EACH, TOGETHER, import_function
from mathwright.rl.methods.table import TABLE_10
from mathwright.rl.recipe import RLRecipe

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
    ("iterations", 1),
)


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
    _check_iterations(recipe)
    _check_parts(recipe)


def _check_sampling(recipe: RLRecipe) -> None:
    sampling = recipe.sampling
    if sampling.temperature <= 0:
        raise MathwrightError(
            "rl.sampling.temperature is 0: a group of greedy responses is one response G times",
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
    if recipe.engine == "vllm":
        raise MathwrightError(
            f"{cut} does not go with rl.engine=vllm: it does not say how probable a token was over the whole "
            "vocabulary, so generator and training could not be compared",
            hint="set rl.engine=local, or --set rl.sampling.top_p=1 --set rl.sampling.top_k=0",
        )


def _check_method(recipe: RLRecipe) -> None:
    method, row = recipe.method, TABLE_10[recipe.method]
    if row.compares and recipe.group_size < 2:
        raise MathwrightError(
            f"rl.group_size is {recipe.group_size}: {method} compares the responses to one question",
            hint="--set rl.group_size=8, or another number of at least 2",
        )
    if method in ("dpo", "dpo_sum") and recipe.kl_coef == 0:
        raise MathwrightError("rl.kl_coef is 0: it is beta of Eq. 12", hint="--set rl.kl_coef=0.1")
    if row.reward != "any" and recipe.reward == "model":
        raise MathwrightError(
            f"rl.reward=model does not go with rl.method={method}",
            hint="set rl.reward=rule: " + ("steps are scored by rule" if row.reward == "steps" else "Table 10"),
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
    if method == "rloo" and (recipe.inner_updates > 1 or recipe.num_minibatches > 1):
        raise MathwrightError(
            "rl.method=rloo makes one update of each exploration: its loss has no ratio to the policy that explored",
            hint="set rl.inner_updates=1 and rl.num_minibatches=1, or rl.method=grpo",
        )
    if recipe.clip_eps_high is not None and method != "dapo":
        raise MathwrightError(
            f"rl.clip_eps_high has no part in rl.method={method}, which clips by rl.clip_eps on both sides",
            hint="set rl.clip_eps_high=None, or rl.method=dapo",
        )
    if recipe.clip_eps_high is not None and recipe.clip_eps_high <= 0:
        raise MathwrightError(
            f"rl.clip_eps_high is {recipe.clip_eps_high}", hint="it must be above 0: --set rl.clip_eps_high=0.28"
        )


def _check_iterations(recipe: RLRecipe) -> None:
    if recipe.iterations == 1:
        return
    if TABLE_10[recipe.method].data == "solutions":
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
    if recipe.lora is not None and recipe.lora.rank < 1:
        raise MathwrightError(
            f"rl.lora.rank is {recipe.lora.rank}", hint="it must be at least 1: --set rl.lora.rank=16"
        )
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
    if ":" in recipe.step_reward:
        import_function(recipe.step_reward, "step reward", takes=EACH)
