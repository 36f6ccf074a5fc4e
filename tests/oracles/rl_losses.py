"""Losses by naive loops over Python floats, written from the equations. A sequence is a list of its trained tokens."""

import math


def clip(x, low, high):
    return max(low, min(high, x))


def eq3(policy, behavior, ref, advantages, *, eps_low, eps_high, beta):
    """The objective of Eq. 3 (with an asymmetric clip): lists over sequences of lists over tokens."""
    total = 0.0
    for i in range(len(policy)):
        terms = eq3_sequence_sum(
            policy[i], behavior[i], ref[i], advantages[i], eps_low=eps_low, eps_high=eps_high, beta=beta
        )
        total += terms / max(1, len(policy[i]))
    return total / len(policy)


def eq3_sequence_sum(policy, behavior, ref, advantages, *, eps_low, eps_high, beta):
    total = 0.0
    for log_pi, log_old, log_ref, advantage in zip(policy, behavior, ref, advantages, strict=True):
        rho = math.exp(log_pi) / math.exp(log_old)
        ratio_ref = math.exp(log_ref) / math.exp(log_pi)
        surrogate = min(rho * advantage, clip(rho, 1 - eps_low, 1 + eps_high) * advantage)
        total += surrogate - beta * (ratio_ref - math.log(ratio_ref) - 1)
    return total


def eq12(policy_chosen, ref_chosen, policy_rejected, ref_rejected, *, beta, length_normalised):
    """The objective of Eq. 12 for one pair."""
    chosen = sum(p - r for p, r in zip(policy_chosen, ref_chosen, strict=True))
    rejected = sum(p - r for p, r in zip(policy_rejected, ref_rejected, strict=True))
    if length_normalised:
        chosen /= len(policy_chosen)
        rejected /= len(policy_rejected)
    return math.log(1 / (1 + math.exp(-beta * (chosen - rejected))))


def value(values, old_values, returns, *, clip_range):
    """Mean over sequences of the mean over tokens of the (clipped) half squared error."""
    total = 0.0
    for v_row, old_row, r_row in zip(values, old_values, returns, strict=True):
        errors = []
        for v, old, r in zip(v_row, old_row, r_row, strict=True):
            error = (v - r) ** 2
            if clip_range is not None:
                error = max(error, (old + clip(v - old, -clip_range, clip_range) - r) ** 2)
            errors.append(error / 2)
        total += sum(errors) / max(1, len(errors))
    return total / len(values)


def ranking(scores, ranks, margin=0.0):
    """Mean over the pairs of different rank of -log sigma(better - worse - margin * gap of ranks), for one ranking."""
    terms = [
        -math.log(1 / (1 + math.exp(-(scores[i] - scores[j] - margin * (ranks[j] - ranks[i])))))
        for i in range(len(scores))
        for j in range(len(scores))
        if ranks[i] < ranks[j]
    ]
    return sum(terms) / len(terms) if terms else 0.0


def plackett_luce(scores, ranks):
    """Mean over the responses w with something below them of -log(e^r_w / (e^r_w + sum over those below of e^r_l))."""
    terms = []
    for w in range(len(scores)):
        below = [math.exp(scores[j]) for j in range(len(scores)) if ranks[j] > ranks[w]]
        if below:
            terms.append(-math.log(math.exp(scores[w]) / (math.exp(scores[w]) + sum(below))))
    return sum(terms) / len(terms) if terms else 0.0


def pointwise(scores, ranks):
    """Mean over responses of the cross-entropy of sigma(r) with whether the rank is 0."""
    chances = [1 / (1 + math.exp(-score)) for score in scores]
    terms = [-math.log(p if rank == 0 else 1 - p) for p, rank in zip(chances, ranks, strict=True)]
    return sum(terms) / len(terms) if terms else 0.0
