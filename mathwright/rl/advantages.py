"""Advantages: how much better a response (or a token) was than what its group, or a value model, expected.

Advantages are constants of the loss: nothing here is differentiated. Rewards that are NaN are unscored: they take no
part in any mean or deviation, and their own advantage is 0.

Zero variance (the paper leaves it undefined): where all scored rewards of a group are equal, or only one is scored,
there is nothing to prefer and every advantage is exactly 0, whatever eps is. Equality is tested on the rewards
themselves, because the mean of equal floats may miss them by a rounding error, which a division by the equally tiny
deviation would blow up to 1.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mathwright.rl.explained import Moments

Std = Literal["population", "sample"]
"""population divides by n, sample by n - 1. The paper does not say which; recipes choose."""


def outcome_advantages(rewards_PG: Float[Tensor, "P G"], *, std: Std, eps: float) -> Float[Tensor, "P G"]:
    """Outcome supervision (§4.1.2): A_i = (r_i - mean(r)) / (std(r) + eps), the same for all tokens of response i.

    Args:
        rewards_PG: reward of each response; NaN is unscored.
        std: kind of standard deviation over the scored rewards of a group.
        eps: added to the deviation (the paper has none: 0.0); >= 0.

    Raises ValueError for another `std` or a negative eps.
    """
    return _standardise(rewards_PG, std=std, eps=eps)


def process_advantages(
    step_rewards_PGS: Float[Tensor, "P G S"],
    step_ends_PGS: Int[Tensor, "P G S"],
    *,
    num_tokens: int,
    std: Std,
    eps: float,
) -> Float[Tensor, "P G {num_tokens}"]:
    """Process supervision (§4.1.3): A_{i,t} = sum over steps j with index(j) >= t of r~_i^{index(j)}.

    r~ = (r - mean(R)) / (std(R) + eps), where R pools every step of every response of the group; so a longer response
    weighs more in mean and deviation, as the paper has it. Tokens after the last step end have advantage 0.

    Args:
        step_rewards_PGS: reward at each step end; NaN where there is no such step, or it is unscored.
        step_ends_PGS: index(j), the index of the last token of step j; anything where the reward is NaN.
        num_tokens: T, the length to which responses are padded.
        std: as in `outcome_advantages`.
        eps: as in `outcome_advantages`.

    Raises ValueError where the end of a scored step lies outside 0 <= index < num_tokens.
    """
    P, G, S = step_rewards_PGS.shape
    normalised = _standardise(step_rewards_PGS.reshape(P, G * S), std=std, eps=eps).reshape(P, G, S)
    return _from_steps_on(normalised, ~step_rewards_PGS.isnan(), step_ends_PGS, num_tokens)


def min_process_advantages(
    step_rewards_PGS: Float[Tensor, "P G S"],
    step_ends_PGS: Int[Tensor, "P G S"],
    *,
    num_tokens: int,
    std: Std,
    eps: float,
    temperature: float = 0.1,
) -> Float[Tensor, "P G {num_tokens}"]:
    """A response is worth its worst step, and that step and what leads to it are held to account for it.

    PURE (Cheng et al. 2025, Eq. 7-8): the reward of step j becomes w_j r_j, w_j = softmax(-r / T)_j over the steps of
    the response, so that their sum R_i = sum_j w_j r_j is the least reward as T goes to 0. Here, with the baseline of
    GRPO in the place of theirs, A_{i,t} = sum over steps j with index(j) >= t of w_j (r_j - mean(R)) / (std(R) + eps):
    at the first token the advantage of outcome supervision for rewards R, and near 0 after the worst step. The number
    of steps has no part in it, which is what is gamed in the sum of §4.1.3.

    Args:
        step_rewards_PGS, step_ends_PGS, num_tokens, std, eps: as in `process_advantages`; std is that of R.
        temperature: T > 0, for rewards between 0 and 1.

    Raises ValueError as `process_advantages` does, or for a temperature that is not above 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}; it must be above 0")
    shares = (-step_rewards_PGS / temperature).double().where(~step_rewards_PGS.isnan(), -torch.inf).softmax(2)
    return _shared_advantages(step_rewards_PGS, shares, step_ends_PGS, num_tokens=num_tokens, std=std, eps=eps)


def mean_process_advantages(
    step_rewards_PGS: Float[Tensor, "P G S"],
    step_ends_PGS: Int[Tensor, "P G S"],
    *,
    num_tokens: int,
    std: Std,
    eps: float,
) -> Float[Tensor, "P G {num_tokens}"]:
    """A response is worth the mean R_i of the rewards of its S_i steps, to which each contributes an equal share.

    A_{i,t} = sum over steps j with index(j) >= t of (r_j - mean(R)) / (std(R) + eps) / S_i. Arguments and errors as in
    `process_advantages`; std is that of R.
    """
    scored = ~step_rewards_PGS.isnan()
    shares = scored.double() / scored.sum(2, keepdim=True).clamp(min=1)
    return _shared_advantages(step_rewards_PGS, shares, step_ends_PGS, num_tokens=num_tokens, std=std, eps=eps)


