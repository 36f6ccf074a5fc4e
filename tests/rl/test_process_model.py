"""Steps rewarded by a process reward model: in the scorer, in a training, in the chain's checks."""

import dataclasses
from pathlib import Path

import pytest
import torch

from mathwright.chain.stages.rl import _check_reward_models
from mathwright.errors import MathwrightError
from mathwright.lm import heads
from mathwright.lm.pack import pack_groups
from mathwright.lm.save import save
from mathwright.problems.steps import StepRule, write_rule
from mathwright.records import Completion, FinishReason, Verdict, VerdictStatus
from mathwright.reward.recipe import ProcessRecipe
from mathwright.rl import training
from mathwright.rl.check import check
from mathwright.rl.guards import Guards
from mathwright.rl.rewards import Sample
from mathwright.rl.step_scorers import ModelSteps, WithVerdict, from_recipe
from mathwright.rl.steps import Step, StepScores
from tests import small_run
from tests.rl import toy

BY_MODEL = {"method": "grpo_process", "step_reward": "model"}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return toy.model_folder(tmp_path_factory.mktemp("rl") / "model")


@pytest.fixture(scope="module")
def process_model(model, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("process") / "model"
    save(heads.from_language_model(toy.tiny(model), seed=5), folder)
    write_rule(folder, StepRule(by="line", max_steps=3))
    return folder


def sample(text: str, finish: FinishReason = "stop", status: VerdictStatus = "correct") -> Sample:
    return Sample(
        prompt=toy.asked(toy.PROBLEMS[0], "1 + 1 ="),
        completion=Completion(tokens=(1,), logprobs=(0.0,), sampled=(True,), text=text, finish=finish),
        verdict=Verdict(status=status, prediction="", reference=""),
    )


def test_a_step_scores_sigma_at_the_token_it_ends_with(process_model):
    loaded = heads.load(process_model, dtype="float32")
    scorer = ModelSteps(loaded, StepRule(by="line"), 256)
    texts = ["3 + 4 = 7\nso\n7", "1", "3 +\n4"]
    found = scorer.score([sample(texts[0]), sample(texts[1]), sample(texts[2], finish="length")])
    group = heads.token_group(loaded, "1 + 1 =", texts, [False, False, True])
    (batch,) = pack_groups([group], 10_000)
    whole = heads.token_scores(loaded, batch).sigmoid()
    ends = [[8, 11, 14], [1], [2, 4]]  # characters are tokens here; the end token where a response ended by itself
    for row, (scores, tokens) in enumerate(zip(found, ends, strict=True)):
        expected = whole[batch.rows.index((0, row)), tokens].tolist()
        assert [s.reward for s in scores.steps] == pytest.approx(expected, abs=1e-6)
    assert [s.end for s in found[0].steps] == [9, 12, 14]


def test_what_cannot_be_scored_has_no_steps_and_a_reason(process_model):
    loaded = heads.load(process_model, dtype="float32")
    scorer = ModelSteps(loaded, StepRule(by="line"), 256)
    empty, long, fine = scorer.score([sample(" \n"), sample("1" * 500), sample("1")])
    assert (empty.steps, long.steps) == ([], []) and fine.steps
    assert "no steps" in empty.reason and "too long" in long.reason
    with torch.no_grad():
        getattr(loaded.model, heads.HEAD).weight.fill_(float("nan"))
    (nan,) = scorer.score([sample("1")])
    assert nan.steps == [] and "NaN" in nan.reason


class Fixed:
    def score(self, samples):
        return [StepScores([Step(1, 0.3)]) for _ in samples]


def test_the_verdict_is_a_last_step_of_its_own():
    right, wrong, unjudged = WithVerdict(Fixed(), 0.5).score(
        [sample("ab"), sample("ab", status="incorrect"), sample("ab", status="unparsable_reference")]
    )
    assert right.steps == [(1, 0.3), (2, 0.5)]
    assert wrong.steps == [(1, 0.3), (2, 0.0)]
    assert unjudged.steps == [] and unjudged.reason


@pytest.mark.parametrize("credit", ["sum", "min", "mean"])
def test_a_training_with_the_process_model(model, process_model, tmp_path, credit):
    stage = toy.stage(tmp_path / "run")
    training.run(
        toy.recipe(**BY_MODEL, outcome_weight=0.5, process_credit=credit), stage, model=model, reward_model=None,
        problems=toy.PROBLEMS, template="short", dtype="float32", seed=0, process_model=process_model,
    )  # fmt: skip
    rows = [m for m in stage.metrics() if m["kind"] == "train"]
    assert len(rows) == 3
    assert all(0 < row["step_reward_mean"] < 1 for row in rows)
    assert all(row["steps_per_response"] >= 1 and row["tokens_per_step"] > 0 for row in rows)
    assert all(row["gradient_coefficient"] > 0 for row in rows)


def test_a_training_without_the_model_it_names_is_refused(model, tmp_path):
    with pytest.raises(MathwrightError, match="no process reward model"):
        from_recipe(toy.recipe(**BY_MODEL), None, dtype="float32", device="cpu")
    with pytest.raises(MathwrightError, match="does not say what a step is"):  # an outcome model
        from_recipe(toy.recipe(**BY_MODEL), model, dtype="float32", device="cpu")


def test_a_model_of_another_vocabulary_reads_the_text_its_own_way(tmp_path):
    """The scorer takes texts, so that its tokens need not be the policy's."""
    lm = small_lm()
    folder = tmp_path / "model"
    save(heads.from_language_model(lm, seed=0), folder)
    scorer = ModelSteps(heads.load(folder, dtype="float32"), StepRule(by="line"), 256)
    (found,) = scorer.score([sample("3 + 4 = 7\nso 7")])
    assert [s.end for s in found.steps] == [9, 14]


def small_lm():
    from tests.lm.conftest import tiny_lm

    return tiny_lm()


# --- checks ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "grpo", "outcome_weight": 0.5}, r"rl\.outcome_weight has no part"),
        ({"method": "grpo", "process_credit": "min"}, r"rl\.process_credit has no part"),
        ({"method": "grpo", "step_reward": "model"}, r"rl\.step_reward has no part"),
        ({"method": "grpo_process", "outcome_weight": 0.5}, "counts the verdict twice"),
        ({**BY_MODEL, "outcome_weight": -1.0}, r"rl\.outcome_weight is -1"),
        ({**BY_MODEL, "outcome_weight": float("nan")}, r"rl\.outcome_weight is nan"),
    ],
)
def test_recipes_that_do_not_fit_are_named(changes, message):
    with pytest.raises(MathwrightError, match=message):
        check(toy.recipe(**changes))


