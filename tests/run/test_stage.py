"""Parts of stages: stages of their own inside another one."""

from pathlib import Path

import pytest

from mathwright.run import RunDirectory, SilentStage, Stage, read_manifests, read_metrics


def open_stage(path: Path, *inputs: object) -> Stage:
    return RunDirectory(path, recipe_name="quick", recipe={}).stage("compare", *inputs)


def test_a_part_has_its_own_manifest_metrics_and_time(tmp_path: Path) -> None:
    stage = open_stage(tmp_path, 1)
    part = stage.part("mined")
    part.log(1, loss=2.0)
    part.finish(outputs={"model": part.path / "model"}, summary={"loss": 2.0})
    assert not stage.finished and list(stage.metrics()) == []
    assert [m["loss"] for m in read_metrics(tmp_path / "compare" / "mined")] == [2.0]

    again = open_stage(tmp_path, 1)
    assert again.part("mined").finished and not again.part("web").finished
    assert again.part("mined").output("model") == tmp_path / "compare" / "mined" / "model"


def test_a_part_of_a_stage_with_other_inputs_is_made_again(tmp_path: Path) -> None:
    open_stage(tmp_path, 1).part("mined").finish(outputs={})
    assert not open_stage(tmp_path, 2).part("mined").finished


def test_parts_have_parts(tmp_path: Path) -> None:
    inner = open_stage(tmp_path).part("iteration-1").part("rl")
    inner.finish(outputs={"model": inner.path / "model", "base": "/elsewhere/model"})
    assert inner.output("model") == tmp_path / "compare" / "iteration-1" / "rl" / "model"
    assert inner.output("base") == Path("/elsewhere/model")


def test_an_interrupted_part_counts_the_time_before(tmp_path: Path) -> None:
    part = open_stage(tmp_path).part("mined")
    part._started -= 100
    part.pause()
    again = open_stage(tmp_path).part("mined")
    again.finish(outputs={})
    assert read_manifests(tmp_path / "compare")["mined"]["seconds"] >= 100


def test_of_several_processes_one_writes_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_stage(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    part = open_stage(tmp_path).part("mined")
    assert isinstance(part, SilentStage) and not part.writes
    part.log(1, loss=1.0)
    part.finish(outputs={})
    assert not (tmp_path / "compare" / "mined").exists()
    first.part("mined").finish(outputs={})
    assert part.finished


def test_an_unfinished_part_has_no_output(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has not finished"):
        open_stage(tmp_path).part("mined").output("model")


def test_manifests_of_a_run_are_those_of_its_stages(tmp_path: Path) -> None:
    stage = open_stage(tmp_path, 1)
    stage.finish(outputs={}, summary={"lr": 1})
    open_stage(tmp_path, 2).finish(outputs={}, summary={"lr": 2})
    assert len(list(tmp_path.glob("compare*"))) == 2, "the first one is set aside"
    assert {name: m["summary"] for name, m in read_manifests(tmp_path).items()} == {"compare": {"lr": 2}}


def test_a_line_after_one_that_a_kill_cut_short_is_read(tmp_path: Path) -> None:
    stage = open_stage(tmp_path)
    stage.log(1, loss=3.0)
    with (stage.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    stage.log(2, loss=2.0)
    assert [m["loss"] for m in stage.metrics()] == [3.0, 2.0]
