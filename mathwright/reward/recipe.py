"""§4.1: the reward model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mathwright.affects import MEMORY, SPEED, Grows
from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe


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
