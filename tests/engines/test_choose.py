"""An engine is opened by its name."""

from pathlib import Path

import pytest

from mathwright.engines.choose import EngineOptions, device_of, open_engine, with_dtype
from mathwright.engines.local import LocalEngine
from mathwright.errors import MathwrightError
from mathwright.lm.save import save
from tests.engines.asking import GREEDY, answers, request
from tests.lm.conftest import tiny_lm


def test_the_local_engine_holds_the_model_of_a_folder(tmp_path: Path) -> None:
    lm = tiny_lm()
    save(lm, tmp_path / "model")
    opened = open_engine(str(tmp_path / "model"), EngineOptions(dtype="float32", batch_size=2))
    requests = [request("The answer is", 0, GREEDY), request("Tom", 0, GREEDY)]
    assert opened.name == "local"
    assert answers(opened, requests) == answers(LocalEngine(lm), requests)


def test_a_system_prompt_goes_into_the_chat_template(tmp_path: Path) -> None:
    lm = tiny_lm()
    lm.tokenizer.chat_template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    save(lm, tmp_path / "model")
    lm.tokenizer.chat_template = None
    opened = open_engine(str(tmp_path / "model"), EngineOptions(dtype="float32", system="Be good."))
    assert opened.tokenizer is not None
    asked = opened.tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], tokenize=False)
    assert asked == "<system>Be good.<user>Hello"
    with pytest.raises(MathwrightError, match="does not read enable_thinking"):
        open_engine(str(tmp_path / "model"), EngineOptions(dtype="float32", enable_thinking=True))


def test_a_server_is_named_and_not_asked_yet() -> None:
    pytest.importorskip("openai", reason="the package openai (extra `server`) is not installed")
    opened = open_engine("m", EngineOptions(name="server", base_url="http://127.0.0.1:9/v1"))
    assert (opened.name, opened.tokenizer) == ("server", None)


def test_each_process_of_a_launcher_has_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert device_of(EngineOptions(device="cuda")) == "cuda:3"
    assert device_of(EngineOptions(device="cpu")) == "cpu"
    monkeypatch.delenv("LOCAL_RANK")
    assert device_of(EngineOptions(device="cuda")) == "cuda"


def test_the_type_of_weights_is_settled_before_a_model_is_loaded() -> None:
    assert with_dtype(EngineOptions(dtype="auto")).dtype in ("float32", "bfloat16")
    assert with_dtype(EngineOptions(dtype="float32")).dtype == "float32"
