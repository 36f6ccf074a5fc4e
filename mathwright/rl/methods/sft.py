"""Supervised fine-tuning as a row of Table 10 (Eq. 6-8): the likelihood of worked solutions, GC = 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mathwright.records import RolloutGroup
from mathwright.rl.methods.base import TrainingGroup, all_responses, on_all_tokens
from mathwright.rl.methods.rejection import OnlineRft


@dataclass(frozen=True, slots=True)
class Sft(OnlineRft):
    """The loss of online RFT, in which every solution counts as correct."""

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        return all_responses(groups, on_all_tokens(torch.ones(len(groups), 1), groups))
