"""The ranking loss against its definition."""

import math

import pytest
import torch

from mathwright.reward import losses
from tests.oracles import rl_losses as oracle

CASES = [
    ([2.0, -1.0], [0, 1]),  # rightly ordered
    ([-1.0, 2.0, 0.5], [0, 1, 1]),  # the two wrong ones are not compared
    ([0.3, 0.1, -0.2, 0.9], [0, 2, 1, 0]),  # three levels
    ([0.3, 0.1], [1, 1]),  # nothing to compare
]


def padded(cases, filler=math.nan):
    K = max(len(scores) for scores, _ in cases)
    scores = torch.tensor([s + [filler] * (K - len(s)) for s, _ in cases], dtype=torch.float64)
    ranks = torch.tensor([r + [0] * (K - len(r)) for _, r in cases])
    present = torch.tensor([[True] * len(s) + [False] * (K - len(s)) for s, _ in cases])
    return scores.requires_grad_(), ranks, present


def test_equals_the_loop_over_pairs():
    expected = sum(oracle.ranking(scores, ranks) for scores, ranks in CASES) / len(CASES)
    assert losses.ranking_loss(*padded(CASES)).item() == pytest.approx(expected, rel=1e-12)


def test_gradient_raises_the_better_and_lowers_the_worse():
    scores, ranks, present = padded([([0.0, 0.0], [1, 0])])
    losses.ranking_loss(scores, ranks, present).backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, torch.tensor([[0.5, -0.5]], dtype=torch.float64))


def test_absent_responses_change_neither_value_nor_gradient():
    with_nan, clean = padded(CASES), padded(CASES, filler=7.0)
    for scores, ranks, present in (with_nan, clean):
        losses.ranking_loss(scores, ranks, present).backward()
    assert with_nan[0].grad is not None and clean[0].grad is not None
    torch.testing.assert_close(with_nan[0].grad, clean[0].grad, rtol=0, atol=0)
    assert (with_nan[0].grad[~with_nan[2]] == 0).all()


def test_micro_batches_add_up():
    scores, ranks, present = padded(CASES)
    whole = losses.ranking_loss(scores, ranks, present)
    parts = [
        losses.ranking_loss(scores[i : i + 1], ranks[i : i + 1], present[i : i + 1], num_rankings=len(CASES))
        for i in range(len(CASES))
    ]
    torch.testing.assert_close(torch.stack(parts).sum(), whole)


def test_a_wide_margin_does_not_overflow():
    loss = losses.ranking_loss(*padded([([-1e4, 1e4], [0, 1])]))
    assert loss.item() == pytest.approx(2e4)
