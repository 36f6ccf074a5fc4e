"""Two processes against one: the same losses, the same weights, whatever is trained; and exact resumption."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint, parallel
from mathwright.lm.load import load
from mathwright.lm.loop import CHECKPOINTS, PART
from mathwright.lm.optimise import Optimiser
from mathwright.lm.parallel import World
from mathwright.run import read_manifest, read_metrics
from tests import warm
from tests.lm import workers
from tests.lm.conftest import adamw, earlier_checkpoint, tiny_lm

ROOT = Path(__file__).resolve().parents[2]


def torchrun(jobs: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The real one, as a user starts it; elsewhere its two processes come out of `warm`."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, "-m", "tests.lm.workers", jobs, str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


def jobs_here() -> str:
    adapters = ",adapters,reinforce_adapters" if importlib.util.find_spec("peft") else ""
    return "full,untied,untied_begun,reward,reinforce,sft,pretrain,narrow" + adapters


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of one process and of two, after all jobs."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for folder in (one, two):
        workers.write_start(folder)
    workers.run(jobs_here(), one)
    torch.set_num_threads(threads)
    done = warm.torchrun("-m", "tests.lm.workers", jobs_here(), str(two))
    assert done.returncode == 0, done.stderr[-3000:]
    return one, two


def assert_equal_models(one: Path, two: Path) -> None:
    from safetensors.torch import load_file

    expected, found = (load_file(folder / "model.safetensors") for folder in (one, two))
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    assert (one / "config.json").read_text() == (two / "config.json").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("job", ["full", "untied", "adapters", "reward", "sft", "pretrain"])
def test_two_processes_train_as_one(both: tuple[Path, Path], job: str) -> None:
    if job not in jobs_here().split(","):
        pytest.skip("peft is not installed")
    one, two = (folder / job for folder in both)
    assert_equal_models(*(next(folder.glob("**/model")) for folder in (one, two)))
    expected, found = (list(read_metrics(folder / "train")) for folder in (one, two))
    assert len(expected) >= 3
    for a, b in zip(expected, found, strict=True):
        assert a.keys() == b.keys()
        assert a["kind"] == b["kind"]
        for name in a.keys() - {"kind", "time", "seconds"}:
            assert b[name] == pytest.approx(a[name], rel=1e-5), name


@pytest.mark.slow
def test_the_models_they_trained_are_not_the_one_they_started_from(both: tuple[Path, Path]) -> None:
    start, trained = (load(both[1] / name, dtype="float32").model.state_dict() for name in ("start", "full/model"))
    assert all((value - start[name]).abs().max() > 1e-3 for name, value in trained.items())


@pytest.mark.slow
@pytest.mark.parametrize("job", ["reinforce", "reinforce_adapters"])
def test_a_step_of_rl_is_the_same(both: tuple[Path, Path], job: str) -> None:
    """Responses token for token, sums of statistics, norm of the gradient, weights."""
    if job not in jobs_here().split(","):
        pytest.skip("peft is not installed")
    one, two = (folder / job for folder in both)
    expected, found = (json.loads((folder / "steps.json").read_text()) for folder in (one, two))
    assert expected[-1]["kl"] > 1
    for a, b in zip(expected, found, strict=True):
        assert b.pop("responses") == a.pop("responses")
        assert b == pytest.approx(a, rel=1e-5)
    assert_equal_models(one / "model", two / "model")


@pytest.mark.slow
def test_a_stage_is_written_once(both: tuple[Path, Path]) -> None:
    one, two = (folder / "sft" / "train" for folder in both)
    # the name of TensorBoard's file holds the second it was begun
    names = [sorted(re.sub(r"tfevents\.\d+", "tfevents", p.name) for p in folder.iterdir()) for folder in (one, two)]
    assert names[0] == names[1]
    manifests = [read_manifest(folder) for folder in (one, two)]
    assert manifests[0] is not None
    assert manifests[1] is not None
    for name in ("fingerprint", "outputs", "funnels"):
        assert manifests[0][name] == manifests[1][name]
    assert manifests[0]["summary"] == pytest.approx(manifests[1]["summary"], rel=1e-6)  # sums in another order


@pytest.mark.slow
def test_held_out_text_is_measured_alike(both: tuple[Path, Path]) -> None:
    expected, found = (read_manifest(folder / "pretrain" / "train") for folder in both)
    assert expected is not None
    assert found is not None
    assert found["summary"] == pytest.approx(expected["summary"], rel=1e-5)
    assert found["summary"]["bits_per_byte_after"] < found["summary"]["bits_per_byte_before"]


@pytest.mark.slow
def test_killed_processes_resume_to_the_same_bits(both: tuple[Path, Path], tmp_path: Path) -> None:
    """bfloat16 weights: their float32 copies, moments and random states come back in both processes.

    So they do where one process has read the checkpoint of two and written its own. Two processes resume what one has
    begun with an earlier version, too.
    """
    killed = torchrun("narrow_killed", tmp_path)
    assert killed.returncode != 0
    assert "Signal 9" in killed.stderr
    folder = tmp_path / "narrow" / "train" / CHECKPOINTS
    newest = checkpoint.latest(folder)
    assert newest is not None
    assert newest.name == "step-00000004"
    (folder / "step-00000006.partial").mkdir()  # what a kill amid writing leaves
    shutil.copytree(tmp_path / "narrow", tmp_path / "one_between" / "narrow")
    write_again(newest, tmp_path / "one_between" / "narrow" / "train" / CHECKPOINTS)
    shutil.copytree(both[0] / "untied_begun", tmp_path / "untied")
    write_as_earlier(tmp_path / "untied" / "train" / CHECKPOINTS)
    resumed = warm.torchrun("-m", "tests.lm.workers", "narrow,one_between/narrow,untied", str(tmp_path))
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    whole = both[1] / "narrow"
    for again in (tmp_path / "narrow", tmp_path / "one_between" / "narrow"):
        weights = [(each / "model/model.safetensors").read_bytes() for each in (whole, again)]
        assert weights[0] == weights[1]
        expected, found = (
            {m["step"]: m["loss"] for m in read_metrics(each / "train") if m["kind"] == "train"}
            for each in (whole, again)
        )
        assert found == {step: expected[step] for step in found}
        assert {4, 5} <= found.keys()
    assert sorted(p.name for p in folder.iterdir()) == ["step-00000006"]
    assert_equal_models(both[0] / "untied" / "model", tmp_path / "untied" / "model")


def write_again(path: Path, folder: Path) -> None:
    """Read a checkpoint in this process alone, and write it as that of one process."""
    lm = tiny_lm(torch.bfloat16)
    trained = {"parts": {PART: lm.model}, "optimisers": {PART: Optimiser(lm.model, adamw(), num_steps=6)}}
    step = checkpoint.restore(path, **trained).step
    checkpoint.save(folder, **trained, step=step)


def write_as_earlier(folder: Path) -> None:
    """Put a file as earlier versions wrote it in the place of a checkpoint of one process."""
    lm = workers.untied_lm()
    optimiser = Optimiser(lm.model, adamw(), num_steps=6)
    checkpoint.restore(folder / "step-00000004", parts={PART: lm.model}, optimisers={PART: optimiser})
    torch.save(earlier_checkpoint(lm.model, optimiser), folder / "step-00000004.pt")
    shutil.rmtree(folder / "step-00000004")


@pytest.mark.slow
def test_one_process_resumes_what_two_have_begun(both: tuple[Path, Path], tmp_path: Path) -> None:
    """Rows that do not divide among the processes; the result is that of one process from the beginning."""
    shutil.copytree(both[1] / "untied_begun", tmp_path / "untied")
    assert (tmp_path / "untied/train" / CHECKPOINTS / "step-00000004" / "rank-1.pt").is_file()
    workers.run("untied", tmp_path)
    assert_equal_models(both[0] / "untied" / "model", tmp_path / "untied" / "model")
    steps = [m["step"] for m in read_metrics(tmp_path / "untied/train") if m["kind"] == "train"]
    assert steps == list(range(6))


# --- one process ----------------------------------------------------------------------------------


def test_one_process_needs_no_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    parallel.world.cache_clear()
    world = parallel.world()
    assert (world, world.is_main, world.device("cuda")) == (World(0, 1, 0), True, torch.device("cuda"))
    lm = tiny_lm()
    parallel.shard(lm, world)
    assert not parallel.sharded(lm.model)
    with parallel.unsharded(lm), parallel.full_state(lm) as state:
        assert state["lm_head.weight"].data_ptr() == lm.model.lm_head.weight.data_ptr()
    assert parallel.share_of_rank("abc", world) == [("a", True), ("b", True), ("c", True)]
    assert parallel.gather("abc", world) == ["a", "b", "c"]
    assert parallel.add_up({"loss": 1.5}, world, torch.device("cpu")) == {"loss": 1.5}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "2"}, "RANK or LOCAL_RANK is missing"),
        ({"WORLD_SIZE": "2", "RANK": "one", "LOCAL_RANK": "0"}, "no number"),
        ({"WORLD_SIZE": "2", "RANK": "2", "LOCAL_RANK": "0"}, "process 2 of 2 cannot be"),
    ],
)
def test_variables_that_do_not_fit_are_named(monkeypatch: pytest.MonkeyPatch, variables: dict, message: str) -> None:
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    parallel.world.cache_clear()
    with pytest.raises(MathwrightError, match=message) as caught:
        parallel.world()
    assert "torchrun" in caught.value.hint
    monkeypatch.undo()
    parallel.world.cache_clear()


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("num_items", [0, 1, 4, 5, 6])
def test_shares_are_equally_long_and_count_every_item_once(size: int, num_items: int) -> None:
    shares = [parallel.share_of_rank(list(range(num_items)), World(rank, size, rank)) for rank in range(size)]
    assert len({len(share) for share in shares}) == 1
    assert sorted(item for share in shares for item, counts in share if counts) == list(range(num_items))


def test_every_process_has_its_own_gpu() -> None:
    assert World(5, 8, 1).device("cuda") == torch.device("cuda", 1)
    assert World(5, 8, 1).device("cpu") == torch.device("cpu")
