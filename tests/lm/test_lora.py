"""LoRA: only adapters learn, the reference is the base to the bit, and what is saved is a plain model."""

from __future__ import annotations

import copy
import importlib.util
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed.checkpoint.filesystem import FileSystemReader

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint, heads, lora
from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.lm.logprobs import next_token_losses, response_logprobs
from mathwright.lm.loop import CHECKPOINTS, Training, fit
from mathwright.lm.model import LanguageModel
from mathwright.lm.optimise import Optimiser
from mathwright.lm.pack import Example, GroupBatch, TokenGroup, pack_examples, pack_groups
from mathwright.lm.recipe import LoraRecipe, SamplingRecipe
from mathwright.lm.save import save
from mathwright.run import RunDirectory
from tests.lm.conftest import adamw, tiny_lm

pytestmark = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")

RECIPE = LoraRecipe(rank=4, alpha=8.0)
NUM_TARGETS = 7 * 2  # linear layers of two decoder layers


def group_batch() -> GroupBatch:
    (batch,) = pack_groups([TokenGroup([5, 6, 7], [[8, 9, 10], [11, 12], [13, 14, 15, 16]])], 64)
    return batch


def logprobs(lm: LanguageModel) -> Tensor:
    with torch.no_grad():
        return response_logprobs(lm, group_batch())


def adapted(dtype: torch.dtype = torch.float32, *, moved: bool = True, recipe: LoraRecipe = RECIPE) -> LanguageModel:
    """A tiny model with adapters; moved: B is not 0 any more."""
    lm = tiny_lm(dtype)
    lora.attach(lm, recipe, seed=3)
    if moved:
        torch.manual_seed(0)
        for name, parameter in lm.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.3)
    return lm


def test_an_adapted_layer_computes_the_papers_sum():
    """h = W x + (alpha / r) B A x, arXiv 2106.09685 §4.1; B = 0 at first."""
    lm = adapted(torch.float64)
    layer = lm.model.base_model.layers[0].mlp.up_proj
    w, a, b = layer.base_layer.weight, layer.lora_A["default"].weight, layer.lora_B["default"].weight
    assert (a.shape, b.shape) == ((4, 32), (64, 4))
    x = torch.randn(3, 32, dtype=torch.float64)
    torch.testing.assert_close(layer(x), x @ w.T + 8.0 / 4 * (x @ a.T @ b.T), rtol=0, atol=1e-12)
    assert torch.equal(logprobs(adapted(moved=False)), logprobs(tiny_lm()))
    assert not torch.equal(logprobs(adapted()), logprobs(tiny_lm()))


def test_adapters_depend_on_the_seed_alone_and_leave_random_states_alone():
    states = []
    for seed in (3, 3, 4):
        lm = tiny_lm()
        before = torch.get_rng_state()
        lora.attach(lm, RECIPE, seed=seed)
        assert torch.equal(before, torch.get_rng_state())
        torch.rand(5)
        states.append(lm.model.state_dict())
    a = "model.layers.1.mlp.up_proj.lora_A.default.weight"
    assert torch.equal(states[0][a], states[1][a])
    assert not torch.equal(states[0][a], states[2][a])
    assert 0.9 < states[0][a].abs().max() * 32**0.5 <= 1  # uniform within 1 / sqrt(D)


