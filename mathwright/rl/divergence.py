"""Estimators of KL(pi || pi_ref) per token, from the log-probabilities of tokens drawn from pi (Schulman 2020).

With d = log pi_ref(o_t) - log pi(o_t), where o_t ~ pi:

    estimator   value            mean       note
    k1          -d               KL         unbiased, of either sign
    k2          d^2 / 2          about KL   biased; its gradient has the mean of KL's own gradient
    k3          e^d - d - 1      KL         Eq. 4; unbiased, never negative

The mean is as said only where the tokens were drawn from pi itself. Used as a loss, the mean of k3's gradient is that
of KL(pi_ref || pi), not of KL(pi || pi_ref).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def k1(policy_logprobs: Float[Tensor, "*shape"], ref_logprobs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log(pi / pi_ref), the term that Eq. 2 takes from PPO's reward."""
    return policy_logprobs - ref_logprobs


def k2(policy_logprobs: Float[Tensor, "*shape"], ref_logprobs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log(pi / pi_ref)^2 / 2."""
    return (policy_logprobs - ref_logprobs).square() / 2


def k3(policy_logprobs: Float[Tensor, "*shape"], ref_logprobs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Eq. 4: pi_ref / pi - log(pi_ref / pi) - 1."""
    d = ref_logprobs - policy_logprobs
    return torch.expm1(d) - d  # expm1, because near d = 0 the result is d^2 / 2, far below the rounding of e^d
