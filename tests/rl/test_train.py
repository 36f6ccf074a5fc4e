"""The training loop on a toy world: it learns, repeats to the bit, resumes, and computes Eq. 3."""

import contextlib
import dataclasses
import json
import math
import signal
from typing import Any

import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.lm.generate import Generator
from mathwright.lm.loop import CHECKPOINTS
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.records import RolloutGroup, from_json
from mathwright.rl import rewards, training
from mathwright.rl.methods import grpo
from mathwright.rl.models import Models
from mathwright.rl.recipe import RewardTermRecipe
from tests import warm
from tests.oracles import rl_advantages, rl_losses
from tests.rl import toy
from tests.rl.toy import SHORT, even_is_right, measured, run, same_weights


def test_the_reward_rises(tmp_path, model):
    stage = run(tmp_path / "run", model, num_steps=30, problems_per_step=4, group_size=8, checkpoint_every=0)
    rows = measured(stage)
    assert sum(r["reward_mean"] for r in rows[:5]) / 5 < 0.1
    assert sum(r["reward_mean"] for r in rows[-5:]) / 5 > 0.6
    assert rows[0]["kl"] == 0.0 < rows[-1]["kl"]
    assert all(r["ratio"] == 1.0 for r in rows), "with one update per exploration pi_old is pi"
    assert all(r["logprob_gap_max"] < 1e-4 for r in rows), "generator and training are one model"
    manifest = json.loads((tmp_path / "run/rl/manifest.json").read_text())
    assert manifest["summary"]["reward_mean_end"] > manifest["summary"]["reward_mean_begin"] + 0.5
    assert not (stage.path / CHECKPOINTS).exists()


def test_the_loss_of_a_step_is_eq3_by_the_naive_loops(tmp_path, model):
    """The second step, when the policy has left the reference, from the rollouts alone: one sequence at a time."""
    before = run(tmp_path / "one", model, num_steps=1, micro_batch_tokens=60)
    stage = run(tmp_path / "two", model, num_steps=2, micro_batch_tokens=60)
    lines = [json.loads(line) for line in (stage.path / "rollouts.jsonl").read_text().splitlines()]
    groups = [from_json(RolloutGroup, line["group"]) for line in lines if line["step"] == 1]
    assert len(groups) == 2
    policy, ref = toy.tiny(before.path / "model"), toy.tiny(model)
    columns: dict[str, list[list[float]]] = {"policy": [], "ref": [], "advantage": []}
    for group in groups:
        advantages = rl_advantages.outcome_group([r.reward for r in group.rollouts], "population", 1e-6)
        for rollout, advantage in zip(group.rollouts, advantages, strict=True):
            tokens = rollout.completion.tokens
            columns["policy"].append(naive_logprobs(policy, group.prompt_tokens, tokens))
            columns["ref"].append(naive_logprobs(ref, group.prompt_tokens, tokens))
            columns["advantage"].append([advantage] * len(tokens))
    objective = rl_losses.eq3(
        columns["policy"], columns["policy"], columns["ref"], columns["advantage"], eps_low=0.2, eps_high=0.2, beta=0.04
    )
    row = measured(stage)[1]
    assert row["loss"] == pytest.approx(-objective, rel=1e-4, abs=1e-7)
    no_advantage = [[0.0] * len(a) for a in columns["advantage"]]
    kl = rl_losses.eq3(
        columns["policy"], columns["policy"], columns["ref"], no_advantage, eps_low=0.2, eps_high=0.2, beta=-1.0
    )
    assert row["kl"] == pytest.approx(kl, rel=1e-4)
    assert row["kl"] > 1e-4


@torch.no_grad()
def naive_logprobs(lm, prompt, response) -> list[float]:
    logits = lm.model(torch.tensor([[*prompt, *response]])).logits[0].log_softmax(-1)
    return [logits[len(prompt) + t - 1, token].item() for t, token in enumerate(response)]


