"""The comparison of corpora: a part of the stage for each, finished ones kept, the same under several processes."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mathwright.chain.compare import run
from mathwright.errors import MathwrightError
from mathwright.lm.load import load
from mathwright.lm.shards import TokenShards
from mathwright.pretrain import training
from mathwright.pretrain.recipe import ArmRecipe, MixtureRecipe
from mathwright.records import Problem, write_jsonl
from mathwright.run import RunDirectory, read_manifest, read_manifests, read_metrics
from tests import warm
from tests.chain.compare_worker import NAMES, RECIPE, TEXTS, compare, write_inputs, write_texts


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write_inputs(folder)
    compare(folder, folder / "run")
    return folder


def weights(run: Path, name: str) -> dict[str, torch.Tensor]:
    return load(run / "compare" / name / "model", dtype="float32").model.state_dict()


def test_comparison_gives_each_corpus_the_same_tokens_and_ranks_the_fitting_one_first(compared: Path) -> None:
    manifest = read_manifest(compared / "run" / "compare")
    assert manifest is not None
    like, noise = manifest["summary"]["table"]
    assert like["num_tokens"] == noise["num_tokens"]
    assert like["bits_per_byte_before"] == noise["bits_per_byte_before"]
    assert like["bits_per_byte_after"] < noise["bits_per_byte_after"]


def test_each_corpus_has_a_model_and_metrics_of_its_own(compared: Path) -> None:
    stage = compared / "run" / "compare"
    manifest = read_manifest(stage)
    assert manifest is not None
    assert manifest["outputs"] == {name: f"compare/{name}/model" for name in NAMES}
    assert set(read_manifests(stage)) == set(NAMES)
    assert all(list(read_metrics(stage / name)) for name in NAMES)


def test_a_stopped_comparison_goes_on_with_the_corpus_it_was_at(
    compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    class Stopping(TokenShards):
        def __init__(self, path: Path | str) -> None:
            super().__init__(path)
            opened.append(Path(path).name)
            if Path(path).name == "noise" and not (tmp_path / "again").exists():
                raise KeyboardInterrupt

    monkeypatch.setattr(training, "TokenShards", Stopping)
    with pytest.raises(KeyboardInterrupt):
        compare(compared, tmp_path / "run")
    assert (tmp_path / "run" / "compare" / "noise" / "clock.json").is_file(), "its time counts"
    (tmp_path / "again").touch()
    opened.clear()
    compare(compared, tmp_path / "run")
    assert "noise" in opened and "like" not in opened
    for name in NAMES:
        torch.testing.assert_close(weights(tmp_path / "run", name), weights(compared / "run", name), rtol=0, atol=0)


def test_a_comparison_killed_at_any_moment_goes_on_with_the_same_models(compared: Path, tmp_path: Path) -> None:
    stage = tmp_path / "run" / "compare"
    for moment in (stage / "like" / "metrics.jsonl", stage / "noise" / "checkpoints" / "step-00000007"):
        process = warm.start("-m", "tests.chain.compare_worker", str(compared), str(tmp_path / "run"))
        while not moment.exists() and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        process.wait()
        assert not (stage / "manifest.json").exists()
    compare(compared, tmp_path / "run")
    for name in NAMES:
        torch.testing.assert_close(weights(tmp_path / "run", name), weights(compared / "run", name), rtol=0, atol=0)
    tables = [
        json.loads((run / "compare/manifest.json").read_text())["summary"]
        for run in (compared / "run", tmp_path / "run")
    ]
    assert tables[0] == tables[1]


@pytest.fixture(scope="module")
def planted(compared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three arms, two seeds, two rates: text like the held-out, the same text in another order, and noise."""
    folder = tmp_path_factory.mktemp("planted")
    lm = load(compared / "model", dtype="float32")
    write_texts(folder / "same", lm, TEXTS[::-2] * 3)
    (folder / "solutions.jsonl").write_text(
        "".join(json.dumps({"question": f"What is {a} + {a}?", "answer": TEXTS[13 * a]}) + "\n" for a in range(9))
    )
    write_jsonl(
        folder / "chosen.jsonl",
        [
            Problem(id=str(a), question="Which is true?", choices=(TEXTS[a], "".join(sorted(TEXTS[a]))), answer="A",
                    source="s", split="test")
            for a in range(8)
        ],
    )  # fmt: skip
    arms = {"like": compared / "like", "same": folder / "same", "noise": compared / "noise"}
    recipe = replace(
        RECIPE,
        corpora=tuple(MixtureRecipe(name=name, path="", weight=1.0) for name in arms),
        training=replace(RECIPE.training, num_tokens=4_096, checkpoint_every=0, heldout_tokens=1_500, num_points=2),
        choices=(str(folder / "chosen.jsonl"),),
        seeds=(0, 1), rates=(1e-3, 3e-3), targets=(str(folder / "solutions.jsonl"),), with_start=True,
    )  # fmt: skip
    stage = RunDirectory(folder / "run", recipe_name="t", recipe={}).stage("compare")
    run(
        recipe, stage, model=compared / "model", corpora=arms, heldout=compared / "held", dtype="float32", seed=0
    )  # fmt: skip
    manifest = read_manifest(stage.path)
    assert manifest is not None
    return {"path": stage.path, **manifest["summary"]}


