"""The losses of the paper, and those people expect next to them, each a function of its own.

Conventions. Tensors are [B, T] (B sequences, T response tokens, padded). `response_mask` is True where a token is
trained: padding and inserted tool output are False. What stands in masked slots, NaN included, changes neither value
nor gradient. Log-probabilities of the behaviour policy (pi_old) and of the reference, and advantages, are constants.

Normalisation. Where a loss means over sequences, `num_sequences` (default B) is the divisor: give every micro-batch the
total of the step, and losses and statistics of the micro-batches add up to those of the whole. A sequence without any
trained token (an empty response, an all-masked row; 0/0 in the paper) contributes 0 and is counted in the divisor.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from mathwright.rl.divergence import k3

Scalar = Float[Tensor, ""]


class LossStats(NamedTuple):
    """Means over the tokens of each sequence, then over sequences; without gradient. They add up as the loss does."""

    kl: Scalar
    """k3 to the reference, nats per token; 0 where the loss has no reference."""
    ratio: Scalar
    """pi / pi_old."""
    clip_fraction: Scalar
    """Share of tokens whose gradient clipping removed."""
    gradient_coefficient: Scalar
    """Mean of |GC| of Eq. 5: the derivative of the objective by log pi of a token, but for the mean's factors."""


class PolicyLoss(NamedTuple):
    """A loss to minimise, and what to log about it."""

    loss: Scalar
    stats: LossStats


def grpo_loss(
    policy_logprobs: Float[Tensor, "B T"],
    behavior_logprobs: Float[Tensor, "B T"],
    ref_logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"] | Float[Tensor, " B"],
    response_mask: Bool[Tensor, "B T"],
    *,
    clip_eps: float,
    kl_coef: float,
    num_sequences: int | None = None,
) -> PolicyLoss:
    """GRPO, the negative of Eq. 3: -1/G sum_i 1/|o_i| sum_t { min(rho A, clip(rho, 1-eps, 1+eps) A) - beta k3 }.

    rho = pi / pi_old per token. B is all G responses of all problems, so that the mean over B is the mean over the
    problems of the mean over their groups (groups of one size).

    Args:
        policy_logprobs: of pi_theta, differentiable.
        behavior_logprobs: of pi_old. With one update per exploration pass `policy_logprobs` itself: it is detached
            here, rho is exactly 1 and its gradient that of the policy gradient.
        ref_logprobs: of pi_ref.
        advantages: A_{i,t}; [B] where all tokens of a response share one.
        response_mask: True where a token is trained.
        clip_eps: eps > 0 (the paper does not give its value).
        kl_coef: beta >= 0; the paper uses 0.04.
        num_sequences: see the module's notes.
    """
    terms = _braces_of_eq3(
        policy_logprobs, behavior_logprobs, ref_logprobs, advantages, response_mask, (clip_eps, clip_eps), kl_coef
    )
    objective = sequence_mean(terms.objective, response_mask, num_sequences)
    return PolicyLoss(-objective, _stats(terms, response_mask, num_sequences))


class _Terms(NamedTuple):
    """Of each token, [B, T]; 0 in masked slots. All but the objective are without gradient."""

    objective: Tensor
    """What Eq. 3 sums in braces."""
    kl: Tensor
    ratio: Tensor
    clipped: Tensor
    coefficient: Tensor
    """Derivative of the objective by the token's log-probability: Eq. 21 at rho = 1."""


