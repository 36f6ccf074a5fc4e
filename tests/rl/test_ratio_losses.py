"""GSPO and CISPO: the gradient each token gets, by hand and against GRPO where they must agree."""

import math
from typing import Any

import pytest
import torch

from mathwright.rl import ratio_losses
from mathwright.rl.losses import dapo_loss, grpo_loss

T = torch.float64
MASK = torch.tensor([[True, True, True, False], [True, False, True, True], [True, False, False, False]])
ADVANTAGES = torch.tensor([1.0, -2.0, 0.5], dtype=T)
ON_TOKENS = ADVANTAGES[:, None].expand(MASK.shape)


def logprobs(scale: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of the policy (differentiable), which is `scale` away from what explored, and of the reference."""
    generator = torch.Generator().manual_seed(seed)
    behavior = -torch.rand(MASK.shape, generator=generator, dtype=T)
    moved = behavior + scale * torch.randn(MASK.shape, generator=generator, dtype=T)
    ref = behavior + 0.2 * torch.randn(MASK.shape, generator=generator, dtype=T)
    return moved.requires_grad_(), behavior, ref


def gradient(loss: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    (found,) = torch.autograd.grad(loss, by)
    return found


GSPO: dict[str, Any] = {"clip_eps_low": 0.1, "clip_eps_high": 0.3, "kl_coef": 0.0}


def test_gspo_is_grpo_where_nothing_has_moved():
    policy, _, ref = logprobs(0.0)
    ours = ratio_losses.gspo_loss(policy, policy, ref, ADVANTAGES, MASK, **dict(GSPO, kl_coef=0.1))
    theirs = grpo_loss(policy, policy, ref, ADVANTAGES, MASK, clip_eps=0.2, kl_coef=0.1)
    torch.testing.assert_close(gradient(ours.loss, policy), gradient(theirs.loss, policy))
    for name in ("kl", "ratio", "clip_fraction", "gradient_coefficient"):
        torch.testing.assert_close(getattr(ours.stats, name), getattr(theirs.stats, name))


def test_gspo_weighs_every_token_by_the_ratio_of_its_response():
    policy, behavior, ref = logprobs(0.05)
    found = gradient(ratio_losses.gspo_loss(policy, behavior, ref, ADVANTAGES, MASK, **GSPO).loss, policy)
    for b, (row, advantage) in enumerate(zip(MASK, ADVANTAGES.tolist(), strict=True)):
        tokens = row.nonzero().squeeze(1).tolist()
        ratio = math.exp(sum((policy - behavior)[b, t].item() for t in tokens) / len(tokens))
        assert 0.9 < ratio < 1.3
        for t in range(MASK.shape[1]):
            expected = -ratio * advantage / len(tokens) / 3 if t in tokens else 0.0
            assert found[b, t].item() == pytest.approx(expected)


@pytest.mark.parametrize(("shift", "clipped"), [(0.5, [True, False, True]), (-0.5, [False, True, False])])
def test_gspo_clips_a_response_as_one(shift, clipped):
    _, behavior, ref = logprobs(0.0)
    policy = (behavior + shift).requires_grad_()
    result = ratio_losses.gspo_loss(policy, behavior, ref, ADVANTAGES, MASK, **GSPO)
    moves = gradient(result.loss, policy).abs().sum(1) > 0
    assert moves.tolist() == [not c for c in clipped]
    assert result.stats.clip_fraction.item() == pytest.approx(sum(clipped) / 3)


def test_cispo_keeps_the_gradient_of_every_token():
    """GC = min(rho, 1 + eps) A, also where Eq. 3 would have dropped the token; a mean over all tokens."""
    policy, behavior, ref = logprobs(1.0)
    found = gradient(
        ratio_losses.cispo_loss(policy, behavior, ref, ON_TOKENS, MASK, clip_eps_high=0.5, kl_coef=0.0).loss, policy
    )
    ratio = (policy - behavior).exp().detach()
    assert (ratio[MASK] > 1.5).any() and (ratio[MASK] < 0.8).any()
    expected = -(ratio.clamp(max=1.5) * ON_TOKENS).where(MASK, 0.0) / MASK.sum()
    torch.testing.assert_close(found, expected)


def test_cispo_is_dapo_where_nothing_has_moved():
    policy, _, ref = logprobs(0.0)
    ours = ratio_losses.cispo_loss(policy, policy, ref, ON_TOKENS, MASK, clip_eps_high=4.0, kl_coef=0.1)
    theirs = dapo_loss(policy, policy, ref, ON_TOKENS, MASK, clip_eps_low=0.2, clip_eps_high=0.3, kl_coef=0.1)
    torch.testing.assert_close(gradient(ours.loss, policy), gradient(theirs.loss, policy))


def whole(name: str, rows: slice, junk: float | None = None):
    """A loss of some rows as a micro-batch of all three, and its gradient; with junk in masked slots."""
    policy, behavior, ref = (tensor.detach()[rows] for tensor in logprobs(0.3))
    if junk is not None:
        policy, behavior, ref = (tensor.where(MASK[rows], junk) for tensor in (policy, behavior, ref))
    policy = policy.clone().requires_grad_()
    if name == "gspo":
        result = ratio_losses.gspo_loss(
            policy, behavior, ref, ADVANTAGES[rows], MASK[rows], **GSPO | {"kl_coef": 0.1}, num_sequences=3
        )
    else:
        result = ratio_losses.cispo_loss(
            policy, behavior, ref, ON_TOKENS[rows], MASK[rows],
            clip_eps_high=0.5, kl_coef=0.1, num_tokens=7, num_sequences=3,
        )  # fmt: skip
    return result, gradient(result.loss, policy)


@pytest.mark.parametrize("name", ["gspo", "cispo"])
def test_micro_batches_add_up_and_masked_slots_change_nothing(name):
    result, found = whole(name, slice(None))
    parts = [whole(name, slice(0, 1)), whole(name, slice(1, 3))]
    torch.testing.assert_close(sum(part.loss for part, _ in parts), result.loss)
    torch.testing.assert_close(torch.cat([part for _, part in parts]), found)
    for i in range(len(result.stats)):
        torch.testing.assert_close(sum(part.stats[i] for part, _ in parts), result.stats[i])
    junk, of_junk = whole(name, slice(None), math.nan)
    assert torch.equal(junk.loss, result.loss)
    assert torch.equal(of_junk, found)


def test_a_response_without_a_trained_token_adds_nothing():
    nothing = torch.zeros(1, 4, dtype=torch.bool)
    policy, behavior, ref = (tensor[:1] for tensor in logprobs(0.3))
    assert ratio_losses.gspo_loss(policy, behavior, ref, ADVANTAGES[:1], nothing, **GSPO).loss == 0
    assert (
        ratio_losses.cispo_loss(policy, behavior, ref, ON_TOKENS[:1], nothing, clip_eps_high=4.0, kl_coef=0.0).loss == 0
    )
