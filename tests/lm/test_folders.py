"""A model folder is data from somebody: it runs nothing, and where it is broken one line says which file."""

from __future__ import annotations

import itertools
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mathwright.errors import MathwrightError
from mathwright.lm import folders, heads
from mathwright.lm.load import load, load_tokenizer
from mathwright.lm.save import save
from tests import warm
from tests.lm.conftest import tiny_lm

CODE = """
import pathlib
pathlib.Path({mark!r}).write_text("ran")
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast
class OwnConfig(LlamaConfig):
    model_type = "own_model"
class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
class OwnForSequenceClassification(LlamaForSequenceClassification):
    config_class = OwnConfig
class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tiny_lm(), tmp_path / "model")
    return tmp_path / "model"


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def with_code(folder: Path, model_type: str) -> Path:
    """Python in the folder, for the configuration, the model and the tokenizer; returns what it writes when it runs."""
    mark = folder.parent / "ran"
    (folder / "own.py").write_text(CODE.format(mark=str(mark)))
    models = ("AutoModelForCausalLM", "AutoModelForSequenceClassification", "AutoModel")
    names = {name: f"own.Own{name.removeprefix('AutoModel')}" for name in models}
    change(folder / "config.json", model_type=model_type, auto_map={"AutoConfig": "own.OwnConfig", **names})
    tokenizers = {"AutoTokenizer": ["own.OwnTokenizer", "own.OwnTokenizer"]}
    change(folder / "tokenizer_config.json", auto_map=tokenizers, tokenizer_class="OwnTokenizer")
    return mark


READERS = ("load", "load_tokenizer", "load_reward")
MODEL_TYPES = ("llama", "own_model")
READ = """
import json, sys
from mathwright.lm import heads
from mathwright.lm.load import load, load_tokenizer
readers = {"load": load, "load_tokenizer": load_tokenizer, "load_reward": heads.load}
errors = {}
for case in sys.argv[1:]:
    reader, folder = case.split("=", 1)
    try:
        readers[reader](folder, **({} if reader == "load_tokenizer" else {"dtype": "float32"}))
    except Exception as error:
        errors[case] = str(error)
print(json.dumps(errors), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def folders_with_code(tmp_path_factory) -> dict[tuple[str, str], tuple[Path, str, str]]:
    """(reader, model type) -> what code in the folder would have written, the error, and all that was printed.

    All are read by one process, which answers yes to whatever is asked.
    """
    folders_of = {}
    for reader, model_type in itertools.product(READERS, MODEL_TYPES):
        folder = tmp_path_factory.mktemp(f"{reader}-{model_type}") / "model"
        save(tiny_lm(), folder)
        folders_of[reader, model_type] = (with_code(folder, model_type), f"{reader}={folder}")
    script = tmp_path_factory.mktemp("read") / "read.py"
    script.write_text(READ)
    done = warm.run(str(script), *(case for _, case in folders_of.values()), stdin="y\n" * 120)
    assert done.returncode == 0, done.stderr
    errors = json.loads(done.stderr.strip().splitlines()[-1])
    said = done.stdout + done.stderr
    return {key: (mark, errors.get(case, ""), said) for key, (mark, case) in folders_of.items()}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("reader", READERS)
def test_code_of_a_folder_does_not_run_though_standard_input_says_yes(folders_with_code, model_type, reader):
    mark, error, said = folders_with_code[reader, model_type]
    assert not mark.exists()
    assert "Do you wish to run" not in said
    if model_type == "own_model":
        assert "code of its own for this architecture, which was not run" in error
        assert folders.TRUST in error


def test_code_runs_for_those_who_name_the_folder(folder, monkeypatch):
    mark = with_code(folder, "own_model")
    monkeypatch.setenv(folders.TRUST, "/somewhere/else:ORG/NAME")
    with pytest.raises(MathwrightError, match="which was not run"):
        load(folder, dtype="float32")
    assert not mark.exists()
    monkeypatch.setenv(folders.TRUST, f"ORG/NAME:{folder}")
    assert type(load(folder, dtype="float32").model).__name__ == "OwnForCausalLM"
    assert mark.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"_attn_implementation": "someone/kernel"},
        {"attn_implementation": "someone/kernel"},
        {"_attn_implementation_internal": "someone/kernel"},
        {"attn_implementation": "kernels-community/flash-attn"},
        {"attn_implementation": {"": "someone/kernel"}},
    ],
)
def test_no_configuration_names_an_attention(folder, values, monkeypatch):
    """A name with a slash would have a kernel fetched from the hub and run."""
    from transformers.integrations import hub_kernels

    monkeypatch.setattr(hub_kernels, "get_kernel", lambda *a, **k: pytest.fail("a kernel was asked for"), raising=False)
    change(folder / "config.json", **values)
    assert load(folder, dtype="float32").model.config._attn_implementation == "mathwright"
    model = heads.from_language_model(tiny_lm(), seed=0)
    save(model, folder)
    change(folder / "config.json", **values)
    assert heads.load(folder, dtype="float32").model.config._attn_implementation == "mathwright"


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.mark, "ran"))


