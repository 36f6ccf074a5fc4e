"""Algorithm 1 whole: what is new in each iteration, what goes on, and that a kill changes nothing."""

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from mathwright import answers
from mathwright.chain import iterate
from mathwright.chain.iterate import RewardModelFiles
from mathwright.lm import heads
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.save import save
from mathwright.records import JudgedGroup, Problem, read_jsonl
from mathwright.reward import refresh
from mathwright.reward import training as reward_train
from mathwright.reward.recipe import RewardRecipe
from mathwright.rl import training
from mathwright.run import Stage, read_manifest, read_metrics
from tests.rl import toy

PROBLEMS = [
    Problem(id=f"p{i}", question=f"{i} + {i}", answer=str(2 * i), source="toy", split="train") for i in range(1, 21)
]
SAMPLING = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=2)
REWARD = RewardRecipe(
    num_problems=20, responses_per_problem=4, sampling=SAMPLING, num_epochs=2, batch_rankings=4, micro_batch_tokens=200,
    heldout_share=0.25, optimiser=toy.recipe().optimiser,
)  # fmt: skip


def train_reward_model(folder: Path) -> None:
    """What the iterations begin with: a random model and a reward model of its samples."""
    toy.model_folder(folder / "model")
    reward_train.run(
        REWARD,
        toy.stage(folder / "before", "reward"),
        model=folder / "model",
        problems=PROBLEMS,
        template="short",
        dtype="float32",
        seed=1,
    )


def iterated(folder: Path, out: Path, *, reward: str = "model", **changes: Any) -> Stage:
    """Two iterations of two steps, unless the changes say otherwise."""
    recipe = toy.recipe(
        **{
            "reward": reward, "iterations": 2, "num_steps": 2, "problems_per_step": 6, "group_size": 4,
            "sampling": SAMPLING, "extra_rewards": (), **changes,
        }
    )  # fmt: skip
    stage, before = toy.stage(out), folder / "before" / "reward"
    iterate.run(
        recipe,
        stage,
        model=folder / "model",
        reward=RewardModelFiles(
            recipe=dataclasses.replace(REWARD, batch_rankings=2),
            model=before / "model",
            samples=before / "samples.jsonl",
            heldout=before / "heldout.jsonl",
        )
        if reward == "model"
        else None,
        problems=PROBLEMS,
        template="short",
        dtype="float32",
        seed=3,
    )
    return stage


