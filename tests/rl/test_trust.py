"""Values beside completions: a value model that knows the answer is trusted, one that does not is not."""

import numpy as np
import torch

from mathwright.lm.generate import Generator
from mathwright.rl import trust
from mathwright.rl.critic import Critic
from tests.rl import toy
from tests.rl.test_learn import groups


class Knowing(Critic):
    """Says of a place what it is told by the tokens already there: the share of even ones, or the contrary."""

    sign = 1.0

    def expected(self, batch):
        before = batch.tokens.flatten()[batch.source_index]
        return self.sign * (before % 2 == 0).double()


def reward_of(group, text):
    """How much of a response is written in even characters: a prefix that is says something about the whole."""
    return sum(ord(c) % 2 == 0 for c in text) / max(1, len(text)) if text else None


def test_places_are_before_a_token_of_the_policy():
    lm = toy.from_scratch(toy.SCRATCH, [p.question for p in toy.PROBLEMS] * 3, max_length=96, seed=0)
    made = groups(lm)
    found = trust.places(made, 6, seed=0)
    assert len(found) == 6
    assert found == trust.places(made, 6, seed=0) != trust.places(made, 6, seed=1)
    for place in found:
        longest = [r.completion.tokens for r in place.group.rollouts if len(r.completion.tokens) > len(place.written)]
        assert any(tokens[: len(place.written)] == place.written for tokens in longest)


def test_a_value_that_knows_is_told_from_one_that_errs():
    lm = toy.from_scratch(toy.SCRATCH, [p.question for p in toy.PROBLEMS] * 3, max_length=96, seed=0)
    chosen = trust.places(groups(lm), 16, seed=0)
    recipe = toy.recipe(method="ppo")
    results = {}
    for sign in (1.0, -1.0):
        critic = Knowing(recipe, lm)  # type: ignore[arg-type]
        Knowing.sign = sign
        results[sign] = trust.measure(
            critic, Generator(lm), chosen, reward_of, recipe.sampling, num_completions=6, num_steps=3, step_tokens=1
        )
    good, bad = results[1.0], results[-1.0]
    assert good.num_places > 10 and good.num_pairs == bad.num_pairs > 10
    assert good.correlation == -bad.correlation and good.correlation > 0.1
    assert good.ordered > 0.55 > 0.45 > bad.ordered
    assert good.explained > bad.explained


def test_pairs_are_counted_by_hand():
    place = trust.Place(group=None, written=())  # type: ignore[arg-type]
    steps = [[place] * 3, [], [place] * 2]
    values = np.array([0.1, 0.5, 0.5, 0.9, 0.2])
    means = np.array([0.0, 1.0, 0.0, np.nan, 0.5])
    # 0-1: agreed; 0-2: equal means; 1-2: equal values; 3-4: unknown
    assert trust._ordered(steps, values, means) == [1.0, 0.5]


def test_a_value_is_that_of_the_last_token_written(model):
    critic = Critic.load(
        toy.recipe(method="ppo"), toy.tiny(model), model=model, reward_model=None, dtype="float32", device="cpu",
        seed=0, end=1,
    )  # fmt: skip
    torch.nn.init.normal_(critic.model.model.score.weight)
    (group,) = groups(toy.tiny(model), num_groups=1)
    place = trust.Place(group=group, written=(5, 6))
    (found,) = trust.values_at(critic, [place])
    with torch.no_grad():
        hidden = critic.model.model.base_model(torch.tensor([[*group.prompt_tokens, 5, 6]])).last_hidden_state[0, -1]
    assert abs(found - (hidden @ critic.model.model.score.weight[0]).item()) < 1e-4
