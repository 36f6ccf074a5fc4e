"""`mathwright doctor` and `--version`."""

import importlib.util

import pytest

import mathwright
from mathwright.cli import doctor, main
from mathwright.machine import Gpu, Machine


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out == f"mathwright {mathwright.__version__}\n"


def test_everything_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    said = capsys.readouterr().err
    for what in ("Python", "machine", "torch", "GPU", "sandbox", "disk", "[corpus]", "[vllm]"):
        assert what in said
    assert all(line.split()[0] in ("ok", "note") for line in said.splitlines())


def test_what_is_missing_has_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "fasttext" else found(name))
    finding = doctor._extra("corpus")
    assert (finding.state, finding.said) == ("note", "without fasttext")
    assert finding.advice == "pip install 'mathwright[corpus]'"
    monkeypatch.setattr(doctor, "_version", lambda package: "2.4.0")
    assert doctor._torch().state == "missing" and "torch>=2.11" in doctor._torch().advice


def test_a_card_that_torch_cannot_use_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    machine = Machine(num_cores=2, memory_bytes=2**34, gpus=(Gpu(name="A100", memory_bytes=80 * 2**30),))
    monkeypatch.setattr(doctor, "this_machine", lambda: machine)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    finding = doctor._gpu()
    assert finding.state == "missing" and "but torch is built for" in finding.said
    assert "pytorch.org" in finding.advice