def test_micro_batches_change_nothing(tmp_path, model):
    same = {"num_steps": 2, "inner_updates": 2, "optimiser": toy.SMOOTH}
    one = run(tmp_path / "one", model, micro_batch_tokens=10_000, **same)
    many = run(tmp_path / "many", model, micro_batch_tokens=30, **same)
    a, b = toy.weights(one.path / "model"), toy.weights(many.path / "model")
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=2e-5)
    for x, y in zip(measured(one), measured(many), strict=True):
        assert x["clip_fraction"] == pytest.approx(y["clip_fraction"], abs=1e-6)
        assert x["gradient_coefficient"] == pytest.approx(y["gradient_coefficient"], rel=1e-3)


def test_a_second_inner_update_compares_with_the_policy_that_explored(tmp_path, model):
    rows = measured(run(tmp_path / "run", model, num_steps=2, inner_updates=3))
    assert all(abs(r["ratio"] - 1) > 1e-4 for r in rows)
    assert rows[0]["kl"] > 0, "the last update of the first step has left the reference already"


@pytest.mark.parametrize("stopped_at", [0, 1, 2])
def test_an_interrupted_training_goes_on_to_the_bit(tmp_path, model, monkeypatch, stopped_at):
    whole = run(tmp_path / "whole", model, num_steps=3, checkpoint_every=2, inner_updates=2)
    report = training._Training._report

    def stop(self, step, values, found):
        report(self, step, values, found)
        if step == stopped_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(training._Training, "_report", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", model, num_steps=3, checkpoint_every=2, inner_updates=2)
    monkeypatch.undo()
    broken = run(tmp_path / "broken", model, num_steps=3, checkpoint_every=2, inner_updates=2)
    assert same_weights(whole.path / "model", broken.path / "model")
    assert (whole.path / "rollouts.jsonl").read_bytes() == (broken.path / "rollouts.jsonl").read_bytes()
    timeless = [
        [
            {k: v for k, v in m.items() if "second" not in k and not k.endswith("_per_s") and k != "time"}
            for m in s.metrics()
        ]
        for s in (whole, broken)
    ]
    assert timeless[0] == timeless[1]


KILLED = """
import os, signal, sys, torch
from pathlib import Path
from typing import Any
torch.set_num_threads(1)
from mathwright.rl import rewards
from tests.rl import test_train, toy
judge, calls = rewards.answers.check_responses, []
def kill_in_the_second_step(pairs):
    calls.append(1)
    if len(calls) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return judge(pairs)
rewards.answers.check_responses = kill_in_the_second_step
toy.run(Path(sys.argv[1]), Path(sys.argv[2]), **test_train.IN_WAVES)
"""
IN_WAVES: dict[str, Any] = {"problems_per_step": 4, "wave_responses": 4, "checkpoint_every": 2}


def test_a_run_killed_in_the_middle_of_an_exploration_goes_on_to_the_bit(tmp_path, model, monkeypatch):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    killed = warm.run(str(script), str(tmp_path / "killed"), str(model))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "killed/rl" / CHECKPOINTS).exists(), "before the first checkpoint"
    waves = sorted(p.relative_to(tmp_path / "killed/rl/buffer") for p in (tmp_path / "killed/rl/buffer").glob("*/*"))
    assert [str(p) for p in waves] == [
        *(f"step-00000000/wave-{i:04d}.json" for i in range(4)),
        "step-00000001/wave-0000.json",
    ]
    judged: list[int] = []
    check = rewards.answers.check_responses
    monkeypatch.setattr(rewards.answers, "check_responses", lambda pairs: judged.append(len(pairs)) or check(pairs))
    resumed = run(tmp_path / "killed", model, **IN_WAVES)
    assert judged == [4] * 7, "three steps have twelve waves; five were finished before the kill"
    whole = run(tmp_path / "whole", model, **IN_WAVES)
    assert same_weights(whole.path / "model", resumed.path / "model")
    assert (whole.path / "rollouts.jsonl").read_bytes() == (resumed.path / "rollouts.jsonl").read_bytes()
    assert not (resumed.path / "buffer").exists()