@pytest.fixture(autouse=True)
def even_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "check_responses", toy.even_is_right)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("iterate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "check_responses", toy.even_is_right)
        train_reward_model(path)
    return path


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """Two iterations, run without a stop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "check_responses", toy.even_is_right)
        return iterated(folder, folder / "whole").path


def summary(stage: Path) -> dict[str, Any]:
    manifest = read_manifest(stage)
    assert manifest is not None
    return manifest["summary"]


def rows(stage: Path, kind: str = "train") -> list[dict[str, Any]]:
    return [m for m in read_metrics(stage) if m.get("kind") == kind]


def head(folder: Path) -> torch.Tensor:
    return heads.load(folder, dtype="float32").model.score.weight


def test_measurements_of_all_iterations_stand_in_one_file_with_their_steps_counted_through(whole: Path) -> None:
    assert [(m["step"], m["iteration"]) for m in rows(whole)] == [(0, 1), (1, 1), (2, 2), (3, 2)]
    lines = [json.loads(line) for line in (whole / "rollouts.jsonl").read_text().splitlines()]
    assert sorted({line["step"] for line in lines}) == [0, 1, 2, 3]
    told = summary(whole)
    assert (told["num_steps"], told["num_iterations"], told["num_responses"]) == (4, 2, 4 * 6 * 4)
    assert len(told["iterations"]) == 2


def test_the_reference_is_the_policy_of_the_iterations_begin_and_the_kl_to_the_first_model_goes_on(whole: Path) -> None:
    measured = rows(whole)
    assert measured[0]["kl"] == 0 == measured[2]["kl"] < measured[3]["kl"]
    assert "kl_initial" not in measured[1], "it would be kl once more"
    assert measured[2]["kl_initial"] > 1e-4
    first, second, end = (whole / name / "model" for name in ("iteration_1", "iteration_2", "."))
    assert not toy.same_weights(first, second)
    assert toy.same_weights(second, end)


def test_a_kept_reference_is_the_first_model(folder: Path, tmp_path: Path) -> None:
    measured = rows(iterated(folder, tmp_path / "run", reset_reference=False, reward="rule").path)
    assert measured[2]["kl"] > 1e-4
    assert measured[2]["kl"] == pytest.approx(measured[2]["kl_initial"], rel=1e-6)


def test_no_question_and_no_response_comes_twice_because_an_iteration_began(whole: Path) -> None:
    asked = [
        group.problem_id
        for number in (1, 2)
        for group in read_jsonl(whole / f"iteration_{number}" / "samples.jsonl", JudgedGroup)
    ]
    assert len(asked) == 24
    assert sorted(asked[:20]) == sorted(p.id for p in PROBLEMS), "each problem once before any comes again"


def test_samples_hold_every_response_with_its_verdict(whole: Path) -> None:
    groups = list(read_jsonl(whole / "iteration_1" / "samples.jsonl", JudgedGroup))
    assert len(groups) == 12 and all(len(g.responses) == 4 for g in groups)
    for group in groups:
        assert group.correct == tuple(toy.is_right(text) for text in group.responses)
    assert any(cut for g in groups for cut in g.truncated) and not all(cut for g in groups for cut in g.truncated)
    assert not list(whole.glob("*/samples-by-step.jsonl"))


def test_the_reward_model_learns_from_the_iteration_and_never_from_held_out_problems(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    real = refresh.refresh

    def watched(recipe: Any, stage: Stage, **given: Any) -> None:
        calls.append(given)
        real(recipe, stage, **given)

    monkeypatch.setattr(refresh, "refresh", watched)
    stage = iterated(folder, tmp_path / "run").path
    away = {g.problem_id for g in read_jsonl(folder / "before/reward/heldout.jsonl", JudgedGroup)}
    assert away and [c["reward_model"].parent.name for c in calls] == ["reward", "reward_1"]
    for call in calls:
        assert call["samples"] and not away & {g.problem_id for g in call["samples"]}
        assert {g.problem_id for g in call["heldout"]} == away
    before = list(read_jsonl(folder / "before/reward/samples.jsonl", JudgedGroup))
    assert list(calls[0]["history"]) == before
    assert list(calls[1]["history"]) == before + calls[0]["samples"]
    assert not torch.equal(head(folder / "before/reward/model"), head(stage / "reward_1/model"))
    assert not torch.equal(head(stage / "reward_1/model"), head(stage / "reward_2/model"))
    manifest = read_manifest(stage)
    assert manifest is not None and manifest["outputs"]["reward_model"] == "rl/reward_2/model"


def test_the_matrix_has_each_reward_model_on_each_iterations_samples(whole: Path) -> None:
    matrix = summary(whole)["reward_matrix"]
    assert [(row["reward_model"], row["samples"]) for row in matrix] == [(k, j) for k in range(3) for j in range(3)]
    for row in matrix:
        assert (row["pair_accuracy"] is None) == (row["num_problems"] == 0)
        if row["num_problems"]:
            low, high = row["pair_accuracy_interval"]
            assert 0 <= low <= row["pair_accuracy"] <= high <= 1
    assert any(row["num_problems"] for row in matrix)


def test_pairs_are_counted_within_a_problem() -> None:
    groups = [
        JudgedGroup(problem_id="a", prompt="a", responses=("1", "2", "3", "4"), correct=(True, False, False, None),
                    truncated=(False,) * 4),
        JudgedGroup(problem_id="b", prompt="b", responses=("1", "2"), correct=(True, True), truncated=(False,) * 2),
        JudgedGroup(problem_id="c", prompt="c", responses=("1", "2"), correct=(False, True), truncated=(False,) * 2),
    ]  # fmt: skip
    scores = [[1.0, 0.5, 2.0, 9.0], [5.0, 6.0], [3.0, 3.0]]
    assert list(iterate._accuracies(groups, scores)) == [0.5, 0.5]
    assert list(iterate._accuracies(groups, [[1.0, None, 0.0, 9.0], [5.0, 6.0], [None, 3.0]])) == [1.0]


def test_a_reward_model_may_stay_as_it_is(folder: Path, tmp_path: Path) -> None:
    stage = iterated(folder, tmp_path / "run", refresh_reward=False).path
    assert not list(stage.glob("reward_*"))
    assert [row["reward_model"] for row in summary(stage)["reward_matrix"]] == [0, 0, 0]


def test_an_iteration_without_a_pair_leaves_the_reward_model_and_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def all_wrong(pairs: Any) -> Any:
        return [toy.even_is_right([("", reference)])[0] for _, reference in pairs]

    monkeypatch.setattr(answers, "check_responses", all_wrong)
    stage = iterated(folder, tmp_path / "run").path
    assert not list(stage.glob("reward_*"))
    assert "the reward model stays as it is" in capsys.readouterr().err


def killed_at(line: int, folder: Path, run: Path) -> bool:
    """Run it in a fork of this process that kills itself as it writes that many lines of measurements."""
    child = os.fork()
    if child == 0:
        log, left = Stage.log, line

        def dying(self: Stage, *values: Any, **named: Any) -> None:
            nonlocal left
            log(self, *values, **named)
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            Stage.log = dying
            iterated(folder, run)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_killed_in_a_step_and_in_the_reward_models_training_it_goes_on_to_the_bit(
    folder: Path, whole: Path, tmp_path: Path
) -> None:
    for line in (2, 3):  # in the first iteration; then, gone on, as the reward model is trained further
        assert killed_at(line, folder, tmp_path / "run")
    stage = iterated(folder, tmp_path / "run").path
    assert toy.same_weights(stage / "model", whole / "model")
    assert torch.equal(head(stage / "reward_2/model"), head(whole / "reward_2/model"))
    assert (stage / "iteration_2/samples.jsonl").read_bytes() == (whole / "iteration_2/samples.jsonl").read_bytes()
    timeless = [
        [{k: v for k, v in row.items() if k != "time" and "seconds" not in k and "per_s" not in k} for row in rows(run)]
        for run in (stage, whole)
    ]
    assert timeless[0] == timeless[1]


def test_a_finished_iteration_is_not_run_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = training.run
    numbers: list[int] = []

    def stops(recipe: Any, stage: Stage, **given: Any) -> None:
        numbers.append(given["iteration"].number)
        if given["iteration"].number == 2 and len(numbers) == 2:
            raise KeyboardInterrupt
        real(recipe, stage, **given)

    monkeypatch.setattr(training, "run", stops)
    with pytest.raises(KeyboardInterrupt):
        iterated(folder, tmp_path / "run", reward="rule")
    iterated(folder, tmp_path / "run", reward="rule")
    assert numbers == [1, 2, 2]


def test_stopped_after_the_last_step_of_an_iteration_its_samples_are_still_there(
    folder: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "save", stop)  # the samples are written by then, the stage has not finished
        with pytest.raises(KeyboardInterrupt):
            iterated(folder, tmp_path / "run")
    stage = iterated(folder, tmp_path / "run").path
    for number in (1, 2):
        name = f"iteration_{number}/samples.jsonl"
        assert (stage / name).read_bytes() == (whole / name).read_bytes()


def test_the_value_model_goes_on_from_iteration_to_iteration(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What iteration 1 left is what iteration 2 begins with: a head put into its folder is found again at the end."""
    real = training.run
    put = torch.full_like(head(folder / "before/reward/model"), 0.25)

    def with_another_head(recipe: Any, stage: Stage, **given: Any) -> None:
        if given["iteration"].number == 2:
            left = heads.load(tmp_path / "run/rl/iteration_1/value_model", dtype="float32")
            left.model.score.weight.data.copy_(put)
            save(left, tmp_path / "run/rl/iteration_1/value_model")
        real(recipe, stage, **given)

    monkeypatch.setattr(training, "run", with_another_head)
    changes = {"method": "ppo", "value_init": "policy", "value_lr": 1e-6, "value_pretraining": 0}
    stage = iterated(folder, tmp_path / "run", reward="rule", **changes).path
    assert torch.allclose(head(stage / "iteration_2/value_model"), put, atol=1e-4)
    assert all("explained_variance" in row for row in rows(stage))
