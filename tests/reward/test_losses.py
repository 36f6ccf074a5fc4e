"""The losses of the outcome reward model against their definitions."""

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


# --- the other terms ---

LOSSES = {
    "ranking": (losses.ranking_loss, oracle.ranking),
    "ranking with a margin": (
        lambda *args, **kwargs: losses.ranking_loss(*args, margin=0.7, **kwargs),
        lambda scores, ranks: oracle.ranking(scores, ranks, margin=0.7),
    ),
    "Plackett-Luce": (losses.plackett_luce_loss, oracle.plackett_luce),
    "pointwise": (losses.pointwise_loss, oracle.pointwise),
    "centring": (
        lambda scores, ranks, present, **kwargs: losses.centring_loss(scores, present, **kwargs),
        lambda scores, ranks: sum(score**2 for score in scores) / len(scores),
    ),
}
each_loss = pytest.mark.parametrize(("loss", "naive"), LOSSES.values(), ids=LOSSES)


@each_loss
def test_each_equals_the_loop_written_from_its_definition(loss, naive):
    expected = sum(naive(scores, ranks) for scores, ranks in CASES) / len(CASES)
    assert loss(*padded(CASES)).item() == pytest.approx(expected, rel=1e-12)


@each_loss
def test_nothing_of_an_absent_response_is_seen(loss, naive):
    for filler in (math.nan, math.inf, 7.0):
        scores, ranks, present = padded(CASES, filler=filler)
        loss(scores, ranks, present).backward()
        assert scores.grad is not None and scores.grad.isfinite().all()
        assert (scores.grad[~present] == 0).all()


@each_loss
def test_the_losses_of_micro_batches_add_up(loss, naive):
    scores, ranks, present = padded(CASES)
    rows = [slice(i, i + 1) for i in range(len(CASES))]
    parts = [loss(scores[row], ranks[row], present[row], num_rankings=len(CASES)) for row in rows]
    torch.testing.assert_close(torch.stack(parts).sum(), loss(scores, ranks, present))


@each_loss
def test_prompts_do_not_mix(loss, naive):
    """The gradient of a prompt's scores does not depend on what stands beside it."""

    def gradient(beside):
        scores, ranks, present = padded([CASES[1], beside])
        loss(scores, ranks, present, num_rankings=1).backward()
        assert scores.grad is not None
        return scores.grad[0, :3]

    torch.testing.assert_close(gradient(CASES[2]), gradient(([100.0, -50.0], [1, 0])), rtol=0, atol=0)


def test_with_one_loser_plackett_luce_is_bradley_terry():
    for scores, ranks in (([0.4, -1.3], [0, 1]), ([0.4, -1.3, 2.0, 0.1], [0, 0, 1, 0])):
        arguments = padded([(scores, ranks)])
        torch.testing.assert_close(losses.plackett_luce_loss(*arguments), losses.ranking_loss(*arguments))


def test_without_ties_plackett_luce_is_the_likelihood_of_the_order():
    scores = [0.3, -0.4, 1.1, 0.2]
    loss = losses.plackett_luce_loss(*padded([(scores, [2, 0, 3, 1])])).item()
    order = [scores[i] for i in (1, 3, 0, 2)]
    likelihood = 1.0
    for place in range(len(order)):
        likelihood *= math.exp(order[place]) / sum(map(math.exp, order[place:]))
    assert loss == pytest.approx(-math.log(likelihood) / 3)


def test_margin_0_is_the_plain_loss_and_a_margin_asks_for_more_the_further_apart_two_ranks_are():
    arguments = padded(CASES)
    assert losses.ranking_loss(*arguments, margin=0.0).item() == losses.ranking_loss(*arguments).item()
    scores, ranks, present = padded([([0.0, 0.0], [0, 1]), ([0.0, 0.0], [0, 3])])
    losses.ranking_loss(scores, ranks, present, margin=1.0).backward()
    assert scores.grad is not None
    pulls = (-2 * scores.grad[:, 0]).tolist()
    assert pulls == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-3))])


def test_a_pointwise_minimum_is_the_share_of_right_responses():
    """All responses alike, two of three right: the loss is least where sigma(r) is 2/3."""
    best = math.log(2)
    found = {r: losses.pointwise_loss(*padded([([r] * 3, [0, 0, 1])])).item() for r in (best - 0.1, best, best + 0.1)}
    assert min(found, key=found.__getitem__) == best


