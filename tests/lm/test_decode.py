"""The written-out decoding pass against the modules of the models."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from mathwright.lm import fused, generate, graphs, lora
from mathwright.lm.cache import SlotCache, extend
from mathwright.lm.decode import Decoder, ModuleDecoder, decoder
from mathwright.lm.fused import FusedDecoder, PackedLinear
from mathwright.lm.generate import Generator
from mathwright.lm.graphs import GraphDecoder
from mathwright.lm.model import LanguageModel
from mathwright.lm.recipe import LoraRecipe, SamplingRecipe
from tests.lm.conftest import exact, tiny_lm
from tests.lm.test_generate import EveryFewCharacters
from tests.lm.test_logprobs import SMALL, mistral, qwen2, qwen3

PROMPTS = [[5, 6, 7], [40, 41], [9] * 11, [60, 3, 50, 61, 7, 8]]
NEXT = [[3, 4, 5, 6], [70, 71, 72, 73], [8, 8, 8, 8]]  # tokens of three steps


def biased_llama() -> torch.nn.Module:
    """Llama with every option of its layers: biases, heads wider than the model, scaled rotary embeddings."""
    rope = {
        "rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    }  # fmt: skip
    options: dict[str, Any] = {
        **SMALL, "attention_bias": True, "mlp_bias": True, "head_dim": 16, "tie_word_embeddings": False,
        "rope_parameters": rope,
    }  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**options))


@pytest.fixture
def needs_packing() -> None:
    if not fused.packable(tiny_lm(torch.bfloat16).model):
        pytest.skip("this machine's PyTorch has no packed products in bfloat16")


def random_model(make: Any, dtype: torch.dtype) -> Any:
    torch.manual_seed(3)
    model = make().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * (0.2 if parameter.ndim > 1 else 0.5) + (parameter.ndim == 1))
    model = model.to(dtype)
    return exact(model) if dtype == torch.float64 else model


@torch.inference_mode()
def decoded(model: Any, chosen: Decoder, *, apart: bool, slots: int = 6) -> tuple[list[torch.Tensor], SlotCache]:
    """Hidden states of three steps after the prompts, the last two of which are one prompt's group."""
    prefixes, _ = extend(model, [None] * len(PROMPTS), PROMPTS)
    longest = max(map(len, PROMPTS))
    cache = SlotCache(prefixes[0], slots, 8 if apart else longest + 8, prompt_capacity=longest if apart else 0)
    for slot, prompt in enumerate((0, 1, 2, 2)):
        cache.put(slot, prefixes[prompt], prompt=prompt, prompt_length=len(PROMPTS[prompt]))
    return [chosen.hidden(cache.step(tokens), cache) for tokens in NEXT], cache


MODELS = {
    "llama": lambda: tiny_lm().model, "biased": biased_llama, "qwen2": qwen2, "qwen3": qwen3, "mistral": mistral
}  # fmt: skip


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("apart", [False, True], ids=["together", "apart"])
@torch.inference_mode()
def test_equals_the_modules(make, apart):
    model = random_model(make, torch.float64)
    assert isinstance(decoder(model), FusedDecoder)
    expected, modules_cache = decoded(model, ModuleDecoder(model), apart=False)
    fused = FusedDecoder(model)
    found, cache = decoded(model, fused, apart=apart)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
        torch.testing.assert_close(fused.logits(ours), model.get_output_embeddings()(theirs), rtol=0, atol=1e-10)
    for slot in range(4):
        ours, theirs = cache.take(slot), modules_cache.take(slot)
        torch.testing.assert_close(ours.keys, theirs.keys, rtol=0, atol=1e-10)
        torch.testing.assert_close(ours.values, theirs.values, rtol=0, atol=1e-10)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_packed_bfloat16_is_as_near_to_float32_as_the_modules_are(needs_packing, make):
    model = random_model(make, torch.bfloat16)
    fused = FusedDecoder(model)
    assert isinstance(fused.blocks[0].down, PackedLinear)
    found, _ = decoded(model, fused, apart=True)
    modules, _ = decoded(model, ModuleDecoder(model), apart=False)
    wide = copy.deepcopy(model).float()
    truth, _ = decoded(wide, ModuleDecoder(wide), apart=False)
    error, modules_error = (
        torch.stack([(ours.float() - exact).square().mean() for ours, exact in zip(states, truth, strict=True)])
        .mean()
        .sqrt()
        for states in (found, modules)
    )
    assert 0 < error < 1.2 * modules_error


@torch.inference_mode()
def test_a_slot_given_up_is_filled_by_the_last_and_its_prompt_forgotten_with_its_last_user():
    model = random_model(MODELS["llama"], torch.float64)
    _, together = decoded(model, FusedDecoder(model), apart=False)
    _, apart = decoded(model, FusedDecoder(model), apart=True)
    for slot, last in [(0, 3), (1, 2), (0, 1), (0, 0)]:
        for cache in (together, apart):
            cache.free(slot, last)
        for i in range(last):
            torch.testing.assert_close(apart.take(i).keys, together.take(i).keys, rtol=0, atol=1e-10)
    prefixes, _ = extend(model, [None], [PROMPTS[3]])
    apart.put(0, prefixes[0], prompt=3, prompt_length=4)
    torch.testing.assert_close(apart.take(0).keys, prefixes[0].keys)
    prompts = apart.step([1]).prompts
    assert prompts is not None
    assert (prompts.length, prompts.members.tolist()) == (4, [[0]])


