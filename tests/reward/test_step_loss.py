"""The loss of the process reward model against its definition."""

import math

import pytest
import torch

from mathwright.reward import losses

NAN = math.nan
SCORES = [[2.0, -1.0, 0.5], [0.3, NAN, NAN], [1.0, -2.0, NAN]]
LABELS = [[1.0, 0.0, NAN], [0.25, NAN, NAN], [NAN, NAN, NAN]]


def tensors():
    return torch.tensor(SCORES, dtype=torch.float64), torch.tensor(LABELS, dtype=torch.float64)


def loop(scores, labels):
    """Written from the definition: log-likelihoods, a mean over steps, a mean over responses."""
    total = 0.0
    for row, truth in zip(scores, labels, strict=True):
        terms = []
        for s, y in zip(row, truth, strict=True):
            if not math.isnan(y):
                p = 1 / (1 + math.exp(-s))
                terms.append(-(y * math.log(p) + (1 - y) * math.log(1 - p)))
        total += sum(terms) / len(terms) if terms else 0.0
    return total / len(scores)


def test_equals_the_loop_over_steps():
    assert losses.step_loss(*tensors()).item() == pytest.approx(loop(SCORES, LABELS), rel=1e-12)


def test_unlabelled_steps_change_neither_value_nor_gradient():
    scores, labels = tensors()
    scores.requires_grad_()
    losses.step_loss(scores, labels).backward()
    assert scores.grad is not None
    assert scores.grad[0, :2].ne(0).all()
    assert scores.grad[2].eq(0).all() and scores.grad[0, 2] == 0 and not scores.grad.isnan().any()


def test_a_mask_says_the_same_as_nan():
    scores, labels = tensors()
    mask = ~labels.isnan()
    assert losses.step_loss(scores, labels.nan_to_num(0.7), mask) == losses.step_loss(scores, labels)


def test_micro_batches_add_up():
    scores, labels = tensors()
    parts = [losses.step_loss(scores[i : i + 1], labels[i : i + 1], num_responses=3) for i in range(3)]
    torch.testing.assert_close(sum(parts), losses.step_loss(scores, labels))


def test_a_share_of_completions_is_the_likelihood_of_their_counts():
    """The gradient is sigma(s) - c / N, whose zero is where sigma(s) is the share."""
    scores = torch.tensor([[math.log(3 / 5)]], dtype=torch.float64, requires_grad=True)
    losses.step_loss(scores, torch.tensor([[3 / 8]], dtype=torch.float64)).backward()
    assert scores.grad is not None
    assert abs(scores.grad.item()) < 1e-12


@pytest.mark.parametrize("label", [-0.1, 1.5, math.inf])
def test_a_label_that_is_no_share_is_an_error(label):
    with pytest.raises(ValueError, match="outside"):
        losses.step_loss(torch.zeros(1, 1), torch.tensor([[label]]))