def _shared_advantages(
    step_rewards_PGS: Float[Tensor, "P G S"],
    shares_PGS: Float[Tensor, "P G S"],
    step_ends_PGS: Int[Tensor, "P G S"],
    *,
    num_tokens: int,
    std: Std,
    eps: float,
) -> Float[Tensor, "P G {num_tokens}"]:
    """Advantages where a response is worth R_i = sum_j w_j r_j, the shares w_j of its steps adding up to 1."""
    scored = ~step_rewards_PGS.isnan()
    shares = shares_PGS.where(scored, 0.0)
    rewards = step_rewards_PGS.where(scored, 0.0).double()
    # rounded: sums of equal rewards in equal shares differ in their last bits by the number of steps
    worth = (shares * rewards).sum(2).where(scored.any(2), torch.nan).round(decimals=9)
    mean, divisor, differ = _statistics(worth, std=std, eps=eps)
    normalised = shares * (rewards - mean[:, :, None]) / divisor[:, :, None]
    normalised = normalised.where(differ[:, :, None] & scored, 0.0).to(step_rewards_PGS.dtype)
    return _from_steps_on(normalised, scored, step_ends_PGS, num_tokens)


def _from_steps_on(
    normalised_PGS: Float[Tensor, "P G S"],
    scored_PGS: Bool[Tensor, "P G S"],
    step_ends_PGS: Int[Tensor, "P G S"],
    num_tokens: int,
) -> Float[Tensor, "P G {num_tokens}"]:
    """At each token the sum of what the steps have that end there or after it."""
    outside = scored_PGS & ((step_ends_PGS < 0) | (step_ends_PGS >= num_tokens))
    if outside.any():
        raise ValueError(f"step_ends: {step_ends_PGS[outside][0].item()} lies outside the {num_tokens} tokens")
    at_step_end = normalised_PGS.new_zeros(*normalised_PGS.shape[:2], num_tokens)
    at_step_end.scatter_add_(2, step_ends_PGS.where(scored_PGS, 0), normalised_PGS)  # unscored ones add 0 to token 0
    return at_step_end.flip(2).cumsum(2).flip(2)


def leave_one_out_advantages(rewards_PG: Float[Tensor, "P G"]) -> Float[Tensor, "P G"]:
    """RLOO (Ahmadian et al. 2024): A_i = r_i - mean of the other scored rewards of the group; 0 if none."""
    scored = ~rewards_PG.isnan()
    rewards = rewards_PG.where(scored, 0.0)
    others = scored.sum(1, keepdim=True) - 1
    mean_of_others = (rewards.sum(1, keepdim=True) - rewards) / others.clamp(min=1)
    return (rewards - mean_of_others).where(scored & (others > 0), 0.0)


def centred_advantages(rewards_PG: Float[Tensor, "P G"]) -> Float[Tensor, "P G"]:
    """Dr. GRPO (Liu et al. 2025): A_i = r_i - mean of the scored rewards of the group; 0 where unscored."""
    scored = ~rewards_PG.isnan()
    mean = rewards_PG.where(scored, 0.0).sum(1, keepdim=True) / scored.sum(1, keepdim=True).clamp(min=1)
    return (rewards_PG - mean).where(scored, 0.0)


def generalized_advantages(
    rewards: Float[Tensor, "B T"],
    values: Float[Tensor, "B T"],
    response_mask: Bool[Tensor, "B T"],
    *,
    gamma: float,
    lam: float | Float[Tensor, " B"],
) -> Float[Tensor, "B T"]:
    """GAE (Schulman et al. 2016), cited by §4.1.1: A_t = sum_l (gamma lam)^l delta_{t+l}.

    delta_t = r_t + gamma V_{t+1} - V_t, and V is 0 after the last token: a response ends its episode. Masked tokens
    (padding, inserted tool output) are no actions: time steps over them and their advantage is 0.

    Args:
        rewards: reward per token, on unmasked tokens.
        values: V_t, the value before token t is drawn.
        response_mask: True where the policy drew the token.
        gamma: discount in [0, 1]; the paper does not give it.
        lam: decay of the trace in [0, 1], one for all or one a response; the paper does not give it either.
    """
    advantages = torch.zeros_like(values)
    next_value = next_advantage = values.new_zeros(values.shape[0])
    for t in reversed(range(values.shape[1])):
        active = response_mask[:, t]
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        next_advantage = torch.where(active, delta + gamma * lam * next_advantage, next_advantage)
        next_value = torch.where(active, values[:, t], next_value)
        advantages[:, t] = next_advantage.where(active, 0.0)
    return advantages


