"""Recipes that cannot be run are found before a model is loaded; guards warn once."""

import dataclasses

import pytest

from mathwright.errors import MathwrightError
from mathwright.lm.recipe import LoraRecipe
from mathwright.rl.check import check, check_sources
from mathwright.rl.guards import WINDOW, Gaming, Guards
from mathwright.rl.methods.table import TABLE_10
from mathwright.rl.recipe import RewardTermRecipe
from tests.rl import toy

GREEDY = dataclasses.replace(toy.recipe().sampling, temperature=0.0)
TOP_P = dataclasses.replace(toy.recipe().sampling, top_p=0.9)
TOP_K = dataclasses.replace(toy.recipe().sampling, top_k=50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group_size": 1}, "group_size is 1"),
        ({"method": "grpo_process", "group_size": 1}, "group_size is 1"),
        ({"method": "dpo", "kl_coef": 0.0}, "beta of Eq. 12"),
        ({"method": "online_rft", "reward": "model"}, "does not go with"),
        ({"method": "grpo_process", "reward": "model"}, "steps are scored by rule|does not go with"),
        ({"method": "rft", "extra_rewards": toy.recipe().extra_rewards}, "leave it out silently"),
        ({"extra_rewards": (RewardTermRecipe(kind="function", weight=1.0),)}, "kind 'function'"),
        ({"extra_rewards": (RewardTermRecipe(kind="length", weight=1.0, function="a:b"),)}, "kind 'length'"),
        ({"extra_rewards": (RewardTermRecipe(kind="length", weight=1.0, batched=True),)}, "'length' with batched"),
        ({"step_reward": "a:b"}, "step_reward has no part"),
        ({"method": "dpo", "pairs": "pairs.jsonl", "num_problems": 3}, "num_problems has no part in rl.pairs"),
        ({"method": "sft", "max_resampling": 1}, "max_resampling has no part"),
        ({"method": "dapo", "group_size": 1}, "group_size is 1"),
        ({"method": "rloo", "inner_updates": 2}, "one update of each exploration"),
        ({"method": "rloo", "num_minibatches": 2}, "one update of each exploration"),
        ({"method": "grpo", "clip_eps_high": 0.28}, "clip_eps_high has no part"),
        ({"value_updates": 3}, "value_updates has no part in rl.method=grpo"),
        ({"method": "dapo", "lambda_policy": 0.9}, "lambda_policy has no part"),
        ({"kl_target": 6.0}, "kl_target has no part"),
        ({"method": "ppo", "value_updates": 0}, "value_updates is 0"),
        ({"method": "ppo", "value_warmup_steps": 3}, "policy would never be trained"),
        ({"method": "ppo", "value_lr": 0.0}, "value_lr is 0.0"),
        ({"method": "ppo", "value_clip": -1.0}, "value_clip is -1.0"),
        ({"method": "ppo", "lambda_alpha": float("nan")}, "lambda_alpha is nan"),
        ({"method": "ppo", "lambda_value": 1.5}, "lambda_value is 1.5"),
        ({"method": "ppo", "lambda_policy": 0.9, "lambda_alpha": 1.5}, "take the place of the first"),
        ({"method": "ppo", "kl_target": 6.0, "kl_coef": 0.0}, "beta is multiplied"),
        ({"method": "ppo", "value_trainable": "head", "lora": LoraRecipe(rank=2, alpha=4.0)}, "only adapters"),
        ({"method": "rft", "mask_truncated": True}, "mask_truncated has no part"),
        ({"method": "rloo", "importance": "truncate"}, "weighs whole responses"),
        ({"importance": "mask", "importance_low": 1.5}, "whose weight is 1, would be cut"),
        ({"sampling": TOP_P, "truncated_sampling": "importance"}, "nothing would weigh the tokens"),
        ({"method": "dapo", "clip_eps_high": 0.0}, "clip_eps_high is 0.0"),
        ({"method": "dpo_sum", "kl_coef": 0.0}, "beta of Eq. 12"),
        ({"num_minibatches": 3}, "a step has 2 questions"),
        ({"max_logprob_gap": 0.0}, "max_logprob_gap is 0.0"),
        ({"wave_responses": 0}, "wave_responses is 0"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"problems_per_step": 0}, "problems_per_step is 0"),
        ({"inner_updates": 0}, "inner_updates is 0"),
        ({"kl_coef": -0.1}, "kl_coef is -0.1"),
        ({"clip_eps": 0.0}, "clip_eps is 0.0"),
        ({"sampling": GREEDY}, "temperature is 0"),
        ({"optimiser": dataclasses.replace(toy.recipe().optimiser, lr=0.0)}, "nothing would be trained"),
        ({"optimiser": dataclasses.replace(toy.recipe().optimiser, lr=float("nan"))}, "nothing would be trained"),
        ({"sampling": dataclasses.replace(toy.recipe().sampling, top_p=0.0)}, "top_p is 0.0"),
        ({"sampling": dataclasses.replace(toy.recipe().sampling, top_p=1.5)}, "top_p is 1.5"),
        ({"sampling": dataclasses.replace(toy.recipe().sampling, max_new_tokens=0)}, "max_new_tokens is 0"),
        ({"sampling": TOP_P}, r"top_p=0.9 draws from a part of the vocabulary, but grpo trains"),
        ({"sampling": TOP_K}, r"top_k=50 draws from a part of the vocabulary"),
        ({"sampling": TOP_K, "method": "grpo_process"}, "but grpo_process trains"),
        ({"sampling": TOP_P, "method": "online_rft"}, "but online_rft trains"),
        ({"sampling": TOP_P, "method": "rloo"}, "but rloo trains"),
        ({"sampling": TOP_P, "truncated_sampling": "whole_vocabulary", "engine": "vllm"}, "does not go with rl.engine"),
        ({"extra_rewards": (RewardTermRecipe(kind="function", weight=1.0, function="no:f"),)}, "cannot import"),
        ({"method": "grpo_process", "step_reward": "tests.rl.test_rewards:of_one"}, "the step reward .* takes"),
    ],
)
def test_bad_recipes_are_named(changes, message):
    with pytest.raises(MathwrightError, match=message) as caught:
        check(toy.recipe(**changes))
    assert caught.value.hint


