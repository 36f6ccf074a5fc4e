"""§4.1: the reward model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.errors import MathwrightError
from mathwright.lm.checks import check_lowest, check_optimiser
from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe
from mathwright.run.affects import ADDED, MEMORY, SPEED, Grows


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRecipe:
    """An outcome reward model trained on ranked samples of the SFT model."""

    num_problems: int
    """Training problems sampled for rankings; 0 trains on `files` alone."""
    responses_per_problem: int
    sampling: SamplingRecipe
    num_epochs: Annotated[int, Grows(unless="optimiser.decay")]
    batch_rankings: int
    """Prompts of a step, each with all its responses."""
    micro_batch_tokens: Annotated[int, MEMORY]
    """Tokens of one forward and backward; bounds the memory, changes nothing but rounding."""
    heldout_share: float
    """Share of the problems kept out to measure how often the better response scores higher."""
    optimiser: OptimiserRecipe
    checkpoint_every: Annotated[int, SPEED] = 50
    """Steps between checkpoints."""
    generation_batch: Annotated[int, MEMORY] = 64
    """Responses generated at one time; bounds the memory, changes nothing but rounding."""
    heldout_responses: Annotated[int | None, ADDED] = None
    """Responses to each problem kept out: the N up to which best-of-N is measured; None is responses_per_problem."""
    loss: Annotated[Literal["ranking", "plackett_luce"] | None, ADDED] = None
    """ranking: the mean over pairs (`losses.ranking_loss`); plackett_luce: a right response against all wrong ones at
    once (`losses.plackett_luce_loss`). None is ranking."""
    margin: Annotated[float | None, ADDED] = None
    """By how much the better of two neighbouring ranks is to score higher under loss ranking; None is 0."""
    pointwise_weight: Annotated[float | None, ADDED] = None
    """Weight of the cross-entropy of sigma(score) with the verdict; above 0, problems whose responses are all right or
    all wrong are trained on too. None is 0."""
    centring: Annotated[float | None, ADDED] = None
    """Weight of the mean square of the scores, which keeps their level near 0; 0.01 is usual. None is 0."""
    truncation_reward: Annotated[float | None, ADDED] = None
    """What a response that ran into its limit is scored as. The model neither trains on such responses nor scores them
    then. None: they are read at their last token, without an end token that they never wrote."""
    files: Annotated[tuple[str, ...] | None, ADDED] = None
    """Labelled or ranked solutions from elsewhere to train on besides the samples, as JSON or JSONL; a share of their
    prompts is held out too. docs/reward.md lists the layouts."""
    judged_files: Annotated[tuple[str, ...] | None, ADDED] = None
    """The same of responses that are only scored, never trained on: test sets, samples of a later policy."""


def check(recipe: RewardRecipe) -> None:
    """Raise MathwrightError for a recipe under which nothing would be ranked or trained."""
    lowest = [
        ("num_problems", 0 if recipe.files else 1), ("num_epochs", 1), ("batch_rankings", 1), ("micro_batch_tokens", 1),
        ("checkpoint_every", 0), ("generation_batch", 1),
    ]  # fmt: skip
    check_lowest("reward", recipe, lowest)
    check_optimiser("reward", recipe.optimiser)
    if recipe.responses_per_problem < 2:
        raise MathwrightError(
            f"reward.responses_per_problem is {recipe.responses_per_problem}: a ranking compares responses",
            hint="--set reward.responses_per_problem=4, or another number of at least 2",
        )
    if recipe.heldout_responses is not None and recipe.heldout_responses < 2:
        raise MathwrightError(
            f"reward.heldout_responses is {recipe.heldout_responses}: a pair needs two responses",
            hint="--set reward.heldout_responses=16, or another number of at least 2",
        )
    if recipe.sampling.temperature <= 0:
        raise MathwrightError(
            "reward.sampling.temperature is 0: all responses to a problem would be the same",
            hint="--set reward.sampling.temperature=1.0",
        )
    if not 0 <= recipe.heldout_share < 1:
        raise MathwrightError(
            f"reward.heldout_share is {recipe.heldout_share}", hint="it is a share between 0 and 1, 1 left out"
        )
    _check_loss(recipe)


def _check_loss(recipe: RewardRecipe) -> None:
    for name in ("margin", "pointwise_weight", "centring"):
        value = getattr(recipe, name)
        if value is not None and not 0 <= value < math.inf:
            raise MathwrightError(f"reward.{name} is {value}", hint="it is a number of at least 0")
    if recipe.margin and recipe.loss == "plackett_luce":
        raise MathwrightError(
            "reward.margin has no part in the Plackett-Luce loss",
            hint="--set reward.loss=ranking, or --set reward.margin=null",
        )
    if recipe.truncation_reward is not None and not math.isfinite(recipe.truncation_reward):
        raise MathwrightError(
            f"reward.truncation_reward is {recipe.truncation_reward}", hint="it is a number, or null for none"
        )