def test_the_reward_model_must_be_of_the_kind_that_is_read(tmp_path):
    small = small_run.recipe(tmp_path)
    small_rl, small_reward = small.rl, small.reward
    assert small_rl is not None and small_reward is not None

    def with_(kind, **rl):
        process = ProcessRecipe() if kind == "outcome" else dataclasses.replace(ProcessRecipe(), max_steps=8)
        reward = None if kind is None else dataclasses.replace(small_reward, kind=kind, process=process)
        return dataclasses.replace(small, reward=reward, rl=dataclasses.replace(small_rl, **rl))

    for kind in ("process", "both"):
        _check_reward_models(with_(kind, **BY_MODEL))
    for kind in ("outcome", "both"):
        _check_reward_models(with_(kind, reward="model"))
    for kind, rl, message in (
        ("outcome", BY_MODEL, r"rl\.step_reward is model, but reward\.kind=outcome trains no process"),
        ("process", {"reward": "model"}, r"rl\.reward is model, but reward\.kind=process trains no outcome"),
        (None, BY_MODEL, "has no reward part"),
    ):
        with pytest.raises(MathwrightError, match=message):
            _check_reward_models(with_(kind, **rl))


# --- what is gamed ---


def test_a_number_of_steps_that_drifts_is_said_once():
    guards = Guards()
    said = [guards.warnings(step, {"steps_per_response": value}) for step, value in enumerate([4, 5, 5.3, 6, 4, 2.7])]
    assert [len(lines) for lines in said] == [0, 0, 1, 0, 0, 0]
    assert "was 4 at the beginning" in said[2][0] and "process_credit" in said[2][0]
