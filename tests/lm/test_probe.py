"""Architectures that cap, scale or sink equal transformers; those that are something else are refused."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from transformers import (
    AutoModelForCausalLM,
    Cohere2Config,
    CohereConfig,
    Gemma2Config,
    GptOssConfig,
    GraniteConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    MistralConfig,
    NemotronConfig,
    StableLmConfig,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from mathwright.errors import MathwrightError
from mathwright.lm import attention as attention_module
from mathwright.lm import heads, logit_transform, probe
from mathwright.lm.attention import ATTENTION
from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.lm.logit_transform import IDENTITY, LogitTransform, find_transform
from mathwright.lm.logprobs import next_token_losses, response_logprobs
from mathwright.lm.model import LanguageModel, sequence_limits
from mathwright.lm.pack import Example, TokenGroup, pack_examples, pack_groups
from mathwright.lm.probe import require_supported
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.save import save
from tests.lm.conftest import tiny_lm

WINDOW = 12
SIZES: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "pad_token_id": 2, "bos_token_id": 0,
    "eos_token_id": 1,
}  # fmt: skip
CONFIGS: dict[str, Callable[[int], Any]] = {
    "gemma2": lambda v: Gemma2Config(
        vocab_size=v, **SIZES, sliding_window=WINDOW, attn_logit_softcapping=0.7, final_logit_softcapping=2.0,
        query_pre_attn_scalar=4,
    ),
    "gpt_oss": lambda v: GptOssConfig(
        vocab_size=v, **SIZES, sliding_window=WINDOW, num_local_experts=4, num_experts_per_tok=2
    ),
    "granite": lambda v: GraniteConfig(
        vocab_size=v, **SIZES, logits_scaling=4.0, attention_multiplier=0.6, embedding_multiplier=2.0,
        residual_multiplier=0.5,
    ),
    "cohere": lambda v: CohereConfig(
        vocab_size=v, **{k: x for k, x in SIZES.items() if k != "head_dim"}, logit_scale=0.25
    ),
    "cohere2": lambda v: Cohere2Config(
        vocab_size=v, **SIZES, logit_scale=0.25, sliding_window=WINDOW,
        layer_types=["sliding_attention", "full_attention"],
    ),
    "mistral": lambda v: MistralConfig(vocab_size=v, **SIZES, sliding_window=WINDOW),
}  # fmt: skip


def random_model(config: Any) -> Any:
    """Weights large enough that nothing is near uniform, norms and sinks among them."""
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn_like(parameter) * 1.2 / parameter.shape[-1] ** 0.5)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.5)
    return model


@pytest.fixture(params=CONFIGS)
def pair(request, tmp_path) -> tuple[LanguageModel, Any]:
    """A model as we load it from its folder, and as transformers computes it."""
    tokenizer = tiny_lm().tokenizer
    model = random_model(CONFIGS[request.param](len(tokenizer)))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return load(tmp_path, dtype="float32"), model


def alone(model: Any, tokens: list[int]) -> torch.Tensor:
    """log p of every token but the first."""
    logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, :-1]
    return logits.log_softmax(-1).gather(-1, torch.tensor(tokens[1:])[:, None]).squeeze(-1)


def words(rng: random.Random, length: int) -> list[int]:
    return [rng.randrange(3, 250) for _ in range(length)]


@pytest.mark.parametrize("scale", [1, 3], ids=["short", "beyond the window"])
@torch.no_grad()
def test_packed_equals_transformers(pair, scale):
    lm, reference = pair
    rng = random.Random(0)
    groups = [
        TokenGroup(words(rng, p * scale), [words(rng, n * scale) for n in lengths])
        for p, lengths in ((3, (5, 4, 8, 1)), (6, (2, 7)), (1, (4,)))
    ]
    for batch in pack_groups(groups, 40 * scale):
        for (g, r), row in zip(batch.rows, response_logprobs(lm, batch), strict=True):
            prompt, response = list(groups[g].prompt), list(groups[g].responses[r])
            expected = alone(reference, prompt + response)[len(prompt) - 1 :]
            torch.testing.assert_close(row[: len(response)], expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_generated_equals_transformers(pair):
    """Beyond the window, with groups, and with tool output inserted on the way."""
    from tests.lm.test_generate import EveryFewCharacters

    lm, reference = pair
    prompts = [[5, 6, 7], [40, 41, 50, 51, 60, 61, 70]]
    sampling = SamplingRecipe(temperature=0.7, top_p=1.0, top_k=0, max_new_tokens=30)
    rows = Generator(lm, max_batch=3).generate(
        prompts, sampling, seeds=[[1, 2, 3], [4, 5]], tool=EveryFewCharacters("[42]"), max_tool_rounds=2
    )
    num_drawn = 0
    for prompt, row in zip(prompts, rows, strict=True):
        for completion in row:
            tokens = prompt + list(completion.tokens)
            logits = reference(input_ids=torch.tensor([tokens])).logits[0, len(prompt) - 1 : -1] / 0.7
            expected = logits.log_softmax(-1).gather(-1, torch.tensor([completion.tokens]).T).squeeze(-1)
            drawn = torch.tensor(completion.sampled)
            torch.testing.assert_close(torch.tensor(completion.logprobs)[drawn], expected[drawn], rtol=0, atol=1e-5)
            num_drawn += int(drawn.sum())
    assert num_drawn > 25


def test_the_gradient_of_fine_tuning_equals_transformers(pair):
    lm, reference = pair
    rng = random.Random(1)
    sequences = [words(rng, n) for n in (7, 3, 20, 15)]
    for batch in pack_examples([Example(s, [True] * len(s)) for s in sequences], 22, None):
        next_token_losses(lm, batch).sum().backward()
    torch.stack([-alone(reference, s).sum() for s in sequences]).sum().backward()
    theirs = {name: p.grad for name, p in reference.named_parameters() if p.grad is not None}
    ours = {name: p.grad for name, p in lm.model.named_parameters() if p.grad is not None}
    assert theirs.keys() == ours.keys()
    for name, expected in theirs.items():
        torch.testing.assert_close(ours[name], expected, rtol=1e-4, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def test_a_temperature_divides_after_the_cap():
    """The chunked backward pass against autograd, through several blocks of the vocabulary."""
    from mathwright.lm.logprobs import token_logprobs

    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 40).double()
    hidden = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    targets, weight = torch.tensor([3, 39, 0, 7, 7]), torch.randn(5, dtype=torch.float64)
    for transform in (LogitTransform(cap=0.8), LogitTransform(scale=3.0)):
        logits = transform(layer(hidden)) / 0.6
        expected = logits.log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1)
        found = token_logprobs(hidden, layer, targets, 0.6, transform=transform)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
        inputs = (hidden, *layer.parameters())
        for ours, theirs in zip(
            torch.autograd.grad((found * weight).sum(), inputs),
            torch.autograd.grad((expected * weight).sum(), inputs),
            strict=True,
        ):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


# --- what the probe finds ---------------------------------------------------------------------------------


def probed(model: Any) -> probe.Findings:
    model.config._attn_implementation = ATTENTION
    probe._known.clear()
    require_supported(model)
    return probe.findings(model)


@pytest.mark.parametrize(
    ("name", "transform", "windows"),
    [
        ("gemma2", LogitTransform(cap=2.0), True),
        ("gpt_oss", IDENTITY, True),
        ("granite", LogitTransform(scale=0.25), False),
        ("cohere", LogitTransform(scale=0.25), False),
        ("mistral", IDENTITY, True),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_transforms_and_windows_are_found_in_every_type(name, transform, windows, dtype):
    model = random_model(CONFIGS[name](250)).to(dtype)
    assert probed(model) == probe.Findings(transform, windows)
    assert dict(sequence_limits(model)) == {"context": 64}


class LayoutDropped(LlamaModel):
    """A decoder that takes any argument and does not hand them on, as a dozen of transformers' do."""

    def forward(self, *args: Any, layout: Any = None, **kwargs: Any) -> Any:
        return super().forward(*args, **kwargs)


