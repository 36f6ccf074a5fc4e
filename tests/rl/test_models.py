"""What a policy may be: adapters, layers computed again, weights spread over processes, another engine."""

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from mathwright.cli import main
from mathwright.errors import MathwrightError
from mathwright.lm import heads, parallel
from mathwright.lm.loop import CHECKPOINTS
from mathwright.lm.recipe import LoraRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.rl import rewards, training
from mathwright.rl.check import check
from mathwright.rl.methods.grpo import Grpo
from mathwright.rl.models import Models
from tests import warm
from tests.rl import toy
from tests.rl.toy import even_is_right, measured, run, same_weights

ROOT = Path(__file__).resolve().parents[2]
LORA = LoraRecipe(rank=4, alpha=8.0)


# --- adapters ---


def test_adapters_learn_and_are_compared_with_the_model_without_them(tmp_path, model):
    pytest.importorskip("peft")
    lm = toy.tiny(model)
    lm.model.get_input_embeddings().weight.data.mul_(10.0)  # else no hidden state makes a token much likelier
    model = tmp_path / "start"
    save(lm, model)
    stage = run(tmp_path / "run", model, lora=LORA, num_steps=30, problems_per_step=4, group_size=8)
    rows = measured(stage)
    assert sum(r["reward_mean"] for r in rows[-5:]) > sum(r["reward_mean"] for r in rows[:5]) + 1.0
    assert rows[0]["kl"] == 0.0 < rows[-1]["kl"]
    before, after = toy.weights(model), toy.weights(stage.path / "model")
    assert before.keys() == after.keys(), "the folder holds a plain model"
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("_proj" in name for name in changed), "nothing but what has adapters"
    merged = tmp_path / "merged"
    main(["merge", str(stage.path / "adapter"), "--out", str(merged)])
    again = toy.weights(merged)
    assert all(torch.allclose(again[name], after[name], atol=1e-6) for name in after), "adapter/ is what was added"


def test_the_policy_without_adapters_is_no_second_model(model):
    pytest.importorskip("peft")
    recipe = toy.recipe(lora=LORA)
    method = Grpo(0.2, 0.04, "population", 1e-6)
    models = Models.load(recipe, method, model, template="short", dtype="float32", device="cpu", seed=0)
    assert models.reference is not None
    assert models.reference.lm is models.policy
    other = Models.load(toy.recipe(), method, model, template="short", dtype="float32", device="cpu", seed=0)
    assert other.reference is not None
    assert other.reference.lm is not other.policy


def test_the_model_that_explores_for_rft_is_the_one_without_adapters(tmp_path, model, monkeypatch):
    pytest.importorskip("peft")
    monkeypatch.setattr(rewards.answers, "check_responses", even_is_right)
    changes = {"method": "rft", "num_steps": 3, "saved_groups": 9}
    with_adapters = run(tmp_path / "lora", model, lora=LORA, **changes)
    without = run(tmp_path / "plain", model, **changes)
    texts = [tokens_of(stage.path / "rollouts.jsonl") for stage in (with_adapters, without)]
    assert texts[0] == texts[1]


def tokens_of(path: Path) -> list[list[list[int]]]:
    groups = [json.loads(line)["group"] for line in path.read_text().splitlines()]
    return [[r["completion"]["tokens"] for r in group["rollouts"]] for group in groups]


def test_a_run_with_adapters_goes_on_to_the_bit(tmp_path, model, monkeypatch):
    pytest.importorskip("peft")
    whole = run(tmp_path / "whole", model, lora=LORA, num_steps=4, checkpoint_every=2)
    report = training._Training._report

    def stop(self, step, values, found):
        report(self, step, values, found)
        if step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training._Training, "_report", stop)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "broken", model, lora=LORA, num_steps=4, checkpoint_every=2)
    broken = run(tmp_path / "broken", model, lora=LORA, num_steps=4, checkpoint_every=2)
    assert same_weights(whole.path / "model", broken.path / "model")


@pytest.mark.parametrize(("lora", "message"), [({"dropout": 0.1}, "dropout is 0.1"), ({"rank": 0}, "rank is 0")])
def test_adapters_that_cannot_be_trained_are_named(lora, message):
    with pytest.raises(MathwrightError, match=message):
        check(toy.recipe(lora=dataclasses.replace(LORA, **lora)))


def test_vllm_under_torchrun_is_refused_before_a_model_is_loaded(monkeypatch):
    monkeypatch.setattr(parallel, "world", lambda: parallel.World(size=2))
    recipe = toy.recipe(engine="vllm")
    with pytest.raises(MathwrightError, match="one process, not under torchrun"):
        Models.load(
            recipe,
            Grpo(0.2, 0.04, "population", 1e-6),
            "no/such/model",
            template="short",
            dtype="float32",
            device="cpu",
            seed=0,
        )


def test_layers_computed_again_change_nothing(tmp_path, model):
    plain = run(tmp_path / "plain", model, num_steps=2)
    again = run(tmp_path / "again", model, num_steps=2, checkpoint_activations=True)
    assert same_weights(plain.path / "model", again.path / "model")


# --- several processes ---

