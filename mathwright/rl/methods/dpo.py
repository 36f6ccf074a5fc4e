"""DPO (Eq. 12-14) on pairs of a correct and a wrong response of the model the training began with.

The i-th correct response of a group is paired with its i-th wrong one; what is left over is not trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mathwright.records import RolloutGroup
from mathwright.rl.losses import DPOLoss, PolicyLoss, dpo_loss, dpo_sum_loss
from mathwright.rl.methods.base import (
    Method,
    ScoredBatch,
    TrainingGroup,
    is_correct,
    longest,
    plain_stats,
    training_group,
)


@dataclass(frozen=True, slots=True)
class Dpo(Method):
    """Eq. 12, length-normalised as printed."""

    beta: float
    unsplittable: ClassVar[bool] = True
    pair_loss: ClassVar[Callable[..., DPOLoss]] = staticmethod(dpo_loss)

    @property
    def uses_reference(self) -> bool:
        return True

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        """A group a pair: the chosen response and, second, the rejected one; weights are 1 and -1."""
        signs = torch.tensor([[1.0], [-1.0]]).expand(2, longest(groups))
        pairs = []
        for group in groups:
            chosen = [r for r in group.rollouts if is_correct(r)]
            rejected = [r for r in group.rollouts if r.verdict is not None and r.verdict.scored and not is_correct(r)]
            pairs += [training_group(group, pair, signs) for pair in zip(chosen, rejected, strict=False)]
        return pairs

    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        assert scored.ref_logprobs is not None
        chosen, rejected = weights[:, 0] > 0, weights[:, 0] < 0
        num_pairs = num_sequences // 2
        result = self.pair_loss(
            policy_logprobs[chosen],
            scored.ref_logprobs[chosen],
            scored.response_mask[chosen],
            policy_logprobs[rejected],
            scored.ref_logprobs[rejected],
            scored.response_mask[rejected],
            beta=self.beta,
            num_pairs=num_pairs,
        )
        return PolicyLoss(result.loss, plain_stats(self.beta * result.gradient_coefficients.sum() / num_pairs))


@dataclass(frozen=True, slots=True)
class DpoSum(Dpo):
    """DPO as it was published (Rafailov et al. 2023): sums over the tokens of a response for the means of Eq. 12."""

    pair_loss: ClassVar[Callable[..., DPOLoss]] = staticmethod(dpo_sum_loss)