def test_the_buffer_keeps_what_the_older_checkpoint_needs(tmp_path, model, monkeypatch):
    def stop(self, step, values, found):
        if step == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(training._Training, "_report", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", model, num_steps=9, checkpoint_every=2)
    checkpoints = sorted(p.stem for p in (tmp_path / "run/rl" / CHECKPOINTS).iterdir())
    assert checkpoints == ["step-00000004", "step-00000006"]
    kept = sorted(p.name for p in (tmp_path / "run/rl/buffer").iterdir())
    assert kept == ["step-00000004", "step-00000005", "step-00000006"]


def test_waves_change_only_what_runs_together(tmp_path, model):
    same = {"num_steps": 2, "problems_per_step": 4, "optimiser": toy.SMOOTH}
    one = run(tmp_path / "one", model, **same)
    many = run(tmp_path / "many", model, wave_responses=1, **same)
    a, b = toy.weights(one.path / "model"), toy.weights(many.path / "model")
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=2e-5)


# --- minibatches, dynamic sampling, references, gates, measurements on the way ---


def test_minibatches_make_an_update_each_against_the_policy_that_explored(tmp_path, model):
    whole = measured(run(tmp_path / "whole", model, num_steps=2, problems_per_step=4, inner_updates=2))
    parts = measured(
        run(tmp_path / "parts", model, num_steps=2, problems_per_step=4, inner_updates=1, num_minibatches=2)
    )
    assert [r["num_trained"] for r in parts] == [16, 16]
    # the second minibatch is seen for the first time, but the policy has moved
    assert all(abs(r["ratio"] - 1) > 1e-4 for r in parts)
    # pi_old is the policy that explored, before either update
    assert all(r["logprob_gap_max"] < 1e-4 for r in parts)
    assert whole[0]["reward_mean"] == parts[0]["reward_mean"]
    assert whole[0]["loss"] != parts[0]["loss"]


def test_one_minibatch_of_several_is_the_update_on_its_questions_alone(tmp_path, model):
    """Two questions cut in two: the first update is that of a step with the first question alone."""
    changes = {"num_steps": 1, "optimiser": dataclasses.replace(toy.recipe().optimiser, clip_norm=0.0)}
    parts = run(tmp_path / "parts", model, problems_per_step=2, num_minibatches=2, **changes)
    (both,) = measured(parts)
    alone = run(tmp_path / "alone", model, problems_per_step=1, **changes)
    halves = toy.weights(parts.path / "model"), toy.weights(alone.path / "model")
    assert any(not torch.equal(halves[0][name], halves[1][name]) for name in halves[0])
    assert both["num_trained"] == 8 == 2 * measured(alone)[0]["num_trained"]


def test_groups_of_equal_rewards_are_replaced_under_dynamic_sampling(tmp_path, model, monkeypatch):
    """Rewards differ only within the groups of two of the five questions."""

    def reward(problem, completion):
        return float(len(completion.text)) if problem.id in ("p1", "p3") else 0.5

    monkeypatch.setattr(toy, "share_of_digits", reward)
    plain = measured(run(tmp_path / "plain", model, num_steps=2))
    stage = run(tmp_path / "dynamic", model, num_steps=2, max_resampling=5, saved_groups=9)
    lines = [json.loads(line) for line in (stage.path / "rollouts.jsonl").read_text().splitlines()]
    assert {line["group"]["problem"]["id"] for line in lines} <= {"p1", "p3"}
    assert [line["step"] for line in lines] == [0, 0, 1, 1]
    rows = measured(stage)
    assert all(r["num_trained"] == 8 and r["resampled_groups"] > 0 for r in rows)
    assert "resampled_groups" not in plain[0]


def test_resampling_that_finds_nothing_ends_and_makes_no_update(tmp_path, model, monkeypatch):
    monkeypatch.setattr(toy, "share_of_digits", lambda p, c: 1.0)
    with pytest.raises(
        MathwrightError, match="nothing to train on in any of the 1 steps: all groups had equal rewards"
    ):
        run(tmp_path / "run", model, num_steps=1, max_resampling=3)
    (row,) = measured(toy.stage(tmp_path / "run"))
    assert (row["num_trained"], row["resampled_groups"], row["equal_reward_groups"]) == (0, 6, 1.0)
    assert not (tmp_path / "run/rl/model").exists()


