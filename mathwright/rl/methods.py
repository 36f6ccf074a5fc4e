"""The methods of §5.2.1 as Table 10 tells them apart: where the data comes from, who rewards it, and what weighs each
token's gradient (the gradient coefficient GC of Eq. 5).

    method         data               reward         gradient coefficient
    grpo           o ~ pi_theta       rule or model  A_i + beta (pi_ref / pi - 1), A from the response's reward
    grpo_process   o ~ pi_theta       rule, a step   A_{i,t} + beta (pi_ref / pi - 1), A from its steps' rewards
    sft            (q, o) ~ P_sft     none           1
    online_rft     o ~ pi_theta       rule           1 for a correct response, 0 for a wrong one
    rft            o ~ pi_sft         rule           the same
    dpo            o+, o- ~ pi_sft    rule           beta sigma(-margin), + on o+ and - on o-

A method turns judged groups into training groups (what is trained, with a weight per token) and gives the loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from mathwright.lm.pack import TokenGroup
from mathwright.records import Rollout, RolloutGroup
from mathwright.rl.advantages import Std, outcome_advantages, process_advantages
from mathwright.rl.losses import LossStats, PolicyLoss, dpo_loss, grpo_loss, likelihood_loss
from mathwright.rl.recipe import RLRecipe

Data = Literal["policy", "sft", "solutions"]
"""policy: drawn from the policy as it is; sft: from the model the training began with; solutions: worked ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingGroup:
    """A prompt, the responses to it that are trained, and their weights."""

    tokens: TokenGroup
    weights: Tensor
    """[n, T]: advantages, or whatever the method's loss takes; T is the longest response of the step."""
    sampled_logprobs: tuple[tuple[float, ...], ...]
    """What the generator says of each token, for the comparison with training."""


class Method(Protocol):
    """One row of Table 10."""

    data: ClassVar[Data]
    """Where the responses come from."""
    unsplittable: ClassVar[bool]
    """Whether the responses of a training group must share a micro-batch."""

    @property
    def uses_reference(self) -> bool: ...

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]: ...

    def loss(
        self,
        policy_logprobs: Tensor,
        behavior_logprobs: Tensor,
        ref_logprobs: Tensor,
        weights: Tensor,
        response_mask: Tensor,
        *,
        num_sequences: int,
    ) -> PolicyLoss: ...


def from_recipe(recipe: RLRecipe) -> Method:
    """The method a recipe names; `check.check` has passed."""
    methods: dict[str, Method] = {
        "grpo": Grpo(recipe.clip_eps, recipe.kl_coef, recipe.advantage_std, recipe.advantage_eps),
        "grpo_process": GrpoProcess(recipe.clip_eps, recipe.kl_coef, recipe.advantage_std, recipe.advantage_eps),
        "sft": Sft(),
        "online_rft": OnlineRft(),
        "rft": Rft(),
        "dpo": Dpo(recipe.kl_coef),
    }
    return methods[recipe.method]


# --- GRPO -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grpo:
    """GRPO with outcome supervision (§4.1.2): Eq. 3, coefficient Eq. 21."""

    clip_eps: float
    kl_coef: float
    std: Std
    eps: float
    data: ClassVar[Data] = "policy"
    unsplittable: ClassVar[bool] = False

    @property
    def uses_reference(self) -> bool:
        return self.kl_coef > 0

    def advantages(self, groups: Sequence[RolloutGroup], num_tokens: int) -> Tensor:
        """[P, G, T]: the normalised reward of a response on all its tokens."""
        rewards_PG = torch.tensor([[_or_nan(r.reward) for r in group.rollouts] for group in groups])
        return outcome_advantages(rewards_PG, std=self.std, eps=self.eps)[:, :, None].expand(-1, -1, num_tokens)

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        return _all_responses(groups, self.advantages(groups, _longest(groups)))

    def loss(
        self,
        policy_logprobs: Tensor,
        behavior_logprobs: Tensor,
        ref_logprobs: Tensor,
        weights: Tensor,
        response_mask: Tensor,
        *,
        num_sequences: int,
    ) -> PolicyLoss:
        return grpo_loss(
            policy_logprobs,
            behavior_logprobs,
            ref_logprobs,
            weights,
            response_mask,
            clip_eps=self.clip_eps,
            kl_coef=self.kl_coef,
            num_sequences=num_sequences,
        )


@dataclass(frozen=True, slots=True)
class GrpoProcess(Grpo):
    """GRPO with process supervision (§4.1.3): the same loss, advantages from the rewards of the steps."""

    def advantages(self, groups: Sequence[RolloutGroup], num_tokens: int) -> Tensor:
        """[P, G, T]: the sum of the normalised rewards of the steps that end at a token or behind it."""
        most = max(1, *(len(r.step_ends) for group in groups for r in group.rollouts))
        rewards = [[_padded(r.step_rewards, most, math.nan) for r in group.rollouts] for group in groups]
        ends = [[_padded(r.step_ends, most, 0) for r in group.rollouts] for group in groups]
        return process_advantages(
            torch.tensor(rewards),
            torch.tensor(ends, dtype=torch.long),
            num_tokens=num_tokens,
            std=self.std,
            eps=self.eps,
        )


