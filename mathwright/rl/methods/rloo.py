"""RLOO (Ahmadian et al. 2024, "Back to Basics"): REINFORCE on whole responses, the others of the group the baseline.

R_i = r_i - beta log(pi(o_i | q) / pi_ref(o_i | q))     the KL is in the reward, of the whole response
A_i = R_i - mean of the other R_j
-1/B sum_i A_i log pi(o_i | q)                          no ratio: one update an exploration
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mathwright.records import RolloutGroup
from mathwright.rl.advantages import leave_one_out_advantages
from mathwright.rl.divergence import k1
from mathwright.rl.losses import PolicyLoss, reinforce_loss
from mathwright.rl.methods.base import Method, ScoredBatch, TrainingGroup, all_responses, on_all_tokens, rewards_of


@dataclass(frozen=True, slots=True)
class Rloo(Method):
    """Its weights need log pi and log pi_ref of whole groups, so that a group is never split over micro-batches."""

    kl_coef: float
    unsplittable: ClassVar[bool] = True

    @property
    def uses_reference(self) -> bool:
        return self.kl_coef > 0

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        return all_responses(groups, on_all_tokens(rewards_of(groups), groups))

    def weights(self, scored: ScoredBatch) -> Tensor:
        """A_i on all tokens of response i, from r_i; 0 where it is unscored, or alone in being scored."""
        returns = scored.group_weights[:, 0]
        if scored.ref_logprobs is not None:
            log_ratio = k1(scored.behavior_logprobs, scored.ref_logprobs).where(scored.response_mask, 0.0).sum(1)
            returns = returns - self.kl_coef * log_ratio
        advantages = torch.zeros_like(returns)
        for group in scored.groups.unique():
            members = scored.groups == group
            advantages[members] = leave_one_out_advantages(returns[None, members])[0]
        return advantages[:, None].expand_as(scored.group_weights)

    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        return reinforce_loss(
            policy_logprobs,
            policy_logprobs if scored.ref_logprobs is None else scored.ref_logprobs,
            weights[:, 0],
            scored.response_mask,
            num_sequences=num_sequences,
        )
