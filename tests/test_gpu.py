"""`benchmarks/gpu.sh`: its checks, on a GPU where there is one, and what it does on a machine that lacks much."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mathwright.lm import attention, generate
from tests.lm.test_decode import Recording, recorded_decoder

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
HIDDEN = ("tyro", "jaxtyping", "trl", "peft", "hypothesis", "pytest")
HIDE = """
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, *rest):
        return None if name.partition(".")[0] in {hidden} else self.finder.find_spec(name, *rest)
    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
"""
CHECKS = (
    "packed", "checkpointed", "graphs", "generation", "drawing",
    "resume", "masters", "adapters", "reference", "sharded",
)  # fmt: skip


@pytest.fixture
def script(monkeypatch) -> Any:
    """Imports a script of the folder benchmarks."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def gpu_sh(folder: Path, *arguments: str, python: Path | str = sys.executable, **environment: str) -> Any:
    """Run the script at toy size; returns the process and the rows it left."""
    command = [str(BENCHMARKS / "gpu.sh"), "--device", "cpu", "--out", str(folder), "--python", str(python)]
    own = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run([*command, *arguments], env=own, capture_output=True, text=True, check=False)
    return done, [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def test_the_list_of_checks_is_whole(script):
    assert tuple(script("gpu_checks").CHECKS) == CHECKS


@pytest.mark.cuda
@pytest.mark.parametrize("name", [name for name in CHECKS if name != "sharded"])
def test_on_a_gpu(script, name):
    checks = script("gpu_checks")
    try:
        checks.CHECKS[name]("cuda")
    except script("gpu_tiny").Skip as reason:
        pytest.skip(str(reason))


@pytest.mark.slow
def test_checks_run_where_packages_are_missing(tmp_path):
    (tmp_path / "hiding").mkdir()
    (tmp_path / "hiding" / "sitecustomize.py").write_text(HIDE.format(hidden=HIDDEN))
    done, rows = gpu_sh(
        tmp_path / "out", "--parts", "environment checks tests", PYTHONPATH=str(tmp_path / "hiding")
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    missing = next(row["value"] for row in rows if row.get("name") == "missing")
    assert set(HIDDEN) <= set(missing.split(", "))
    results = {row["check"]: row["result"] for row in rows if "check" in row}
    not_made = {name: result for name, result in results.items() if result != "passed"}
    assert set(results) == set(CHECKS) - {"sharded"}
    assert not_made == {
        "graphs": "not made: CUDA graphs need a GPU",
        "adapters": "not made: LoRA needs the package peft (hint: pip install 'mathwright[lora]')",
    }
    assert "pytest is not installed" in (tmp_path / "out" / "tests.log").read_text()


@pytest.mark.slow
def test_sharding_over_one_process(tmp_path):
    done, rows = gpu_sh(tmp_path, "--parts", "sharded")
    assert done.returncode == 0, done.stdout
    assert [row["result"] for row in rows if row.get("check") == "sharded"] == ["passed"]


def test_the_check_of_graphs_on_recorded_steps(script, monkeypatch):
    """On a processor, with steps that run again in the place of CUDA's graphs."""
    checks, recording = script("gpu_checks"), Recording()
    recorded_decoder(monkeypatch, recording)
    monkeypatch.setattr(checks, "decoder", generate.decoder)
    figures = checks.graphs("cpu")
    assert set(figures) == {"batch_3", "batch_12"}
    assert recording.num_replayed > 500

    recorded_decoder(monkeypatch, Recording(fails=True))
    with pytest.raises(UserWarning, match="decoding without CUDA graphs"):
        checks.graphs("cpu")


def test_a_check_fails_where_responses_see_nothing(script, monkeypatch):
    real = attention.Bucket.scatter

    def blind(bucket: attention.Bucket, states: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(real(bucket, states))

    checks = script("gpu_checks")
    monkeypatch.setattr(attention.Bucket, "scatter", blind)
    with pytest.raises(AssertionError, match="responses_float32: log-probabilities are"):
        checks.packed("cpu")


def fake_python(folder: Path, behaviour: str) -> Path:
    """A python that keeps the book as the real one does, and in the place of every other script does `behaviour`."""
    path = folder / "python"
    cases = f'*gpu_results.py) exec {sys.executable} "$@" ;;\n{behaviour}'
    path.write_text(f'#!/bin/bash\ncase "$1" in\n{cases}\nesac\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_part_that_fails_is_told_and_the_next_begins(tmp_path):
    python = fake_python(tmp_path, '*gpu_checks.py) echo first; echo "the | reason" >&2; exit 3 ;;\n*) exit 0 ;;')
    done, rows = gpu_sh(tmp_path / "out", "--parts", "environment checks models", python=python)
    assert done.returncode == 1
    assert [(row["part"], row["status"]) for row in rows] == [("environment", 0), ("checks", 3), ("models", 0)]
    assert rows[1]["last_lines"] == ["first", "the | reason"]
    summary = (tmp_path / "out" / "summary.md").read_text()
    assert "## checks: FAILED" in summary
    assert "    the | reason" in summary
    assert "## models: done" in summary


def test_the_parts_together_stay_under_nine_minutes():
    lines = (BENCHMARKS / "gpu.sh").read_text().splitlines()
    limits = [int(line.split()[2]) for line in lines if line.startswith(("measure ", "part "))]
    assert len(limits) == 8
    assert sum(limits) <= 540


def test_a_summary_tells_what_ran_what_runs_and_what_was_cut(script, tmp_path):
    results = script("gpu_results")
    log = tmp_path / "results.jsonl"
    results.add(log, "checks", check="packed", result="passed", found={"a": 0.000251})
    results.add(log, "checks", check="graphs", result="not made: a | b", found={})
    results.add(log, "checks", kind="end", status=124, seconds=60, limit=60, last_lines=["cut here"])
    results.add(log, "pretrain", model="m", MFU=None, tokens_per_s=123456)
    text = results.summary(tmp_path)
    assert "## checks: cut at its time limit, 60 s of 60" in text
    assert "| packed | passed | a 0.000251 |\n| graphs | not made: a / b |  |" in text
    assert "    cut here" in text
    assert "## pretrain: running" in text
    assert "| model | MFU | tokens_per_s |\n|---|---|---|\n| m |  | 123456 |" in text


def test_flops_are_those_of_the_matrices(script):
    speed, models = script("gpu_speed"), script("gpu_models")
    lm = models.build("llama-135m", "cpu")
    matrices = [
        p.numel() for name, p in lm.model.named_parameters() if p.ndim == 2
    ]  # the embedding is the output layer
    width, layers = lm.model.config.hidden_size, lm.model.config.num_hidden_layers
    assert speed.flops_a_token("llama-135m", 100, "cpu") == 6 * sum(matrices) + 6 * layers * width * 100