def test_gradient_and_optimiser_reach_adapters_alone():
    lm = adapted()
    batch = group_batch()
    response_logprobs(lm, batch).sum().backward()
    with_gradient = {name for name, p in lm.model.named_parameters() if p.grad is not None}
    assert with_gradient == {name for name, _ in lm.model.named_parameters() if ".lora_" in name}
    assert len(with_gradient) == 2 * NUM_TARGETS
    before = copy.deepcopy(lm.model.state_dict())
    optimiser = Optimiser(lm.model, adamw(), num_steps=1)
    optimiser.accumulate()
    optimiser.step()
    changed = {name for name, value in lm.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == with_gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_reference_is_the_base_to_the_bit(dtype):
    lm, base = adapted(dtype), tiny_lm(dtype)
    policy = logprobs(lm)
    with lora.reference(lm):
        assert torch.equal(logprobs(lm), logprobs(base))
    assert torch.equal(logprobs(lm), policy)
    assert not torch.equal(policy, logprobs(base))
    assert all(p.requires_grad == (".lora_" in name) for name, p in lm.model.named_parameters())
    with pytest.raises(ValueError, match="no adapters"), lora.reference(base):
        pass


def test_the_reference_ends_with_an_error_inside():
    lm = adapted()
    policy = logprobs(lm)
    with pytest.raises(KeyError), lora.reference(lm):
        raise KeyError
    assert torch.equal(logprobs(lm), policy)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_merged_equals_adapted(dtype, tolerance):
    lm = adapted(dtype)
    tokens = torch.tensor([[3, 4, 5, 6]])
    expected = lm.model(tokens).logits
    lora.merge(lm)
    torch.testing.assert_close(lm.model(tokens).logits, expected, rtol=0, atol=tolerance)
    assert not lora.attached(lm)
    assert list(lm.model.state_dict()) == list(tiny_lm().model.state_dict())
    assert all(p.requires_grad for p in lm.model.parameters())


def test_bfloat16_is_merged_in_float32():
    """The weight nearest to W + B A, not W + round(B A): rounding twice is off by an ulp in some places."""
    lm = adapted(torch.bfloat16)
    layer = lm.model.base_model.layers[0].mlp.up_proj
    w, a, b = (p.double() for p in (layer.base_layer.weight, layer.lora_A["default"].weight,
                                    layer.lora_B["default"].weight))  # fmt: skip
    lora.merge(lm)
    exact = w + 2.0 * b @ a
    merged = lm.model.base_model.layers[0].mlp.up_proj.weight
    assert (merged != exact.bfloat16()).float().mean() < 0.002


def test_a_saved_folder_is_a_plain_model_and_training_can_go_on(tmp_path):
    lm = adapted()
    expected = logprobs(lm)
    save(lm, tmp_path)
    loaded = load(tmp_path, dtype="float32")
    assert not lora.attached(loaded)
    torch.testing.assert_close(logprobs(loaded), expected, rtol=0, atol=1e-5)
    assert not (tmp_path / "adapter_config.json").exists()
    assert lora.attached(lm)
    assert torch.equal(logprobs(lm), expected)


def test_generation_samples_from_the_adapted_model():
    lm = adapted()
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=10)
    ((completion,),) = Generator(lm).generate([[3, 4, 5]], sampling, seeds=[[1]])
    (batch,) = pack_groups([TokenGroup([3, 4, 5], [completion.tokens])], 64)
    with torch.no_grad():
        trained = response_logprobs(lm, batch)[0]
    torch.testing.assert_close(torch.tensor(completion.logprobs), trained, rtol=0, atol=1e-4)


class KilledError(Exception):
    pass


def train(path: Any, *, dropout: float = 0.0, stop_at: int | None = None) -> tuple[LanguageModel, list[float]]:
    lm = adapted(moved=False, recipe=LoraRecipe(rank=4, alpha=8.0, dropout=dropout))
    (rows,) = pack_examples([Example(range(3 + n, 41 + n, 2), [True] * 19) for n in range(3)], 64, None)
    torch.manual_seed(9)

    def batches(step: int) -> list[Any]:
        if step == stop_at:
            raise KilledError
        return [rows]

    stage = RunDirectory(path, recipe_name="test", recipe={}).stage("train")
    fit(lm, stage, Training(
        optimiser=adamw(lr=2e-2, weight_decay=0.0), num_steps=20, batches=batches,
        loss=lambda lm, rows: (next_token_losses(lm, rows).mean(), {}), checkpoint_every=4, description="test",
    ))  # fmt: skip
    return lm, [m["loss"] for m in stage.metrics()]


def test_training_learns(tmp_path):
    """Half of the loss is gone after twenty steps, with the base as it was."""
    lm, losses = train(tmp_path)
    assert losses[-1] < 0.5 * losses[0]
    with lora.reference(lm):
        assert torch.equal(logprobs(lm), logprobs(tiny_lm()))


def test_checkpoints_hold_adapters_alone_and_resume_exactly(tmp_path):
    straight, _ = train(tmp_path / "a", dropout=0.1)
    with pytest.raises(KilledError):
        train(tmp_path / "b", dropout=0.1, stop_at=10)
    newest = checkpoint.latest(tmp_path / "b" / "train" / CHECKPOINTS)
    assert newest is not None
    kept = {name for name in FileSystemReader(newest).read_metadata().state_dict_metadata if "/weights/" in name}
    assert len(kept) == 2 * NUM_TARGETS
    assert all(".lora_" in name for name in kept)
    resumed, _ = train(tmp_path / "b", dropout=0.1)
    for a, b in zip(straight.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_reward_models_head_is_trained_and_saved(tmp_path):
    model = heads.from_language_model(tiny_lm(), seed=0)
    lora.attach(model, RECIPE, seed=1)
    heads.response_scores(model, group_batch()).sum().backward()
    trained = {name for name, p in model.model.named_parameters() if p.grad is not None}
    assert trained == {n for n, _ in model.model.named_parameters() if ".lora_" in n} | {"score.weight"}
    save(model, tmp_path)
    loaded = heads.load(tmp_path, dtype="float32")
    with torch.no_grad():
        scores = [heads.response_scores(m, group_batch()) for m in (model, loaded)]
    torch.testing.assert_close(*scores, rtol=0, atol=1e-5)


def test_a_wrong_target_is_named():
    with pytest.raises(MathwrightError, match="no layer called c_attn"):
        lora.attach(tiny_lm(), LoraRecipe(rank=2, alpha=2.0, targets=("q_proj", "c_attn")), seed=0)
    lm = adapted()
    with pytest.raises(ValueError, match="adapters already"):
        lora.attach(lm, RECIPE, seed=0)
