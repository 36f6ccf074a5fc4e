"""Losses that bound the ratio to pi_old in another way than Eq. 1 and Eq. 3 do; conventions as in `rl.losses`."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mathwright.rl.divergence import k3
from mathwright.rl.losses import LossStats, PolicyLoss, sequence_mean


def gspo_loss(
    policy_logprobs: Float[Tensor, "B T"],
    behavior_logprobs: Float[Tensor, "B T"],
    ref_logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, " B"],
    response_mask: Bool[Tensor, "B T"],
    *,
    clip_eps_low: float,
    clip_eps_high: float,
    kl_coef: float,
    num_sequences: int | None = None,
) -> PolicyLoss:
    """GSPO (Zheng et al. 2025, Eq. 5-7): the ratio of the whole response, -1/B sum_i min(s_i A_i, clip(s_i) A_i).

        s_i = (pi(o_i) / pi_old(o_i))^(1 / |o_i|) = exp(1/|o_i| sum_t log pi/pi_old)

    So a response is clipped as one. At pi = pi_old the gradient is that of GRPO; away from it every token of a response
    has the weight s_i A_i / |o_i|. The clip is far narrower than a token's: 3e-4 and 4e-4 as published, kl_coef 0.
    """
    policy, behavior, ref = _constants(policy_logprobs, behavior_logprobs, ref_logprobs, response_mask)
    B = len(policy) if num_sequences is None else num_sequences
    trained = response_mask.any(1)
    lengths = response_mask.sum(1).clamp(min=1)
    ratio = torch.exp((policy - behavior).sum(1) / lengths)
    advantage = advantages.detach().where(trained, 0.0)
    lowest, highest = 1 - clip_eps_low, 1 + clip_eps_high
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(lowest, highest) * advantage)
    kl = k3(policy, ref)
    loss = -(surrogate.sum() / B - kl_coef * sequence_mean(kl, response_mask, num_sequences))
    with torch.no_grad():
        clipped = ((ratio > highest) & (advantage > 0)) | ((ratio < lowest) & (advantage < 0))
        on_tokens = (ratio * advantage).where(~clipped, 0.0)[:, None]
        coefficient = on_tokens + kl_coef * torch.expm1(ref - policy)
        stats = _stats(kl, ratio[:, None].expand_as(kl), clipped[:, None].expand_as(kl), coefficient, response_mask, B)
    return PolicyLoss(loss, stats)


def cispo_loss(
    policy_logprobs: Float[Tensor, "B T"],
    behavior_logprobs: Float[Tensor, "B T"],
    ref_logprobs: Float[Tensor, "B T"],
    advantages: Float[Tensor, "B T"],
    response_mask: Bool[Tensor, "B T"],
    *,
    clip_eps_high: float,
    kl_coef: float,
    num_tokens: int | None = None,
    num_sequences: int | None = None,
) -> PolicyLoss:
    """CISPO (MiniMax-M1, 2025, Eq. 4-5): -1/sum_i |o_i| sum_t sg(min(rho, 1 + eps_high)) A log pi, over all tokens.

    The ratio is a bounded constant beside the gradient: no token is left out for having moved far, where Eq. 3 drops
    the rare tokens at which a response turns. As published kl_coef is 0. `num_tokens` as in `losses.dapo_loss`.
    """
    policy, behavior, ref = _constants(policy_logprobs, behavior_logprobs, ref_logprobs, response_mask)
    B = len(policy) if num_sequences is None else num_sequences
    advantage = advantages.detach().where(response_mask, 0.0)
    ratio = torch.exp(policy.detach() - behavior)
    weight = ratio.clamp(max=1 + clip_eps_high)
    kl = k3(policy, ref)
    divisor = max(1, int(response_mask.sum())) if num_tokens is None else num_tokens
    loss = -(weight * advantage * policy - kl_coef * kl).sum() / divisor
    with torch.no_grad():
        coefficient = weight * advantage + kl_coef * torch.expm1(ref - policy)
        stats = _stats(kl, ratio, ratio > 1 + clip_eps_high, coefficient, response_mask, B)
    return PolicyLoss(loss, stats)


def _constants(policy: Tensor, behavior: Tensor, ref: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three log-probabilities, 0 in masked slots, the last two without gradient."""
    return policy.where(mask, 0.0), behavior.detach().where(mask, 0.0), ref.detach().where(mask, 0.0)


def _stats(kl: Tensor, ratio: Tensor, clipped: Tensor, coefficient: Tensor, mask: Tensor, B: int) -> LossStats:
    columns = (kl, ratio, clipped.to(kl.dtype), coefficient.abs())
    return LossStats(*(sequence_mean(column.detach(), mask, B) for column in columns))
