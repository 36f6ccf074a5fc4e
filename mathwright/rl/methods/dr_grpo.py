"""Dr. GRPO (Liu et al. 2025, "Understanding R1-Zero-Like Training"): GRPO without its two divisions.

    A_i = r_i - mean(r)         not divided by std(r), which favours questions that are nearly always or never solved
    -1/(B L) sum_i sum_t {...}  L the constant response limit for |o_i|, by which long wrong responses are punished less

As published kl_coef is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mathwright.records import RolloutGroup
from mathwright.rl.advantages import centred_advantages
from mathwright.rl.losses import PolicyLoss, dr_grpo_loss
from mathwright.rl.methods.base import Method, ScoredBatch, TrainingGroup, all_responses, on_all_tokens, rewards_of


@dataclass(frozen=True, slots=True)
class DrGrpo(Method):
    """Centred rewards, and a sum over tokens divided by `max_tokens`."""

    clip_eps: float
    kl_coef: float
    max_tokens: int

    @property
    def uses_reference(self) -> bool:
        return self.kl_coef > 0

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        return all_responses(groups, on_all_tokens(centred_advantages(rewards_of(groups)), groups))

    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        return dr_grpo_loss(
            policy_logprobs,
            scored.behavior_logprobs,
            policy_logprobs if scored.ref_logprobs is None else scored.ref_logprobs,
            weights,
            scored.response_mask,
            clip_eps=self.clip_eps,
            kl_coef=self.kl_coef,
            max_tokens=self.max_tokens,
            num_sequences=num_sequences,
        )
