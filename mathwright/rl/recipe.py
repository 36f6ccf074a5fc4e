"""§4: reinforcement learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RLRecipe:
    """GRPO (§4.1) and its relatives (§5.2)."""

    method: Literal["grpo", "grpo_process", "online_rft", "rft", "dpo", "ppo"]
    reward: Literal["rule", "model"]
    mode: Literal["cot", "tool"]
    """Prompt format of the questions."""
    num_steps: int
    problems_per_step: int
    group_size: int
    """G."""
    inner_updates: int
    """mu: updates per exploration."""
    clip_eps: float
    kl_coef: float
    """beta of Eq. 3."""
    advantage_std: Literal["population", "sample"]
    advantage_eps: float
    sampling: SamplingRecipe
    micro_batch_tokens: int
    optimiser: OptimiserRecipe
    checkpoint_every: int
