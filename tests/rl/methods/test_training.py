"""The other rows of Table 10 on the toy world: each learns from what it is said to learn from."""

import json
import math
from typing import Any

import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.records import Part, Solution, SolutionFormat
from mathwright.rl import rewards
from tests.rl import toy
from tests.rl.toy import SHORT, even_is_right, is_right, measured, run


@pytest.mark.parametrize("method", ["dr_grpo", "dapo", "rloo"])
def test_relatives_of_grpo_raise_the_reward(tmp_path, model, method):
    rows = measured(run(tmp_path / "run", model, method=method, extra_rewards=toy.recipe().extra_rewards, **SHORT))
    assert sum(r["reward_mean"] for r in rows[-5:]) / 5 > sum(r["reward_mean"] for r in rows[:5]) / 5 + 0.2
    assert all(r["kl"] is not None and r["ratio"] == pytest.approx(1.0) for r in rows)
    assert rows[0]["logprob_gap_max"] < 1e-4


@pytest.mark.parametrize("method", ["online_rft", "rft", "dpo", "dpo_sum"])
def test_relatives_learn_from_correct_responses(tmp_path, model, monkeypatch, method):
    monkeypatch.setattr(rewards.answers, "check_responses", even_is_right)
    stage = run(tmp_path / "run", model, method=method, **SHORT)
    rows = measured(stage)
    if method == "online_rft":
        assert sum(r["accuracy"] for r in rows[-5:]) > sum(r["accuracy"] for r in rows[:5]) + 1.0
        # Eq. 10: the mean coefficient is the share of correct responses
        assert all(r["gradient_coefficient"] == pytest.approx(r["accuracy"]) for r in rows)
    else:
        # the generator is the start model, so that the accuracy of its responses stands still while the policy learns
        if method.startswith("dpo"):
            assert rows[0]["loss"] == pytest.approx(math.log(2), rel=1e-4)
            assert rows[-1]["loss"] < rows[0]["loss"]
        assert "logprob_gap" not in rows[-1]
        before, after = (share_of_right(toy.tiny(folder)) for folder in (model, stage.path / "model"))
        assert before < 0.5
        assert after > before + 0.25
    assert all(r["kl"] is None for r in rows if "kl" in r)


def solution(problem, text: str, form: SolutionFormat = "cot") -> Solution:
    return Solution(problem_id=problem.id, format=form, parts=(Part(kind="text", text=text),), answer=problem.answer)


def test_sft_raises_the_likelihood_of_the_solutions(tmp_path, model):
    solutions = [solution(p, "7") for p in toy.PROBLEMS] + [solution(toy.PROBLEMS[0], "8", "pot")]
    changes = {**SHORT, "sampling": toy.recipe().sampling}
    stage = run(tmp_path / "run", model, method="sft", **changes, solutions=solutions)
    rows = measured(stage)
    assert all(r["num_trained"] == 64 and r["gradient_coefficient"] == 1.0 and r["kl"] is None for r in rows)
    assert rows[-1]["loss"] < 0.2 * rows[0]["loss"]
    (funnel,) = [f for f in manifest(stage)["funnels"] if f["step"] == "solutions"]
    assert (funnel["num_out"], funnel["dropped"]) == (5, {"other format": 1})
    assert "accuracy" not in rows[0], "nothing is generated"


def manifest(stage) -> dict:
    return json.loads((stage.path / "manifest.json").read_text())


def test_sft_without_solutions_is_an_error_before_the_first_step(tmp_path, model):
    with pytest.raises(MathwrightError, match="no solution in format cot"):
        run(tmp_path / "run", model, method="sft", solutions=[solution(toy.PROBLEMS[0], "8", "pot")])
    assert not (tmp_path / "run/rl/metrics.jsonl").exists()


@torch.no_grad()
def share_of_right(lm) -> float:
    """Probability that a response begins rightly."""
    tokens = [token for token in range(len(lm.tokenizer)) if is_right(lm.tokenizer.decode([token]))]
    prompt = lm.tokenizer.encode("Question: 1 + 1\nAnswer:", add_special_tokens=False)
    return lm.model(torch.tensor([prompt])).logits[0, -1].softmax(-1)[tokens].sum().item()


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("dpo", "no question had both a correct and a wrong response"),
        ("rft", "no response was correct"),
        ("online_rft", "no response was correct"),
    ],
)
@pytest.mark.parametrize(("num_steps", "when"), [(2, "in any of the 2 steps"), (9, "in 3 steps in a row")])
def test_a_training_that_finds_nothing_stops_and_saves_no_model(tmp_path, model, method, why, num_steps, when):
    """A random model has nothing right."""
    with pytest.raises(MathwrightError, match=f"{method} found nothing to train on {when}: {why}"):
        run(tmp_path / "run", model, method=method, num_steps=num_steps)
    rows = measured(toy.stage(tmp_path / "run"))
    assert [r["num_trained"] for r in rows] == [0] * min(num_steps, 3)
    assert not (tmp_path / "run/rl/model").exists()
    with pytest.raises(MathwrightError, match="nothing to train on"):
        run(tmp_path / "run", model, method=method, num_steps=num_steps)  # it goes on, and finds no more


def test_a_step_without_a_correct_response_makes_no_update(tmp_path, model, monkeypatch):
    calls = []

    def sometimes(pairs):
        calls.append(1)
        return even_is_right(pairs if len(calls) % 2 else [("", reference) for _, reference in pairs])

    monkeypatch.setattr(rewards.answers, "check_responses", sometimes)
    stage = run(tmp_path / "run", model, method="online_rft", **dict[str, Any](SHORT | {"num_steps": 4}))
    trained = [r["num_trained"] > 0 for r in measured(stage)]
    assert trained == [True, False, True, False]


def test_process_supervision_rewards_steps(tmp_path, model, monkeypatch):
    monkeypatch.setattr(rewards.answers, "check_responses", even_is_right)
    stage = run(tmp_path / "run", model, method="grpo_process", **SHORT)
    rows = measured(stage)
    assert sum(r["accuracy"] for r in rows[-5:]) > sum(r["accuracy"] for r in rows[:5]) + 1.0
    group = json.loads((stage.path / "rollouts.jsonl").read_text().splitlines()[-1])["group"]
    assert all(len(r["step_ends"]) == len(r["step_rewards"]) >= 1 for r in group["rollouts"])


def first_character(problem, completion):
    """A step score for the tests: one step, the whole response."""
    return [(len(completion.text), float(is_right(completion.text)))] if completion.text else None


def no_steps(problem, completion):
    """A step score that fails for every other response."""
    return [(1, 1.0)] if len(completion.text) % 2 else 1 / 0


def test_responses_whose_steps_cannot_be_scored_are_counted(tmp_path, model):
    stage = run(
        tmp_path / "run",
        model,
        method="grpo_process",
        step_reward="tests.rl.methods.test_training:no_steps",
        num_steps=2,
    )
    rows = measured(stage)
    failed = [m for m in measured(stage, "unscored") if "ZeroDivisionError" in m["reason"]]
    assert [r["unscored"] * 8 for r in rows] == [m["count"] for m in failed]
    assert all(0 < r["unscored"] < 1 for r in rows)


def test_process_supervision_takes_any_step_score(tmp_path, model):
    stage = run(
        tmp_path / "run",
        model,
        method="grpo_process",
        step_reward="tests.rl.methods.test_training:first_character",
        **SHORT,
    )
    before, after = (share_of_right(toy.tiny(folder)) for folder in (model, stage.path / "model"))
    assert after > before + 0.25
