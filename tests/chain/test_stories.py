"""What people do to a finished run, each story from the command line: every file that was there is there afterwards."""

import dataclasses
import json
import shutil
import time
from pathlib import Path

import pytest
import torch

import mathwright
from mathwright.cli import main
from mathwright.lm import threads
from mathwright.lm.load import load
from mathwright.machine import Machine
from mathwright.rl import training
from mathwright.run.aside import THREADS
from tests.small_run import contents, write_recipe

TODAY = time.strftime("%Y-%m-%d")


class Run:
    """A run and the command line that works on it."""

    def __init__(self, recipe: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.recipe, self.out, self._capsys = recipe, out, capsys

    def __call__(self, verb: str, *arguments: str) -> tuple[int, str]:
        """Exit status and what was said."""
        status = 0
        try:
            main([verb, str(self.recipe), "--out", str(self.out), *arguments])
        except SystemExit as stop:
            status = int(stop.code or 0)
        return status, " ".join(self._capsys.readouterr().err.split())

    def weights(self, stage: str) -> dict[str, torch.Tensor]:
        return load(self.out / stage / "model", dtype="float32").model.state_dict()

    def manifest(self, stage: str) -> dict[str, object]:
        return json.loads((self.out / stage / "manifest.json").read_text())


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose model is fine-tuned and reinforced."""
    out = tmp_path_factory.mktemp("finished") / "run"
    for verb in ("sft", "rl"):
        main([verb, str(recipe), "--out", str(out)])
    return out


@pytest.fixture
def run(recipe: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    shutil.copytree(finished, tmp_path / "run")
    return Run(recipe, tmp_path / "run", capsys)


def lost(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Files of which no copy is left anywhere."""
    return {name for name, digest in before.items() if digest not in after.values() and name != "run.lock"}


def test_a_stage_goes_on_with_the_threads_it_began_with(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another number would round differently: a run that was stopped would not end in the same bits."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(threads, "this_machine", lambda: Machine(num_cores=2, memory_bytes=2**30))
    monkeypatch.setattr(
        torch, "set_num_threads", lambda number: monkeypatch.setattr(torch, "get_num_threads", lambda: number)
    )
    torch.set_num_threads(2)
    monkeypatch.setattr(threads, "busy_cores", lambda: 0.0)
    with monkeypatch.context() as stopping:
        stopping.setattr(training._Training, "_report", stop)
        run("rl", "--clear")
    assert json.loads((run.out / "rl" / THREADS).read_text()) == 2
    monkeypatch.setattr(threads, "busy_cores", lambda: 1.0)
    _, said = run("rl")
    assert "goes on on 2 threads, as it began" in said
    assert "threads: 2" in str(run.manifest("rl")["made"]) and not (run.out / "rl" / THREADS).exists()
    _, said = run("rl", "--clear")
    assert "computes on 1 thread: other programs keep 1.0 of 2 cores busy" in said
    assert "threads: 1" in str(run.manifest("rl")["made"])


def test_a_memory_knob_leaves_a_finished_stage_as_it_is(run: Run) -> None:
    before = contents(run.out)
    status, said = run("rl", "--set", "rl.generation_batch=8", "--set", "rl.micro_batch_tokens=64")
    assert status == 0
    assert "finished before, skipped" in said and "rl.generation_batch: 64 -> 8" in said
    after = contents(run.out)
    assert not lost(before, after)
    assert {name for name in before if after.get(name) != before[name]} <= {"recipe.json", "run.lock"}


def test_another_version_of_the_package_is_warned_about(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(run.out)
    monkeypatch.setattr(mathwright, "__version__", "99.0.0")
    status, said = run("rl")
    assert status == 0
    assert "begun with mathwright 0.1.0, this is 99.0.0" in said and said.count("finished before, skipped") == 3
    assert contents(run.out) == before | {"run.lock": contents(run.out)["run.lock"]}


def test_another_format_of_a_stage_sets_it_aside(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from mathwright.chain import run as chain_run

    before = contents(run.out)
    changed = tuple(dataclasses.replace(spec, format=2) if spec.name == "rl" else spec for spec in chain_run.STAGES)
    monkeypatch.setattr(chain_run, "STAGES", changed)
    status, said = run("rl")
    assert status == 0
    assert "rl format: 1 -> 2" in said and f"kept as rl.{TODAY}/" in said
    assert not lost(before, contents(run.out))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sft", "--model", "/nope"), "/nope: no such model folder"),
        (("sft", "--set", "template=shrt"), "shrt"),
        (("rl", "--set", "rl.reference=/nope/at/all"), "/nope/at/all"),
        (("rl", "--set", "rl.reward=model"), "stage 'reward'"),
        (("rl", "--set", "rl.kl_coef=-1"), "rl.kl_coef"),
        (("rl", "--set", 'rl.extra_rewards=[{"kind": "function", "weight": 1, "function": "nobody:f"}]'), "nobody:f"),
        (("rl", "--set", 'problems.sources=[{"source": "/n.jsonl", "path": "", "num_train": 1, "num_test": 1}]'), "/n"),
        (("rl", "--set", "problems.seed=1"), "stage 'sft'"),
        (("rl", "--set", "rl.no_such_field=1"), "no_such_field"),
        (("sft", "--clear", "--model", "/nope"), "/nope"),
        (("eval", "--set", "eval.start_template=plan"), "eval.start_template"),
        (("sft", "--set", "model.source=/nope"), "/nope: no such model folder"),
    ],
)
def test_bad_input_is_found_before_a_file_is_touched(run: Run, arguments: tuple[str, ...], said: str) -> None:
    before = contents(run.out)
    status, printed = run(*arguments)
    assert status == 2
    assert said in printed and "hint:" in printed
    after = contents(run.out)
    assert {**after, "run.lock": ""} == {**before, "run.lock": ""}


def test_a_stage_may_start_from_the_model_it_made(run: Run) -> None:
    before, first = contents(run.out), run.weights("sft")
    model = run.out / "sft" / "model"
    status, said = run("sft", "--model", str(model))
    assert status == 0, said
    kept = run.out / f"sft.{TODAY}"
    assert f"kept as {kept.name}/" in said
    assert not lost(before, contents(run.out))
    second = run.weights("sft")
    assert any(not torch.equal(first[name], second[name]) for name in first)
    elsewhere = Run(run.recipe, run.out.with_name("elsewhere"), run._capsys)
    assert elsewhere("sft", "--model", str(kept / "model"))[0] == 0
    assert not (elsewhere.out / "model").exists(), "the start model of the recipe may be large, and far away"
    assert all(torch.equal(value, second[name]) for name, value in elsewhere.weights("sft").items())

    status, said = run("sft", "--model", str(model))
    assert "finished before, skipped" in said, "the same command again: the model it names is the one of then"


def test_a_stage_that_starts_from_its_own_model_goes_on_when_it_was_stopped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mathwright.sft import training

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    model = str(run.out / "sft" / "model")
    monkeypatch.setattr(training, "save", stop)
    assert run("sft", "--model", model)[0] == 130
    assert not (run.out / "sft" / "model").exists()
    monkeypatch.undo()
    status, said = run("sft", "--model", model)
    assert status == 0, said
    assert [path.name for path in run.out.glob("sft.*")] == [f"sft.{TODAY}"]


def test_what_a_command_would_move_cannot_be_its_input(run: Run) -> None:
    before = contents(run.out)
    for arguments in (
        ("--clear", "--model", str(run.out / "sft" / "model")),
        ("--set", "sft.num_steps=5", "--set", "sft.optimiser.lr=1", "--set", f"rl.reference={run.out}/sft/model"),
    ):
        status, said = run("sft", *arguments)
        assert status == 2 and "which this command would" in said, said
    assert lost(before, contents(run.out)) == set()


@pytest.mark.parametrize(("stage", "more"), [("sft", "sft.num_steps=7"), ("rl", "rl.num_steps=4")])
def test_more_steps_are_the_same_training(run: Run, stage: str, more: str) -> None:
    before = contents(run.out)
    status, said = run(stage, "--set", more)
    assert status == 0, said
    assert "more of the same" in said and f"{stage}.{TODAY}/" in said
    assert not lost(before, contents(run.out))
    at_once = Run(run.recipe, run.out.with_name("at_once"), run._capsys)
    if stage == "rl":
        assert at_once("sft")[0] == 0
    assert at_once(stage, "--set", more)[0] == 0
    weights = at_once.weights(stage)
    assert all(torch.equal(value, weights[name]) for name, value in run.weights(stage).items())
    for name in ("summary", "funnels", "fingerprint"):
        assert _timeless(run.manifest(stage)[name]) == _timeless(at_once.manifest(stage)[name])
    rows = [json.loads(line) for line in (run.out / stage / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["kind"] == "train"] == list(range(int(more[-1]))), "no step twice"


def _timeless(value: object) -> object:
    return {k: v for k, v in value.items() if "seconds" not in k} if isinstance(value, dict) else value


def test_more_steps_of_a_decaying_rate_are_another_training(run: Run) -> None:
    decay = ("--set", "sft.optimiser.decay=[[0.5, 0.1]]")
    assert run("sft", *decay)[0] == 0
    status, said = run("sft", *decay, "--set", "sft.num_steps=7")
    assert status == 0
    assert "more of the same" not in said and "sft.num_steps: 4 -> 7" in said
    assert sorted(path.name for path in run.out.glob("sft.*")) == [f"sft.{TODAY}", f"sft.{TODAY}-2"]


def test_a_changed_setting_sets_aside_and_says_what_changed(run: Run) -> None:
    (run.out / "rl" / "notes.txt").write_text("of a person")
    before = contents(run.out)
    status, said = run("rl", "--set", "rl.kl_coef=0.5")
    assert status == 0
    assert f"rl.kl_coef: 0.04 -> 0.5): what was there is kept as rl.{TODAY}/" in said
    assert not lost(before, contents(run.out))
    assert (run.out / f"rl.{TODAY}" / "notes.txt").is_file()
    assert json.loads((run.out / f"recipe.{TODAY}.json").read_text())["recipe"]["rl"]["kl_coef"] == 0.04
    run("rl", "--set", "rl.kl_coef=0.6")
    assert (run.out / f"rl.{TODAY}-2" / "manifest.json").is_file()


def test_a_stage_of_an_earlier_version_is_kept(run: Run) -> None:
    (run.out / "sft" / "begun.json").write_text('{"fingerprint": "0123456789abcdef"}\n')
    before = contents(run.out)
    status, said = run("sft")
    assert status == 0
    assert "did not record its inputs" in said and f"sft.{TODAY}/" in said
    assert not lost(before, contents(run.out))


def test_what_another_made_in_the_place_of_a_stage_is_kept(run: Run) -> None:
    shutil.rmtree(run.out / "rl")
    (run.out / "rl").mkdir()
    (run.out / "rl" / "thesis.tex").write_text("x")
    assert run("rl")[0] == 0
    assert (run.out / f"rl.{TODAY}" / "thesis.tex").read_text() == "x"


def test_clear_removes_and_makes_it_again(run: Run) -> None:
    before = contents(run.out)
    status, said = run("rl", "--clear", "--set", "rl.kl_coef=0.5")
    assert status == 0
    assert "(--clear)" in said and not list(run.out.glob("rl.*"))
    after = contents(run.out)
    assert {name for name in lost(before, after) if not name.startswith("rl/")} == set()
    assert lost(before, after), "the earlier weights are gone"
    assert run("rl", "--clear", "--set", "rl.kl_coef=0.5")[0] == 0
    assert "rl/model/model.safetensors" in contents(run.out)


def test_an_interrupted_stage_goes_on_with_other_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from mathwright.rl import training

    report = training._Training._report

    def stop(self: training._Training, step: int, values: training.Values, found: training.Exploration) -> None:
        report(self, step, values, found)
        if step == 1:
            raise KeyboardInterrupt

    changed = ("--set", "rl.kl_coef=0.5", "--set", "rl.num_steps=3")
    monkeypatch.setattr(training._Training, "_report", stop)
    assert run("rl", *changed)[0] == 130
    monkeypatch.undo()
    settings = ("generation_batch=3", "micro_batch_tokens=64", "saved_groups=1", "checkpoint_every=3",
                "wave_responses=4", "max_logprob_gap=2", "evaluate_every=2")  # fmt: skip
    status, said = run("rl", *changed, *(part for s in settings for part in ("--set", f"rl.{s}")))
    assert status == 0, said
    assert "step 1 of 3" in said and "rl.generation_batch: 64 -> 3" in said
    assert len(list(run.out.glob("rl.*"))) == 1, "only the finished one of before"
    rows = [json.loads(line) for line in (run.out / "rl" / "rollouts.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 0, 1, 2]


def test_a_stage_made_from_other_inputs_says_which(run: Run) -> None:
    status, said = run("rl", "--set", "template=deepseekmath")
    assert status == 2
    assert 'template: "short" -> "deepseekmath"' in said and "--model" in said and "`mathwright sft`" in said
    assert run("sft", "--model", str(run.out / "model" / "model"))[0] == 0
    status, said = run("rl", "--set", "rl.kl_coef=0.5")
    assert status == 2
    assert "sft --model" in said and "has not finished" not in said
    assert run("rl", "--model", str(run.out / "sft" / "model"))[0] == 0


def test_more_steps_without_a_checkpoint_come_to_the_same_weights(run: Run) -> None:
    grown = run.out.with_name("grown")
    shutil.copytree(run.out, grown)
    shutil.rmtree(grown / "sft" / "checkpoints")
    for out in (run.out, grown):
        assert Run(run.recipe, out, run._capsys)("sft", "--set", "sft.num_steps=6")[0] == 0
    a, b = (load(out / "sft" / "model", dtype="float32").model.state_dict() for out in (run.out, grown))
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def test_more_problems_and_samples_keep_those_that_are_there(run: Run) -> None:
    assert run("eval", "--set", "eval.num_problems=2")[0] == 0
    before = contents(run.out)
    more = ("--set", "eval.num_problems=3", "--set", "eval.num_samples=2", "--set", "eval.num_sampled_problems=2")
    status, said = run("eval", *more)
    assert status == 0, said
    assert "more of the same" in said and not lost(before, contents(run.out))
    at_once = run.out.with_name("at_once")
    shutil.copytree(run.out, at_once)
    shutil.rmtree(at_once / "eval")
    assert Run(run.recipe, at_once, run._capsys)("eval", *more)[0] == 0
    assert (run.out / "eval" / "records.jsonl").read_bytes() == (at_once / "eval" / "records.jsonl").read_bytes()
    kept = list((run.out / f"eval.{TODAY}" / "samples" / "sft" / "records").glob("*"))
    assert kept
    for path in kept:
        grown = run.out / "eval" / "samples" / "sft" / "records" / path.name
        assert grown.read_bytes().startswith(path.read_bytes()), "what was drawn is not drawn again"
