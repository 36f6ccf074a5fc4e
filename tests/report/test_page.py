"""The report is made from artefacts alone, shows what they say, and what a model wrote stays text."""

import base64
import gzip
import hashlib
import json
import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

import pytest

from mathwright.errors import MathwrightError
from mathwright.report import rollouts
from mathwright.report.metrics import METRICS
from mathwright.report.page import write_report, write_several
from mathwright.report.samples import write_samples_page
from mathwright.rl.guards import LIMITS
from mathwright.run import RunDirectory
from tests.report.made_run import HOSTILE, NUM_STEPS, group, make_run, write_rollouts

MAX_BYTES = 2_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report, the samples page and a page that compares it with a second run."""
    folder = tmp_path_factory.mktemp("report")
    run, other = make_run(folder / "run"), make_run(folder / "other", seed=1, gain=-0.2)
    for path in (run, other):
        write_report(path)
        write_samples_page(path / "eval")
    write_several([run, other])
    return run


def pages(run: Path) -> dict[str, str]:
    """The HTML of every page by its path in the run."""
    return {str(path.relative_to(run)): path.read_text(encoding="utf-8") for path in sorted(run.rglob("*.html"))}


def manifest(run: Path, stage: str) -> dict[str, Any]:
    return json.loads((run / stage / "manifest.json").read_text())


STAGES = ("problems", "model", "corpus", "compare", "pretrain", "sft", "reward", "rl", "eval")


def test_every_stage_has_a_page_and_every_link_leads_somewhere(made: Path) -> None:
    found = pages(made)
    assert {f"report/{stage}.html" for stage in STAGES} | {
        "report.html", "report/texts.html", "report/rollouts.html", "report/beside-other.html", "eval/samples.html",
    } == set(found)  # fmt: skip
    for name, html in found.items():
        for address in re.findall(r'href="([^"#:]+)"', html):
            assert ((made / name).parent / address).is_file(), f"{name} leads to {address}"


def test_pages_are_small(made: Path) -> None:
    assert {name: size for name, html in pages(made).items() if (size := len(html.encode())) > MAX_BYTES} == {}


def test_numbers_on_the_page_are_those_of_the_manifests(made: Path) -> None:
    found = pages(made)
    row = manifest(made, "eval")["summary"]["table"][-1]
    low, high = row["accuracy_interval"]
    said = f"{100 * row['accuracy']:.1f}% ({100 * low:.1f} to {100 * high:.1f})"
    assert said == "52.5% (37.5 to 67.5)"
    assert said in found["report.html"] and said in found["report/eval.html"]
    for page, shown in (
        ("report.html", "+12.5 points (+5.0 to +20.0)"),
        ("report.html", "7.426 bits per byte before, 5.201 after"),
        ("report/eval.html", "55.0%"),
        ("report/corpus.html", "1,234"),
        ("report/corpus.html", "same text 234"),
        ("report/corpus.html", "0.9877"),
        ("report/compare.html", "ours ahead of theirs by 0.130 bits per byte (0.110 to 0.150)"),
        ("report/compare.html", "6.2%"),
        ("report/compare.html", "the order of the corpora is mostly chance"),
        ("report/compare.html", "1,000,000"),
        ("report/reward.html", "71.0% (66.0 to 76.0)"),
        ("report/reward.html", "0.7412"),
        ("report/reward.html", "0.6125"),
        ("report/reward.html", "right (5 of 8)"),
        ("report/rl.html", "reward model 1"),
        ("report/rl.html", "samples of the SFT model"),
        ("report/rl.html", "71.2% (50 to 75)"),
        ("report/rl.html", "40.6%"),
    ):
        assert shown in found[page], (page, shown)


def test_curves_carry_the_values_of_the_measurements(made: Path) -> None:
    html = pages(made)["report/rl.html"]
    drawn = [json.loads(text.replace("&#34;", '"')) for text in re.findall(r'data-points="([^"]*)"', html)]
    rewards = next(line for plot in drawn for line in plot["lines"] if line["name"] == "Mean reward")
    assert rewards["x"] == [str(step) for step in range(NUM_STEPS)]
    assert rewards["y"][:2] == ["0.3", "0.31"] and rewards["y"][-1] == "0.69"
    assert "raw" in html, "the single steps are behind what is smoothed"


def test_what_one_must_know_first_stands_on_top(made: Path) -> None:
    html = pages(made)["report.html"]
    top = html.split('class="warnings"')[1].split("</section>")[0]
    assert "step 33: truncated 0.35 is above 0.3" in top
    assert "the halves of the seed teach nothing" in top
    assert "35.0% of answers were cut at the limit of tokens" in top
    assert html.index('class="warnings"') < html.index("The result")
    other = (made.parent / "other" / "report.html").read_text()
    assert "Reinforcement made answers worse (with tools): −20.0 points" in other


def test_a_reward_model_at_chance_and_reinforcement_within_noise_are_said(tmp_path: Path) -> None:
    run = make_run(tmp_path, gain=0.025)
    path = run / "reward" / "manifest.json"
    found = json.loads(path.read_text())
    found["summary"] |= {
        "pair_accuracy": 0.53, "pair_accuracy_interval": [0.48, 0.58], "pair_accuracy_of_length": 0.56
    }  # fmt: skip
    path.write_text(json.dumps(found))
    html = write_report(run).read_text(encoding="utf-8")
    assert "orders 53.0% of pairs rightly, which is not beyond a coin" in html
    assert "no better than judging by length (56.0%)" in html
    assert "Reinforcement changed nothing beyond noise (with tools): +2.5 points" in html


def test_where_a_run_comes_from_is_said(made: Path) -> None:
    html = pages(made)["report.html"]
    found = manifest(made, "eval")
    for name in ("machine", "python", "system"):
        assert found["made"][name] in html, name
    assert found["version"] in html
    assert found["made"]["finished"].replace("T", " ").replace("Z", " UTC") in html
    assert found["made"]["command"] and escape(found["made"]["command"]) in html
    assert "<dt>commands</dt>" in html and "<dt>seed</dt><dd>0</dd>" in html


def test_healthy_ranges_are_those_at_which_training_warns() -> None:
    for limit in LIMITS:
        metric = METRICS[limit.metric]
        assert (metric.high if limit.side == "above" else metric.low) == limit.limit, limit.metric


def test_every_measurement_of_reinforcement_is_explained() -> None:
    """The list in `rl/training.py` is the one that people are told of."""
    from mathwright.rl import training

    said = (training.__doc__ or "").split("Metrics")[-1]
    names = set(re.findall(r"^    ([a-z_, ]+?)  +\S", said, re.MULTILINE))
    known = {name.strip() for row in names for name in row.split(",")} - {""}
    assert {"reward_mean", "explained_variance", "truncated"} <= known | set(METRICS)
    assert {name for name in known if not name.startswith("_")} - set(METRICS) <= {"iteration", "reward_NAME"}


# --- texts of others ------------------------------------------------------------------------------


def test_what_others_wrote_stays_text(made: Path) -> None:
    for name, html in pages(made).items():
        assert "<script>document.title" not in html, name
        assert "<img" not in html, name
        assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|(?<=\$ )49", html), name
    found = pages(made)
    assert "&lt;script&gt;document.title" in found["report/texts.html"]
    assert "&lt;script&gt;document.title" in found["report/corpus.html"]
    assert "&lt;script&gt;document.title" in found["report/reward.html"]
    assert "{{ 7*7 }}" in found["report/texts.html"]


def test_nothing_runs_in_a_page_but_its_own_scripts_and_nothing_is_fetched(made: Path) -> None:
    """The policy names each script by its hash, and stands before the first of them."""
    for name, html in pages(made).items():
        [policy] = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'" and rules["base-uri"] == "'none'" and rules["form-action"] == "'none'"
        assert "unsafe" not in policy, name
        assert html.index("Content-Security-Policy") < html.index("<script")
        scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
        hashes = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts}
        assert {f"'sha256-{value}'" for value in hashes} == set(rules["script-src"].split()), name
        plain = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
        assert not re.search(r"<[^>]*\s(?:on\w+|src|style)\s*=", plain), name


def test_formulas_of_texts_are_set_and_their_tex_is_kept(made: Path) -> None:
    html = pages(made)["report/texts.html"]
    assert '<span class="formula" title="$x_{3} = \\sqrt{2}$">' in html and "<msqrt>" in html


def test_the_corpus_is_shown_from_both_sides_of_the_cut(made: Path) -> None:
    html = pages(made)["report/texts.html"]
    shelves = re.findall(r'<section class="shelf">\s*<h2>([^<]*)</h2>', html)
    assert shelves == ["Highest scores", "At random", "Just above the cut", "Just below the cut"]
    below = html.split("Just below the cut")[1]
    assert "Page 40" in below and "Page 59" in below and "Page 39<" not in below
    assert html.count('class="text"') == 60, "each page once"


# --- rollouts -------------------------------------------------------------------------------------


def browsed(html: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The index of a page of rollouts, and the texts of its problems in order."""
    index = json.loads(re.findall(r'id="index">(.*?)</script>', html, re.DOTALL)[0])
    chunks = [
        json.loads(gzip.decompress(base64.b64decode(text)))
        for text in re.findall(r'id="texts-\d+">(.*?)</script>', html, re.DOTALL)
    ]
    return index, [chunks[entry["chunk"]][entry["place"]] for entry in index["problems"]]


