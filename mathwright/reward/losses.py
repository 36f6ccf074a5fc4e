"""The loss of the outcome reward model."""

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
    better = ranks_NK[:, :, None] < ranks_NK[:, None, :]
    pairs = better & present_NK[:, :, None] & present_NK[:, None, :]
    losses = -F.logsigmoid(scores[:, :, None] - scores[:, None, :])
    num_pairs = pairs.sum((1, 2)).clamp(min=1)
    per_ranking = torch.where(pairs, losses, 0.0).sum((1, 2)) / num_pairs
    return per_ranking.sum() / (len(scores_NK) if num_rankings is None else num_rankings)
