"""The value model in training: what it begins as, what it learns, and that a kill costs nothing."""

import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.lm import heads
from mathwright.lm.loop import CHECKPOINTS
from mathwright.lm.model import HEAD
from mathwright.lm.pack import TokenGroup, pack_groups
from mathwright.lm.recipe import LoraRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.records import JudgedGroup
from mathwright.rl.critic import Critic
from mathwright.rl.pretrain_values import stored_rewards
from tests import warm
from tests.rl import toy
from tests.rl.toy import measured, run, same_weights

ROOT = Path(__file__).resolve().parents[2]
SLOW = dataclasses.replace(toy.recipe().optimiser, lr=2e-3)
PPO: dict[str, Any] = {
    "method": "ppo",
    "num_steps": 3,
    "extra_rewards": toy.recipe().extra_rewards,
    "optimiser": SLOW,
    "checkpoint_every": 2,
}


def ppo(**changes: Any) -> dict[str, Any]:
    return PPO | changes


@pytest.fixture(scope="module")
def judge(tmp_path_factory, model) -> Path:
    """A reward model with a head drawn at random, and a scale."""
    folder = tmp_path_factory.mktemp("judge") / "model"
    save(heads.from_language_model(toy.tiny(model), seed=1), folder)
    heads.write_scale(folder, heads.Scale(mean=2.0, std=4.0, num_responses=9))
    return folder


def critic_of(model: Path, *, reward_model: Path | None = None, **changes: Any) -> Critic:
    lm = toy.tiny(model)
    recipe = toy.recipe(method="ppo", **changes)
    return Critic.load(
        recipe, lm, model=model, reward_model=reward_model, dtype="float32", device="cpu", seed=0,
        end=lm.tokenizer.eos_token_id,
    )  # fmt: skip


(BATCH,) = pack_groups([TokenGroup([5, 6, 7], [[8, 9], [10, 11, 12]]), TokenGroup([4], [[5, 6]])], 100)


def test_a_value_is_read_at_the_token_before(model, judge):
    """Of each response alone, by the model of transformers: behind the prompt for its first token."""
    critic = critic_of(model, reward_model=judge, value_init="reward")
    found = critic.expected(BATCH)
    plain = heads.load(judge, dtype="float32").model
    rows = [([5, 6, 7], [8, 9]), ([5, 6, 7], [10, 11, 12]), ([4], [5, 6])]
    order = [(0, 0), (0, 1), (1, 0)]
    for (prompt, response), row in zip(rows, order, strict=True):
        b = BATCH.rows.index(row)
        with torch.no_grad():
            hidden = plain.base_model(torch.tensor([[*prompt, *response]])).last_hidden_state[0]
            scores = (hidden @ getattr(plain, HEAD).weight.T).squeeze(1)
        before = scores[len(prompt) - 1 : len(prompt) - 1 + len(response)]
        torch.testing.assert_close(found[b, : len(response)], (before - 2.0) / 4.0, rtol=1e-4, atol=1e-5)


def test_it_begins_as_the_reward_model_where_there_is_one(model, judge):
    assert critic_of(model, reward_model=judge).scale is not None
    from_policy = critic_of(model, reward_model=judge, value_init="policy")
    assert from_policy.scale is None
    assert torch.equal(from_policy.expected(BATCH), torch.zeros(3, 3)), "it expects nothing at first"
    assert critic_of(model).scale is None
    with pytest.raises(MathwrightError, match="value_init is reward, but the run has no reward model"):
        critic_of(model, value_init="reward")


def test_values_are_in_the_unit_of_the_reward(model, judge):
    """Standardised where the reward is, or where it is the verdict; raw beside raw scores."""
    assert critic_of(model, reward_model=judge, reward="rule").scale is not None
    assert critic_of(model, reward_model=judge, reward="model", standardise_reward=True).scale is not None
    assert critic_of(model, reward_model=judge, reward="model").scale is None


def test_stored_responses_are_rewarded_as_the_training_rewards(judge):
    group = JudgedGroup(
        problem_id="p", prompt="1 + 1", responses=("2", "3", "4"), correct=(True, None, False),
        truncated=(False, False, True),
    )  # fmt: skip
    by_rule = toy.recipe(method="ppo")
    assert stored_rewards(by_rule, None, None, group) == [1.0, None, 0.0]
    cut = toy.recipe(method="ppo", truncation_reward=-1.0)
    assert stored_rewards(cut, None, None, group) == [1.0, None, -1.0]
    reward_model, scale = heads.load(judge, dtype="float32"), heads.read_scale(judge)
    raw = stored_rewards(by_rule, reward_model, None, group)
    alone = heads.score(reward_model, ["1 + 1"], ["4"], truncated=[True], micro_batch_tokens=100)
    assert raw[2] == pytest.approx(alone[0], abs=1e-5), "read without an end token that it never wrote"
    standardised = stored_rewards(cut, reward_model, scale, group)
    assert standardised[:2] == pytest.approx([(value - 2.0) / 4.0 for value in raw[:2] if value is not None])
    assert standardised[2] == -1.0