def test_equal_verdicts_teach_the_pointwise_loss_alone():
    for ranks in ([0, 0], [1, 1]):
        values = {}
        for name, (loss, _) in LOSSES.items():
            scores, ranks_NK, present = padded([([0.5, -0.5], ranks)])
            loss(scores, ranks_NK, present).backward()
            assert scores.grad is not None
            values[name] = scores.grad.abs().sum().item()
        assert values["ranking"] == values["ranking with a margin"] == values["Plackett-Luce"] == 0
        assert values["pointwise"] > 0.4


@each_loss
def test_far_scores_do_not_overflow(loss, naive):
    scores, ranks, present = padded([([-1e4, 1e4], [0, 1])])
    value = loss(scores, ranks, present)
    value.backward()
    assert value.isfinite() and scores.grad is not None and scores.grad.isfinite().all()


# --- the verdict at every token ---


def on_tokens(scores, ranks, lengths, filler=math.nan):
    """Scores of tokens as a tensor [N, K, T] of one prompt, `filler` after the end of a response."""
    T = max(lengths)
    rows = [row[:length] + [filler] * (T - length) for row, length in zip(scores, lengths, strict=True)]
    present = torch.tensor([[[t < length for t in range(T)] for length in lengths]])
    return torch.tensor([rows], dtype=torch.float64).requires_grad_(), torch.tensor([ranks]), present


TOKENS = ([[0.3, -1.0, 2.0], [0.5, 0.1, 0.0], [1.5, 0.0, 0.0]], [0, 1, 1], [3, 2, 1])


@pytest.mark.parametrize("filler", [math.nan, math.inf, 7.0])
def test_a_verdict_at_every_token_by_the_loop(filler):
    scores, ranks, lengths = TOKENS
    expected = sum(
        oracle.pointwise(row[:length], [rank] * length)
        for row, rank, length in zip(scores, ranks, lengths, strict=True)
    ) / len(lengths)
    tensors = on_tokens(scores, ranks, lengths, filler)
    loss = losses.token_loss(*tensors)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    loss.backward()
    assert tensors[0].grad is not None and (tensors[0].grad[~tensors[2]] == 0).all()
    assert losses.token_loss(*on_tokens(*TOKENS), num_rankings=4).item() == pytest.approx(expected / 4)


def test_with_one_token_a_response_it_is_the_pointwise_loss():
    scores, ranks, present = padded(CASES)
    found = losses.token_loss(scores[:, :, None], ranks, present[:, :, None])
    torch.testing.assert_close(found, losses.pointwise_loss(scores, ranks, present))


def test_a_prompt_without_a_judged_response_adds_nothing():
    scores, ranks, present = on_tokens(*TOKENS)
    assert losses.token_loss(scores, ranks, torch.zeros_like(present)).item() == 0


# --- the next token of right responses ---


@pytest.mark.parametrize("filler", [math.nan, -math.inf, 0.5])
def test_the_next_token_is_learned_from_right_responses_alone(filler):
    rows, lengths = [[-0.5, -1.0, -3.0], [-0.2, -0.4], [-7.0]], [3, 2, 1]
    logprobs, ranks, present = on_tokens([row + [0.0] * 3 for row in rows], [0, 0, 1], lengths, filler)
    loss = losses.language_loss(logprobs, ranks, present)
    assert loss.item() == pytest.approx((4.5 / 3 + 0.6 / 2) / 2, rel=1e-12)
    loss.backward()
    assert logprobs.grad is not None
    expected = [[-1 / 6, -1 / 6, -1 / 6], [-1 / 4, -1 / 4, 0.0], [0.0, 0.0, 0.0]]
    torch.testing.assert_close(logprobs.grad[0], torch.tensor(expected, dtype=torch.float64))
    assert losses.language_loss(logprobs, ranks, present, num_rankings=5).item() == pytest.approx(loss.item() / 5)


def test_a_prompt_without_a_right_response_teaches_no_next_token():
    logprobs, _, present = on_tokens([[-1.0, -2.0]], [1], [2])
    assert losses.language_loss(logprobs, torch.tensor([[1]]), present).item() == 0
