"""Advantages by naive loops over Python floats, written from the definitions."""

import math


def mean(values):
    return sum(values) / len(values)


def deviation(values, std):
    centre = mean(values)
    n = len(values) if std == "population" else len(values) - 1
    return math.sqrt(sum((v - centre) ** 2 for v in values) / n)


def outcome_group(rewards, std, eps):
    """§4.1.2 for one group; None is unscored."""
    scored = [r for r in rewards if r is not None]
    if len(set(scored)) <= 1:
        return [0.0] * len(rewards)
    return [0.0 if r is None else (r - mean(scored)) / (deviation(scored, std) + eps) for r in rewards]


def process_group(steps, num_tokens, std, eps):
    """§4.1.3 for one group: steps[i] is a list of (index(j), reward) of response i."""
    pooled = [reward for response in steps for _, reward in response]
    if len(set(pooled)) <= 1:
        return [[0.0] * num_tokens for _ in steps]
    advantages = []
    for response in steps:
        row = []
        for t in range(num_tokens):
            later = [(reward - mean(pooled)) / (deviation(pooled, std) + eps) for end, reward in response if end >= t]
            row.append(sum(later))
        advantages.append(row)
    return advantages


def shared_process_group(steps, num_tokens, std, eps, share):
    """Credit by shares for one group: share(rewards of a response) gives w_j; R_i = sum_j w_j r_j is standardised."""
    shares = [share([reward for _, reward in response]) for response in steps]
    worths = [
        sum(w * reward for w, (_, reward) in zip(row, response, strict=True)) if response else None
        for row, response in zip(shares, steps, strict=True)
    ]
    scored = [worth for worth in worths if worth is not None]
    if not scored or max(scored) - min(scored) < 1e-9:
        return [[0.0] * num_tokens for _ in steps]
    divisor = deviation(scored, std) + eps
    return [
        [
            sum(w * (r - mean(scored)) / divisor for w, (end, r) in zip(row, response, strict=True) if end >= t)
            for t in range(num_tokens)
        ]
        for row, response in zip(shares, steps, strict=True)
    ]


def softmin_shares(rewards, temperature):
    weights = [math.exp(-r / temperature) for r in rewards]
    return [w / sum(weights) for w in weights]


def leave_one_out_group(rewards):
    result = []
    for i, reward in enumerate(rewards):
        others = [r for j, r in enumerate(rewards) if j != i and r is not None]
        result.append(0.0 if reward is None or not others else reward - mean(others))
    return result


def gae_sequence(rewards, values, gamma, lam):
    """A_t = sum_l (gamma lam)^l delta_{t+l}, the O(T^2) sum; V is 0 behind the end."""
    T = len(rewards)
    after = [*values[1:], 0.0]
    deltas = [rewards[t] + gamma * after[t] - values[t] for t in range(T)]
    return [sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, T)) for t in range(T)]
