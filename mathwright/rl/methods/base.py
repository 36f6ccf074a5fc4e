"""What every method has, and what the methods share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mathwright.lm.pack import TokenGroup
from mathwright.records import Rollout, RolloutGroup
from mathwright.rl.kl_control import KlCoefficient
from mathwright.rl.losses import LossStats, PolicyLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingGroup:
    """A prompt, the responses to it that are trained, and their weights."""

    tokens: TokenGroup
    weights: Tensor
    """[n, T]: advantages, or whatever `Method.weights` takes; T is the longest response of the step."""
    sampled_logprobs: tuple[tuple[float, ...], ...]
    """What the generator says of each token, for the comparison with training."""
    baselines: Tensor | None = None
    """[n]: the reward that each response's group lets expect, for a method that may use it in place of values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredBatch:
    """Responses that were packed together, with what the models say of them before the first update of the step.

    Constants of the loss: nothing here has a gradient. [B, T] where nothing else is said.
    """

    groups: Tensor
    """[B]: which training group a response belongs to."""
    response_mask: Tensor
    """True where a token is trained; anything may stand elsewhere in the other fields."""
    group_weights: Tensor
    """Those of the training groups."""
    behavior_logprobs: Tensor
    """log pi_old."""
    ref_logprobs: Tensor | None
    """log pi_ref; None where the method has no reference."""
    values: Tensor | None = None
    """V_t, what the value model expects before it sees the token; None where the method has none."""
    baselines: Tensor | None = None
    """[B]: those of the training groups."""
    counts: bool = True
    """False where this process runs the batch only to keep others company: then it is in no sum over the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What the batches of a step are trained towards, in their order; all tensors [B, T]."""

    weights: list[Tensor]
    """Of the tokens, as `Method.weights` gives them."""
    returns: list[Tensor]
    """What the values are to become."""
    values: dict[str, float | int | str | None]
    """Measurements of the step."""


class Method(ABC):
    """One row of Table 10."""

    __slots__ = ()
    unsplittable: ClassVar[bool] = False
    """Whether the responses of a training group must share a micro-batch."""
    uses_values: ClassVar[bool] = False
    """Whether a value model is needed: then `targets` makes the weights of a whole step at once."""

    @property
    def uses_reference(self) -> bool:
        """Whether log pi_ref is needed."""
        return False

    @property
    def kl_coefficient(self) -> KlCoefficient | None:
        """beta where it may change from step to step."""
        return None

    @abstractmethod
    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        """What of the groups of a step is trained; nothing where there is nothing to learn."""

    def weights(self, scored: ScoredBatch) -> Tensor:
        """The weight of each token [B, T], made once before the first update: those of the training groups.

        A method whose weights need the models' own numbers (a KL in the reward) makes them here.
        """
        return scored.group_weights

    def targets(self, batches: Sequence[ScoredBatch]) -> Targets:
        """Weights and returns of all batches of a step, of a method with a value model; called by all processes alike.

        Each process gives its own batches; sums over the step are to be taken over all of them (`rl.explained`).
        """
        raise NotImplementedError(f"{type(self).__name__} has no value model")

    @abstractmethod
    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        """The loss of a micro-batch, which adds up to that of the update.

        Args:
            policy_logprobs: [B, T] log pi_theta, differentiable.
            scored: the micro-batch.
            weights: what `weights` made of it.
            num_sequences: responses of all micro-batches of the update.
            num_tokens: trained tokens of all of them.
        """


# --- shared pieces --------------------------------------------------------------------------------


def all_responses(groups: Sequence[RolloutGroup], weights_PGT: Tensor) -> list[TrainingGroup]:
    """Every response of every group, with its weights."""
    return [training_group(group, group.rollouts, w) for group, w in zip(groups, weights_PGT, strict=True)]


def training_group(
    group: RolloutGroup, rollouts: Sequence[Rollout], weights: Tensor, baselines: Tensor | None = None
) -> TrainingGroup:
    """Some responses of a group, with their weights [n, T] and baselines [n]."""
    return TrainingGroup(
        tokens=TokenGroup(
            group.prompt_tokens,
            [r.completion.tokens for r in rollouts],
            [r.completion.sampled for r in rollouts],
        ),
        weights=weights,
        sampled_logprobs=tuple(r.completion.logprobs for r in rollouts),
        baselines=baselines,
    )


def rewards_of(groups: Sequence[RolloutGroup]) -> Tensor:
    """[P, G]; NaN is unscored."""
    return torch.tensor([[math.nan if r.reward is None else r.reward for r in group.rollouts] for group in groups])


def on_all_tokens(values_PG: Tensor, groups: Sequence[RolloutGroup]) -> Tensor:
    """[P, G, T]: one value a response, on each of its tokens."""
    return values_PG[:, :, None].expand(-1, -1, longest(groups))


def longest(groups: Sequence[RolloutGroup]) -> int:
    """T: tokens of the longest response, at least 1."""
    return max(1, *(len(r.completion.tokens) for group in groups for r in group.rollouts))


def is_correct(rollout: Rollout) -> bool:
    """Whether the final answer was judged, and right."""
    return rollout.verdict is not None and rollout.verdict.correct


def plain_stats(gradient_coefficient: Tensor) -> LossStats:
    """Of a loss without reference, ratio and clipping."""
    zero = torch.zeros_like(gradient_coefficient)
    return LossStats(kl=zero, ratio=zero, clip_fraction=zero, gradient_coefficient=gradient_coefficient)