def _braces_of_eq3(
    policy_logprobs: Tensor,
    behavior_logprobs: Tensor,
    ref_logprobs: Tensor,
    advantages: Tensor,
    response_mask: Tensor,
    clip_eps: tuple[float, float],
    kl_coef: float,
) -> _Terms:
    """min(rho A, clip(rho, 1 - eps_low, 1 + eps_high) A) - beta k3 of each token; Eq. 3 has one eps for both sides."""
    policy = _zero_masked(policy_logprobs, response_mask)
    behavior = _zero_masked(behavior_logprobs.detach(), response_mask)
    ref = _zero_masked(ref_logprobs.detach(), response_mask)
    advantage = advantages.detach() if advantages.ndim == 2 else advantages.detach()[:, None]
    advantage = _zero_masked(advantage.expand_as(policy), response_mask)
    lowest, highest = 1 - clip_eps[0], 1 + clip_eps[1]

    ratio = torch.exp(policy - behavior)
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(lowest, highest) * advantage)
    kl = k3(policy, ref)

    with torch.no_grad():
        clipped = ((ratio > highest) & (advantage > 0)) | ((ratio < lowest) & (advantage < 0))
        coefficient = (ratio * advantage).where(~clipped, 0.0) + kl_coef * torch.expm1(ref - policy)
    return _Terms(surrogate - kl_coef * kl, kl.detach(), ratio.detach(), clipped, coefficient)


def ppo_policy_loss(
    policy_logprobs: Float[Tensor, "B T"],
    behavior_logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"] | Float[Tensor, " B"],
    response_mask: Bool[Tensor, "B T"],
    *,
    clip_eps: float,
    num_sequences: int | None = None,
    ref_logprobs: Float[Tensor, "B T"] | None = None,
) -> PolicyLoss:
    """PPO, the negative of Eq. 1: -1/|o| sum_t min(rho A, clip(rho, 1-eps, 1+eps) A); the KL is in the reward.

    A reference, where one is given, is measured and has no weight.
    """
    return grpo_loss(
        policy_logprobs,
        behavior_logprobs,
        policy_logprobs if ref_logprobs is None else ref_logprobs,
        advantages,
        response_mask,
        clip_eps=clip_eps,
        kl_coef=0.0,
        num_sequences=num_sequences,
    )


# --- relatives of Eq. 3 ---------------------------------------------------------------------------


def dapo_loss(
    policy_logprobs: Float[Tensor, "B T"],
    behavior_logprobs: Float[Tensor, "B T"],
    ref_logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"] | Float[Tensor, " B"],
    response_mask: Bool[Tensor, "B T"],
    *,
    clip_eps_low: float,
    clip_eps_high: float,
    kl_coef: float,
    num_tokens: int | None = None,
    num_sequences: int | None = None,
) -> PolicyLoss:
    """DAPO (Yu et al. 2025, Eq. 8): Eq. 3 with two changes.

    "Clip-higher": clip(rho, 1 - eps_low, 1 + eps_high). The braces are meant over all tokens at once, so that long
    responses weigh more. DAPO itself has kl_coef 0. `num_tokens` (default: the trained tokens here) is the divisor of
    the loss, to be the total of the step for micro-batches; `num_sequences` that of the statistics.
    """
    terms = _braces_of_eq3(
        policy_logprobs,
        behavior_logprobs,
        ref_logprobs,
        advantages,
        response_mask,
        (clip_eps_low, clip_eps_high),
        kl_coef,
    )
    divisor = max(1, int(response_mask.sum())) if num_tokens is None else num_tokens
    return PolicyLoss(-terms.objective.sum() / divisor, _stats(terms, response_mask, num_sequences))


def dr_grpo_loss(
    policy_logprobs: Float[Tensor, "B T"],
    behavior_logprobs: Float[Tensor, "B T"],
    ref_logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"] | Float[Tensor, " B"],
    response_mask: Bool[Tensor, "B T"],
    *,
    clip_eps: float,
    kl_coef: float,
    max_tokens: int,
    num_sequences: int | None = None,
) -> PolicyLoss:
    """Dr. GRPO (Liu et al. 2025): the terms of Eq. 3 summed over tokens, divided by the constant `max_tokens`.

    Its advantages are r - mean(r), not divided by a deviation; the caller makes them.
    """
    terms = _braces_of_eq3(
        policy_logprobs, behavior_logprobs, ref_logprobs, advantages, response_mask, (clip_eps, clip_eps), kl_coef
    )
    divisor = max_tokens * _divisor(response_mask, num_sequences)
    return PolicyLoss(-terms.objective.sum() / divisor, _stats(terms, response_mask, num_sequences))


