"""The run directory: finished stages are skipped, changed ones run again, interrupted ones go on."""

import json
import time
from pathlib import Path

import pytest

from mathwright.errors import MathwrightError
from mathwright.run import Funnel, RunDirectory, read_manifest, require_disk


def open_run(path: Path, name: str = "quick") -> RunDirectory:
    return RunDirectory(path, recipe_name=name, recipe={"seed": 0})


def test_a_finished_stage_is_found_again_and_only_with_the_same_inputs(tmp_path: Path) -> None:
    stage = open_run(tmp_path / "run").stage("sft", {"lr": 1e-4})
    artefact = stage.path / "model.txt"
    artefact.write_text("weights")
    assert not stage.finished
    stage.finish(outputs={"model": artefact}, summary={"num_steps": 3})

    again = open_run(tmp_path / "run").stage("sft", {"lr": 1e-4})
    assert again.finished
    manifest = read_manifest(again.path)
    assert manifest is not None
    assert manifest["outputs"] == {"model": "sft/model.txt"}

    changed = open_run(tmp_path / "run").stage("sft", {"lr": 2e-4})
    assert not changed.finished
    assert not artefact.exists(), "what another recipe left must not be mistaken for this one's"
    [kept] = (tmp_path / "run").glob("sft.*/model.txt")
    assert kept.read_text() == "weights"


def test_an_unfinished_stage_keeps_what_it_has(tmp_path: Path) -> None:
    stage = open_run(tmp_path).stage("corpus", 1)
    (stage.path / "half.txt").write_text("x")
    assert (open_run(tmp_path).stage("corpus", 1).path / "half.txt").exists()


def test_a_part_is_done_once_and_an_interrupted_part_starts_clean(tmp_path: Path) -> None:
    calls: list[list[str]] = []

    def work(folder: Path) -> int:
        calls.append(sorted(p.name for p in folder.iterdir()))
        (folder / "rows.txt").write_text("x")
        if len(calls) == 1:
            raise RuntimeError("killed")
        stage.funnel("rows", unit="rows", num_in=3, num_out=2, dropped={"short": 1})
        return 42

    stage = open_run(tmp_path).stage("corpus")
    with pytest.raises(RuntimeError):
        stage.once("crawl", work)
    assert stage.once("crawl", work) == 42
    assert calls == [[], []]

    stage = open_run(tmp_path).stage("corpus")
    assert stage.once("crawl", work) == 42
    assert len(calls) == 2
    stage.finish(outputs={})
    manifest = read_manifest(stage.path)
    assert manifest is not None
    assert manifest["funnels"][0]["dropped"] == {"short": 1}, "counts of a part done earlier are still reported"


def test_a_funnel_that_does_not_add_up_is_a_bug() -> None:
    with pytest.raises(ValueError, match="does not add up"):
        Funnel(step="dedup", unit="pages", num_in=10, num_out=8, dropped={"copy": 1})


