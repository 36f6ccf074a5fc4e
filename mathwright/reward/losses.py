"""The loss of the outcome reward model, and how often it orders a pair rightly."""

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
) -> Float[Tensor, ""]:
    """Pairwise logistic loss: the mean over the pairs of a ranking of -log sigma(r(better) - r(worse)).

    After InstructGPT (Ouyang et al. 2022, Eq. 1), -1/C(K,2) E log sigma(r(x, y_w) - r(x, y_l)); DeepSeekMath does not
    give its loss. Equal ranks are not compared, so the mean is over the pairs of different rank, and then over
    rankings. A ranking without any such pair contributes 0 and is counted in the divisor.

    Args:
        scores_NK: r(x, y_k) of the K responses to each of N prompts, differentiable.
        ranks_NK: 0 is the best.
        present_NK: False where a ranking has fewer than K responses; scores there, NaN included, play no part.
        num_rankings: divisor (default N); the total of the step for micro-batches, whose losses then add up.
    """
    scores = torch.where(present_NK, scores_NK, 0.0)
    pairs = _pairs(ranks_NK, present_NK)
    losses = -F.logsigmoid(scores[:, :, None] - scores[:, None, :])
    num_pairs = pairs.sum((1, 2)).clamp(min=1)
    per_ranking = torch.where(pairs, losses, 0.0).sum((1, 2)) / num_pairs
    return per_ranking.sum() / (len(scores_NK) if num_rankings is None else num_rankings)


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