def test_a_run_with_dynamic_sampling_goes_on_to_the_bit(tmp_path, model, monkeypatch):
    def reward(problem, completion):
        return float(len(completion.text)) if problem.id in ("p1", "p3") else 0.5

    monkeypatch.setattr(toy, "share_of_digits", reward)
    whole = run(tmp_path / "whole", model, num_steps=4, max_resampling=5, checkpoint_every=2)
    report = training._Training._report

    def stop(self, step, values, found):
        report(self, step, values, found)
        if step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training._Training, "_report", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", model, num_steps=4, max_resampling=5, checkpoint_every=2)
    monkeypatch.setattr(training._Training, "_report", report)
    broken = run(tmp_path / "broken", model, num_steps=4, max_resampling=5, checkpoint_every=2)
    assert same_weights(whole.path / "model", broken.path / "model")
    assert (whole.path / "rollouts.jsonl").read_bytes() == (broken.path / "rollouts.jsonl").read_bytes()


def test_the_kl_is_to_the_reference_that_the_recipe_names(tmp_path, model):
    other = run(tmp_path / "other", model, num_steps=1).path / "model"
    (row,) = measured(run(tmp_path / "run", model, num_steps=1, reference=str(other)))
    assert row["kl"] > 1e-4, "the policy begins apart from it"
    (row,) = measured(run(tmp_path / "self", model, num_steps=1, reference=str(model)))
    assert row["kl"] == 0.0


def test_a_reference_of_another_vocabulary_is_an_error_before_the_first_step(tmp_path, model):
    texts = ["another text of other merges " * 3, "than the first"]
    scratch = dataclasses.replace(toy.SCRATCH, vocab_size=270)
    save(from_scratch(scratch, texts, max_length=96, seed=0), tmp_path / "other")
    with pytest.raises(MathwrightError, match="has another vocabulary: token"):
        run(tmp_path / "run", model, reference=str(tmp_path / "other"))
    assert not (tmp_path / "run/rl/metrics.jsonl").exists()


def test_a_generator_that_draws_from_another_model_is_stopped_by_the_gate(tmp_path, model, monkeypatch):
    stranger = toy.tiny(toy.model_folder(tmp_path / "stranger", seed=7))
    for parameter in stranger.model.parameters():
        parameter.data.mul_(4.0)  # random models of small weights all draw nearly uniformly
    with monkeypatch.context() as patched:
        patched.setattr(Models, "exploring_generator", lambda self: contextlib.nullcontext(Generator(stranger)))
        with pytest.raises(MathwrightError, match=r"differ by .* on average .*logprob-gap-step-0.pt"):
            run(tmp_path / "run", model)
    assert (tmp_path / "run/rl/logprob-gap-step-0.pt").is_file()
    run(tmp_path / "sane", model, num_steps=1)


def test_heldout_accuracy_is_measured_before_on_the_way_and_after(tmp_path, model, monkeypatch):
    def odd_is_right(pairs):
        return [dataclasses.replace(v, status="incorrect" if v.correct else "correct") for v in even_is_right(pairs)]

    monkeypatch.setattr(rewards.answers, "check_responses", odd_is_right)
    stage = run(
        tmp_path / "run", model, method="online_rft", **SHORT, heldout=toy.PROBLEMS, evaluate_every=6, num_evaluated=4
    )
    rows = measured(stage, "eval")
    assert [r["step"] for r in rows] == [0, 6, 12, 15]
    assert all(r["num_problems"] == 4 for r in rows)
    assert rows[-1]["accuracy"] == 1.0 > rows[0]["accuracy"]


# --- failing well ---


def test_unscored_responses_are_counted_and_the_run_goes_on(tmp_path, model, monkeypatch):
    def picky(problem, completion):
        if len(completion.text) % 2:
            raise KeyError("odd")
        return float(len(completion.text))

    monkeypatch.setattr(toy, "share_of_digits", picky)
    stage = run(tmp_path / "run", model, num_steps=2)
    rows = measured(stage)
    assert all(0 < r["unscored"] < 1 and math.isfinite(r["loss"]) for r in rows)
    assert "raised KeyError" in measured(stage, "unscored")[0]["reason"]
    assert any("unscored" in w["message"] for w in measured(stage, "warning"))


