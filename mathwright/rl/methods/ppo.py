"""PPO (§4.1.1): Eq. 1, advantages by GAE from the rewards of Eq. 2 and a value model.

    r_t = 1[t is the last] r - beta log(pi_old / pi_ref)      Eq. 2; the KL is in the reward, not in the loss
    V_t                                                       the value model at the token before o_t
    R_t = V_t + A_t by GAE at lambda_value                    what V_t is trained towards (decoupled GAE)
    A_t by GAE at lambda_policy, whitened over the step       what weighs log pi(o_t)

gamma is 1: a response is an episode, and its reward is worth as much at its first token as at its last. Tokens that a
tool inserted are no actions: time steps over them, so that V before an insertion is followed by V behind it. A response
without a trained token gives nothing and is counted in the mean over responses; an unscored one is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from mathwright.records import RolloutGroup
from mathwright.rl.advantages import generalized_advantages, kl_shaped_rewards, length_adaptive_lambda, whiten
from mathwright.rl.explained import Moments, add_up, explained_variance, over_processes
from mathwright.rl.kl_control import KlCoefficient
from mathwright.rl.losses import PolicyLoss, ppo_policy_loss
from mathwright.rl.methods.base import Method, ScoredBatch, Targets, TrainingGroup, longest, rewards_of, training_group


class Estimate(NamedTuple):
    """Of the tokens of a batch, [B, T]."""

    advantages: Tensor
    returns: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Ppo(Method):
    """Its weights need the values of the whole step, over which they are whitened."""

    clip_eps: float
    kl: KlCoefficient
    lambda_policy: float
    lambda_value: float
    lambda_alpha: float | None
    """Where given, lambda_policy grows with the length of a response (`length_adaptive_lambda`)."""
    gate: Literal["off", "ev"]
    uses_values: ClassVar[bool] = True

    @property
    def uses_reference(self) -> bool:
        return self.kl.beta > 0

    @property
    def kl_coefficient(self) -> KlCoefficient:
        return self.kl

    def training_groups(self, groups: Sequence[RolloutGroup]) -> list[TrainingGroup]:
        """The scored responses; their rewards are the weights, and the mean of their group (if alone: of all) the
        baseline."""
        rewards_PG = rewards_of(groups)
        everywhere = rewards_PG.nanmean().item()
        chosen = []
        for group, rewards in zip(groups, rewards_PG, strict=True):
            scored = [g for g, reward in enumerate(rewards.tolist()) if not math.isnan(reward)]
            if not scored:
                continue
            baseline = rewards[scored].mean().item() if len(scored) > 1 else everywhere
            weights = rewards[scored, None].expand(-1, longest(groups))
            baselines = torch.full((len(scored),), baseline)
            chosen.append(training_group(group, [group.rollouts[g] for g in scored], weights, baselines))
        return chosen

    def targets(self, batches: Sequence[ScoredBatch]) -> Targets:
        """Advantages and returns of a step, and how much of the returns the values explain."""
        estimates = [self.estimate(batch) for batch in batches]
        counted = [
            (e.returns, _values(b), b.response_mask) for e, b in zip(estimates, batches, strict=True) if b.counts
        ]
        device = batches[0].response_mask.device
        returns, errors, kl = over_processes(
            [
                add_up(Moments.of(target, mask) for target, _, mask in counted),
                add_up(Moments.of(target - values, mask) for target, values, mask in counted),
                add_up(self._kl(batch) for batch in batches if batch.counts),
            ],
            device,
        )
        explained = explained_variance(returns, errors)
        gated = self.gate == "ev" and not (explained is not None and explained > 0)
        advantages = [self.from_baseline(batch) for batch in batches] if gated else [e.advantages for e in estimates]
        parts = zip(advantages, batches, strict=True)
        (moments,) = over_processes([add_up(Moments.of(a, b.response_mask) for a, b in parts if b.counts)], device)
        return Targets(
            weights=[whiten(a, b.response_mask, moments=moments) for a, b in zip(advantages, batches, strict=True)],
            returns=[estimate.returns for estimate in estimates],
            values={
                "explained_variance": explained,
                "value_gated": float(gated),
                "return_mean": returns.mean,
                "advantage_std": moments.variance**0.5,
                "kl_coef": self.kl.beta,
                "kl_response": kl.mean if self.uses_reference else None,
            },
        )

    def estimate(self, scored: ScoredBatch) -> Estimate:
        """Advantages at lambda_policy, not whitened, and returns at lambda_value; 0 on masked tokens."""
        mask, values, rewards = scored.response_mask, _values(scored), self.rewards(scored)
        at_value = generalized_advantages(rewards, values, mask, gamma=1.0, lam=self.lambda_value)
        if self.lambda_alpha is None and self.lambda_policy == self.lambda_value:
            at_policy = at_value
        else:
            lam = (
                self.lambda_policy
                if self.lambda_alpha is None
                else length_adaptive_lambda(mask, alpha=self.lambda_alpha).to(values.dtype)
            )
            at_policy = generalized_advantages(rewards, values, mask, gamma=1.0, lam=lam)
        return Estimate(at_policy, (at_value + values).where(mask, 0.0))

    def from_baseline(self, scored: ScoredBatch) -> Tensor:
        """Advantages with the mean reward of the group for the value of every token: the reward to go minus it.

        Without a KL these are the advantages of Dr. GRPO.
        """
        assert scored.baselines is not None
        rewards = self.rewards(scored)
        values = scored.baselines.to(rewards.dtype)[:, None].expand_as(rewards)
        return generalized_advantages(rewards, values, scored.response_mask, gamma=1.0, lam=1.0)

    def rewards(self, scored: ScoredBatch) -> Tensor:
        """Eq. 2, from the reward of each response."""
        policy = scored.behavior_logprobs
        ref = policy if scored.ref_logprobs is None else scored.ref_logprobs
        outcome = scored.group_weights[:, :1].sum(1)  # of a batch of empty responses there is no column
        return kl_shaped_rewards(outcome, policy, ref, scored.response_mask, kl_coef=self.kl.beta)

    def _kl(self, scored: ScoredBatch) -> Moments:
        """Of log pi_old - log pi_ref, summed over the tokens of each response."""
        ref = scored.behavior_logprobs if scored.ref_logprobs is None else scored.ref_logprobs
        sums = (scored.behavior_logprobs - ref).where(scored.response_mask, 0.0).sum(1)
        return Moments.of(sums, torch.ones_like(sums, dtype=torch.bool))

    def loss(
        self, policy_logprobs: Tensor, scored: ScoredBatch, weights: Tensor, *, num_sequences: int, num_tokens: int
    ) -> PolicyLoss:
        return ppo_policy_loss(
            policy_logprobs,
            scored.behavior_logprobs,
            weights,
            scored.response_mask,
            clip_eps=self.clip_eps,
            num_sequences=num_sequences,
            ref_logprobs=scored.ref_logprobs,
        )


def _values(scored: ScoredBatch) -> Tensor:
    assert scored.values is not None
    return scored.values.where(scored.response_mask, 0.0)
