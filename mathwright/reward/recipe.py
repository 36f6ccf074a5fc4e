"""§4.1: the reward model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mathwright.errors import MathwrightError
from mathwright.lm.checks import check_lowest, check_optimiser
from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe
from mathwright.run.affects import MEMORY, SPEED, Grows


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRecipe:
    """An outcome reward model trained on ranked samples of the SFT model."""

    num_problems: int
    """Training problems sampled for rankings."""
    responses_per_problem: int
    sampling: SamplingRecipe
    num_epochs: Annotated[int, Grows(unless="optimiser.decay")]
    batch_rankings: int
    micro_batch_tokens: Annotated[int, MEMORY]
    """Tokens of one forward and backward; bounds the memory, changes nothing but rounding."""
    heldout_share: float
    """Share of the problems kept out to measure how often the better response scores higher."""
    optimiser: OptimiserRecipe
    checkpoint_every: Annotated[int, SPEED] = 50
    """Steps between checkpoints."""
    generation_batch: Annotated[int, MEMORY] = 64
    """Responses generated at one time; bounds the memory, changes nothing but rounding."""


def check(recipe: RewardRecipe) -> None:
    """Raise MathwrightError for a recipe under which nothing would be ranked or trained."""
    lowest = [
        ("num_problems", 1), ("num_epochs", 1), ("batch_rankings", 1), ("micro_batch_tokens", 1),
        ("checkpoint_every", 0), ("generation_batch", 1),
    ]  # fmt: skip
    check_lowest("reward", recipe, lowest)
    check_optimiser("reward", recipe.optimiser)
    if recipe.responses_per_problem < 2:
        raise MathwrightError(
            f"reward.responses_per_problem is {recipe.responses_per_problem}: a ranking compares responses",
            hint="--set reward.responses_per_problem=4, or another number of at least 2",
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