def test_a_run_in_which_nothing_is_scored_stops_at_once_and_goes_on_when_that_is_mended(tmp_path, model, monkeypatch):
    """All else was well: what the second start makes is what one start would have made."""
    with monkeypatch.context() as patched:
        patched.setattr(toy, "share_of_digits", lambda p, c: p.no_such_field)
        with pytest.raises(MathwrightError, match=r"no response of step 0 could be scored.*raised AttributeError"):
            run(tmp_path / "run", model)
    assert measured(toy.stage(tmp_path / "run")) == []
    assert not (tmp_path / "run/rl/model").exists()
    mended, whole = run(tmp_path / "run", model), run(tmp_path / "whole", model)
    assert same_weights(mended.path / "model", whole.path / "model")


def test_a_reward_that_fails_later_is_given_some_steps(tmp_path, model, monkeypatch):
    scored: list[int] = []
    until = [8 + 2 * 8]

    def breaks_down(problem, completion):
        scored.append(1)
        if 8 < len(scored) <= until[0]:
            raise ConnectionError("the judge is away")
        return len(completion.text) % 3

    monkeypatch.setattr(toy, "share_of_digits", breaks_down)
    rows = measured(run(tmp_path / "short", model, num_steps=5))
    assert [r["unscored"] for r in rows] == [0, 1, 1, 0, 0]
    assert rows[1]["reward_mean"] is None and rows[1]["gradient_coefficient"] == pytest.approx(0, abs=0.1)
    scored.clear()
    until[0] = 10_000
    with pytest.raises(MathwrightError, match=r"no response of step 3 could be scored.*the judge is away, 8 times"):
        run(tmp_path / "long", model, num_steps=9)


def test_the_first_reason_is_said_on_the_console(tmp_path, model, monkeypatch, capsys):
    def picky(problem, completion):
        seen.append(1)
        if len(seen) == 4:
            raise KeyError("no [bold]such[/] key")
        return float(len(completion.text))

    seen: list[int] = []
    monkeypatch.setattr(toy, "share_of_digits", picky)
    stage = run(tmp_path / "run", model, num_steps=2)
    assert sum(r["unscored"] for r in measured(stage)) < 0.5
    (said,) = [w["message"] for w in measured(stage, "warning") if "without a reward" in w["message"]]
    assert "raised KeyError: 'no [bold]such[/] key'" in said
    assert "no [bold]such[/] key" in " ".join(capsys.readouterr().err.split())


def test_a_function_that_never_says_anything_is_named(tmp_path, model, monkeypatch):
    monkeypatch.setattr(toy, "share_of_digits", lambda p, c: None)
    stage = run(tmp_path / "run", model, num_steps=2)
    rows = measured(stage)
    assert all(r["unscored"] == 0 for r in rows), "the answers score"
    (said,) = [w["message"] for w in measured(stage, "warning") if "does it return one" in w["message"]]
    assert "tests.rl.toy:share_of_digits gave no response a number" in said
    assert any("no group of any step had unequal rewards" in w["message"] for w in measured(stage, "warning"))


def test_a_function_with_another_signature_is_refused_before_the_model_is_opened(tmp_path):
    term = RewardTermRecipe(kind="function", weight=1.0, function="tests.rl.test_rewards:of_openrlhf")
    with pytest.raises(MathwrightError, match="as OpenRLHF calls it"):
        run(tmp_path / "run", tmp_path / "no model", extra_rewards=(term,))


def test_more_questions_a_step_than_there_are_is_said(tmp_path, model):
    stage = run(tmp_path / "run", model, num_steps=1, problems_per_step=12)
    (said,) = [w["message"] for w in measured(stage, "warning") if "a step takes" in w["message"]]
    assert said.startswith("a step takes 12 questions, but there are 5: each comes up to 3 times in a step")
    enough = measured(run(tmp_path / "enough", model, num_steps=1, problems_per_step=5), "warning")
    assert not [w for w in enough if "a step takes" in w["message"]]


# --- sampling from a part of the vocabulary ---