def test_a_reward_model_of_another_vocabulary_is_refused(tmp_path, model, judge):
    scratch = dataclasses.replace(toy.SCRATCH, vocab_size=270)
    save(from_scratch(scratch, ["a text of other merges " * 3], max_length=96, seed=0), tmp_path / "policy")
    with pytest.raises(MathwrightError, match=r"the value model .* has another vocabulary: token"):
        critic_of(tmp_path / "policy", reward_model=judge)
    with pytest.raises(MathwrightError, match="holds no reward model"):
        critic_of(model, reward_model=tmp_path / "missing")


@pytest.mark.parametrize(
    ("trainable", "kept", "moved"),
    [
        ("all", (), ("embed_tokens", "self_attn", "mlp", "score")),
        ("mlp", ("embed_tokens", "self_attn"), ("mlp", "norm", "score")),
        ("head", ("embed_tokens", "self_attn", "mlp", "norm"), ("score",)),
    ],
)
def test_what_is_frozen_stays(model, trainable, kept, moved):
    critic = critic_of(model, value_trainable=trainable)
    trained = [name for name, p in critic.model.model.named_parameters() if p.requires_grad]
    assert not [name for name in trained if any(part in name for part in kept)]
    for part in moved:
        assert any(part in name for name in trained), part


def test_ppo_raises_the_reward_and_its_values_learn(tmp_path, model):
    rows = measured(run(tmp_path / "run", model, **(PPO | toy.SHORT | {"method": "ppo", "value_lr": 5e-3})))
    assert sum(r["reward_mean"] for r in rows[-5:]) > sum(r["reward_mean"] for r in rows[:5]) + 0.5
    assert sum(r["value_loss"] for r in rows[-5:]) / 5 < rows[0]["value_loss"] * 1.5
    assert all(r["ratio"] == 1.0 and r["logprob_gap_max"] < 1e-4 for r in rows)
    assert rows[0]["explained_variance"] == pytest.approx(0.0, abs=1e-6), "a head of zeros"
    assert sum(r["value_loss_after"] < r["value_loss"] for r in rows) > len(rows) / 2
    assert rows[0]["kl_response"] == 0.0 < rows[-1]["kl_response"]


def test_the_stage_leaves_a_value_model_to_go_on_from(tmp_path, model, judge):
    stage = run(tmp_path / "run", model, reward_model=judge, **PPO)
    manifest = json.loads((stage.path / "manifest.json").read_text())
    assert manifest["outputs"]["value_model"] == "rl/value_model"
    again = Critic.load(
        toy.recipe(method="ppo"), toy.tiny(model), model=model, reward_model=None,
        value_model=stage.path / "value_model", dtype="float32", device="cpu", seed=0, end=1,
    )  # fmt: skip
    assert again.scale == heads.read_scale(judge)
    assert not torch.equal(again.expected(BATCH), critic_of(model, reward_model=judge).expected(BATCH))


def test_value_only_steps_leave_the_policy_alone(tmp_path, model):
    stage = run(tmp_path / "run", model, **ppo(value_warmup_steps=2, num_steps=3))
    rows = measured(stage)
    assert ["loss" in r for r in rows] == [False, False, True]
    assert all(r["logprob_gap_max"] < 1e-4 and r["value_grad_norm"] > 0 for r in rows)
    assert rows[2]["kl"] == 0.0, "the policy is still where it began"


def test_micro_batches_change_nothing(tmp_path, model, judge):
    smooth = dataclasses.replace(toy.SMOOTH, lr=2e-3)
    one, many = (
        run(
            tmp_path / str(size),
            model,
            reward_model=judge,
            **ppo(num_steps=2, micro_batch_tokens=size, optimiser=smooth),
        )
        for size in (10_000, 30)
    )
    for folder in ("model", "value_model"):
        a, b = (torch_weights(stage.path / folder) for stage in (one, many))
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=1e-3, atol=2e-5)
    for x, y in zip(measured(one), measured(many), strict=True):
        for name in ("explained_variance", "value_loss", "return_mean", "advantage_std", "value_grad_norm"):
            assert x[name] == pytest.approx(y[name], rel=1e-3, abs=1e-5), name


def torch_weights(folder: Path) -> dict[str, torch.Tensor]:
    if folder.name == "model":
        return toy.weights(folder)
    return heads.load(folder, dtype="float32").model.state_dict()


