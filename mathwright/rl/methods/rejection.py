"""Rejection sampling (Eq. 9-10): the likelihood of correct responses; GC is 1 for a correct one, 0 for a wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mathwright.records import RolloutGroup
from mathwright.rl.losses import PolicyLoss, likelihood_loss
from mathwright.rl.methods.base import (
    Method,
    ScoredBatch,
    TrainingGroup,
    all_responses,
    is_correct,
    on_all_tokens,
    plain_stats,
)


@dataclass(frozen=True, slots=True)
class OnlineRft(Method):
    """Online rejection sampling fine-tuning (Eq. 10), on responses of the policy."""

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        """All responses; none where none is correct: the gradient is 0 then, but AdamW would go on moving weights."""
        if not any(is_correct(r) for group in groups for r in group.rollouts):
            return []
        correct_PG = torch.tensor([[float(is_correct(r)) for r in group.rollouts] for group in groups])
        return all_responses(groups, on_all_tokens(correct_PG, groups))

    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        coefficients, mask = weights[:, 0], scored.response_mask
        loss = likelihood_loss(policy_logprobs, coefficients, mask, num_sequences=num_sequences)
        return PolicyLoss(loss, plain_stats(coefficients.abs().where(mask.any(1), 0.0).sum() / num_sequences))


@dataclass(frozen=True, slots=True)
class Rft(OnlineRft):
    """Rejection sampling fine-tuning (Eq. 9): the same, on responses of the model the training began with."""