def test_rollouts_hold_every_response_with_reward_verdict_and_steps(made: Path) -> None:
    index, texts = browsed(pages(made)["report/rollouts.html"])
    assert index["steps"] == list(range(NUM_STEPS)) and len(texts) == NUM_STEPS
    entry, text = index["problems"][5], texts[5]
    assert (entry["step"], entry["id"]) == (5, "p1")
    right, unscored = index["statuses"].index("correct"), index["statuses"].index("unparsable_reference")
    assert [(s[1], s[5]) for s in entry["samples"]] == [(right, 1.0), (index["statuses"].index("incorrect"), 0.0),
                                                       (unscored, None)]  # fmt: skip
    response, answer, _, _, _, (names, steps) = text["samples"][0]
    assert response.startswith("First $") and answer == "4"
    assert names == [["answer", 1.0], ["short", 0.5]]
    assert [reward for _, reward in steps] == [1.0, 0.0]
    assert set(text["formulas"]) == {"$\\frac{1}{2}$", "\\boxed{4}"}
    assert texts[0]["samples"][0][0] == HOSTILE


def test_of_too_many_rollouts_steps_are_left_out_evenly_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import random

    rng = random.Random(0)
    noise = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=3000)) for _ in range(60)]
    write_rollouts(tmp_path / "rollouts.jsonl", [(step, group(step, text)) for step, text in enumerate(noise)])
    monkeypatch.setattr(rollouts, "PAGE_CHARS", 60_000)
    page = tmp_path / "page.html"
    said = rollouts.write_rollouts_page(tmp_path / "rollouts.jsonl", page, mode="cot", home="x.html")
    html = page.read_text(encoding="utf-8")
    index, _ = browsed(html)
    assert said is not None and (said["first_step"], said["last_step"]) == (0, 59)
    assert 4 < len(index["steps"]) < 30
    gaps = [b - a for a, b in zip(index["steps"], index["steps"][1:], strict=False)]
    assert max(gaps) - min(gaps) <= 1
    assert f"{len(index['steps'])} of 60 steps" in html and len(html) < 60_000 + 60_000


