"""§4: reinforcement learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardTermRecipe:
    """A further term of the reward: weight times value, added to the reward proper."""

    kind: Literal["format", "length", "function"]
    """format: 1 for one boxed answer in a response that ended, else 0; length: 0 up to half of max_new_tokens, from
    there falling to -1 at max_new_tokens; function: whatever `function` returns."""
    weight: float
    function: str = ""
    """`module:name` of a function of (Problem, Completion) that returns a number, or None for unscored."""
    timeout_s: float = 10.0
    """Seconds one call of `function` may take; then the response is unscored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RLRecipe:
    """GRPO (§4.1) and its relatives (§5.2)."""

    method: Literal["grpo", "grpo_process", "online_rft", "rft", "dpo", "ppo"]
    reward: Literal["rule", "model"]
    """rule: 1 for a correct answer, 0 for another; model: the score of the reward model."""
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
    """beta of Eq. 3, and of Eq. 12 under dpo."""
    advantage_std: Literal["population", "sample"]
    advantage_eps: float
    sampling: SamplingRecipe
    micro_batch_tokens: int
    optimiser: OptimiserRecipe
    checkpoint_every: int
    extra_rewards: tuple[RewardTermRecipe, ...] = ()
    """Under grpo_process these have no part: it rewards steps."""
    max_tool_rounds: int = 3
    """Programs a response may run in mode tool."""
    generation_batch: int = 64
    """Responses generated at one time; bounds the memory, changes nothing else."""
    saved_groups: int = 2
    """Groups of each step written in full to rollouts.jsonl."""
