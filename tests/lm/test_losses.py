"""The sum of losses whose gradients are made in the forward pass: equal to what autograd makes of the losses."""

from __future__ import annotations

import random

import pytest
import torch

from mathwright.lm import losses as module
from mathwright.lm.logprobs import next_token_losses
from mathwright.lm.losses import next_token_loss_sum
from mathwright.lm.pack import Example, PackedRows, pack_examples
from tests.lm.conftest import tiny_lm


def rows_of(seed: int) -> PackedRows:
    rng = random.Random(seed)
    examples = []
    for _ in range(9):
        tokens = [rng.randrange(200) for _ in range(rng.randint(2, 14))]
        examples.append(Example(tokens, [rng.random() < 0.6 for _ in tokens]))
    (rows,) = pack_examples(examples, 200, rng)
    return rows


def gradients(model: torch.nn.Module) -> list[torch.Tensor]:
    grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return grads


@pytest.mark.parametrize(("held", "block"), [(2**24, 2**20), (1500, 7), (300, 64), (1, 1)])
def test_value_and_gradients_are_those_of_the_single_losses(held, block, monkeypatch) -> None:
    monkeypatch.setattr(module, "HELD_LOGITS", {"cpu": held})
    monkeypatch.setattr(module, "BLOCK_LOGITS", {"cpu": block})
    monkeypatch.setattr(module, "SMALLEST_BLOCK", 1)
    lm, rows = tiny_lm(torch.float64), rows_of(0)
    single = next_token_losses(lm, rows)
    (single.sum() / 7).backward()
    expected = gradients(lm.model)
    total, each = next_token_loss_sum(lm, rows)
    assert not each.requires_grad
    torch.testing.assert_close(each, single.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(total, single.sum().detach(), rtol=0, atol=1e-11)
    (total / 7).backward()
    for ours, theirs in zip(gradients(lm.model), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


def test_without_a_gradient_nothing_is_kept_for_one() -> None:
    lm, rows = tiny_lm(torch.float64), rows_of(1)
    with torch.no_grad():
        total, each = next_token_loss_sum(lm, rows)
    assert not total.requires_grad
    torch.testing.assert_close(each, next_token_losses(lm, rows).detach(), rtol=0, atol=1e-12)


def test_a_frozen_output_layer_gets_no_gradient() -> None:
    lm, rows = tiny_lm(torch.float64), rows_of(2)
    lm.model.get_output_embeddings().weight.requires_grad_(False)
    next_token_loss_sum(lm, rows)[0].backward()
    assert lm.model.get_output_embeddings().weight.grad is None
    assert gradients(lm.model)


def test_an_output_layer_with_a_bias(monkeypatch) -> None:
    monkeypatch.setattr(module, "SMALLEST_BLOCK", 16)
    torch.manual_seed(0)
    hidden = torch.randn(30, 8, dtype=torch.float64, requires_grad=True)
    layer = torch.nn.Linear(8, 50, dtype=torch.float64)
    targets = torch.randint(0, 50, (30,))
    torch.nn.functional.cross_entropy(layer(hidden), targets, reduction="sum").backward()
    expected = [hidden.grad, layer.weight.grad, layer.bias.grad]
    hidden.grad = layer.weight.grad = layer.bias.grad = None
    module._LossSum.apply(hidden, layer.weight, layer.bias, targets)[0].backward()
    for ours, theirs in zip([hidden.grad, layer.weight.grad, layer.bias.grad], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


def test_bfloat16_gradients_are_summed_in_float32(monkeypatch) -> None:
    torch.manual_seed(0)
    hidden, targets = torch.randn(512, 16).bfloat16().requires_grad_(), torch.randint(0, 400, (512,))
    layer = torch.nn.Linear(16, 400, bias=False, dtype=torch.bfloat16)
    reference = torch.nn.Linear(16, 400, bias=False)
    reference.weight.data = layer.weight.data.float()
    wide = hidden.detach().float().requires_grad_()
    torch.nn.functional.cross_entropy(reference(wide), targets, reduction="sum").backward()
    monkeypatch.setattr(module, "HELD_LOGITS", {"cpu": 4 * 400})
    monkeypatch.setattr(module, "BLOCK_LOGITS", {"cpu": 16})
    monkeypatch.setattr(module, "SMALLEST_BLOCK", 4)
    module._LossSum.apply(hidden, layer.weight, layer.bias, targets)[0].backward()
    for ours, theirs in ((layer.weight.grad, reference.weight.grad), (hidden.grad, wide.grad)):
        assert ours is not None and theirs is not None
        assert (ours.float() - theirs).norm() / theirs.norm() < 0.005


def test_backward_is_called_once() -> None:
    lm, rows = tiny_lm(torch.float64), rows_of(3)
    total, _ = next_token_loss_sum(lm, rows)
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="call backward once"):
        total.backward()