def test_the_arm_with_better_text_is_ahead_and_the_one_with_the_same_is_not(planted: dict[str, Any]) -> None:
    found = {(v["first"], v["second"]): v for v in planted["verdicts"]["held-out"]}
    assert len(found) == 6, "the start is an arm too"
    assert found["like", "noise"]["ahead"] == "like"
    assert found["same", "noise"]["ahead"] == "same"
    assert found["like", "none"]["ahead"] == "like"
    assert found["like", "same"]["ahead"] is None
    assert "could have seen" in found["like", "same"]["text"]
    assert planted["verdicts"]["solutions"]
    chosen = {(v["first"], v["second"]): v["text"] for v in planted["verdicts"]["chosen"]}
    assert "bits per question" in chosen["like", "noise"]


def test_curves_go_from_the_start_to_the_end_of_each_training(planted: dict[str, Any]) -> None:
    assert len(planted["curves"]) == 12
    for curve in planted["curves"]:
        points = curve["points"]
        assert points["step"] == [0, 4, 8]
        assert points["tokens"] == [0, 2_048, 4_096]
        assert points["bytes"][0] == 0 < points["bytes"][1] < points["bytes"][2]
        assert {"held-out/bits", "solutions/bits", "solutions/digits", "chosen/bits", "chosen/accuracy"} <= set(points)
    rows = {row["corpus"]: row for row in planted["table"]}
    last = [c["points"]["chosen/bits"][-1] for c in planted["curves"] if c["arm"] == "like"]
    assert rows["like"]["measures"]["chosen"]["bits_per_question"] == pytest.approx(sum(last) / 4)


def test_each_seed_and_rate_is_a_part_and_the_table_their_mean(planted: dict[str, Any]) -> None:
    names = {
        f"{arm}-rate{rate:g}-seed{seed}"
        for arm in ("like", "same", "noise")
        for rate in (1e-3, 3e-3)
        for seed in (0, 1)
    }
    manifests = read_manifests(planted["path"])
    assert set(manifests) == names
    rows = {row["corpus"]: row for row in planted["table"]}
    assert set(rows) == {"like", "same", "noise", "none"}
    own = [manifests[name]["summary"]["bits_per_byte_after"] for name in names if name.startswith("noise")]
    assert rows["noise"]["bits_per_byte_after"] == pytest.approx(sum(own) / 4)
    assert len(set(own)) == 4, "seeds and rates differ"
    measures = rows["like"]["measures"]
    assert measures["held-out"]["bits_per_byte"] == pytest.approx(rows["like"]["bits_per_byte_after"], rel=1e-6)
    assert set(measures["solutions"]) == {"bits_per_byte", "digits", "prose"}, "no TeX in them"
    assert rows["like"]["epochs/like"] > 0


