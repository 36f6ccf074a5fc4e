"""Adapters beside every kind of layer: what is saved computes what was trained, or is refused before the first step."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PretrainedConfig, Qwen2Config

from mathwright.errors import MathwrightError
from mathwright.lm import heads, lora
from mathwright.lm.attention import ATTENTION
from mathwright.lm.load import load
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import TokenGroup, pack_groups
from mathwright.lm.recipe import LoraRecipe
from mathwright.lm.save import save
from tests.problems.chat_templates import tokenizer

pytestmark = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")

TOKENIZER = tokenizer()
SIZE = len(TOKENIZER)
# attention of GPT-2: c_attn is 32 x 96, c_proj is square; with n_inner the MLP is square too
CONFIGS: dict[str, PretrainedConfig] = {
    "gpt2": GPT2Config(vocab_size=SIZE, n_embd=32, n_layer=2, n_head=4, n_positions=64, n_inner=32),
    "llama": LlamaConfig(
        vocab_size=SIZE, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False,
    ),
    "tied llama": LlamaConfig(
        vocab_size=SIZE, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, tie_word_embeddings=True,
    ),
    "qwen2, biases": Qwen2Config(
        vocab_size=SIZE, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True,
    ),
}  # fmt: skip
CASES = [
    ("gpt2", ("c_attn",)),
    ("gpt2", ("c_proj",)),
    ("gpt2", ("attn.c_proj", "c_fc")),
    ("gpt2", ("all-linear",)),
    ("llama", ("q_proj", "down_proj")),
    ("llama", ("embed_tokens",)),
    ("llama", ("embed_tokens", "all-linear")),
    ("llama", ("layers.1.self_attn.v_proj",)),
    ("tied llama", ("all-linear",)),
    ("qwen2, biases", ("q_proj", "k_proj", "gate_proj")),
]


def model(name: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    torch.manual_seed(1)
    made = AutoModelForCausalLM.from_config(CONFIGS[name], attn_implementation=ATTENTION, dtype=dtype)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 2:
                parameter.mul_(5.0)
    return LanguageModel(made.eval(), TOKENIZER)


def adapted(name: str, targets: tuple[str, ...]) -> LanguageModel:
    lm = model(name)
    lora.attach(lm, LoraRecipe(rank=3, alpha=6.0, targets=targets), seed=0)
    torch.manual_seed(0)
    for parameter_name, parameter in lm.model.named_parameters():
        if ".lora_" in parameter_name:  # as after some steps: neither A nor B is 0
            torch.nn.init.normal_(parameter, std=0.2)
    return lm


RESPONSES = [[8, 9, 10], [11, 12], [13, 14, 15, 16]]


def logprobs(lm: LanguageModel, responses: list[list[int]] = RESPONSES) -> torch.Tensor:
    (batch,) = pack_groups([TokenGroup([5, 6, 7], responses)], 64)
    with torch.no_grad():
        return response_logprobs(lm, batch)


@pytest.mark.parametrize(("name", "targets"), CASES)
def test_what_is_saved_computes_what_was_adapted(tmp_path: Path, name: str, targets: tuple[str, ...]) -> None:
    lm = adapted(name, targets)
    expected = logprobs(lm)
    assert (expected - logprobs(model(name))).abs().max() > 0.1
    with lora.reference(lm):
        assert torch.equal(logprobs(lm), logprobs(model(name)))
    save(lm, tmp_path)
    torch.testing.assert_close(logprobs(load(tmp_path, dtype="float32")), expected, rtol=0, atol=2e-5)
    of_transformers: Any = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        theirs = of_transformers(torch.tensor([[5, 6, 7, 8, 9, 10]])).logits.log_softmax(-1)[0, [2, 3, 4], [8, 9, 10]]
    torch.testing.assert_close(theirs, logprobs(lm, [[8, 9, 10]])[0], rtol=0, atol=2e-5)
    lora.merge(lm)
    torch.testing.assert_close(logprobs(lm), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(("name", "targets"), CASES)
def test_a_new_adapter_changes_nothing_and_learns(name: str, targets: tuple[str, ...]) -> None:
    lm = model(name)
    lora.attach(lm, LoraRecipe(rank=3, alpha=6.0, targets=targets), seed=0)
    assert torch.equal(logprobs(lm), logprobs(model(name)))
    (batch,) = pack_groups([TokenGroup([5, 6, 7], [[8, 9, 10]])], 64)
    response_logprobs(lm, batch).sum().backward()
    moved = [p for n, p in lm.model.named_parameters() if ".lora_" in n and p.grad is not None and p.grad.any()]
    assert moved, "of each pair the half that is 0 has a gradient"


def test_what_is_random_in_an_embeddings_adapter_comes_from_the_seed() -> None:
    drawn = []
    for seed in (0, 0, 1):
        lm = model("llama")
        lora.attach(lm, LoraRecipe(rank=3, alpha=6.0, targets=("embed_tokens",)), seed=seed)
        drawn.append(lm.model.state_dict()["model.embed_tokens.lora_embedding_B.default"])
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_adapters_of_an_embedding_have_the_models_type() -> None:
    lm = model("llama", torch.bfloat16)
    lora.attach(lm, LoraRecipe(rank=3, alpha=6.0, targets=("embed_tokens", "q_proj")), seed=0)
    assert {p.dtype for p in lm.model.parameters()} == {torch.bfloat16}
    logprobs(lm)


@pytest.mark.parametrize(
    ("name", "targets", "message"),
    [
        ("llama", ("q_proj", "c_attn"), "no layer called c_attn"),
        ("llama", ("lm_head",), "lm_head comes after the decoder"),
        ("llama", ("q_proj", "input_layernorm"), "input_layernorm of LlamaForCausalLM is a LlamaRMSNorm"),
        ("llama", ("self_attn",), "self_attn of LlamaForCausalLM is a LlamaAttention"),
        ("llama", (), "lora.targets is empty"),
        ("llama", ("",), "no layer called"),
        ("tied llama", ("embed_tokens",), "model.embed_tokens shares its weights with lm_head"),
        ("gpt2", ("wte",), "transformer.wte shares its weights with lm_head"),
        ("gpt2", ("q_proj",), "no layer called q_proj"),
        ("gpt2", ("ln_1",), "is a LayerNorm"),
    ],
)
def test_what_could_not_be_saved_is_refused_at_the_beginning(name: str, targets: tuple[str, ...], message: str) -> None:
    lm = model(name)
    before = [(n, p.requires_grad) for n, p in lm.model.named_parameters()]
    with pytest.raises(MathwrightError, match=message):
        lora.attach(lm, LoraRecipe(rank=3, alpha=6.0, targets=targets), seed=0)
    assert [(n, p.requires_grad) for n, p in lm.model.named_parameters()] == before, "nothing was changed"


def test_a_reward_model_takes_all_linear_layers_but_its_head(tmp_path: Path) -> None:
    reward_model = heads.from_language_model(model("gpt2"), seed=0)
    lora.attach(reward_model, LoraRecipe(rank=3, alpha=6.0, targets=("all-linear",)), seed=0)
    for name, parameter in reward_model.model.named_parameters():
        if ".lora_" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    scores = heads.score(reward_model, ["a b"] * 2, [" 1", " 2"], micro_batch_tokens=64)
    save(reward_model, tmp_path)
    again = heads.load(tmp_path, dtype="float32")
    assert heads.score(again, ["a b"] * 2, [" 1", " 2"], micro_batch_tokens=64) == pytest.approx(scores, abs=1e-5)
