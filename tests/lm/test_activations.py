"""Activation checkpointing: the same loss and gradients, and far less kept for the backward pass."""

from __future__ import annotations

import copy
import random

import pytest
import torch
from torch import Tensor

from mathwright.lm.activations import checkpoint_activations
from mathwright.lm.generate import Generator
from mathwright.lm.logprobs import hidden_states, next_token_losses, response_logprobs
from mathwright.lm.model import LanguageModel, decoder_layers
from mathwright.lm.pack import Example, TokenGroup, pack_examples, pack_groups
from mathwright.lm.recipe import SamplingRecipe
from tests.lm.conftest import tiny_lm


def loss(lm: LanguageModel, kind: str) -> Tensor:
    rng = random.Random(0)
    draw = lambda n: [rng.randrange(200) for _ in range(n)]  # noqa: E731
    if kind == "rows":
        (rows,) = pack_examples([Example(draw(n), [True] * n) for n in (9, 30, 17)], 64, None)
        return next_token_losses(lm, rows).sum()
    (batch,) = pack_groups([TokenGroup(draw(11), [draw(n) for n in (7, 9, 20, 3)])], 256)
    return response_logprobs(lm, batch).sum()


def gradients(lm: LanguageModel, kind: str) -> tuple[Tensor, list[Tensor]]:
    value = loss(lm, kind)
    value.backward()
    grads = [p.grad for p in lm.model.parameters() if p.grad is not None]
    lm.model.zero_grad()
    return value.detach(), grads


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", ["rows", "group"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_loss_and_gradients_are_the_same_to_the_bit(dtype, kind, training):
    lm = tiny_lm(dtype)
    lm.model.train(training)
    expected, expected_grads = gradients(lm, kind)
    checkpoint_activations(lm, True)
    value, grads = gradients(lm, kind)
    assert len(grads) == len(list(lm.model.parameters()))
    assert torch.equal(value, expected)
    for grad, wanted in zip(grads, expected_grads, strict=True):
        assert torch.equal(grad, wanted)


def saved_bytes(lm: LanguageModel) -> int:
    """Bytes of the tensors that a forward pass through the layers keeps, each storage once, weights left out."""
    (rows,) = pack_examples([Example([n % 200 for n in range(100)], [True] * 100)], 128, None)
    weights = {p.untyped_storage().data_ptr() for p in lm.model.parameters()}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden_states(lm.model, rows)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("training", [False, True])
def test_at_most_half_is_kept_in_either_mode(training):
    lm = tiny_lm()
    lm.model.train(training)
    without = saved_bytes(lm)
    checkpoint_activations(lm, True)
    assert 0 < saved_bytes(lm) <= without / 2
    checkpoint_activations(lm, False)
    assert saved_bytes(lm) == without


def test_every_layer_is_computed_again():
    lm = tiny_lm()
    calls: list[int] = []
    for number, layer in enumerate(decoder_layers(lm.model)):
        layer.self_attn.register_forward_pre_hook(lambda *_, n=number: calls.append(n))
    checkpoint_activations(lm, True)
    loss(lm, "rows").backward()
    assert calls == [0, 1, 1, 0]


def test_generation_is_the_same():
    lm = tiny_lm()
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=12)
    expected = Generator(lm).generate([[3, 4, 5]], sampling, seeds=[[1, 2]])
    checkpoint_activations(lm, True)
    assert Generator(lm).generate([[3, 4, 5]], sampling, seeds=[[1, 2]]) == expected


def test_a_copy_computes_with_its_own_weights():
    lm = tiny_lm()
    checkpoint_activations(lm, True)
    twin = LanguageModel(copy.deepcopy(lm.model), lm.tokenizer)
    with torch.no_grad():
        for parameter in twin.model.parameters():
            parameter.zero_()
    assert loss(lm, "rows").item() != loss(twin, "rows").item()
