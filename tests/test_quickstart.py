"""The tiny chain from end to end, killed once on its way: every stage, and each must have improved what it is for."""

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mathwright.chain.stages import STAGE_NAMES
from mathwright.recipes.quickstart import tiny
from mathwright.run import read_manifest, read_metrics

COMMAND = [sys.executable, "-m", "mathwright.cli", "run", "quickstart", "--tiny", "--out"]


def start(run: Path, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as stderr:
        return subprocess.Popen([*COMMAND, str(run)], stderr=stderr, stdout=subprocess.DEVNULL)


def wait_for_rl_step(process: "subprocess.Popen[bytes]", run: Path, step: int) -> None:
    """Until the RL stage has logged `step`, however long a busy machine takes."""
    while not any(m.get("kind") == "train" and m["step"] >= step for m in read_metrics(run / "rl")):
        assert process.poll() is None, "the run ended before it was to be killed"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run that was killed with SIGKILL in the middle of RL, past a checkpoint, and started again."""
    folder = tmp_path_factory.mktemp("quickstart")
    path, log = folder / "run", folder / "log.txt"
    process = start(path, log)
    rl = tiny().rl
    assert rl is not None
    wait_for_rl_step(process, path, rl.checkpoint_every)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert read_manifest(path / "rl") is None
    log.write_bytes(b"")
    process = start(path, log)
    assert process.wait() == 0, log.read_text()
    assert "resuming after step" in log.read_text()
    skipped = [line.split()[0] for line in log.read_text().splitlines() if "finished before, skipped" in line]
    assert skipped == ["problems", "model", "corpus", "pretrain", "sft", "reward"]
    return path


def manifest(run: Path, stage: str) -> dict[str, Any]:
    found = read_manifest(run / stage)
    assert found is not None, f"{stage} has not finished"
    return found


@pytest.mark.slow
def test_all_stages_finished_and_their_counts_add_up(run: Path) -> None:
    for stage in STAGE_NAMES:
        if stage == "compare":
            continue
        for funnel in manifest(run, stage)["funnels"]:
            assert funnel["num_in"] == funnel["num_out"] + sum(funnel["dropped"].values()), funnel


@pytest.mark.slow
def test_the_corpus_is_mathematics(run: Path) -> None:
    summary = manifest(run, "corpus")["summary"]
    hosts = [page["url"].split("//")[1].split(".")[0] for page in summary["top_pages"]]
    assert len(hosts) == 20
    assert sum(host in ("mpmath", "scipy") for host in hosts) >= 18, hosts
    assert len(summary["iterations"]) == 2


@pytest.mark.slow
def test_pretraining_lowers_the_bits_per_byte_of_held_out_text(run: Path) -> None:
    summary = manifest(run, "pretrain")["summary"]
    assert summary["bits_per_byte_after"] < 0.8 * summary["bits_per_byte_before"]


@pytest.mark.slow
def test_the_reward_model_is_ahead_of_judges_that_know_nothing(run: Path) -> None:
    found = json.loads((run / "reward" / "evaluation.json").read_text())["heldout"]
    alike = found["equal_pairs"]
    assert alike["num_pairs"] > 500
    # intervals are of the differences, over prompts
    beyond_noise = {judge: low > 0 for judge, (low, _) in alike["difference_interval"].items()}
    assert beyond_noise["length"] and beyond_noise["answer"], alike
    # Where fine-tuning ends is a matter of the processor's rounding (56 to 73% of held-out problems), and the better it
    # ends the stronger a judge its log-probability is: ahead of that by 3 to 12 points, not always beyond noise.
    assert alike["difference"]["logprob"] > 0, alike
    assert found["best_of_n"]["ahead_of"]["one_sample"] > 0  # by 6 to 12 points


@pytest.mark.slow
def test_the_reward_of_rl_rises_beyond_noise(run: Path) -> None:
    steps = [m for m in read_metrics(run / "rl") if m.get("kind") == "train"]
    assert [m["step"] for m in steps] == list(range(len(steps))), "a resumed run repeats and skips nothing"
    # from the first visit to a question to the last, so that hard and easy ones do not blur the difference
    visits: dict[str, list[float]] = {}
    for line in (run / "rl" / "rollouts.jsonl").read_text().splitlines():
        group = json.loads(line)["group"]
        rewards = [r["reward"] for r in group["rollouts"] if r["reward"] is not None]
        visits.setdefault(group["problem"]["id"], []).append(sum(rewards) / len(rewards))
    assert {len(rewards) for rewards in visits.values()} == {5}, "the resumed run asks on where the killed one was"
    gains = [rewards[-1] - rewards[0] for rewards in visits.values()]
    assert len(gains) == 192
    mean = sum(gains) / len(gains)
    noise = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1) / len(gains))
    assert mean > 2 * noise, (mean, noise)  # 3.8 to 8.4 times on three roundings and two seeds (docs/log.md)


@pytest.mark.slow
def test_accuracy_rises_beyond_noise_by_fine_tuning_and_rl_keeps_it(run: Path) -> None:
    summary = manifest(run, "eval")["summary"]
    assert summary["models"] == ["pretrain", "sft", "rl"]
    intervals = {(c["mode"], c["before"], c["after"]): c["interval"] for c in summary["comparisons"]}
    assert intervals["tool", "pretrain", "sft"][0] > 0
    # What 40 steps teach shows in the reward of sampled answers (above). Greedy accuracy on 120 problems has moved by
    # +10.0, +8.4 and -1.7 with corpora that differ in a few pages: it may not fall beyond its noise.
    assert intervals["tool", "sft", "rl"][1] > 0, summary["comparisons"]
    assert intervals["tool", "pretrain", "rl"][0] > 0.3, summary["comparisons"]


@pytest.mark.slow
def test_the_report_shows_it(run: Path) -> None:
    html = (run / "report.html").read_text(encoding="utf-8")
    row = next(r for r in manifest(run, "eval")["summary"]["table"] if (r["model"], r["mode"]) == ("rl", "tool"))
    assert f"{100 * row['accuracy']:.1f}%" in html
    assert "src=" not in html.split("</style>")[1], "self-contained: nothing is fetched"
    rollouts = [json.loads(line) for line in (run / "rl" / "rollouts.jsonl").read_text().splitlines()]
    assert len({r["step"] for r in rollouts}) == manifest(run, "rl")["summary"]["num_steps"]