@pytest.fixture(scope="module")
def whole(compared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All that a comparison can have, at two steps a training: a healed start, a mixture, an arm after another, a
    pilot, held-out text of each corpus, accuracy, contamination."""
    folder = tmp_path_factory.mktemp("whole")
    like, noise = (MixtureRecipe(name=name, path=f"corpora/{name}", weight=1.0) for name in NAMES)
    (folder / "humaneval.jsonl").write_text(
        json.dumps({"task_id": "a", "prompt": "def f():\n", "entry_point": "f", "canonical_solution": "    return 1",
                    "test": "def check(f):\n    assert f() == 1"}) + "\n"
    )  # fmt: skip
    (folder / "copied.jsonl").write_text(json.dumps({"question": "Which sum?", "answer": TEXTS[0]}) + "\n")
    short = replace(RECIPE.training, num_tokens=1_024, checkpoint_every=0)
    recipe = replace(
        RECIPE, corpora=(like,),
        arms=(
            ArmRecipe(name="mixed", mixture=(replace(like, weight=2.0), noise)),
            ArmRecipe(name="noise_then_like", mixture=(like,), after="mixed", num_tokens=512),
        ),
        training=short, seeds=(0, 1), with_start=True, pilot_tokens=512, contamination=True,
        heal=replace(short, mixture=(replace(like, name="neutral", path="corpora/neutral"),)),
        tasks=("humaneval",), task_tokens=2, benchmark_data=str(folder), targets=(str(folder / "copied.jsonl"),),
    )  # fmt: skip
    stage = RunDirectory(folder / "run", recipe_name="t", recipe={}).stage("compare")
    run(
        recipe, stage, model=compared / "model",
        corpora={n: compared / n for n in NAMES} | {"neutral": compared / "held"},
        heldout=compared / "held", dtype="float32", seed=0, own_heldout={"like": compared / "held"},
    )  # fmt: skip
    manifest = read_manifest(stage.path)
    assert manifest is not None
    return {"path": stage.path, "recipe": recipe, **manifest["summary"]}


def test_the_start_is_healed_once_and_is_where_all_arms_begin(whole: dict[str, Any]) -> None:
    healed = read_manifest(whole["path"] / "healed-start")
    assert healed is not None
    rows = {row["corpus"]: row for row in whole["table"]}
    assert set(rows) == {"like", "mixed", "noise_then_like", "none"}
    assert rows["none"]["bits_per_byte_after"] == pytest.approx(healed["summary"]["bits_per_byte_after"], rel=1e-6)
    assert rows["like"]["bits_per_byte_before"] == rows["none"]["bits_per_byte_after"]


def test_an_arm_reads_its_mixture_and_one_after_another_goes_on_from_its_model(whole: dict[str, Any]) -> None:
    rows = {row["corpus"]: row for row in whole["table"]}
    assert rows["mixed"]["tokens/like"] == pytest.approx(2 * rows["mixed"]["tokens/noise"], abs=2 * 64)
    assert rows["mixed"]["num_tokens"] == 1_024 and rows["noise_then_like"]["num_tokens"] == 512
    first, then = (read_manifest(whole["path"] / f"{n}-rate0.003-seed1") for n in ("mixed", "noise_then_like"))
    assert first is not None and then is not None
    assert then["summary"]["bits_per_byte_before"] == pytest.approx(first["summary"]["bits_per_byte_after"], rel=1e-6)
    assert rows["noise_then_like"]["after"] == "mixed"


def test_held_out_text_of_a_corpus_is_a_measure_and_accuracy_stands_in_the_table(whole: dict[str, Any]) -> None:
    rows = {row["corpus"]: row for row in whole["table"]}
    measures = rows["like"]["measures"]
    assert measures["held-out like"] == measures["held-out"], "here they are the same text"
    for row in rows.values():
        (measured,) = row["accuracy"]
        assert measured["task"] == "humaneval" and measured["num_problems"] == 1 and measured["at_floor"]
    assert rows["like"]["accuracy"][0]["num_trainings"] == 2
    assert rows["like"]["contamination"]["copied"] == {"documents": 3, "problems": 1}, "three copies of the text"
    assert rows["mixed"]["contamination"]["copied"]["problems"] == 1
    assert rows["none"]["contamination"] == {}


def test_the_pilot_says_what_can_be_seen_and_stops_where_it_is_too_little(
    whole: dict[str, Any], compared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its trainings are done already, so that this costs nothing."""
    stage = RunDirectory(whole["path"].parent, recipe_name="t", recipe={}).stage("compare")
    with pytest.raises(MathwrightError, match=r"2 seeds can show a difference of .* not of") as caught:
        run(
            replace(whole["recipe"], stop_above=1e-9), stage, model=compared / "model",
            corpora={n: compared / n for n in NAMES} | {"neutral": compared / "held"},
            heldout=compared / "held", dtype="float32", seed=0, own_heldout={"like": compared / "held"},
        )  # fmt: skip
    assert "more texts" in caught.value.hint
    assert "pilot, held-out: 2 seeds can show" in capsys.readouterr().err
    pilots = [name for name in read_manifests(whole["path"]) if "-pilot-" in name]
    assert len(pilots) == 3 * 2


@pytest.mark.slow
def test_two_processes_compare_as_one(compared: Path, tmp_path: Path) -> None:
    def torchrun() -> str:
        done = warm.torchrun("-m", "tests.chain.compare_worker", str(compared), str(tmp_path / "run"))
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stderr

    torchrun()
    assert torchrun().count("finished before, skipped") == len(NAMES), "said by one process"
    for name in NAMES:
        torch.testing.assert_close(weights(tmp_path / "run", name), weights(compared / "run", name), rtol=0, atol=1e-5)
    manifest = json.loads((tmp_path / "run" / "compare" / "manifest.json").read_text())
    assert [row["corpus"] for row in manifest["summary"]["table"]] == list(NAMES)