def test_pickled_weights_are_read_as_tensors_alone(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({**weights, "lm_head.weight": weights["model.embed_tokens.weight"]}, folder / "pytorch_model.bin")
    expected = tiny_lm().model.state_dict()["model.norm.weight"]
    assert torch.equal(load(folder, dtype="float32").model.state_dict()["model.norm.weight"], expected)
    mark = folder.parent / "ran"
    for poisoned in ({**weights, "x": Payload(mark)}, Payload(mark)):
        torch.save(poisoned, folder / "pytorch_model.bin")
        with pytest.raises(MathwrightError, match=r"pytorch_model\.bin: no file of weights alone"):
            load(folder, dtype="float32")
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(poisoned))
        with pytest.raises(MathwrightError, match=r"pytorch_model\.bin"):
            load(folder, dtype="float32")
        assert not mark.exists()


DAMAGES: dict[str, tuple[str, Any]] = {
    "cut short": ("model.safetensors", lambda old: old[: len(old) // 2]),
    "cut in its header": ("model.safetensors", lambda old: old[:100]),
    "empty": ("model.safetensors", lambda old: b""),
    "other bytes": ("model.safetensors", lambda old: b"\x00" * len(old)),
    "a page of a website": ("model.safetensors", lambda old: b"<html>404</html>" * 100),
    "a pointer of git lfs": ("model.safetensors", lambda old: b"version https://git-lfs.github.com/spec/v1\noid"),
    "pickle of nothing": ("pytorch_model.bin", lambda old: b""),
    "cut pickle": ("pytorch_model.bin", lambda old: b"PK\x03\x04 not a zip"),
    "tokenizer": ("tokenizer.json", lambda old: old[: len(old) // 2]),
    "tokenizer of nothing": ("tokenizer.json", lambda old: b"{}"),
    "tokenizer settings": ("tokenizer_config.json", lambda old: b"[1, 2"),
    "generation settings": ("generation_config.json", lambda old: b"{"),
    "configuration of a list": ("config.json", lambda old: b"[]"),
    "configuration in another encoding": ("config.json", lambda old: old.decode().encode("utf-16")),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_are_named_in_one_line(folder, name):
    file, damage = DAMAGES[name]
    path = folder / file
    if file == "pytorch_model.bin":
        (folder / "model.safetensors").unlink()
    path.write_bytes(damage(path.read_bytes() if path.exists() else b""))
    with pytest.raises(MathwrightError) as caught:
        load(folder, dtype="float32")
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)
    if name != "tokenizer of nothing":
        assert file in str(caught.value)


CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "words for numbers": {"hidden_size": "wide"},
    "no heads": {"num_attention_heads": 0},
    "other sizes than the weights": {"intermediate_size": 96},
    "fewer layers": {"num_hidden_layers": "2; import os"},
    "no vocabulary": {"vocab_size": -5},
    "another architecture": {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
    "an unknown activation": {"hidden_act": "__import__('os').system('true')"},
    "rope of another world": {"rope_parameters": {"rope_type": "someone/rope", "rope_theta": 1e4}},
    "no context": {"max_position_embeddings": None},
    "an encoder": {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]},
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_hostile_and_mistaken_configurations_are_one_line(folder, name):
    change(folder / "config.json", **CONFIGURATIONS[name])
    with pytest.raises(MathwrightError) as caught:
        load(folder, dtype="float32")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["end", {"a": 1}, [[1]], 1.5, True])
def test_end_tokens_that_are_no_numbers(folder, value):
    change(folder / "generation_config.json", eos_token_id=value)
    try:
        assert load(folder, dtype="float32").eos_token_ids
    except MathwrightError as error:
        assert "\n" not in str(error)


def test_a_reward_model_whose_weights_are_damaged(folder):
    save(heads.from_language_model(tiny_lm(), seed=0), folder)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:500])
    with pytest.raises(MathwrightError, match=r"model\.safetensors"):
        heads.load(folder, dtype="float32")


# --- tokens without an embedding ------------------------------------------------------------------------


def smaller(folder: Path, size: int) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:size].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change(folder / "config.json", vocab_size=size)


def test_a_tokenizer_with_more_tokens_than_embeddings(folder):
    size = len(load_tokenizer(folder))
    smaller(folder, size - 20)
    with pytest.raises(MathwrightError, match=rf"tokenizer has 20 tokens more than .* \({size - 20}\); the first is"):
        load(folder, dtype="float32")


def test_a_padding_token_added_afterwards_may_have_no_embedding(folder):
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"pad_token": "<new pad>"})
    tokenizer.save_pretrained(folder)
    lm = load(folder, dtype="float32")
    assert lm.tokenizer.pad_token_id == lm.model.get_input_embeddings().num_embeddings


def test_tokens_of_another_vocabulary_stop_with_their_number(folder):
    from mathwright.lm.generate import Generator
    from mathwright.lm.logprobs import next_token_losses, response_logprobs
    from mathwright.lm.pack import Example, TokenGroup, pack_examples, pack_groups
    from mathwright.lm.recipe import SamplingRecipe

    lm = load(folder, dtype="float32")
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=2)
    (rows,) = pack_examples([Example([5, 6, 5000], [True] * 3)], 3, None)
    (groups,) = pack_groups([TokenGroup([5, 5000], [[6]])], 10)
    for compute in (
        lambda: next_token_losses(lm, rows),
        lambda: response_logprobs(lm, groups),
        lambda: Generator(lm).generate([[5, 5000]], sampling, seeds=[[0]]),
    ):
        with pytest.raises(MathwrightError, match="token 5000 has no embedding: the model has"):
            compute()