JOBS = {
    "grpo": {"num_steps": 4, "problems_per_step": 3, "checkpoint_every": 2, "micro_batch_tokens": 60},
    "process": {
        "num_steps": 2,
        "method": "grpo_process",
        "step_reward": "tests.rl.methods.test_training:first_character",
    },
    "lora": {"num_steps": 2, "lora": LORA},
    "ppo": {
        "num_steps": 4,
        "method": "ppo",
        "problems_per_step": 3,
        "checkpoint_every": 2,
        "micro_batch_tokens": 60,
        "kl_target": 0.1,
        "kl_horizon": 50,
        "optimiser": dataclasses.replace(toy.SMOOTH, lr=2e-3),
        "extra_rewards": toy.recipe().extra_rewards,
    },
    "dpo": {"num_steps": 2, "method": "rft", "num_minibatches": 2},
}
JOBS = {name: {"optimiser": toy.SMOOTH, **job} for name, job in JOBS.items()}
WORKER = """
import os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
from mathwright.rl import rewards, training
from tests.rl import test_models, toy
from tests.rl.toy import run
rewards.answers.check_responses = toy.even_is_right
kill_at = int(sys.argv[4])
report = training._Training._report
def stop(self, step, values, found):
    report(self, step, values, found)
    if step == kill_at and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
training._Training._report = stop
for job in sys.argv[3].split(","):
    run(Path(sys.argv[1]) / job, Path(sys.argv[2]), heldout=toy.PROBLEMS, evaluate_every=2, **test_models.JOBS[job])
"""


def torchrun(folder: Path, model: Path, jobs: str, kill_at: int = -1) -> "subprocess.CompletedProcess[str]":
    script = folder.parent / "worker.py"
    script.write_text(WORKER)
    return warm.torchrun(str(script), str(folder), str(model), jobs, str(kill_at))


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory, model) -> Path:
    folder = tmp_path_factory.mktemp("two") / "runs"
    try:
        import peft  # noqa: F401

        jobs = list(JOBS)
    except ImportError:
        jobs = [job for job in JOBS if job != "lora"]
    done = torchrun(folder, model, ",".join(jobs))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_two_processes_explore_and_learn_as_one(tmp_path, model, two_processes, job, monkeypatch):
    monkeypatch.setattr(rewards.answers, "check_responses", even_is_right)
    if job == "lora":
        pytest.importorskip("peft")
    one = run(tmp_path / "one", model, heldout=toy.PROBLEMS, evaluate_every=2, **JOBS[job])
    two = toy.stage(two_processes / job)
    assert two.finished or (two.path / "manifest.json").is_file()
    a, b = toy.weights(one.path / "model"), toy.weights(two.path / "model")
    if job == "ppo":
        for whole, stage in ((a, one), (b, two)):
            whole |= {f"value/{n}": w for n, w in value_weights(stage.path / "value_model").items()}
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=2e-5)
    for kind in ("train", "eval"):
        rows = [[timeless(m) for m in measured(stage, kind)] for stage in (one, two)]
        assert len(rows[0]) == len(rows[1]) > 0
        for x, y in zip(*rows, strict=True):
            assert y == pytest.approx(x, rel=1e-3, abs=1e-5)


def value_weights(folder: Path) -> dict[str, torch.Tensor]:
    return heads.load(folder, dtype="float32").model.state_dict()


def timeless(row: dict) -> dict:
    """The measurements that do not depend on the clock, -1 where there is none."""
    clock = ("second", "per_s", "time", "kind")
    kept = {name: value for name, value in row.items() if not any(part in name for part in clock)}
    return {name: -1.0 if value is None else value for name, value in kept.items()}


@pytest.mark.slow
def test_two_killed_processes_go_on_to_the_bit(tmp_path, model, two_processes):
    killed = torchrun(tmp_path / "runs", model, "ppo", kill_at=2)
    assert killed.returncode != 0
    checkpoints = [p.name for p in (tmp_path / "runs/ppo/rl" / CHECKPOINTS).iterdir()]
    assert checkpoints == ["step-00000002"]
    assert torchrun(tmp_path / "runs", model, "ppo").returncode == 0
    assert same_weights(tmp_path / "runs/ppo/rl/model", two_processes / "ppo/rl/model")
    a, b = (value_weights(folder / "ppo/rl/value_model") for folder in (tmp_path / "runs", two_processes))
    assert all(torch.equal(a[name], b[name]) for name in a)


# --- vLLM ---

VLLM = os.environ.get("MATHWRIGHT_VLLM_PYTHON")
VLLM_JOB = """
import sys, torch
from pathlib import Path
from tests.rl.toy import run
run(Path(sys.argv[1]), Path(sys.argv[2]), engine="vllm", num_steps=12, problems_per_step=4, group_size=8)
"""


@pytest.mark.skipif(VLLM is None, reason="MATHWRIGHT_VLLM_PYTHON does not name a Python with vllm")
def test_the_reward_rises_on_rollouts_of_vllm(tmp_path):
    model = tmp_path / "start"  # heads of width 32, the least that vLLM's kernels for a CPU take
    wide = dataclasses.replace(toy.SCRATCH, width=64)
    save(from_scratch(wide, [p.question for p in toy.PROBLEMS] * 3, max_length=96, seed=0), model)
    script = tmp_path / "job.py"
    script.write_text(VLLM_JOB)
    done = subprocess.run(
        [str(VLLM), str(script), str(tmp_path / "run"), str(model)],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
        env={**os.environ, "PYTHONPATH": str(ROOT), "VLLM_CPU_KVCACHE_SPACE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rows = measured(toy.stage(tmp_path / "run"))
    assert len(rows) == 12
    assert all(r["logprob_gap_max"] < 1e-3 for r in rows), "vLLM follows the weights"
    assert sum(r["reward_mean"] for r in rows[-3:]) > sum(r["reward_mean"] for r in rows[:3])
