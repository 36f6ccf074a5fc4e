"""§4.1: the reward model."""

from __future__ import annotations

from dataclasses import dataclass

from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRecipe:
    """An outcome reward model trained on ranked samples of the SFT model."""

    num_problems: int
    """Training problems sampled for rankings."""
    responses_per_problem: int
    sampling: SamplingRecipe
    num_epochs: int
    batch_rankings: int
    micro_batch_tokens: int
    heldout_share: float
    """Share of the problems kept out to measure how often the better response scores higher."""
    optimiser: OptimiserRecipe
    checkpoint_every: int = 50
    """Steps between checkpoints."""
    generation_batch: int = 64
    """Responses generated at one time; bounds the memory, changes nothing else."""