def test_other_models_go_through_their_modules():
    lm = tiny_lm()
    gelu = LlamaForCausalLM(LlamaConfig(**{**SMALL, "hidden_act": "gelu"}))
    assert isinstance(decoder(gelu), ModuleDecoder)
    assert isinstance(decoder(lm.model), FusedDecoder)


def test_adapted_models_go_through_their_modules():
    pytest.importorskip("peft")
    lm = tiny_lm()
    lora.attach(lm, LoraRecipe(rank=2, alpha=4.0, dropout=0.0, targets=("q_proj",)), seed=0)
    assert isinstance(decoder(lm.model), ModuleDecoder)


def test_packed_weights_are_those_of_now(needs_packing):
    lm = tiny_lm(torch.bfloat16)
    generator = Generator(lm)
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=12)

    def answers() -> list[Any]:
        return [dataclasses.astuple(c) for row in generator.generate(PROMPTS, sampling, seeds=[[1]] * 4) for c in row]

    before = answers()
    assert answers() == before
    with torch.no_grad():
        lm.model.base_model.layers[0].mlp.down_proj.weight.neg_()
    changed = answers()
    assert changed != before
    assert changed == [
        dataclasses.astuple(c)
        for row in Generator(LanguageModel(copy.deepcopy(lm.model), lm.tokenizer)).generate(
            PROMPTS, sampling, seeds=[[1]] * 4
        )
        for c in row
    ]


def test_large_models_are_not_packed(needs_packing, monkeypatch):
    model = tiny_lm(torch.bfloat16).model
    monkeypatch.setattr(fused, "PACKED_BYTES", sum(p.nbytes for p in model.parameters() if p.ndim == 2) - 1)
    assert not isinstance(FusedDecoder(model).head, PackedLinear)


# --- graphs: recorded steps, filled up to the sizes they were recorded at ---------------------------------


class Recording:
    """In the place of CUDA's graphs on a processor: what was recorded runs again, on the same memory."""

    def __init__(self, fails: bool = False) -> None:
        self.num_recorded, self.num_replayed, self.fails = 0, 0, fails

    def __call__(self, compute: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.num_recorded += 1
        output = compute()

        def replay() -> None:
            self.num_replayed += 1
            output.copy_(compute())

        return replay, output


def recorded_decoder(monkeypatch: pytest.MonkeyPatch, recording: Recording) -> None:
    monkeypatch.setattr(generate, "decoder", lambda model: GraphDecoder(FusedDecoder(model), recording))
    monkeypatch.setattr(graphs, "SHORTEST", 8)
    monkeypatch.setattr(graphs, "FEWEST", 2)


@pytest.mark.parametrize("max_batch", [1, 3, 5, 11])
def test_recorded_steps_give_the_same_responses(monkeypatch, max_batch):
    lm = tiny_lm(torch.float64)
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=60)
    seeds = [[10 * i, 10 * i + 1, 10 * i + 2] for i in range(4)]

    def responses() -> list[list[Any]]:  # of sequences that leave their slots and come back at different times
        tool = EveryFewCharacters("[42]")
        return Generator(lm, max_batch=max_batch).generate(PROMPTS, sampling, seeds=seeds, tool=tool, max_tool_rounds=3)

    expected = responses()
    recording = Recording()
    recorded_decoder(monkeypatch, recording)
    found = responses()
    assert len({len(c.tokens) for row in found for c in row}) > 3
    assert [[c.tokens for c in row] for row in found] == [[c.tokens for c in row] for row in expected]
    assert 2 <= recording.num_recorded <= 12 < recording.num_replayed  # a few sizes, replayed often


def test_where_recording_fails_steps_run_unrecorded_and_a_warning_says_so(monkeypatch):
    lm = tiny_lm(torch.float64)
    sampling = SamplingRecipe(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=10)
    expected = Generator(lm).generate(PROMPTS, sampling, seeds=[[0]] * 4)
    recorded_decoder(monkeypatch, Recording(fails=True))
    with pytest.warns(UserWarning, match="without CUDA graphs: operation not permitted") as caught:
        found = Generator(lm).generate(PROMPTS, sampling, seeds=[[0]] * 4)
    assert found == expected
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("number", "expected"), [(1, 8), (8, 8), (9, 16), (17, 32), (40, 40), (33, 40)], ids=lambda value: str(value)
)
def test_sizes_double_up_to_the_largest(number, expected):
    assert graphs._rounded(number, 8, 40) == expected


@pytest.mark.parametrize(("kind", "expected"), [("default", True), ("llama3", True), ("dynamic", False)])
def test_embeddings_that_look_at_lengths_are_not_recorded(kind, expected):
    model = random_model(MODELS["llama"], torch.float32)
    model.base_model.rotary_emb.rope_type = kind
    assert graphs.graphable(FusedDecoder(model)) is expected


@pytest.mark.cuda
def test_cuda_graphs_give_the_responses_of_single_kernels(monkeypatch):
    lm = tiny_lm(torch.float64)  # a graph has other shapes, so in bfloat16 rounding may turn a choice
    lm.model.to("cuda")
    sampling = SamplingRecipe(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=100)
    assert isinstance(decoder(lm.model), GraphDecoder)
    found = Generator(lm, max_batch=3).generate(PROMPTS, sampling, seeds=[[0]] * 4)
    monkeypatch.setattr(generate, "decoder", FusedDecoder)
    expected = Generator(lm, max_batch=3).generate(PROMPTS, sampling, seeds=[[0]] * 4)
    assert [[c.tokens for c in row] for row in found] == [[c.tokens for c in row] for row in expected]
