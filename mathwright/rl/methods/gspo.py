"""GSPO (Zheng et al. 2025, "Group Sequence Policy Optimization"): GRPO with the ratio of whole responses."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mathwright.rl.losses import PolicyLoss
from mathwright.rl.methods.base import ScoredBatch
from mathwright.rl.methods.grpo import Grpo
from mathwright.rl.ratio_losses import gspo_loss


@dataclass(frozen=True, slots=True)
class Gspo(Grpo):
    """The advantages of GRPO; the geometric mean of a response's ratios, clipped, in place of each token's."""

    clip_eps_high: float

    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        return gspo_loss(
            policy_logprobs,
            scored.behavior_logprobs,
            policy_logprobs if scored.ref_logprobs is None else scored.ref_logprobs,
            weights[:, :1].sum(1),  # all tokens of a response have the same
            scored.response_mask,
            clip_eps_low=self.clip_eps,
            clip_eps_high=self.clip_eps_high,
            kl_coef=self.kl_coef,
            num_sequences=num_sequences,
        )