def kl_shaped_rewards(
    rewards: Float[Tensor, " B"],
    policy_logprobs: Float[Tensor, "B T"],
    ref_logprobs: Float[Tensor, "B T"],
    response_mask: Bool[Tensor, "B T"],
    *,
    kl_coef: float,
) -> Float[Tensor, "B T"]:
    """Eq. 2, the reward of PPO: r_t = r_phi(q, o_<=t) - beta log(pi(o_t) / pi_ref(o_t)).

    r_phi is an outcome reward, given at the last unmasked token and 0 before it. Masked tokens have reward 0; so has
    all of a response without any unmasked token.

    Args:
        rewards: outcome reward of each response.
        policy_logprobs: of the policy that drew the tokens.
        ref_logprobs: of the reference.
        response_mask: True where the policy drew the token.
        kl_coef: beta, >= 0.
    """
    T = response_mask.shape[1]
    positions = torch.arange(T, device=response_mask.device)
    last = torch.where(response_mask, positions, -1).amax(1, keepdim=True)
    outcome = torch.where(positions == last, rewards[:, None], 0.0)
    return (outcome - kl_coef * (policy_logprobs - ref_logprobs)).where(response_mask, 0.0)


def length_adaptive_lambda(response_mask: Bool[Tensor, "B T"], *, alpha: float) -> Float[Tensor, " B"]:
    """lambda of GAE by the length of a response (Yue et al. 2025, VAPO): 1 - 1 / (alpha |o|), 0 where alpha |o| < 1.

    With a constant below 1 the reward at the end of a long response hardly reaches its first tokens (0.95^100 is
    0.006); so the sum of the weights of the trace, 1 / (1 - lambda), grows with |o|, the number of unmasked tokens.
    """
    return 1 - 1 / (alpha * response_mask.sum(1)).clamp(min=1)


def whiten(
    advantages: Float[Tensor, "B T"],
    response_mask: Bool[Tensor, "B T"],
    *,
    moments: Moments | None = None,
    eps: float = 1e-8,
) -> Float[Tensor, "B T"]:
    """(A - mean) / sqrt(variance + eps) over unmasked tokens, 0 on masked ones; the variance divides by their number.

    An implementation detail of PPO (Huang et al. 2022, detail 7) that the paper does not mention. The targets of the
    value model are made before, from advantages that are not whitened.

    Args:
        advantages: [B, T]; what stands in masked slots, NaN included, plays no part.
        response_mask: True on the tokens that count.
        moments: of all micro-batches of a step, in all processes; None is those of the tokens given here.
        eps: > 0; advantages that are all equal become 0.
    """
    found = Moments.of(advantages, response_mask) if moments is None else moments
    return ((advantages - found.mean) / (found.variance + eps) ** 0.5).where(response_mask, 0.0)


def _standardise(rewards_PN: Float[Tensor, "P N"], *, std: Std, eps: float) -> Float[Tensor, "P N"]:
    """(r - mean) / (std + eps) over the scored rewards of each row; 0 where unscored or where all are equal."""
    mean, divisor, differ = _statistics(rewards_PN, std=std, eps=eps)
    return torch.where(differ, (rewards_PN - mean) / divisor, 0.0)


def _statistics(rewards_PN: Float[Tensor, "P N"], *, std: Std, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [P, 1] and std + eps [P, N] (1 where nothing is to be divided) of the scored rewards of each row, and where
    [P, N] a reward is scored and not all of its row are equal."""
    if std not in ("population", "sample"):
        raise ValueError(f"std is {std!r}; it must be 'population' or 'sample'")
    if eps < 0:
        raise ValueError(f"eps is {eps}; it must not be negative")
    scored = ~rewards_PN.isnan()
    count = scored.sum(1, keepdim=True)
    mean = rewards_PN.where(scored, 0.0).sum(1, keepdim=True) / count.clamp(min=1)
    centred = (rewards_PN - mean).where(scored, 0.0)
    degrees = (count if std == "population" else count - 1).clamp(min=1)
    deviation = (centred.square().sum(1, keepdim=True) / degrees).sqrt()
    highest = rewards_PN.where(scored, -torch.inf).amax(1, keepdim=True)
    lowest = rewards_PN.where(scored, torch.inf).amin(1, keepdim=True)
    differ = scored & (highest > lowest)
    return mean, (deviation + eps).where(differ, 1.0), differ