def llama(decoder: type[LlamaModel] = LlamaModel, **changes: Any) -> Any:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=250, **{**SIZES, **changes}))
    model.config._attn_implementation = ATTENTION
    model.model = decoder(model.config)
    return model.eval()


def test_a_decoder_that_drops_the_layout_is_refused_with_the_figure():
    with pytest.raises(MathwrightError, match=r"LlamaForCausalLM cannot be computed.*packed.*by 0\.\d+ nats, where"):
        probed(llama(LayoutDropped))
    probed(llama())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_rounding_does_not_hide_a_dropped_layout(dtype):
    model = llama(LayoutDropped)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    with pytest.raises(MathwrightError, match="packed against alone"):
        probed(model.to(dtype))
    whole = llama()
    whole.load_state_dict(model.state_dict())
    probed(whole.to(dtype))


def test_a_decoder_that_takes_no_layout_is_refused_in_one_line():
    class Strict(LlamaModel):
        def forward(  # type: ignore[override]
            self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, inputs_embeds=None,
            use_cache=None,
        ):  # fmt: skip
            return super().forward(input_ids, attention_mask, position_ids, past_key_values, use_cache=use_cache)

    with pytest.raises(MathwrightError, match=r"packed raises TypeError: .*layout") as caught:
        probed(llama(Strict))
    assert "\n" not in str(caught.value)


