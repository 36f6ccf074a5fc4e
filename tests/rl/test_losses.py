"""Eq. 1, 3, 10, 12 and their relatives: oracles, the identities of Table 10, masks, micro-batches."""

import math
from functools import partial

import pytest
import torch

from mathwright.rl import losses
from tests.oracles import rl_losses as oracle

EPS, BETA = 0.2, 0.3
MASK = torch.tensor(
    [
        [True, True, True, True, False],
        [True, False, True, False, False],  # tool output inside
        [True, False, False, False, False],
        [False, False, False, False, False],  # an empty response
    ]
)


def batch(seed=0, spread=1.0):
    """policy (with gradient), behavior, ref, advantages [B, T] in float64; NaN in the masked slots."""
    generator = torch.Generator().manual_seed(seed)
    policy = -2 * torch.rand(MASK.shape, generator=generator, dtype=torch.float64)
    behavior = policy + spread * torch.randn(MASK.shape, generator=generator, dtype=torch.float64)
    ref = policy + spread * torch.randn(MASK.shape, generator=generator, dtype=torch.float64)
    advantages = torch.randn(MASK.shape, generator=generator, dtype=torch.float64)
    junk = torch.full_like(policy, math.nan)
    policy, behavior, ref, advantages = (x.where(MASK, junk) for x in (policy, behavior, ref, advantages))
    return policy.requires_grad_(), behavior, ref, advantages


def rows(*tensors, mask=MASK):
    """Each tensor as lists of its unmasked tokens."""
    return [[row[m].tolist() for row, m in zip(tensor.detach(), mask, strict=True)] for tensor in tensors]


def gradient(loss, policy):
    (result,) = torch.autograd.grad(loss, policy)
    return result


@pytest.mark.parametrize("seed", range(3))
def test_grpo_equals_eq3(seed):
    tensors = batch(seed)
    result = losses.grpo_loss(*tensors, MASK, clip_eps=EPS, kl_coef=BETA)
    objective = oracle.eq3(*rows(*tensors), eps_low=EPS, eps_high=EPS, beta=BETA)
    assert result.loss.item() == pytest.approx(-objective, rel=1e-12)


def test_gradient_is_that_of_the_loop():
    tensors = batch()
    computed = gradient(losses.grpo_loss(*tensors, MASK, clip_eps=EPS, kl_coef=BETA).loss, tensors[0])
    policy, behavior, ref, advantages = rows(*tensors)
    h = 1e-6
    for i, t in ((0, 0), (0, 3), (1, 1), (2, 0)):
        values = []
        for sign in (1, -1):
            moved = [list(row) for row in policy]
            moved[i][t] += sign * h
            values.append(-oracle.eq3(moved, behavior, ref, advantages, eps_low=EPS, eps_high=EPS, beta=BETA))
        numeric = (values[0] - values[1]) / (2 * h)
        assert computed[i][MASK[i]][t].item() == pytest.approx(numeric, rel=1e-6, abs=1e-9)


def test_table_10_gradient_at_theta_old():
    """At theta_old = theta the derivative by log pi of a token is (A + beta (pi_ref/pi - 1)) / (G |o_i|), Eq. 21."""
    policy, _, ref, advantages = batch()
    result = losses.grpo_loss(policy, policy, ref, advantages, MASK, clip_eps=EPS, kl_coef=BETA)
    coefficients = (advantages + BETA * ((ref - policy.detach()).exp() - 1)).where(MASK, 0.0)
    expected = coefficients / (4 * MASK.sum(1, keepdim=True).clamp(min=1))
    torch.testing.assert_close(gradient(result.loss, policy), -expected)
    mean_abs = (coefficients.abs().sum(1) / MASK.sum(1).clamp(min=1)).sum() / 4
    torch.testing.assert_close(result.stats.gradient_coefficient, mean_abs)
    assert result.stats.ratio.item() == pytest.approx(3 / 4)  # 1 on every trained token; the empty row counts as 0
    assert result.stats.clip_fraction.item() == 0