def reinforce_loss(
    policy_logprobs: Float[Tensor, "B T"],
    ref_logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, " B"],
    response_mask: Bool[Tensor, "B T"],
    *,
    num_sequences: int | None = None,
) -> PolicyLoss:
    """REINFORCE on whole responses (Williams 1992): -1/B sum_i A_i log pi(o_i | q), log pi(o_i | q) = sum_t log pi.

    Its gradient is that of the expected reward where the policy itself drew the responses: one update an exploration.
    RLOO (Ahmadian et al. 2024) takes A_i from `advantages.leave_one_out_advantages`, with the KL in the rewards. The
    reference is measured here and has no weight.
    """
    logprobs = _zero_masked(policy_logprobs, response_mask)
    kl = k3(logprobs.detach(), _zero_masked(ref_logprobs.detach(), response_mask))
    one, constant = response_mask.to(kl.dtype), advantages.detach()[:, None]
    terms = _Terms(constant * logprobs, kl, one, torch.zeros_like(one), constant * one)
    divisor = _divisor(response_mask, num_sequences)
    return PolicyLoss(-terms.objective.sum() / divisor, _stats(terms, response_mask, num_sequences))


# --- likelihood and values ------------------------------------------------------------------------


def likelihood_loss(
    policy_logprobs: Float[Tensor, "B T"],
    weights: Float[Tensor, " B"],
    response_mask: Bool[Tensor, "B T"],
    *,
    num_sequences: int | None = None,
) -> Scalar:
    """SFT, RFT and online RFT: -1/B sum_i w_i 1/|o_i| sum_t log pi(o_{i,t}), whose gradient is Eq. 5 with GC = w.

    SFT has w = 1; RFT and online RFT have w = I(o), 1 for a correct response and 0 for a wrong one (Eq. 10).
    """
    objective = weights.detach()[:, None] * _zero_masked(policy_logprobs, response_mask)
    return -sequence_mean(objective, response_mask, num_sequences)


def value_loss(
    values: Float[Tensor, "B T"],
    old_values: Float[Tensor, "B T"],
    returns: Float[Tensor, "B T"],
    response_mask: Bool[Tensor, "B T"],
    *,
    clip_range: float | None = None,
    num_sequences: int | None = None,
) -> Scalar:
    """Loss of PPO's value model: 1/2 (V - R)^2, meant as Eq. 1 is (the paper does not give it).

    With `clip_range` c, V may move at most c from its value at the exploration: max of (V - R)^2 and
    (V_old + clip(V - V_old, -c, c) - R)^2, as in the PPO implementations (Huang et al. 2022, detail 9).
    """
    values = _zero_masked(values, response_mask)
    returns = _zero_masked(returns.detach(), response_mask)
    error = (values - returns).square()
    if clip_range is not None:
        old = _zero_masked(old_values.detach(), response_mask)
        clipped = old + (values - old).clamp(-clip_range, clip_range)
        error = torch.maximum(error, (clipped - returns).square())
    return sequence_mean(error / 2, response_mask, num_sequences)


def sequence_mean(
    values: Float[Tensor, "B T"], response_mask: Bool[Tensor, "B T"], num_sequences: int | None = None
) -> Scalar:
    """1/B sum_i 1/|o_i| sum_t values_{i,t} over unmasked tokens; masked values must not be NaN."""
    lengths = response_mask.sum(1).clamp(min=1)
    return ((values * response_mask).sum(1) / lengths).sum() / _divisor(response_mask, num_sequences)


# --- preference pairs -----------------------------------------------------------------------------


class DPOLoss(NamedTuple):
    """A loss over preference pairs, and what to log about it."""

    loss: Scalar
    margins: Float[Tensor, " N"]
    """beta times the difference between the two log-ratios; positive where the pair is ordered rightly. Detached."""
    gradient_coefficients: Float[Tensor, " N"]
    """sigma(-margin) of Eq. 14, the weight of each pair (+ on the chosen response, - on the rejected). Detached."""