KILLED = """
import os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
from mathwright.rl import training
from tests.rl import test_critic, toy
report = training._Training._report
def kill(self, step, values, found):
    report(self, step, values, found)
    if step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
training._Training._report = kill
toy.run(Path(sys.argv[1]), Path(sys.argv[2]), value_samples=test_critic.SAMPLES, **test_critic.STEERED)
"""
STEERED = PPO | {"num_steps": 5, "kl_target": 0.5, "kl_horizon": 20, "inner_updates": 2, "num_minibatches": 2}
SAMPLES = [
    JudgedGroup(
        problem_id=f"p{i}", prompt=f"Question: {i} + {i}\nAnswer:", responses=("7", "x", "8"),
        correct=(True, False, None), truncated=(False, True, False),
    )
    for i in range(12)
]  # fmt: skip


def test_a_killed_run_goes_on_to_the_bit_with_both_models_and_beta(tmp_path, model):
    killed = warm.run("-c", KILLED, str(tmp_path / "killed"), str(model))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [p.name for p in (tmp_path / "killed/rl" / CHECKPOINTS).iterdir()] == ["step-00000002"]
    resumed = run(tmp_path / "killed", model, value_samples=SAMPLES, **STEERED)
    whole = run(tmp_path / "whole", model, value_samples=SAMPLES, **STEERED)
    assert same_weights(whole.path / "model", resumed.path / "model")
    a, b = (torch_weights(stage.path / "value_model") for stage in (whole, resumed))
    assert all(torch.equal(a[name], b[name]) for name in a)
    betas = [[r["kl_coef"] for r in measured(stage)] for stage in (whole, resumed)]
    assert betas[0] == betas[1]
    assert len(set(betas[0])) > 2, "it is steered"


def test_values_are_learnt_from_stored_samples_before_the_first_step(tmp_path, model):
    changes = {"num_steps": 1, "value_pretraining": 15, "value_lr": 5e-3}
    stage = run(tmp_path / "run", model, value_samples=SAMPLES, **PPO | changes)
    summary = json.loads((stage.path / "manifest.json").read_text())["summary"]
    assert summary["value_pretraining_num_prompts"] == 12
    assert summary["value_pretraining_num_responses"] == 24, "what was not judged is left out"
    assert summary["value_pretraining_explained_variance_before"] == pytest.approx(0.0, abs=1e-6)
    assert summary["value_pretraining_explained_variance_after"] > 0.2
    assert not (stage.path / "value" / CHECKPOINTS).exists()


def test_adapters_of_policy_and_values_stand_beside_one_base(tmp_path, model):
    pytest.importorskip("peft")
    lora = LoraRecipe(rank=4, alpha=8.0)
    lm = toy.tiny(model)
    critic = Critic.load(
        toy.recipe(method="ppo", lora=lora), lm, model=model, reward_model=None, dtype="float32", device="cpu",
        seed=0, end=1,
    )  # fmt: skip
    own = {p.data_ptr() for p in lm.model.parameters()}
    frozen = [p for p in critic.model.model.parameters() if not p.requires_grad]
    assert frozen and all(p.data_ptr() in own for p in frozen)
    trained = [name for name, p in critic.model.model.named_parameters() if p.requires_grad]
    assert all("lora_" in name or name.startswith(HEAD) for name in trained)
    stage = run(tmp_path / "run", model, **ppo(lora=lora, kl_coef=0.1))
    before, after = toy.weights(model), toy.weights(stage.path / "model")
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert measured(stage)[0]["kl"] == 0.0


def test_equal_rewards_are_a_defined_value(tmp_path, model, monkeypatch):
    monkeypatch.setattr(toy, "share_of_digits", lambda p, c: 1.0)
    rows = measured(run(tmp_path / "run", model, **ppo(kl_coef=0.0, value_gate="ev")))
    assert all(r["explained_variance"] is None and r["value_gated"] == 1.0 for r in rows)
    assert all(r["kl"] is None and r["kl_response"] is None for r in rows)


def test_a_step_in_which_all_responses_were_cut_makes_no_update(tmp_path, model):
    sampling = dataclasses.replace(toy.recipe().sampling, max_new_tokens=1)
    with pytest.raises(MathwrightError, match="ppo found nothing to train on"):
        run(tmp_path / "run", model, **ppo(mask_truncated=True, sampling=sampling))
    assert [r["num_trained"] for r in measured(toy.stage(tmp_path / "run"))] == [0, 0, 0]


def test_a_value_loss_that_is_not_finite_stops_the_run(tmp_path, model, monkeypatch):
    monkeypatch.setattr(Critic, "loss", lambda self, micro, n: self.values(micro.batch).sum() * float("nan"))
    with pytest.raises(MathwrightError, match="value loss of step 0 is not finite"):
        run(tmp_path / "run", model, **PPO)
    assert not (tmp_path / "run/rl/model").exists()