@pytest.mark.parametrize(
    ("ratio", "advantage", "coefficient"),
    [
        (1.5, 1.0, 0.0),  # already favoured enough: clipped
        (1.5, -1.0, -1.5),  # favoured though bad: the minimum keeps the gradient
        (0.5, -1.0, 0.0),  # already discouraged enough: clipped
        (0.5, 1.0, 0.5),  # good but discouraged: kept
        (1.1, 1.0, 1.1),  # inside the range: rho A
    ],
)
def test_clipping_by_cases(ratio, advantage, coefficient):
    policy = torch.tensor([[math.log(ratio) - 1]], dtype=torch.float64, requires_grad=True)
    behavior = torch.tensor([[-1.0]], dtype=torch.float64)
    mask = torch.ones(1, 1, dtype=torch.bool)
    result = losses.grpo_loss(
        policy, behavior, policy, torch.tensor([advantage]).double(), mask, clip_eps=EPS, kl_coef=0.0
    )
    assert gradient(result.loss, policy).item() == pytest.approx(-coefficient)
    assert result.stats.gradient_coefficient.item() == pytest.approx(abs(coefficient))
    assert result.stats.clip_fraction.item() == float(coefficient == 0)


def test_the_kl_is_k3_of_policy_from_reference():
    policy = torch.tensor([[math.log(0.5)]], dtype=torch.float64)
    ref = torch.tensor([[math.log(0.25)]], dtype=torch.float64)
    mask = torch.ones(1, 1, dtype=torch.bool)
    result = losses.grpo_loss(policy, policy, ref, torch.zeros(1).double(), mask, clip_eps=EPS, kl_coef=2.0)
    assert result.stats.kl.item() == pytest.approx(0.5 - math.log(0.5) - 1)
    assert result.loss.item() == pytest.approx(2 * (0.5 - math.log(0.5) - 1))


def test_each_sequence_weighs_the_same_whatever_its_length():
    mask = torch.tensor([[True, True, True, True], [True, False, False, False]])
    policy = torch.zeros(2, 4, dtype=torch.float64, requires_grad=True)
    result = losses.grpo_loss(
        policy, policy, policy, torch.tensor([1.0, 5.0]).double(), mask, clip_eps=EPS, kl_coef=0.0
    )
    assert result.loss.item() == pytest.approx(-3.0)
    torch.testing.assert_close(
        gradient(result.loss, policy), -torch.tensor([[1 / 8] * 4, [2.5, 0, 0, 0]], dtype=torch.float64)
    )


def test_one_advantage_a_response_is_broadcast_over_its_tokens():
    policy, behavior, ref, advantages = batch()
    first = advantages[:, :1].nan_to_num(0.0)
    kinds = (first[:, 0], first.expand_as(policy))
    a, b = (losses.grpo_loss(policy, behavior, ref, x, MASK, clip_eps=EPS, kl_coef=BETA).loss for x in kinds)
    assert a.item() == b.item()


def every_loss(policy, behavior, ref, advantages, mask, *, of=None, num_tokens=None):
    """Each loss of one batch by name; `of` is the number of sequences of the step."""
    outcome = torch.linspace(-1, 1, 4, dtype=torch.float64)[: len(policy)]
    old = (policy, behavior, ref, advantages, mask)
    dapo = partial(losses.dapo_loss, clip_eps_low=0.2, clip_eps_high=0.28)
    return {
        "grpo": losses.grpo_loss(*old, clip_eps=EPS, kl_coef=BETA, num_sequences=of).loss,
        "ppo": losses.ppo_policy_loss(policy, behavior, advantages, mask, clip_eps=EPS, num_sequences=of).loss,
        "dapo": dapo(*old, kl_coef=BETA, num_tokens=num_tokens).loss,
        "dr_grpo": losses.dr_grpo_loss(*old, clip_eps=EPS, kl_coef=BETA, max_tokens=5, num_sequences=of).loss,
        "reinforce": losses.reinforce_loss(policy, ref, outcome, mask, num_sequences=of).loss,
        "likelihood": losses.likelihood_loss(policy, outcome, mask, num_sequences=of),
        "value": losses.value_loss(policy, behavior, ref, mask, clip_range=0.3, num_sequences=of),
    }