@pytest.mark.parametrize("method", TABLE_10)
def test_good_recipes_pass(method):
    check(toy.recipe(method=method))
    check(toy.recipe(method=method, sampling=TOP_P, truncated_sampling="whole_vocabulary"))


@pytest.mark.parametrize("method", ["rft", "dpo", "dpo_sum", "sft"])
def test_data_may_be_drawn_as_one_likes_where_it_is_only_chosen(method):
    check(toy.recipe(method=method, sampling=TOP_P))


@pytest.mark.parametrize("method", ["grpo", "dr_grpo", "dapo", "rloo"])
def test_where_rewards_weigh_any_reward_may(method):
    check(toy.recipe(method=method, reward="model", extra_rewards=toy.recipe().extra_rewards))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "distill"}, "has no teacher"),
        ({"teacher": "there"}, "teacher has no part in rl.method=grpo"),
        ({"method": "distill", "teacher": "there", "reference": "here"}, "whose reference is the teacher"),
        ({"pairs": "there.jsonl"}, "pairs has no part in rl.method=grpo"),
        ({"method": "dpo", "pairs": "there.jsonl"}, "there.jsonl: no such file"),
    ],
)
def test_what_a_method_learns_from_is_named_and_there(changes, message):
    with pytest.raises(MathwrightError, match=message) as caught:
        check_sources(toy.recipe(**changes))
    assert caught.value.hint


def test_ppo_takes_what_it_has_fields_for():
    check(
        toy.recipe(
            method="ppo", group_size=1, value_warmup_steps=2, lambda_alpha=1.5, kl_target=6.0, value_clip=0.2,
            importance="mask", mask_truncated=True, sampling=TOP_P, truncated_sampling="importance",
        )
    )  # fmt: skip


def test_rejection_sampling_needs_no_group():
    check(toy.recipe(method="online_rft", group_size=1))


