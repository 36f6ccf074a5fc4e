"""GDPO (Liu et al. 2026): several rewards, each normalised within its group before they are added.

    A_i = sum_n w_n (r_i^n - mean(r^n)) / std(r^n)        within the group, a reward at a time
    then (A_i - mean) / std over the responses of the step

A sum that is normalised as a whole, as in GRPO, cannot tell a response with one reward of weight 1 from one with two of
weight 1/2, and lets the reward of the largest spread decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mathwright.records import RolloutGroup
from mathwright.rl.advantages import outcome_advantages
from mathwright.rl.methods.base import on_all_tokens, rewards_of
from mathwright.rl.methods.grpo import Grpo


@dataclass(frozen=True, slots=True)
class Gdpo(Grpo):
    """The loss of GRPO on these advantages."""

    reward_weights: Mapping[str, float]
    """By the name of a reward."""

    def advantages(self, groups: Sequence[RolloutGroup]) -> Tensor:
        """[P, G, T]; a reward that abstained has no part in its own mean, an unscored response none in any."""
        scored = ~rewards_of(groups).isnan()
        total = torch.zeros(scored.shape)
        for name, weight in self.reward_weights.items():
            of_name = [[_or_nan(r.rewards_by_name.get(name)) for r in group.rollouts] for group in groups]
            column = torch.tensor(of_name).where(scored, math.nan)
            total += weight * outcome_advantages(column, std=self.std, eps=self.eps)
        rows = total.where(scored, math.nan).reshape(1, -1)
        return on_all_tokens(outcome_advantages(rows, std=self.std, eps=self.eps).reshape(scored.shape), groups)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