def part(tensors, sequences):
    """Some sequences of a batch, with their mask."""
    policy, behavior, ref, advantages = (x[sequences] for x in tensors)
    return policy, behavior, ref, advantages, MASK[sequences]


NAMES = list(every_loss(*batch(), MASK))


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_in_masked_slots_changes_nothing(name):
    with_nan = batch()
    loss = every_loss(*with_nan, MASK)[name]
    grad = gradient(loss, with_nan[0])
    policy, behavior, ref, advantages = (x.detach().nan_to_num(0.123) for x in with_nan)
    policy.requires_grad_()
    expected = every_loss(policy, behavior, ref, advantages, MASK)[name]
    assert loss.item() == expected.item()
    torch.testing.assert_close(grad, gradient(expected, policy), rtol=0, atol=0)
    assert (grad[~MASK] == 0).all()
    assert (grad[MASK] != 0).any()


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("likelihood", "reinforce")])
def test_micro_batches_add_up(name):
    tensors = batch()
    whole = every_loss(*tensors, MASK)[name]
    parts = [every_loss(*part(tensors, slice(i, i + 1)), of=4, num_tokens=int(MASK.sum()))[name] for i in range(4)]
    total = torch.stack(parts).sum()
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(gradient(total, tensors[0]), gradient(whole, tensors[0]))


def test_statistics_of_micro_batches_add_up():
    tensors = batch()
    whole = losses.grpo_loss(*tensors, MASK, clip_eps=EPS, kl_coef=BETA).stats
    halves = [
        losses.grpo_loss(*part(tensors, s), clip_eps=EPS, kl_coef=BETA, num_sequences=4).stats
        for s in (slice(0, 1), slice(1, 4))
    ]
    for total, a, b in zip(whole, *halves, strict=True):
        torch.testing.assert_close(a + b, total)


def test_a_batch_without_any_trained_token_has_loss_and_gradient_zero():
    nothing = torch.zeros_like(MASK)
    for name in NAMES:
        tensors = batch()
        loss = every_loss(*tensors, nothing)[name]
        assert loss.item() == 0, name
        assert (gradient(loss, tensors[0]) == 0).all(), name


def test_advantages_behavior_and_reference_are_constants():
    policy, behavior, ref, advantages = (x.detach().nan_to_num(0.1).requires_grad_() for x in batch())
    losses.grpo_loss(policy, behavior, ref, advantages, MASK, clip_eps=EPS, kl_coef=BETA).loss.backward()
    assert policy.grad is not None
    assert [x.grad for x in (behavior, ref, advantages)] == [None, None, None]


def test_relatives_against_the_same_oracle():
    tensors = batch(4)
    lists = rows(*tensors)
    result = every_loss(*tensors, MASK)
    no_kl = oracle.eq3(*lists, eps_low=EPS, eps_high=EPS, beta=0.0)
    assert result["ppo"].item() == pytest.approx(-no_kl, rel=1e-12)
    asymmetric = [
        oracle.eq3_sequence_sum(*row, eps_low=0.2, eps_high=0.28, beta=BETA) for row in zip(*lists, strict=True)
    ]
    assert result["dapo"].item() == pytest.approx(-sum(asymmetric) / int(MASK.sum()), rel=1e-12)
    sums = [oracle.eq3_sequence_sum(*row, eps_low=EPS, eps_high=EPS, beta=BETA) for row in zip(*lists, strict=True)]
    assert result["dr_grpo"].item() == pytest.approx(-sum(sums) / (5 * 4), rel=1e-12)


def test_reinforce_is_the_sum_over_the_tokens_of_each_response():
    policy, _, ref, _ = batch(1)
    advantages = torch.tensor([2.0, -1.0, 0.5, 3.0], dtype=torch.float64)
    result = losses.reinforce_loss(policy, ref, advantages, MASK)
    by_hand = -sum(a * sum(row) for row, a in zip(*rows(policy), advantages.tolist(), strict=True)) / 4
    assert result.loss.item() == pytest.approx(by_hand, rel=1e-12)
    torch.testing.assert_close(gradient(result.loss, policy), -advantages[:, None] * MASK / 4)
    assert result.stats.gradient_coefficient.item() == pytest.approx((2 + 1 + 0.5) / 4)
    grpo = losses.grpo_loss(policy, policy, ref, advantages, MASK, clip_eps=EPS, kl_coef=0.0)
    assert result.stats._replace(gradient_coefficient=grpo.stats.gradient_coefficient) == grpo.stats
    halves = [
        losses.reinforce_loss(policy[i], ref[i], advantages[i], MASK[i], num_sequences=4).loss.item()
        for i in (slice(0, 1), slice(1, 4))
    ]
    assert sum(halves) == pytest.approx(by_hand, rel=1e-12)


