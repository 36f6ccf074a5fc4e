"""The comparison of corpora: a part of the stage for each, finished ones kept, the same under several processes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mathwright.chain.compare import run
from mathwright.lm.load import load
from mathwright.lm.shards import TokenShards
from mathwright.pretrain import training
from mathwright.pretrain.recipe import MixtureRecipe
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


@pytest.fixture(scope="module")
def planted(compared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three arms, two seeds, two rates: text like the held-out, the same text in another order, and noise."""
    folder = tmp_path_factory.mktemp("planted")
    lm = load(compared / "model", dtype="float32")
    write_texts(folder / "same", lm, TEXTS[::-2] * 3)
    (folder / "solutions.jsonl").write_text(
        "".join(json.dumps({"question": f"What is {a} + {a}?", "answer": TEXTS[13 * a]}) + "\n" for a in range(9))
    )
    arms = {"like": compared / "like", "same": folder / "same", "noise": compared / "noise"}
    recipe = replace(
        RECIPE,
        corpora=tuple(MixtureRecipe(name=name, path="", weight=1.0) for name in arms),
        training=replace(RECIPE.training, num_tokens=4_096, checkpoint_every=0, heldout_tokens=1_500),
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