# --- rejection sampling ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OnlineRft:
    """Online rejection sampling fine-tuning: likelihood of the policy's own correct responses (Eq. 10)."""

    data: ClassVar[Data] = "policy"
    unsplittable: ClassVar[bool] = False

    @property
    def uses_reference(self) -> bool:
        return False

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        """All responses; none where none is correct: the gradient is 0 then, but AdamW would go on moving weights."""
        if not any(_correct(r) for group in groups for r in group.rollouts):
            return []
        correct = torch.tensor([[float(_correct(r)) for r in group.rollouts] for group in groups])
        return _all_responses(groups, correct[:, :, None].expand(-1, -1, _longest(groups)))

    def loss(
        self,
        policy_logprobs: Tensor,
        behavior_logprobs: Tensor,
        ref_logprobs: Tensor,
        weights: Tensor,
        response_mask: Tensor,
        *,
        num_sequences: int,
    ) -> PolicyLoss:
        loss = likelihood_loss(policy_logprobs, weights[:, 0], response_mask, num_sequences=num_sequences)
        mean_weight = weights[:, 0].abs().where(response_mask.any(1), 0.0).sum() / num_sequences
        return PolicyLoss(loss, _stats(gradient_coefficient=mean_weight))


@dataclass(frozen=True, slots=True)
class Rft(OnlineRft):
    """Rejection sampling fine-tuning: the same, on responses of the model the training began with."""

    data: ClassVar[Data] = "sft"


@dataclass(frozen=True, slots=True)
class Sft(OnlineRft):
    """Supervised fine-tuning: the same on worked solutions, each with coefficient 1."""

    data: ClassVar[Data] = "solutions"

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        return _all_responses(groups, torch.ones(len(groups), 1, _longest(groups)))


# --- preference pairs -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dpo:
    """DPO (Eq. 12, length-normalised as printed) on pairs of a correct and a wrong response of the start model.

    The i-th correct response of a group is paired with its i-th wrong one; what is left over is not trained on.
    """

    beta: float
    data: ClassVar[Data] = "sft"
    unsplittable: ClassVar[bool] = True

    @property
    def uses_reference(self) -> bool:
        return True

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        """A group a pair: the chosen response and, second, the rejected one."""
        width = _longest(groups)
        signs = torch.tensor([[1.0], [-1.0]]).expand(2, width)
        pairs = []
        for group in groups:
            chosen = [r for r in group.rollouts if _correct(r)]
            rejected = [r for r in group.rollouts if r.verdict is not None and r.verdict.scored and not _correct(r)]
            pairs += [_training_group(group, pair, signs) for pair in zip(chosen, rejected, strict=False)]
        return pairs

    def loss(
        self,
        policy_logprobs: Tensor,
        behavior_logprobs: Tensor,
        ref_logprobs: Tensor,
        weights: Tensor,
        response_mask: Tensor,
        *,
        num_sequences: int,
    ) -> PolicyLoss:
        chosen, rejected = weights[:, 0] > 0, weights[:, 0] < 0
        result = dpo_loss(
            policy_logprobs[chosen],
            ref_logprobs[chosen],
            response_mask[chosen],
            policy_logprobs[rejected],
            ref_logprobs[rejected],
            response_mask[rejected],
            beta=self.beta,
            num_pairs=num_sequences // 2,
        )
        coefficient = self.beta * result.gradient_coefficients.sum() / (num_sequences // 2)
        return PolicyLoss(result.loss, _stats(gradient_coefficient=coefficient))


# --- shared pieces --------------------------------------------------------------------------------


def _all_responses(groups: Sequence[RolloutGroup], weights_PGT: Tensor) -> list[TrainingGroup]:
    return [_training_group(group, group.rollouts, w) for group, w in zip(groups, weights_PGT, strict=True)]


def _training_group(group: RolloutGroup, rollouts: Sequence[Rollout], weights: Tensor) -> TrainingGroup:
    return TrainingGroup(
        tokens=TokenGroup(
            group.prompt_tokens,
            [r.completion.tokens for r in rollouts],
            [r.completion.sampled for r in rollouts],
        ),
        weights=weights,
        sampled_logprobs=tuple(r.completion.logprobs for r in rollouts),
    )


def _stats(*, gradient_coefficient: Tensor) -> LossStats:
    """Of a loss without reference, ratio and clipping."""
    zero = torch.zeros_like(gradient_coefficient)
    return LossStats(kl=zero, ratio=zero, clip_fraction=zero, gradient_coefficient=gradient_coefficient)


def _correct(rollout: Rollout) -> bool:
    return rollout.verdict is not None and rollout.verdict.correct


def _longest(groups: Sequence[RolloutGroup]) -> int:
    return max(1, *(len(r.completion.tokens) for group in groups for r in group.rollouts))


def _or_nan(reward: float | None) -> float:
    return math.nan if reward is None else reward


def _padded(values: Sequence[float], length: int, filler: float) -> list[float]:
    return [*values, *[filler] * (length - len(values))]
