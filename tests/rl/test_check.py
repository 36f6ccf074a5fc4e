"""Recipes that cannot be run are found before a model is loaded; guards warn once."""

import dataclasses

import pytest

from mathwright.errors import MathwrightError
from mathwright.rl.check import check
from mathwright.rl.guards import Guards
from mathwright.rl.recipe import RewardTermRecipe
from tests.rl import toy

GREEDY = dataclasses.replace(toy.recipe().sampling, temperature=0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group_size": 1}, "group_size is 1"),
        ({"method": "grpo_process", "group_size": 1}, "group_size is 1"),
        ({"method": "ppo"}, "value model"),
        ({"method": "dpo", "kl_coef": 0.0}, "beta of Eq. 12"),
        ({"method": "online_rft", "reward": "model"}, "does not go with"),
        ({"method": "grpo_process", "reward": "model"}, "steps are scored by rule|does not go with"),
        ({"method": "rft", "extra_rewards": toy.recipe().extra_rewards}, "leave it out silently"),
        ({"extra_rewards": (RewardTermRecipe(kind="function", weight=1.0),)}, "kind 'function'"),
        ({"extra_rewards": (RewardTermRecipe(kind="length", weight=1.0, function="a:b"),)}, "kind 'length'"),
        ({"extra_rewards": (RewardTermRecipe(kind="length", weight=1.0, batched=True),)}, "'length' with batched"),
        ({"step_reward": "a:b"}, "step_reward has no part"),
        ({"method": "sft", "max_resampling": 1}, "max_resampling has no part"),
        ({"num_minibatches": 3}, "a step has 2 questions"),
        ({"max_logprob_gap": 0.0}, "max_logprob_gap is 0.0"),
        ({"wave_responses": 0}, "wave_responses is 0"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"problems_per_step": 0}, "problems_per_step is 0"),
        ({"inner_updates": 0}, "inner_updates is 0"),
        ({"kl_coef": -0.1}, "kl_coef is -0.1"),
        ({"clip_eps": 0.0}, "clip_eps is 0.0"),
        ({"sampling": GREEDY}, "temperature is 0"),
    ],
)
def test_bad_recipes_are_named(changes, message):
    with pytest.raises(MathwrightError, match=message) as caught:
        check(toy.recipe(**changes))
    assert caught.value.hint


@pytest.mark.parametrize("method", ["grpo", "grpo_process", "online_rft", "rft", "dpo", "sft"])
def test_good_recipes_pass(method):
    check(toy.recipe(method=method))


def test_rejection_sampling_needs_no_group():
    check(toy.recipe(method="online_rft", group_size=1))


def test_a_guard_warns_when_its_limit_is_crossed_and_again_after_it_came_back():
    guards = Guards()
    told = [
        guards.warnings(step, {"kl": kl, "entropy": 1.0}) for step, kl in enumerate([0.1, 2.0, 3.0, 0.5, 2.0, None])
    ]
    assert [len(lines) for lines in told] == [0, 1, 0, 0, 1, 0]
    assert "step 1: kl 2 is above 1" in told[1][0]
    assert guards.warnings(6, {"entropy": 0.001})[0].startswith("step 6: entropy 0.001 is below")