def dpo_loss(
    policy_chosen: Float[Tensor, "N T1"],
    ref_chosen: Float[Tensor, "N T1"],
    chosen_mask: Bool[Tensor, "N T1"],
    policy_rejected: Float[Tensor, "N T2"],
    ref_rejected: Float[Tensor, "N T2"],
    rejected_mask: Bool[Tensor, "N T2"],
    *,
    beta: float,
    num_pairs: int | None = None,
) -> DPOLoss:
    """The negative of Eq. 12, length-normalised as printed.

    -log sigma(beta/|o+| sum_t log pi/pi_ref(o+_t) - beta/|o-| sum_t log pi/pi_ref(o-_t)), meant over pairs. (Eq. 12
    has o_{<t} in its second sum where o_t is meant. Eq. 14, its coefficient, is written per token and without beta;
    the exact derivative by log pi(o+_t) is beta sigma(-margin) / |o+|, one scalar a pair.)

    Args:
        policy_chosen: log pi of the tokens of the chosen responses, differentiable.
        ref_chosen: log pi_ref of them.
        chosen_mask: True on their tokens.
        policy_rejected: the same for the rejected responses.
        ref_rejected: the same.
        rejected_mask: the same.
        beta: > 0.
        num_pairs: divisor of the mean (default N); the total of the step for micro-batches.
    """
    chosen = _sequence_log_ratio(policy_chosen, ref_chosen, chosen_mask) / chosen_mask.sum(1).clamp(min=1)
    rejected = _sequence_log_ratio(policy_rejected, ref_rejected, rejected_mask) / rejected_mask.sum(1).clamp(min=1)
    return _pair_loss(beta * (chosen - rejected), num_pairs)


def dpo_sum_loss(
    policy_chosen: Float[Tensor, "N T1"],
    ref_chosen: Float[Tensor, "N T1"],
    chosen_mask: Bool[Tensor, "N T1"],
    policy_rejected: Float[Tensor, "N T2"],
    ref_rejected: Float[Tensor, "N T2"],
    rejected_mask: Bool[Tensor, "N T2"],
    *,
    beta: float,
    num_pairs: int | None = None,
) -> DPOLoss:
    """The usual DPO (Rafailov et al. 2023): as `dpo_loss`, with sums over the tokens in place of the means."""
    chosen = _sequence_log_ratio(policy_chosen, ref_chosen, chosen_mask)
    rejected = _sequence_log_ratio(policy_rejected, ref_rejected, rejected_mask)
    return _pair_loss(beta * (chosen - rejected), num_pairs)


def _sequence_log_ratio(policy: Tensor, ref: Tensor, mask: Tensor) -> Tensor:
    return (_zero_masked(policy, mask) - _zero_masked(ref.detach(), mask)).sum(1)


def _pair_loss(margins: Tensor, num_pairs: int | None) -> DPOLoss:
    loss = -F.logsigmoid(margins).sum() / (len(margins) if num_pairs is None else num_pairs)
    return DPOLoss(loss, margins.detach(), torch.sigmoid(-margins.detach()))


# --- shared pieces --------------------------------------------------------------------------------


def _stats(terms: _Terms, response_mask: Tensor, num_sequences: int | None) -> LossStats:
    return LossStats(
        kl=sequence_mean(terms.kl, response_mask, num_sequences),
        ratio=sequence_mean(terms.ratio, response_mask, num_sequences),
        clip_fraction=sequence_mean(terms.clipped.to(terms.kl.dtype), response_mask, num_sequences),
        gradient_coefficient=sequence_mean(terms.coefficient.abs(), response_mask, num_sequences),
    )


def _zero_masked(values: Tensor, mask: Tensor) -> Tensor:
    """Masked slots become 0 before any arithmetic, so that a NaN there reaches neither the value nor the gradient."""
    return torch.where(mask, values, 0.0)


def _divisor(response_mask: Tensor, num_sequences: int | None) -> int:
    return response_mask.shape[0] if num_sequences is None else num_sequences
