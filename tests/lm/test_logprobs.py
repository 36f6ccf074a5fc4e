"""Packed and shared-prompt log-probabilities equal the padded computation, values and gradients."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from mathwright.errors import MathwrightError
from mathwright.lm import logprobs as module
from mathwright.lm.attention import ATTENTION
from mathwright.lm.logprobs import (
    gather_hidden,
    gather_last,
    hidden_states,
    next_token_losses,
    response_logprobs,
)
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import Example, TokenGroup, pack_examples, pack_groups
from tests.lm.conftest import exact, tiny_lm
from tests.oracles import lm as oracle


def random_groups(seed: int, vocabulary: int) -> list[TokenGroup]:
    rng = random.Random(seed)
    word = lambda low, high: [rng.randrange(vocabulary) for _ in range(rng.randint(low, high))]  # noqa: E731
    return [TokenGroup(word(1, 9), [word(0, 12) for _ in range(rng.randint(1, 6))]) for _ in range(4)]


def gradients(model: torch.nn.Module) -> list[torch.Tensor]:
    grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return grads


def qwen2() -> torch.nn.Module:
    return Qwen2ForCausalLM(Qwen2Config(**SMALL))


def qwen3() -> torch.nn.Module:
    return Qwen3ForCausalLM(Qwen3Config(**SMALL, head_dim=8))


def mistral() -> torch.nn.Module:
    return MistralForCausalLM(MistralConfig(**SMALL, sliding_window=64, tie_word_embeddings=False))


SMALL = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
    "attn_implementation": ATTENTION,
}  # fmt: skip


def dense_llama() -> torch.nn.Module:
    """With an attention that is not ours, a dense mask."""
    model = tiny_lm(torch.float64).model
    model.set_attn_implementation("sdpa")
    return model


@pytest.mark.parametrize(
    "make",
    [None, dense_llama, qwen2, qwen3, mistral],
    ids=["llama", "llama dense", "qwen2", "qwen3", "mistral"],
)
@pytest.mark.parametrize("micro_batch_tokens", [12, 40, 10_000])
def test_shared_prompts_equal_the_padded_computation(make, micro_batch_tokens, monkeypatch):
    monkeypatch.setattr(module, "_block", lambda num_rows, device: 37)  # several blocks, the last one not full
    torch.manual_seed(3)
    model = tiny_lm(torch.float64).model if make is None else exact(make().double())
    lm = LanguageModel(model, None)
    groups = random_groups(1, 90)
    coefficient = lambda g, i, t: ((7 * g + 3 * i + t) % 5) - 1.7  # noqa: E731 - the loss is no plain sum

    expected, total = {}, torch.zeros((), dtype=torch.float64)
    for g, group in enumerate(groups):
        rows = oracle.padded_response_logprobs(model, group.prompt, group.responses, pad=0)
        for i, row in enumerate(rows):
            expected[g, i] = row.detach()
            total = total + sum((coefficient(g, i, t) * value for t, value in enumerate(row)), torch.zeros(()))
    total.backward()
    expected_grads = gradients(model)

    seen = []
    for batch in pack_groups(groups, micro_batch_tokens):
        values = response_logprobs(lm, batch)
        loss = torch.zeros((), dtype=torch.float64)
        for b, (g, i) in enumerate(batch.rows):
            length = len(groups[g].responses[i])
            torch.testing.assert_close(values[b, :length].detach(), expected[g, i], rtol=0, atol=1e-10)
            assert not values[b, length:].any()
            loss = loss + sum((coefficient(g, i, t) * values[b, t] for t in range(length)), torch.zeros(()))
            seen.append((g, i))
        if loss.requires_grad:
            loss.backward()
    assert sorted(seen) == sorted(expected)
    for ours, theirs in zip(gradients(model), expected_grads, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("rows_per_batch", [1, 3])
def test_packed_examples_equal_each_alone(rows_per_batch):
    lm = tiny_lm(torch.float64)
    rng = random.Random(0)
    examples = []
    for _ in range(12):
        length = rng.randint(1, 20)
        tokens = [rng.randrange(200) for _ in range(length)]
        examples.append(Example(tokens, [rng.random() < 0.6 for _ in tokens]))
    expected = []
    for example in examples:
        values = oracle.sequence_logprobs(lm.model, example.tokens)
        expected += [-v.item() for v, trained in zip(values, example.trained[1:], strict=True) if trained]
    batches = pack_examples(examples, 32, rng, rows_per_batch=rows_per_batch)
    losses = torch.cat([next_token_losses(lm, rows) for rows in batches])
    assert sorted(losses.tolist()) == pytest.approx(sorted(expected), abs=1e-10)
    assert sum(rows.num_tokens for rows in batches) == sum(len(e.tokens) for e in examples)


def test_temperature_divides_the_logits():
    lm = tiny_lm(torch.float64)
    group = TokenGroup([5, 6, 7], [[8, 9, 10]])
    (batch,) = pack_groups([group], 100)
    expected = oracle.response_logprobs(lm.model, group.prompt, group.responses[0], temperature=0.6)
    torch.testing.assert_close(response_logprobs(lm, batch, temperature=0.6)[0], expected, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="temperature"):
        response_logprobs(lm, batch, temperature=0.0)


def test_inserted_tokens_are_seen_but_not_trained():
    lm = tiny_lm(torch.float64)
    response, trained = [8, 9, 10, 11], [True, False, False, True]
    (batch,) = pack_groups([TokenGroup([5, 6], [response], [trained])], 100)
    values = response_logprobs(lm, batch)
    expected = oracle.response_logprobs(lm.model, [5, 6], response)
    assert batch.response_mask.tolist() == [trained]
    assert values[0, 1] == values[0, 2] == 0
    torch.testing.assert_close(values[0, 3], expected[3], rtol=0, atol=1e-10)


def test_what_stands_in_the_padding_changes_neither_value_nor_gradient():
    lm = tiny_lm(torch.float64)
    examples = [Example([5, 6, 7, 8], [True] * 4), Example([9, 10], [True] * 2)]
    (rows,) = pack_examples(examples, 4, None, rows_per_batch=2)
    results = []
    for junk in (0, 77):
        rows.tokens[rows.segments == -1] = junk
        losses = next_token_losses(lm, rows)
        losses.sum().backward()
        results.append([losses.detach(), *gradients(lm.model)])
    for first, second in zip(*results, strict=True):
        assert torch.isfinite(first).all()
        torch.testing.assert_close(first, second, rtol=0, atol=1e-12)


def test_heads_find_their_hidden_states():
    lm = tiny_lm(torch.float64)
    groups = [TokenGroup([5, 6], [[7, 8, 9], []])]
    (batch,) = pack_groups(groups, 100)
    hidden = hidden_states(lm.model, batch)
    alone = lm.model.base_model(input_ids=torch.tensor([[5, 6, 7, 8, 9]])).last_hidden_state[0]
    torch.testing.assert_close(gather_hidden(hidden, batch)[0], alone[2:], rtol=0, atol=1e-10)
    torch.testing.assert_close(gather_last(hidden, batch), torch.stack([alone[4], alone[1]]), rtol=0, atol=1e-10)


def test_sequence_beyond_the_context_is_an_error():
    lm = tiny_lm(max_length=16)
    (batch,) = pack_groups([TokenGroup([5] * 10, [[6] * 7])], 100)
    with pytest.raises(MathwrightError, match="17 tokens exceeds the model's context of 16"):
        response_logprobs(lm, batch)


def test_sequence_beyond_the_sliding_window_is_an_error():
    lm = LanguageModel(mistral(), None)
    (batch,) = pack_groups([TokenGroup([5] * 60, [[6] * 7])], 100)
    with pytest.raises(MathwrightError, match="attention window of 64"):
        response_logprobs(lm, batch)


def test_bfloat16_gradients_are_summed_in_float32(monkeypatch):
    """Many small blocks: no gradient may lose what bfloat16 sums over them would round away."""
    torch.manual_seed(0)
    hidden, targets = torch.randn(512, 16).bfloat16().requires_grad_(), torch.randint(0, 400, (512,))
    layer = torch.nn.Linear(16, 400, bias=False, dtype=torch.bfloat16)
    reference = torch.nn.Linear(16, 400, bias=False)
    reference.weight.data = layer.weight.data.float()
    wide = hidden.detach().float().requires_grad_()
    torch.nn.functional.cross_entropy(reference(wide), targets, reduction="sum").backward()
    monkeypatch.setattr(module, "_block", lambda num_rows, device: 4)
    (-module.token_logprobs(hidden, layer, targets)).sum().backward()
    for ours, theirs in ((layer.weight.grad, reference.weight.grad), (hidden.grad, wide.grad)):
        assert ours is not None and theirs is not None
        assert (ours.float() - theirs).norm() / theirs.norm() < 0.005  # sums over blocks in bfloat16: 0.011