CUT: dict[str, Any] = {"sampling": dataclasses.replace(toy.recipe().sampling, top_p=0.6, top_k=100)}


def test_the_gate_stays_where_sampling_is_cut(tmp_path, model, monkeypatch):
    """Generator and training compare the same probabilities, those over the whole vocabulary, in every mode."""
    rows = measured(run(tmp_path / "run", model, truncated_sampling="whole_vocabulary", **CUT))
    assert len(rows) == 3
    assert all(r["logprob_gap_max"] < 1e-4 for r in rows)
    stranger = toy.tiny(toy.model_folder(tmp_path / "stranger", seed=7))
    for parameter in stranger.model.parameters():
        parameter.data.mul_(4.0)
    generator = Generator(stranger, whole_logprobs=True)
    monkeypatch.setattr(Models, "exploring_generator", lambda self: contextlib.nullcontext(generator))
    with pytest.raises(MathwrightError, match=r"differ by .* on average"):
        run(tmp_path / "other", model, truncated_sampling="whole_vocabulary", **CUT)


@pytest.mark.parametrize("method", ["rft", "dpo"])
def test_the_gate_watches_the_first_update_on_samples_of_the_start_model(tmp_path, model, monkeypatch, method):
    monkeypatch.setattr(rewards.answers, "check_responses", even_is_right)
    rows = measured(run(tmp_path / "run", model, method=method, **dict[str, Any](SHORT | {"num_steps": 3})))
    assert rows[0]["logprob_gap_max"] < 1e-4
    assert "logprob_gap" not in rows[1], "from then on the policy is another model"


def test_a_loss_that_is_not_finite_stops_the_run_with_its_batch_saved(tmp_path, model, monkeypatch):
    def broken(*arguments, **options):
        result = original(*arguments, **options)
        return result._replace(loss=result.loss * math.nan)

    original = grpo.grpo_loss
    monkeypatch.setattr(grpo, "grpo_loss", broken)
    with pytest.raises(MathwrightError, match=r"loss of step 0 is not finite; its batch is in"):
        run(tmp_path / "run", model)
    (saved,) = (tmp_path / "run/rl").glob("not-finite-*.pt")
    (micro,) = torch.load(saved, weights_only=False)
    assert micro.weights.shape == micro.batch.response_mask.shape


@pytest.mark.parametrize(
    ("changes", "problems", "message"),
    [
        ({"group_size": 1}, toy.PROBLEMS, "group_size is 1"),
        ({}, [], "no problems"),
        ({"reward": "model"}, toy.PROBLEMS, "no reward model"),
        ({"evaluate_every": 1}, toy.PROBLEMS, "no held-out problems"),
    ],
)
def test_bad_input_is_an_error_before_the_first_step(tmp_path, model, changes, problems, message):
    with pytest.raises(MathwrightError, match=message):
        run(tmp_path / "run", model, problems=problems, **changes)
    assert not (tmp_path / "run/rl/metrics.jsonl").exists()


def test_a_data_set_with_one_problem_is_enough(tmp_path, model):
    stage = run(tmp_path / "run", model, num_steps=1, problems=toy.PROBLEMS[:1])
    (first, second) = [json.loads(line)["group"] for line in (stage.path / "rollouts.jsonl").read_text().splitlines()]
    assert first["problem"] == second["problem"]
    assert first["rollouts"] != second["rollouts"], "two groups of one problem are drawn with their own seeds"


def test_a_training_that_ends_early_is_measured_where_it_ended_and_stays_ended(tmp_path, model, monkeypatch):
    def stops(self) -> bool:
        return len(measured(self.stage)) >= 2

    monkeypatch.setattr(training._Training, "_stops", stops)
    stage = run(tmp_path / "run", model, num_steps=5, heldout=toy.PROBLEMS[:2], evaluate_every=4, num_evaluated=2)
    assert [m["step"] for m in measured(stage)] == [0, 1]
    assert [m["step"] for m in measured(stage, "eval")] == [0, 2]
    summary = json.loads((stage.path / "manifest.json").read_text())["summary"]
    assert summary["num_steps"] == 2
