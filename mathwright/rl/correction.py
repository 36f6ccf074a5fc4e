"""What keeps responses from being trained on as if the policy had drawn them, all of them and to the end."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mathwright.records import Rollout, RolloutGroup


def importance_weights(
    behavior_logprobs: Float[Tensor, "B T"],
    sampled_logprobs: Float[Tensor, "B T"],
    response_mask: Bool[Tensor, "B T"],
    *,
    mode: Literal["truncate", "mask"],
    lowest: float,
    highest: float,
) -> Float[Tensor, "B T"]:
    """w_t = pi_old(o_t) / q(o_t), bounded: by it a token counts where q, not pi_old, has drawn it.

    q is what the generator drew from: another engine's rounding of the same weights, or the part of the vocabulary that
    top_p and top_k leave. As E_q[w f] = E_pi_old[f], the gradient is that of tokens of pi_old but for the bound, which
    keeps its variance finite (Yao et al. 2025, truncated importance sampling).

    Args:
        behavior_logprobs: log pi_old, as training computes them before its first update.
        sampled_logprobs: log q, as the generator gives them.
        response_mask: True where a token is trained; anything may stand elsewhere, and the weight there is 0.
        mode: truncate: min(w, highest). mask: w where lowest <= w <= highest, else 0.
        lowest: of mask alone.
        highest: > 0.
    """
    weights = torch.exp((behavior_logprobs - sampled_logprobs).where(response_mask, 0.0))
    if mode == "truncate":
        weights = weights.clamp(max=highest)
    else:
        weights = weights.where((weights >= lowest) & (weights <= highest), 0.0)
    return weights.where(response_mask, 0.0)


def without_truncated(group: RolloutGroup) -> RolloutGroup:
    """A group in which no token of a response that ran into a limit is trained; the rewards stay."""
    return dataclasses.replace(group, rollouts=tuple(_untrained_if_cut(rollout) for rollout in group.rollouts))


def _untrained_if_cut(rollout: Rollout) -> Rollout:
    completion = rollout.completion
    if completion.finish != "length":
        return rollout
    untrained = dataclasses.replace(completion, sampled=(False,) * len(completion.tokens))
    return dataclasses.replace(rollout, completion=untrained)