# --- several runs ---------------------------------------------------------------------------------


def test_runs_side_by_side_show_what_differs(made: Path) -> None:
    html = pages(made)["report/beside-other.html"]
    assert "32.5% (17.5 to 47.5)" not in html and "52.5% (37.5 to 67.5)" in html
    assert "20.0% (5.0 to 35.0)" in html
    assert "−32.5 points (−47.0 to −18.0), 40 problems" in html, "question by question"
    assert re.search(r"<td[^>]*>seed</td><td[^>]*>0</td><td[^>]*>1</td>", html)
    assert '<a href="../report.html">run</a>' in html and '<a href="../../other/report.html">other</a>' in html


# --- runs that are not whole ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "change", "noise", "warned"),
    [("grpo", -0.1, 0.01, "The mean reward fell"), ("grpo", 0.0, 0.01, "did not rise beyond noise"),
     ("grpo", 0.0, 0.0, "did not rise beyond noise"), ("grpo", 0.1, 0.01, ""), ("rft", -0.1, 0.01, "")],
)  # fmt: skip
def test_a_training_without_an_evaluation_is_told_by_its_reward(
    tmp_path: Path, method: str, change: float, noise: float, warned: str
) -> None:
    stage = RunDirectory(tmp_path, recipe_name="rl-mine", recipe={}).stage("rl")
    for step in range(20):
        mean = 0.3 + change * (step >= 10) + noise * (-1) ** step
        stage.log(step, kind="train", reward_mean=mean, accuracy=0.1)
    summary = {"method": method, "num_steps": 20, "accuracy_begin": 0.031, "accuracy_end": 0.0}
    stage.finish(outputs={"model": stage.path / "model"}, summary=summary)
    html = write_report(tmp_path).read_text(encoding="utf-8")
    assert "Reinforcement: 20 steps" in html and "3.1% of drawn answers right at first, 0.0% at last" in html
    assert f"mathwright eval {tmp_path.name}/rl/model --problems FILE" in html
    told = f"mean reward 0.3 in the first 4 steps, {0.3 + change:.3g} in the last"
    assert (told in html) == (method == "grpo")
    for line in ("The mean reward fell", "did not rise beyond noise"):
        assert (line in html) == (line == warned)


def test_an_unfinished_run_is_reported_as_far_as_it_is(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, recipe_name="small", recipe={})
    assert "Nothing has been made yet" in write_report(tmp_path).read_text(encoding="utf-8")
    stage = run.stage("sft")
    stage.log(0, kind="train", loss=2.0)
    html = write_report(tmp_path).read_text(encoding="utf-8")
    assert "begun and not finished" in html
    assert "2" in (tmp_path / "report" / "sft.html").read_text(encoding="utf-8")


def test_a_run_of_an_older_version_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for path in run.glob("*/manifest.json"):
        found = json.loads(path.read_text())
        path.write_text(json.dumps({k: v for k, v in found.items() if k not in ("made", "warnings")}))
    shutil.rmtree(run / "corpus" / "iteration-2")
    write_report(run)
    assert "Some pages" in (run / "report" / "texts.html").read_text(encoding="utf-8")


def test_a_folder_without_a_run_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match="holds no run"):
        write_report(tmp_path)
    (tmp_path / "recipe.json").write_text("[]")
    with pytest.raises(MathwrightError, match="damaged"):
        write_report(tmp_path)