def test_measurements_are_rewound_and_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    stage = open_run(tmp_path).stage("rl")
    for step in range(4):
        stage.log(step, kind="train", loss=1.0 / (step + 1))
    stage.log(0, kind="eval", accuracy=0.5)
    with (stage.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "ki')
    assert len(stage.metrics()) == 5
    stage.rewind_metrics(2, "train")
    assert [(m["kind"], m["step"]) for m in stage.metrics()] == [("train", 0), ("train", 1), ("eval", 0)]


def test_time_before_an_interruption_counts(tmp_path: Path) -> None:
    stage = open_run(tmp_path).stage("sft")
    (stage.path / "clock.json").write_text(json.dumps({"seconds": 100.0}))
    stage.finish(outputs={})
    manifest = read_manifest(stage.path)
    assert manifest is not None
    assert manifest["seconds"] >= 100


def test_another_recipes_folder_is_left_alone(tmp_path: Path) -> None:
    open_run(tmp_path / "run", "quick")
    before = (tmp_path / "run" / "recipe.json").read_text()
    with pytest.raises(MathwrightError, match="'quick', not 'other'"):
        open_run(tmp_path / "run", "other")
    assert (tmp_path / "run" / "recipe.json").read_text() == before


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(MathwrightError, match="not empty"):
        open_run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    with pytest.raises(MathwrightError, match="is a file"):
        open_run(tmp_path / "run")


def test_a_full_disk_is_noticed_before_the_work(tmp_path: Path) -> None:
    require_disk(tmp_path / "not" / "yet" / "there", 1, "a test")
    with pytest.raises(MathwrightError, match=r"GiB free, a test needs about 1048576.0 GiB"):
        require_disk(tmp_path, 2**50, "a test")


# --- what is found under other inputs ---

TODAY = time.strftime("%Y-%m-%d")


def test_what_was_made_from_other_inputs_is_set_aside_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for lr in (1, 2, 3):
        stage = open_run(tmp_path).stage("sft", {"lr": lr, "decay": [1, 2]})
        (stage.path / "weights").write_text(str(lr))
    assert (tmp_path / f"sft.{TODAY}" / "weights").read_text() == "1"
    assert (tmp_path / f"sft.{TODAY}-2" / "weights").read_text() == "2"
    said = " ".join(capsys.readouterr().err.split())
    for change, kept in (("lr: 1 -> 2", f"sft.{TODAY}/"), ("lr: 2 -> 3", f"sft.{TODAY}-2/")):
        assert f"made from other inputs ({change}): what was there is kept as {kept}" in said


def test_a_stage_in_which_nothing_was_made_leaves_nothing_aside(tmp_path: Path) -> None:
    for lr in (1, 2):
        open_run(tmp_path).stage("sft", {"lr": lr}).pause()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.json", "run.lock", "sft"]


def test_a_kill_between_the_steps_of_setting_aside_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rename is the last thing that is done once; the next command finds old and new."""
    rename = Path.rename
    for num_done in range(3):
        run = tmp_path / str(num_done)
        (open_run(run).stage("sft", 1).path / "weights").write_text("old")
        renames: list[Path] = []

        def killed(self: Path, target: Path, done: list[Path] = renames, most: int = num_done) -> Path:
            if len(done) >= most and not str(self).endswith(".partial"):
                raise KeyboardInterrupt
            done.append(self)
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", killed)
        if num_done < 2:
            with pytest.raises(KeyboardInterrupt):
                open_run(run).stage("sft", 2)
        else:
            open_run(run).stage("sft", 2)
        monkeypatch.undo()
        stage = open_run(run).stage("sft", 2)
        assert not (stage.path / "weights").exists()
        assert [path.read_text() for path in run.glob("sft.*/weights")] == ["old"]


def test_only_more_of_what_may_grow_is_the_beginning_of_it(tmp_path: Path) -> None:
    directory = open_run(tmp_path)
    stage = directory.stage("sft", {"steps": 4, "lr": 1})
    (stage.path / "checkpoints").mkdir()
    (stage.path / "checkpoints" / "step-4.pt").write_text("state")
    (stage.path / "model").mkdir()
    (stage.path / "model" / "weights").write_text("of four steps")
    assert directory.stage("sft", {"steps": 5, "lr": 1}, growing={"steps"}).path == stage.path
    assert not list(tmp_path.glob("sft.*")), "it had not finished: it goes on where it is"
    directory.stage("sft", {"steps": 5, "lr": 1}).finish(outputs={})

    grown = directory.stage("sft", {"steps": 6, "lr": 1}, growing={"steps"})
    assert not grown.finished
    assert (grown.path / "checkpoints" / "step-4.pt").read_text() == "state"
    assert not (grown.path / "model").exists()
    kept = tmp_path / f"sft.{TODAY}"
    assert (kept / "model" / "weights").is_file() and (kept / "manifest.json").is_file()
    for other in ({"steps": 5, "lr": 1}, {"steps": 7, "lr": 2}, {"steps": 7}):
        assert directory.standing("sft", other, growing={"steps"}).state == "other"


def test_a_folder_that_a_part_did_not_begin_is_kept(tmp_path: Path) -> None:
    stage = open_run(tmp_path).stage("corpus")
    (stage.path / "quality").mkdir()
    (stage.path / "quality" / "sheet.jsonl").write_text("labelled by hand")
    assert stage.once("quality", lambda folder: len(list(folder.iterdir()))) == 0
    assert (stage.path / f"quality.{TODAY}" / "sheet.jsonl").is_file()
    (stage.path / "quality" / "sheet.jsonl").write_text("labelled again")
    stage.again("quality")
    stage.again("quality")
    assert stage.once("quality", lambda folder: len(list(folder.iterdir()))) == 0
    assert (stage.path / f"quality.{TODAY}-2" / "sheet.jsonl").read_text() == "labelled again"
    assert (stage.path / f"quality.done.{TODAY}.json").is_file()


def test_the_recipe_of_before_is_kept(tmp_path: Path) -> None:
    open_run(tmp_path)
    changed = RunDirectory(tmp_path, recipe_name="quick", recipe={"seed": 1})
    assert json.loads((tmp_path / "recipe.json").read_text())["recipe"] == {"seed": 0}, "no stage was opened"
    changed.stage("sft")
    assert json.loads((tmp_path / "recipe.json").read_text())["recipe"] == {"seed": 1}
    assert json.loads((tmp_path / f"recipe.{TODAY}.json").read_text())["recipe"] == {"seed": 0}
