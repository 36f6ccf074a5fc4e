"""Trackers of experiments: what they are handed, and that a run does not end with them."""

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from mathwright.errors import MathwrightError
from mathwright.run import RunDirectory
from mathwright.run.log import Log
from mathwright.run.track import tracked


class Fake(types.ModuleType):
    """wandb's (and trackio's) functions, which write down what they are called with."""

    def __init__(self, name: str, *, defines: bool) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, Any]] = []
        self.broken = False
        self.run = types.SimpleNamespace()
        if defines:
            self.run.define_metric = lambda name, step_metric: self.calls.append(("define", (name, step_metric)))

    def init(self, **given: Any) -> Any:
        self.calls.append(("init", given))
        return self.run

    def log(self, values: dict[str, float]) -> None:
        if self.broken:
            raise RuntimeError("the network is gone")
        self.calls.append(("log", values))

    def finish(self) -> None:
        self.calls.append(("finish", None))


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake("wandb", defines=True)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return fake


def test_a_tracker_is_handed_every_measurement_with_its_step(tmp_path: Path, tracker: Fake) -> None:
    run = tmp_path / "mine"
    directory = RunDirectory(run, recipe_name="t", recipe={})
    with tracked("wandb", run=run, config={"seed": 3}, say=print):
        directory.stage("sft").log(0, kind="train", loss=2.0, note="x")
        directory.stage("rl").log(0, kind="train", reward=0.5)
    directory.stage("rl").log(1, kind="train", reward=0.6)  # after it: no more
    init = tracker.calls[0][1]
    assert (init["project"], init["name"], init["config"], init["resume"]) == (
        "mathwright",
        "mine",
        {"seed": 3},
        "allow",
    )
    assert tracker.calls[1:] == [
        ("define", ("sft/*", "sft/step")),
        ("log", {"sft/step": 0, "sft/train/loss": 2.0}),
        ("define", ("rl/*", "rl/step")),
        ("log", {"rl/step": 0, "rl/train/reward": 0.5}),
        ("finish", None),
    ]
    with tracked("wandb", run=run, config={}, say=print):
        pass
    assert tracker.calls[-2][1]["id"] == init["id"], "a resumed run goes on under the same id"


def test_trackio_has_no_ids_and_no_metrics_to_define(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake("trackio", defines=False)
    monkeypatch.setitem(sys.modules, "trackio", fake)
    monkeypatch.setenv("TRACKIO_PROJECT", "own")
    with tracked("trackio", run=tmp_path / "mine", config={}, say=print):
        Log("sft", tmp_path).log(4, loss=1.0)
    assert fake.calls[0][1].keys() == {"project", "name", "config", "resume"} and fake.calls[0][1]["project"] == "own"
    assert fake.calls[1] == ("log", {"sft/step": 4, "sft/loss": 1.0})


def test_a_tracker_that_fails_is_told_of_once_and_the_run_goes_on(tmp_path: Path, tracker: Fake) -> None:
    said: list[str] = []
    with tracked("wandb", run=tmp_path, config={}, say=said.append):
        tracker.broken = True
        log = Log("sft", tmp_path)
        log.log(0, loss=1.0)
        log.log(1, loss=1.0)
    assert len(log.metrics()) == 2
    assert len(said) == 1 and "the network is gone" in said[0]


def test_what_cannot_begin_is_an_error_before_anything_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with (
        pytest.raises(MathwrightError, match="needs the package trackio"),
        tracked("trackio", run=tmp_path, config={}, say=print),
    ):
        pass
    fake = Fake("wandb", defines=True)
    fake.init = lambda **_: (_ for _ in ()).throw(RuntimeError("no API key\nmore"))  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with (
        pytest.raises(MathwrightError, match=r"wandb did not begin: no API key \(hint"),
        tracked("wandb", run=tmp_path, config={}, say=print),
    ):
        pass
    assert Log.followers == []
