"""GRPO (§4.1): Eq. 3, its coefficient Eq. 21; outcome supervision (§4.1.2) and process supervision (§4.1.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mathwright.records import RolloutGroup
from mathwright.rl.advantages import (
    Std,
    mean_process_advantages,
    min_process_advantages,
    outcome_advantages,
    process_advantages,
)
from mathwright.rl.losses import PolicyLoss, grpo_loss
from mathwright.rl.methods.base import (
    Method,
    ScoredBatch,
    TrainingGroup,
    all_responses,
    longest,
    on_all_tokens,
    rewards_of,
)


@dataclass(frozen=True, slots=True)
class Grpo(Method):
    """A_i = (r_i - mean(r)) / std(r) on all tokens of a response; the loss of Eq. 3."""

    clip_eps: float
    kl_coef: float
    std: Std
    eps: float

    @property
    def uses_reference(self) -> bool:
        return self.kl_coef > 0

    def advantages(self, groups: Sequence[RolloutGroup]) -> Tensor:
        """[P, G, T]."""
        return on_all_tokens(outcome_advantages(rewards_of(groups), std=self.std, eps=self.eps), groups)

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        return all_responses(groups, self.advantages(groups))

    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        return grpo_loss(
            policy_logprobs,
            scored.behavior_logprobs,
            policy_logprobs if scored.ref_logprobs is None else scored.ref_logprobs,
            weights,
            scored.response_mask,
            clip_eps=self.clip_eps,
            kl_coef=self.kl_coef,
            num_sequences=num_sequences,
        )


@dataclass(frozen=True, slots=True)
class GrpoProcess(Grpo):
    """A_{i,t} is the sum of the normalised rewards of the steps that end at token t or after it; the same loss.

    That is credit sum, the paper's; the others are in `rl.advantages`.
    """

    credit: Literal["sum", "min", "mean"] = "sum"

    def advantages(self, groups: Sequence[RolloutGroup]) -> Tensor:
        """[P, G, T]."""
        most = max(1, *(len(r.step_ends) for group in groups for r in group.rollouts))
        rewards = [[_padded(r.step_rewards, most, math.nan) for r in group.rollouts] for group in groups]
        ends = [[_padded(r.step_ends, most, 0) for r in group.rollouts] for group in groups]
        advantages = {"sum": process_advantages, "min": min_process_advantages, "mean": mean_process_advantages}
        return advantages[self.credit](
            torch.tensor(rewards),
            torch.tensor(ends, dtype=torch.long),
            num_tokens=longest(groups),
            std=self.std,
            eps=self.eps,
        )


def _padded(values: Sequence[float], length: int, filler: float) -> list[float]:
    return [*values, *[filler] * (length - len(values))]