def test_an_attention_with_an_argument_we_do_not_know_is_refused(monkeypatch):
    """As a later architecture may have one: its bias must not be swallowed."""
    model = llama()
    layer = model.model.layers[0].self_attn
    forward = layer.forward
    layer.forward = lambda *a, **k: forward(*a, **k, slopes=torch.ones(4))
    # transformers' eager attention swallows it too, so no difference in numbers would tell
    with pytest.raises(MathwrightError, match="LlamaAttention gives its attention slopes, which"):
        probed(model)


def test_a_cache_that_positions_do_not_reach_is_refused_as_generated():
    class FromZero(LlamaModel):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            if kwargs.get("past_key_values") is not None:
                kwargs["position_ids"] = torch.arange(kwargs["input_ids"].shape[1])[None]
            return super().forward(*args, **kwargs)

    model = llama(FromZero, hidden_act="gelu")  # decoded through its modules
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    with pytest.raises(MathwrightError, match="generated against alone"):
        probed(model)


def test_logits_changed_in_an_unknown_way_are_refused():
    class Shifted(LlamaForCausalLM):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            output: Any = super().forward(*args, **kwargs)
            output.logits = output.logits.abs()
            return output

    torch.manual_seed(0)
    with pytest.raises(MathwrightError, match="Shifted changes its numbers after the output layer"):
        probed(Shifted(LlamaConfig(vocab_size=250, **SIZES)).eval())


def test_a_scale_before_the_output_layer_is_found():
    class Scaled(LlamaForCausalLM):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            handle = self.lm_head.register_forward_pre_hook(lambda _, inputs: (inputs[0] / self.config.logits_scaling,))
            try:
                return super().forward(*args, **kwargs)
            finally:
                handle.remove()

    torch.manual_seed(0)
    options: dict[str, Any] = {**SIZES, "logits_scaling": 3.0}
    model = Scaled(LlamaConfig(vocab_size=250, **options)).eval()
    assert find_transform(model) == LogitTransform(scale=1 / 3)


@pytest.mark.parametrize(
    "config",
    [
        NemotronConfig(vocab_size=250, **SIZES),
        StableLmConfig(vocab_size=250, **{k: v for k, v in SIZES.items() if k != "head_dim"}),
    ],
    ids=["nemotron", "stablelm"],
)
def test_architectures_that_do_not_pass_the_layout_on(config):
    with pytest.raises(MathwrightError, match=r"cannot be computed here: packed"):
        probed(random_model(config))


