"""The report is made from artefacts alone, shows what they say, and what a model wrote stays text."""

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mathwright.errors import MathwrightError
from mathwright.records import Completion, EvalRecord, Problem, Rollout, RolloutGroup, Verdict, to_json, write_jsonl
from mathwright.report.page import write_report
from mathwright.run import RunDirectory

HOSTILE = "</script><script>document.title='owned'</script> $x<1$ &amp; {{ 7*7 }}"


def make_run(folder: Path) -> Path:
    """A run with a corpus, fine-tuning, RL and an evaluation, as small as can be."""
    run = RunDirectory(folder, recipe_name="small", recipe={"name": "small", "note": HOSTILE})
    corpus = run.stage("corpus")
    corpus.funnel("dedup", unit="pages", num_in=1234, num_out=1000, dropped={"same text": 234})
    corpus.finish(outputs={}, summary={"top_pages": [{"url": "http://a/", "title": HOSTILE, "score": 0.98765}]})
    sft = run.stage("sft")
    for step in range(5):
        sft.log(step, kind="train", loss=2.0 / (step + 1), lr=1e-4)
    sft.finish(outputs={}, summary={"num_steps": 5})
    problem = Problem(id="p", question=HOSTILE, answer="4", source="toy", split="test")
    verdict = Verdict(status="incorrect", prediction="5", reference="4")
    rl = run.stage("rl")
    for step in range(6):
        rl.log(step, kind="train", reward_mean=step / 6, kl=0.01 * step, response_tokens=12.0, truncated=0.0)
    completion = Completion(tokens=(1,), logprobs=(-1.0,), sampled=(True,), text=HOSTILE, finish="length")
    rollout = Rollout(completion=completion, verdict=verdict, reward=None)
    group = RolloutGroup(problem=problem, prompt="Q", prompt_tokens=(1,), rollouts=(rollout,))
    (rl.path / "rollouts.jsonl").write_text(
        "".join(json_line({"step": step, "group": to_json(group)}) for step in range(6)), encoding="utf-8"
    )
    matrix = [
        {"reward_model": k, "samples": j, "pair_accuracy": None if j == 2 else 0.6125 + 0.1 * k, "num_problems": 9}
        for k in range(2)
        for j in range(3)
    ]
    rl.finish(outputs={}, summary={"method": "grpo", "reward_matrix": matrix})
    evaluation = run.stage("eval")
    record = EvalRecord(
        model="sft", task="toy", mode="cot", problem=problem, sample=-1, prompt="Q", response=HOSTILE,
        verdict=verdict, finish="stop", num_tokens=3,
    )  # fmt: skip
    write_jsonl(evaluation.path / "records.jsonl", [record])
    row = {
        "mode": "cot", "num_problems": 120, "accuracy_interval": [0.2, 0.4], "unscored": 0, "truncated": 0.1,
        "unparsable": 0.0, "timeouts": 0.0, "used_tool": 0.0, "mean_tokens": 30.0, "maj_at_k": 0.4,
        "by_split": {"test_numbers": {"num_problems": 100, "accuracy": 0.33}}, "by_subject": {},
        "pass_at": {"1": 0.3, "4": 0.55},
    }  # fmt: skip
    difference = {"mode": "cot", "before": "pretrain", "after": "rl", "num_problems": 120, "difference": 0.125}
    evaluation.finish(
        outputs={},
        summary={
            "models": ["pretrain", "rl"],
            "num_samples": 4,
            "table": [{"model": "pretrain", "accuracy": 0.1875, **row}, {"model": "rl", "accuracy": 0.3125, **row}],
            "comparisons": [{**difference, "interval": [0.05, 0.2]}],
        },
    )
    return folder


def json_line(value: object) -> str:
    import json

    return json.dumps(value) + "\n"


def test_figures_of_the_artefacts_stand_in_the_page(tmp_path: Path) -> None:
    html = write_report(make_run(tmp_path)).read_text(encoding="utf-8")
    for shown in ("31.2%", "+12.5 points", "+5.0 to +20.0", "1,234", "same text 234", "0.9877", "55.0%", "before SFT"):
        assert shown in html, shown


def test_the_reward_models_of_the_iterations_are_set_beside_the_samples_of_each(tmp_path: Path) -> None:
    html = write_report(make_run(tmp_path)).read_text(encoding="utf-8")
    for shown in ("reward model 1", "samples of the SFT model", "samples of iteration 2", "0.7125"):
        assert shown in html, shown


def test_what_a_model_wrote_stays_text(tmp_path: Path) -> None:
    html = write_report(make_run(tmp_path)).read_text(encoding="utf-8")
    assert "<script>document.title" not in html
    assert html.count("&lt;script&gt;document.title") >= 4
    assert "{{ 7*7 }}" in html


def test_an_unfinished_run_is_reported_as_far_as_it_is(tmp_path: Path) -> None:
    RunDirectory(tmp_path, recipe_name="small", recipe={})
    assert "No evaluation yet" in write_report(tmp_path).read_text(encoding="utf-8")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match="holds no run"):
        write_report(tmp_path)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium to look at the page")
def test_the_page_opens_without_errors_and_draws_its_curves(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path / "run"))
    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=5000",
            "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    assert len(re.findall(r'class="main-svg"', done.stdout)) >= 5
    assert "<title>Mathwright: small</title>" in done.stdout


def scripts_of(html: str) -> list[str]:
    return re.findall(r"<script>(.*?)</script>", html, re.DOTALL)


def test_nothing_runs_in_the_page_but_its_own_scripts(tmp_path: Path) -> None:
    """The policy names each script by its hash, lets nothing be fetched, and stands before the first of them."""
    html = write_report(make_run(tmp_path)).read_text(encoding="utf-8")
    [policy] = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["base-uri"] == "'none'" and rules["form-action"] == "'none'"
    assert html.index("Content-Security-Policy") < html.index("<script")
    hashes = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts_of(html)}
    assert {f"'sha256-{value}'" for value in hashes} == set(rules["script-src"].split())
    assert len(scripts_of(html)) == html.count("<script") == 2
    assert not re.search(r"<[^>]*\son\w+\s*=", html.replace(scripts_of(html)[0], "")), "no handlers in attributes"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium to look at the page")
def test_a_script_that_gets_into_the_page_does_not_run(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path / "run"))
    html = page.read_text(encoding="utf-8")
    evil = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    page.write_text(html.replace("<body>", "<body>" + evil), encoding="utf-8")
    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "<title>Mathwright: small</title>" in done.stdout