def test_a_guard_warns_when_its_limit_is_crossed_and_again_after_it_came_back():
    guards = Guards()
    kls = [0.1, 2.0, 3.0, 0.5, 2.0, *[0.5] * 9, 2.0, *[None] * WINDOW, 2.0]
    told = [guards.warnings(step, {"kl": kl, "entropy": 1.0}) for step, kl in enumerate(kls)]
    assert [step for step, lines in enumerate(told) if lines] == [1, len(kls) - 1], (
        "not each time it comes back for a while"
    )
    assert "step 1: kl 2 is above 1" in told[1][0]
    assert guards.warnings(6, {"entropy": 0.001})[0].startswith("step 6: entropy 0.001 is below")


def gamed(rewards: list[float], accuracies: list[float], num_questions: int = 32) -> list[int]:
    """The steps at which `Gaming` says something."""
    gaming = Gaming()
    rows = [{"reward_mean": r, "accuracy": a} for r, a in zip(rewards, accuracies, strict=True)]
    return [step for step, row in enumerate(rows) if gaming.learned(row, num_questions=num_questions)]


def test_a_reward_that_rises_while_correct_answers_fall_is_seen_once_it_is_beyond_chance():
    rising = [step / 100 for step in range(60)]
    falling = [0.8] * 30 + [0.8 - 0.02 * step for step in range(30)]
    (seen,) = gamed(rising, falling)  # it is said once
    assert seen > 30
    (later,) = gamed(rising, falling, num_questions=2)
    assert later > seen, "fewer questions say less"


@pytest.mark.parametrize(
    ("rewards", "accuracies"),
    [
        ([step / 100 for step in range(60)], [0.3 + step / 200 for step in range(60)]),  # both rise
        ([1 - step / 100 for step in range(60)], [0.9 - step / 100 for step in range(60)]),  # both fall
        ([step / 100 for step in range(60)], [0.5 + 0.02 * (step % 2) for step in range(60)]),  # noise
        ([step / 100 for step in range(2 * WINDOW - 1)], [0.9 - step / 25 for step in range(2 * WINDOW - 1)]),  # early
        ([0.4] * 60, [0.8 - step / 100 for step in range(60)]),  # the reward has no part in it
    ],
)
def test_nothing_else_is_taken_for_gaming(rewards, accuracies):
    assert gamed(rewards, accuracies) == []


def test_steps_without_a_reward_or_an_accuracy_are_no_evidence():
    gaming = Gaming()
    for _ in range(50):
        assert not gaming.learned({"reward_mean": None, "accuracy": 0.5}, num_questions=8)
        assert not gaming.learned({"accuracy": 0.5}, num_questions=8)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iterations": 0}, "rl.iterations"),
        ({"iterations": 2, "method": "sft"}, "explores nothing"),
        ({"iterations": 2, "replay_share": 1.0}, "rl.replay_share"),
        ({"iterations": 2, "replay_share": -0.1}, "rl.replay_share"),
    ],
)
def test_iterations_that_cannot_be(changes, said):
    with pytest.raises(MathwrightError, match=said):
        check(toy.recipe(**changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"standardise_reward": True}, "rl.standardise_reward has no part in rl.reward=rule"),
        ({"sigmoid_reward": True}, "rl.sigmoid_reward has no part in rl.reward=rule"),
        ({"method": "rft", "truncation_reward": -1.0}, "rl.truncation_reward has no part in rl.method=rft"),
        ({"method": "grpo_process", "truncation_reward": -1.0}, "rl.truncation_reward has no part"),
        ({"reset_reference": False}, "rl.reset_reference has no part in rl.iterations=1"),
        ({"refresh_reward": False, "reward": "model"}, "rl.refresh_reward has no part in rl.iterations=1"),
        ({"replay_share": 0.5}, "rl.replay_share has no part in rl.iterations=1"),
        ({"iterations": 2, "refresh_reward": False}, "rl.refresh_reward has no part in rl.reward=rule"),
        ({"iterations": 2, "replay_share": 0.5}, "rl.replay_share has no part in rl.reward=rule"),
    ],
)
def test_a_field_that_would_be_left_out_silently_is_refused(changes, said):
    with pytest.raises(MathwrightError, match=said):
        check(toy.recipe(**changes))
