"""DAPO (Yu et al. 2025, Eq. 8): GRPO's advantages, clip-higher, and the mean over all tokens of the update.

Its two other parts are fields of the recipe that any method may use: dynamic sampling is `max_resampling`, the soft
overlong punishment the `length` term of `extra_rewards`. As published kl_coef is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mathwright.records import RolloutGroup
from mathwright.rl.advantages import Std, outcome_advantages
from mathwright.rl.losses import PolicyLoss, dapo_loss
from mathwright.rl.methods.base import Method, ScoredBatch, TrainingGroup, all_responses, on_all_tokens, rewards_of

CLIP_EPS_HIGH = 0.28
"""As published, with 0.2 below."""


@dataclass(frozen=True, slots=True)
class Dapo(Method):
    """A_i = (r_i - mean(r)) / std(r); clip(rho, 1 - eps_low, 1 + eps_high); a mean over tokens."""

    clip_eps_low: float
    clip_eps_high: float
    kl_coef: float
    std: Std
    eps: float

    @property
    def uses_reference(self) -> bool:
        return self.kl_coef > 0

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        advantages_PG = outcome_advantages(rewards_of(groups), std=self.std, eps=self.eps)
        return all_responses(groups, on_all_tokens(advantages_PG, groups))

    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        return dapo_loss(
            policy_logprobs,
            scored.behavior_logprobs,
            policy_logprobs if scored.ref_logprobs is None else scored.ref_logprobs,
            weights,
            scored.response_mask,
            clip_eps_low=self.clip_eps_low,
            clip_eps_high=self.clip_eps_high,
            kl_coef=self.kl_coef,
            num_tokens=num_tokens,
            num_sequences=num_sequences,
        )