def test_a_window_that_the_layers_do_not_name_stays_a_limit():
    """Where only the mask of the model knows of the window, sequences are kept within it."""
    model = random_model(CONFIGS["mistral"](250))
    original = ALL_ATTENTION_FUNCTIONS[ATTENTION]
    try:
        ALL_ATTENTION_FUNCTIONS.register(ATTENTION, lambda *a, sliding_window=None, **k: original(*a, **k))
        assert probed(model) == probe.Findings(IDENTITY, windows=False)
    finally:
        ALL_ATTENTION_FUNCTIONS.register(ATTENTION, original)
    assert dict(sequence_limits(model)) == {"context": 64, "attention window": WINDOW}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_reward_model_is_compared_by_its_hidden_states(dtype):
    whole, dropping = (heads.from_language_model(LanguageModel(m, tiny_lm().tokenizer), seed=0) for m in (
        llama().to(dtype), llama(LayoutDropped).to(dtype)
    ))  # fmt: skip
    probe._known.clear()
    assert probe.probe(whole.model) == probe.Findings()
    probe._known.clear()
    with pytest.raises(
        MathwrightError, match=r"Classification cannot be .* hidden states differ by 0\.\d+ of their size"
    ):
        probe.probe(dropping.model)


def test_a_configuration_is_probed_once(monkeypatch):
    model = random_model(CONFIGS["granite"](250))
    probed(model)
    monkeypatch.setattr(probe._Probe, "run", lambda self: pytest.fail("probed again"))
    twin = copy.deepcopy(model)
    del twin.probed
    require_supported(twin)
    assert probe.findings(twin).transform == LogitTransform(scale=0.25)


def test_the_probe_leaves_no_trace():
    model = random_model(CONFIGS["gpt_oss"](250)).train()
    state, rng = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    config = copy.deepcopy(model.config.to_dict())
    hooks = [len(m._forward_hooks) for m in model.modules()]
    probed(model)
    assert model.training
    assert model.config.to_dict() == config
    assert [m.sliding_window for m in model.modules() if hasattr(m, "sliding_window")] == [WINDOW, None]
    assert [len(m._forward_hooks) for m in model.modules()] == hooks
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))
    assert all(p.grad is None for p in model.parameters())


# --- mutants: each makes the probe refuse what it would make wrong ------------------------------------------------


def without_sinks(monkeypatch):
    written_out = attention_module._written_out
    monkeypatch.setattr(
        attention_module, "_written_out", lambda q, k, v, m, how: written_out(q, k, v, m, _replaced(how, sinks=None))
    )


def without_softcap(monkeypatch):
    written_out = attention_module._written_out
    monkeypatch.setattr(
        attention_module, "_written_out", lambda q, k, v, m, how: written_out(q, k, v, m, _replaced(how, softcap=None))
    )


def without_transform(monkeypatch):
    monkeypatch.setattr(LogitTransform, "__call__", lambda self, logits: logits)
    monkeypatch.setattr(logit_transform, "_gap", lambda found, expected: 0.0)


def _replaced(how: Any, **changes: Any) -> Any:
    import dataclasses

    return dataclasses.replace(how, **changes)


@pytest.mark.parametrize(
    ("mutant", "name"),
    [
        (without_sinks, "gpt_oss"),
        (without_softcap, "gemma2"),
        (without_transform, "gemma2"),
        (without_transform, "granite"),
        (without_transform, "cohere"),
    ],
)
def test_mutants_are_refused(mutant, name, monkeypatch):
    model = random_model(CONFIGS[name](250))
    mutant(monkeypatch)
    with pytest.raises(MathwrightError, match="packed against alone"):
        probed(model)


def test_a_saved_model_is_probed_as_it_is_loaded(tmp_path):
    """`load` of a folder, not only the function: what stands in the folder decides."""
    lm = tiny_lm()
    save(lm, tmp_path)
    assert probe.findings(load(tmp_path, dtype="float32").model) == probe.Findings()


def test_losses_are_those_of_cross_entropy_on_the_logits_of_the_model(pair):
    """Written once more without any helper, for the loss a trainer of transformers would print."""
    lm, reference = pair
    tokens = words(random.Random(3), 10)
    (batch,) = pack_examples([Example(tokens, [True] * len(tokens))], 10, None)
    with torch.no_grad():
        found = next_token_losses(lm, batch).mean()
        expected = reference(input_ids=torch.tensor([tokens]), labels=torch.tensor([tokens])).loss
        other = F.cross_entropy(reference(input_ids=torch.tensor([tokens])).logits[0, :-1], torch.tensor(tokens[1:]))
    torch.testing.assert_close(found, other, rtol=0, atol=1e-5)
    torch.testing.assert_close(expected, other, rtol=0, atol=1e-5)
