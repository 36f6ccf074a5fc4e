"""On-policy distillation (Agarwal et al. 2024; Lu 2025): the reward of a token is what a teacher thinks of it.

    A_t = log pi_T(o_t) - log pi_old(o_t)

Over the tokens that the policy may draw at a place, the gradient of A_t log pi is that of -KL(pi || pi_T) there: the
policy learns on its own responses, mistakes included, which the teacher's would never show it. Nothing is judged.
Log-probabilities are at the sampling temperature, those of the teacher too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mathwright.records import RolloutGroup
from mathwright.rl.losses import PolicyLoss, ppo_policy_loss
from mathwright.rl.methods.base import Method, ScoredBatch, TrainingGroup, all_responses, on_all_tokens


@dataclass(frozen=True, slots=True)
class Distill(Method):
    """Its reference is the teacher, so that the kl of its steps is what it lowers; the loss of Eq. 1."""

    clip_eps: float

    @property
    def uses_reference(self) -> bool:
        return True

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        return all_responses(groups, on_all_tokens(torch.zeros(len(groups), len(groups[0].rollouts)), groups))

    def weights(self, scored: ScoredBatch) -> Tensor:
        """[B, T]: 0 on masked tokens."""
        assert scored.ref_logprobs is not None
        return (scored.ref_logprobs - scored.behavior_logprobs).where(scored.response_mask, 0.0)

    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        return ppo_policy_loss(
            policy_logprobs,
            scored.behavior_logprobs,
            weights,
            scored.response_mask,
            clip_eps=self.clip_eps,
            num_sequences=num_sequences,
            ref_logprobs=scored.ref_logprobs,
        )
