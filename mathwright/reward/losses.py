"""Losses of the reward models, and how often an outcome reward model orders a pair rightly.

Those of outcomes take the scores of the K responses to each of N prompts; responses of different prompts are never
compared. Each gives a sum over prompts, divided by `num_rankings`: the total of a step, where its micro-batches are to
add up.

    scores_NK      [N, K] r(x, y_k), differentiable
    ranks_NK       [N, K] 0 is the best; of judged responses 0 is right and 1 wrong
    present_NK     [N, K] False where a prompt has fewer than K responses; scores there, NaN included, play no part
    num_rankings   divisor (default N)
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


def ranking_loss(
    scores_NK: Float[Tensor, "N K"],
    ranks_NK: Int[Tensor, "N K"],
    present_NK: Bool[Tensor, "N K"],
    *,
    num_rankings: int | None = None,
    margin: float = 0.0,
) -> Float[Tensor, ""]:
    """Pairwise logistic loss: the mean over the pairs of a ranking of -log sigma(r(better) - r(worse) - m).

    After InstructGPT (Ouyang et al. 2022, Eq. 1), -1/C(K,2) E log sigma(r(x, y_w) - r(x, y_l)); DeepSeekMath does not
    give its loss. Equal ranks are not compared, so the mean is over the pairs of different rank, and then over
    rankings. A ranking without any such pair contributes 0 and is counted in the divisor.

    Args:
        scores_NK: r(x, y_k) of the K responses to each of N prompts, differentiable.
        ranks_NK: 0 is the best.
        present_NK: False where a ranking has fewer than K responses; scores there, NaN included, play no part.
        num_rankings: divisor (default N); the total of the step for micro-batches, whose losses then add up.
        margin: m of two neighbouring ranks; a pair further apart has as many times as much (Llama 2, Eq. 2, whose
            margin grows with how much better people found a response).
    """
    scores = torch.where(present_NK, scores_NK, 0.0)
    pairs = _pairs(ranks_NK, present_NK)
    gaps = (ranks_NK[:, None, :] - ranks_NK[:, :, None]).to(scores.dtype)
    losses = -F.logsigmoid(scores[:, :, None] - scores[:, None, :] - margin * gaps)
    num_pairs = pairs.sum((1, 2)).clamp(min=1)
    per_ranking = torch.where(pairs, losses, 0.0).sum((1, 2)) / num_pairs
    return per_ranking.sum() / (len(scores_NK) if num_rankings is None else num_rankings)


def plackett_luce_loss(
    scores_NK: Float[Tensor, "N K"],
    ranks_NK: Int[Tensor, "N K"],
    present_NK: Bool[Tensor, "N K"],
    *,
    num_rankings: int | None = None,
) -> Float[Tensor, ""]:
    """Listwise loss with ties: mean over w of -log(e^r_w / (e^r_w + sum over the l that rank below w of e^r_l)).

    Plackett (1975), Luce (1959): without ties it is the negative log-likelihood of the whole order, over its K - 1
    choices. Responses of equal rank are not compared: each w that has something below it is a choice of its own. With
    one loser it is the pairwise logistic loss. A ranking of equal ranks contributes 0 and is counted in the divisor.
    Arguments as at the top of the module.
    """
    scores = torch.where(present_NK, scores_NK, 0.0)
    below = _pairs(ranks_NK, present_NK)
    chooses = below.any(2)
    rivals = torch.where(below, scores[:, None, :].expand_as(below), float("-inf"))
    # a row without rivals would be log-sum-exp of -inf alone, whose gradient is NaN: it gets a rival that is not used
    rivals = torch.where(chooses[:, :, None], rivals, 0.0)
    losses = F.softplus(rivals.logsumexp(2) - scores)
    per_ranking = torch.where(chooses, losses, 0.0).sum(1) / chooses.sum(1).clamp(min=1)
    return per_ranking.sum() / (len(scores_NK) if num_rankings is None else num_rankings)


def pointwise_loss(
    scores_NK: Float[Tensor, "N K"],
    ranks_NK: Int[Tensor, "N K"],
    present_NK: Bool[Tensor, "N K"],
    *,
    num_rankings: int | None = None,
) -> Float[Tensor, ""]:
    """Binary cross-entropy of sigma(r) with the verdict, the mean over a prompt's responses and then over prompts.

    The loss of a verifier (Cobbe et al. 2021): it learns from prompts whose responses are all right or all wrong too,
    of which the other losses learn nothing, and makes sigma(r) the chance of being right. A prompt without a present
    response contributes 0 and is counted in the divisor.

    Arguments as at the top of the module, but that rank 0 is a right response and any other a wrong one.
    """
    scores = torch.where(present_NK, scores_NK, 0.0)
    right = (ranks_NK == 0).to(scores.dtype)
    losses = F.binary_cross_entropy_with_logits(scores, right, reduction="none")
    per_prompt = torch.where(present_NK, losses, 0.0).sum(1) / present_NK.sum(1).clamp(min=1)
    return per_prompt.sum() / (len(scores_NK) if num_rankings is None else num_rankings)


def token_loss(
    scores_NKT: Float[Tensor, "N K T"],
    ranks_NK: Int[Tensor, "N K"],
    present_NKT: Bool[Tensor, "N K T"],
    *,
    num_rankings: int | None = None,
) -> Float[Tensor, ""]:
    """`pointwise_loss` at every token: the mean over a response's tokens, then its prompt's responses, then prompts.

    The token-level verifier of Cobbe et al. (2021, §4.2), which they find better than one that learns at the end alone:
    a verdict says the more the sooner the model sees where a response goes wrong.

    Args:
        scores_NKT: the head at each token, differentiable.
        ranks_NK: rank 0 is a right response and any other a wrong one.
        present_NKT: True at the tokens of responses that were judged; scores elsewhere, NaN included, play no part.
        num_rankings: divisor (default N); the total of the step for micro-batches, whose losses then add up.
    """
    scores = torch.where(present_NKT, scores_NKT, 0.0)
    verdicts = (ranks_NK == 0).to(scores.dtype)[:, :, None].expand_as(scores)
    losses = F.binary_cross_entropy_with_logits(scores, verdicts, reduction="none")
    per_response = torch.where(present_NKT, losses, 0.0).sum(2) / present_NKT.sum(2).clamp(min=1)
    per_prompt = per_response.sum(1) / present_NKT.any(2).sum(1).clamp(min=1)
    return per_prompt.sum() / (len(scores_NKT) if num_rankings is None else num_rankings)


def language_loss(
    logprobs_NKT: Float[Tensor, "N K T"],
    ranks_NK: Int[Tensor, "N K"],
    present_NKT: Bool[Tensor, "N K T"],
    *,
    num_rankings: int | None = None,
) -> Float[Tensor, ""]:
    """-log pi of the tokens of right responses: the mean over a response's tokens, then the right responses of its
    prompt, then prompts; a prompt without one contributes 0 and is counted in the divisor.

    Cobbe et al. (2021, §4.2) train their verifier on the next token too: a body that learns what a right response says
    tells better where one is wrong.

    Arguments as those of `token_loss`, with the log-probability of each token in the place of the head.
    """
    learned = present_NKT & (ranks_NK == 0)[:, :, None]
    per_response = torch.where(learned, -logprobs_NKT, 0.0).sum(2) / learned.sum(2).clamp(min=1)
    per_prompt = per_response.sum(1) / learned.any(2).sum(1).clamp(min=1)
    return per_prompt.sum() / (len(logprobs_NKT) if num_rankings is None else num_rankings)


def centring_loss(
    scores_NK: Float[Tensor, "N K"], present_NK: Bool[Tensor, "N K"], *, num_rankings: int | None = None
) -> Float[Tensor, ""]:
    """Mean of r^2 over a prompt's responses and then over prompts.

    Differences of scores are all that a ranking tells; this keeps their level near 0 (Eisenstein et al. 2023, who take
    (r_w + r_l)^2 of a pair). Arguments as at the top of the module.
    """
    squares = torch.where(present_NK, scores_NK, 0.0) ** 2
    per_prompt = squares.sum(1) / present_NK.sum(1).clamp(min=1)
    return per_prompt.sum() / (len(scores_NK) if num_rankings is None else num_rankings)


def step_loss(
    scores_BS: Float[Tensor, "B S"],
    labels_BS: Float[Tensor, "B S"],
    labelled_BS: Bool[Tensor, "B S"] | None = None,
    *,
    num_responses: int | None = None,
) -> Float[Tensor, ""]:
    """Binary cross-entropy of sigma(s_j) with the label of step j: the mean over the labelled steps of a response, then
    over responses.

    Math-Shepherd (Wang et al. 2024, Eq. 3): -sum_j y_j log r_j + (1 - y_j) log(1 - r_j), a mean here so that a response
    of many steps weighs no more than another. With the share of completions that reached the answer as y_j it is the
    likelihood of their counts but for a factor. A response without a labelled step contributes 0 and is counted.

    Args:
        scores_BS: s_j of the S steps of each of B responses, differentiable.
        labels_BS: y_j in [0, 1]: 1 right, 0 wrong, or the share.
        labelled_BS: False where there is no such step or it is not labelled; scores and labels there, NaN included,
            play no part. None: where the label is NaN.
        num_responses: divisor (default B); the total of the step for micro-batches, whose losses then add up.

    Raises ValueError for a label outside [0, 1].
    """
    labelled = ~labels_BS.isnan() if labelled_BS is None else labelled_BS
    labels = torch.where(labelled, labels_BS, 0.0)
    if bool(((labels < 0) | (labels > 1) | labels.isnan()).any()):
        raise ValueError("a label of a step lies outside [0, 1]")
    losses = F.binary_cross_entropy_with_logits(torch.where(labelled, scores_BS, 0.0), labels, reduction="none")
    per_response = torch.where(labelled, losses, 0.0).sum(1) / labelled.sum(1).clamp(min=1)
    return per_response.sum() / (len(scores_BS) if num_responses is None else num_responses)


def pair_accuracy(
    scores_NK: Float[Tensor, "N K"], ranks_NK: Int[Tensor, "N K"], present_NK: Bool[Tensor, "N K"]
) -> Float[Tensor, " N"]:
    """Share of the pairs of each ranking whose better response scores higher; a tie counts half. NaN without a pair."""
    scores = torch.where(present_NK, scores_NK, 0.0)
    pairs = _pairs(ranks_NK, present_NK)
    difference = scores[:, :, None] - scores[:, None, :]
    right = (difference > 0).to(scores.dtype) + (difference == 0).to(scores.dtype) / 2
    return torch.where(pairs, right, 0.0).sum((1, 2)) / pairs.sum((1, 2))


def _pairs(ranks_NK: Tensor, present_NK: Tensor) -> Tensor:
    """[N, K, K], True at (i, j) where both are there and i ranks before j."""
    better = ranks_NK[:, :, None] < ranks_NK[:, None, :]
    return better & present_NK[:, :, None] & present_NK[:, None, :]
