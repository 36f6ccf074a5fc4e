"""CISPO (MiniMax-M1, 2025): the ratio bounded as a constant, so that every token keeps its gradient."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mathwright.rl.losses import PolicyLoss
from mathwright.rl.methods.base import ScoredBatch
from mathwright.rl.methods.grpo import Grpo
from mathwright.rl.ratio_losses import cispo_loss

CLIP_EPS_HIGH = 4.0
"""A ratio counts as at most 5 (Khatri et al. 2025, "The Art of Scaling Reinforcement Learning Compute")."""


@dataclass(frozen=True, slots=True)
class Cispo(Grpo):
    """The advantages of GRPO; sg(min(rho, 1 + eps_high)) A log pi, a mean over all tokens of the update."""

    clip_eps_high: float

    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        return cispo_loss(
            policy_logprobs,
            scored.behavior_logprobs,
            policy_logprobs if scored.ref_logprobs is None else scored.ref_logprobs,
            weights,
            scored.response_mask,
            clip_eps_high=self.clip_eps_high,
            kl_coef=self.kl_coef,
            num_tokens=num_tokens,
            num_sequences=num_sequences,
        )
