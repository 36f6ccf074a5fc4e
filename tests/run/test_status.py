"""What a stage is at, as others read it while it works, and after it was stopped."""

import io
import json
from pathlib import Path

import pytest

from mathwright.run import Log, RunDirectory, progress
from mathwright.run.aside import is_barren
from mathwright.run.stage import SilentStage
from mathwright.run.status import FILE, Status, Work, duration, read_status
from mathwright.terminal import PlainConsole


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_time_left_is_by_the_speed_since_the_first_step(tmp_path: Path) -> None:
    clock = Clock()
    status = Status(tmp_path, clock)
    status.begin("grpo", 50)
    status.advance(10)  # resumed: these took no time
    for _ in range(4):
        clock.now += 30
        status.advance(1)
    told = read_status(tmp_path)
    assert told is not None and told.work is not None and told.written == 1120.0
    assert told.work.done == 14
    assert told.work.seconds_left(told.written) == pytest.approx(36 * 30)
    assert told.work.said(told.written) == "grpo: 14 of 50, about 18 minutes left"


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (Work(description="extract pages", total=None, done=12_345), "extract pages: 12,345"),
        (Work(description="sft", total=8), "sft: 0 of 8"),
        (Work(description="sft", total=8, done=1, counted=(0.0, 1)), "sft: 1 of 8"),
        (Work(description="sft", total=8, done=8, counted=(0.0, 1)), "sft: 8 of 8"),
    ],
)
def test_no_time_left_is_told_where_nobody_knows(work: Work, said: str) -> None:
    assert work.said(100.0) == said


def test_the_file_is_written_now_and_then(tmp_path: Path) -> None:
    clock = Clock()
    status = Status(tmp_path, clock)
    status.begin("pages", None)
    for _ in range(1000):
        clock.now += 0.001
        status.advance(1)
    told = read_status(tmp_path)
    assert told is not None and told.work is not None and told.work.done == 0, "a second has passed"
    clock.now += 1.5
    status.advance(1)
    told = read_status(tmp_path)
    assert told is not None and told.work is not None and told.work.done == 1001
    status.end()
    told = read_status(tmp_path)
    assert told is not None and told.work is None


def test_warnings_are_there_while_the_stage_works(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", recipe_name="r", recipe={}).lock():
        stage = RunDirectory(tmp_path / "run", recipe_name="r", recipe={}).stage("sft")
        stage.warn("examples are long")
        assert not (stage.path / FILE).exists(), "no work has begun"
        with pytest.raises(RuntimeError), stage.progress("steps", 4) as advance:
            advance(1)
            raise RuntimeError
        told = read_status(stage.path)
        assert told is not None and told.warnings == ("examples are long",)
        assert told.work is not None and told.work.description == "steps", "what it was at when it stopped"
        stage.finish(outputs={})
        stage.warn("of another version")
    assert not (stage.path / FILE).exists()
    assert read_status(stage.path) is None


def test_a_stage_that_has_come_to_nothing_but_its_status_has_made_nothing(tmp_path: Path) -> None:
    stage = RunDirectory(tmp_path, recipe_name="r", recipe={}).stage("sft")
    with pytest.raises(KeyboardInterrupt), stage.progress("steps", 4):
        raise KeyboardInterrupt
    assert (stage.path / FILE).is_file() and is_barren(stage.path)


def test_others_than_stages_leave_no_file(tmp_path: Path) -> None:
    silent = SilentStage("rl", tmp_path / "silent", "")
    (tmp_path / "silent").mkdir()
    for log in (Log("fetch", tmp_path), silent):
        log.warn("careful")
        with log.progress("records", 3) as advance:
            advance(1)
    assert [path.name for path in tmp_path.rglob("*")] == ["silent"]


def test_a_damaged_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"time": 1')
    assert read_status(tmp_path) is None
    assert read_status(tmp_path / "nowhere") is None


def test_a_pipe_gets_a_line_a_minute_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(progress, "console", PlainConsole(file=said, width=100))
    ticks = iter([0.0, 30.0, 61.0, 61.0, 100.0, 122.0, 122.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks))
    with Log("rl", tmp_path).progress("grpo", 9) as advance:
        for _ in range(4):
            advance(1)
    lines = said.getvalue().splitlines()
    assert [line.split(", about")[0].split() for line in lines] == [
        ["rl", "grpo:", "2", "of", "9"],
        ["rl", "grpo:", "4", "of", "9"],
    ]


def test_a_stage_says_what_it_has_made_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    stage = RunDirectory("run", recipe_name="r", recipe={}).stage("sft")
    stage.finish(outputs={"model": stage.path / "model", "elsewhere": "/data/model"})
    assert "sft  made model run/sft/model, elsewhere /data/model" in capsys.readouterr().err
    assert json.loads((stage.path / "manifest.json").read_text())["outputs"]["model"] == "sft/model"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 seconds"), (1.2, "1 second"), (119, "119 seconds"), (150, "2.5 minutes"), (36_000, "10 hours")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