def test_likelihood_has_the_coefficient_of_eq10():
    policy = batch()[0]
    correct = torch.tensor([1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    loss = losses.likelihood_loss(policy, correct, MASK)
    expected = correct[:, None] * MASK / (4 * MASK.sum(1, keepdim=True).clamp(min=1))
    torch.testing.assert_close(gradient(loss, policy), -expected)
    by_hand = -sum(sum(row) / len(row) for row, w in zip(*rows(policy), correct, strict=True) if w and row) / 4
    assert loss.item() == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("clip_range", [None, 0.1])
def test_value_loss_equals_the_loop(clip_range):
    values, old, returns, _ = batch(2)
    computed = losses.value_loss(values, old, returns, MASK, clip_range=clip_range)
    assert computed.item() == pytest.approx(oracle.value(*rows(values, old, returns), clip_range=clip_range), rel=1e-12)


# --- DPO ---


def pairs(seed=0):
    """policy and reference of two chosen (up to 3 tokens) and two rejected responses (up to 2 tokens)."""
    generator = torch.Generator().manual_seed(seed)
    chosen_mask = torch.tensor([[True, True, True], [True, True, False]])
    rejected_mask = torch.tensor([[True, False], [True, True]])

    def draw(mask):
        x = -torch.rand(mask.shape, generator=generator, dtype=torch.float64)
        return x.where(mask, torch.full_like(x, math.nan))

    return (
        draw(chosen_mask).requires_grad_(),
        draw(chosen_mask),
        chosen_mask,
        draw(rejected_mask).requires_grad_(),
        draw(rejected_mask),
        rejected_mask,
    )


@pytest.mark.parametrize(("function", "normalised"), [("dpo_loss", True), ("dpo_sum_loss", False)])
def test_dpo_equals_eq12(function, normalised):
    arguments = pairs()
    chosen, ref_chosen = rows(arguments[0], arguments[1], mask=arguments[2])
    rejected, ref_rejected = rows(arguments[3], arguments[4], mask=arguments[5])
    objective = sum(
        oracle.eq12(c, rc, r, rr, beta=0.7, length_normalised=normalised)
        for c, rc, r, rr in zip(chosen, ref_chosen, rejected, ref_rejected, strict=True)
    )
    result = getattr(losses, function)(*arguments, beta=0.7)
    assert result.loss.item() == pytest.approx(-objective / 2, rel=1e-12)
    loss = getattr(losses, function)
    parts = [loss(*(x[i : i + 1] for x in arguments), beta=0.7, num_pairs=2).loss.item() for i in (0, 1)]
    assert sum(parts) == pytest.approx(result.loss.item(), rel=1e-12)


def test_dpo_gradient_is_one_scalar_a_pair_with_opposite_signs():
    """The exact form of Eq. 14: beta sigma(-margin) / |o+| on the chosen tokens, the opposite on the rejected ones."""
    arguments = pairs()
    result = losses.dpo_loss(*arguments, beta=0.7)
    grad_chosen, grad_rejected = torch.autograd.grad(result.loss, (arguments[0], arguments[3]))
    weight = 0.7 * torch.sigmoid(-result.margins)[:, None] / 2
    torch.testing.assert_close(grad_chosen, -weight * arguments[2] / arguments[2].sum(1, keepdim=True))
    torch.testing.assert_close(grad_rejected, weight * arguments[5] / arguments[5].sum(1, keepdim=True))
    torch.testing.assert_close(result.gradient_coefficients, torch.sigmoid(-result.margins))
