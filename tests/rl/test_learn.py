"""The updates of a step, from groups made by hand: what is compared with what, and how much each counts."""

import dataclasses
import random
import tempfile
from pathlib import Path

import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.model import LanguageModel
from mathwright.lm.optimise import Optimiser
from mathwright.lm.pack import TokenGroup, pack_groups
from mathwright.lm.scratch import from_scratch
from mathwright.records import Completion, Rollout, RolloutGroup
from mathwright.rl import learn, methods
from mathwright.rl.advantages import generalized_advantages, kl_shaped_rewards
from mathwright.rl.losses import PolicyLoss
from mathwright.rl.methods.base import Method, ScoredBatch
from mathwright.rl.methods.grpo import Grpo
from mathwright.rl.models import Frozen
from tests.rl import toy

TEXTS = [p.question for p in toy.PROBLEMS] * 3


@dataclasses.dataclass(frozen=True, slots=True)
class Recording(Grpo):
    """GRPO that keeps what its loss was given."""

    calls: list[dict[str, torch.Tensor]] = dataclasses.field(default_factory=list)

    def loss(self, policy_logprobs, scored, weights, **options) -> PolicyLoss:
        result = Grpo.loss(self, policy_logprobs, scored, weights, **options)
        policy = policy_logprobs.detach()
        self.calls.append({"policy": policy, "behavior": scored.behavior_logprobs, "mask": scored.response_mask})
        return result


def model() -> LanguageModel:
    return from_scratch(toy.SCRATCH, TEXTS, max_length=96, seed=0)


def groups(lm: LanguageModel, num_groups: int = 4, group_size: int = 4) -> list[RolloutGroup]:
    """Random responses of unequal lengths and rewards, with the log-probabilities the model gives them."""
    rng = random.Random(0)
    made = []
    for _ in range(num_groups):
        prompt = tuple(rng.randrange(200) for _ in range(rng.randrange(3, 9)))
        responses = [tuple(rng.randrange(200) for _ in range(rng.randrange(1, 8))) for _ in range(group_size)]
        (batch,) = pack_groups([TokenGroup(prompt, responses)], 10_000)
        with torch.no_grad():
            logprobs = response_logprobs(lm, batch)
        rows = {i: logprobs[b, : len(responses[i])].tolist() for b, (_, i) in enumerate(batch.rows)}
        rollouts = tuple(
            Rollout(
                completion=Completion(
                    tokens=response,
                    logprobs=tuple(rows[i]),
                    sampled=(True,) * len(response),
                    text="",
                    finish="stop",
                ),
                verdict=None,
                reward=rng.random(),
            )
            for i, response in enumerate(responses)
        )
        made.append(RolloutGroup(problem=toy.PROBLEMS[0], prompt="", prompt_tokens=prompt, rollouts=rollouts))
    return made


def moved() -> LanguageModel:
    """A policy that is no longer the reference."""
    lm = model()
    for parameter in lm.model.parameters():
        parameter.data.mul_(1.01)
    return lm


def learned(lm: LanguageModel, chosen: list[RolloutGroup], by: Method, **changes):
    recipe = toy.recipe(problems_per_step=4, **changes)
    frozen = Frozen(model(), without_adapters=False)
    with tempfile.TemporaryDirectory() as folder:
        learner = learn.Learner(recipe, toy.stage(Path(folder) / "run"), lm, frozen, by)
        return learner.learn(0, chosen, Optimiser(lm.model, recipe.optimiser, num_steps=10))


def test_pi_old_of_every_minibatch_is_the_policy_before_the_first_update():
    lm, method = model(), Recording(0.2, 0.04, "population", 1e-6)
    chosen = groups(lm)
    sampled = [list(r.completion.logprobs) for g in chosen for r in g.rollouts]
    learned(lm, chosen, method, num_minibatches=4, inner_updates=2, micro_batch_tokens=1000)
    assert len(method.calls) == 8
    for first, again in zip(method.calls[:4], method.calls[4:], strict=True):
        torch.testing.assert_close(first["behavior"], again["behavior"], rtol=0, atol=0)
    kept = [row[mask].tolist() for c in method.calls[:4] for row, mask in zip(c["behavior"], c["mask"], strict=True)]
    assert sorted(map(len, kept)) == sorted(map(len, sampled))
    for row in kept:
        assert any(row == pytest.approx(other, abs=1e-5) for other in sampled)
    moved = [(c["policy"] - c["behavior"]).abs().max().item() for c in method.calls]
    assert moved[0] == 0.0
    assert all(gap > 1e-4 for gap in moved[1:]), "the policy itself has moved"


def test_micro_batches_add_up_to_the_mean_over_all_responses():
    lm = model()
    chosen = groups(lm)
    method = Recording(0.2, 0.04, "population", 1e-6)
    whole = learned(model(), chosen, method, micro_batch_tokens=1000)
    parts = learned(model(), chosen, method, micro_batch_tokens=20)
    assert len(method.calls) > 5
    for name in ("loss", "grad_norm", "gradient_coefficient", "ratio"):
        assert parts[name] == pytest.approx(whole[name], rel=1e-4, abs=1e-7), name
    assert parts["num_trained"] == whole["num_trained"] == 16


@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "dapo", "rloo"])
def test_micro_batches_of_every_method_add_up(name):
    """Whatever the divisor, and where a weight needs the whole group."""
    changes = {"method": name, "kl_coef": 0.5, "max_logprob_gap": 100.0}
    chosen, method = groups(model()), methods.from_recipe(toy.recipe(**changes))
    whole = learned(moved(), chosen, method, micro_batch_tokens=1000, **changes)
    parts = learned(moved(), chosen, method, micro_batch_tokens=20, **changes)
    assert whole["kl"] not in (0, None)
    for key in ("loss", "grad_norm", "gradient_coefficient", "kl"):
        assert parts[key] == pytest.approx(whole[key], rel=1e-4, abs=1e-7), key


@dataclasses.dataclass(frozen=True, slots=True)
class KlInReward(Recording):
    """What PPO asks of the learner, with a value model that says 0.5 of everything: Eq. 2 and GAE."""

    scored: list[ScoredBatch] = dataclasses.field(default_factory=list)

    def weights(self, scored: ScoredBatch) -> torch.Tensor:
        self.scored.append(scored)
        return self.expected(scored)

    @staticmethod
    def expected(scored: ScoredBatch) -> torch.Tensor:
        assert scored.ref_logprobs is not None
        mask = scored.response_mask
        rewards = kl_shaped_rewards(
            scored.group_weights[:, 0], scored.behavior_logprobs, scored.ref_logprobs, mask, kl_coef=0.5
        )
        return generalized_advantages(rewards, torch.full_like(rewards, 0.5), mask, gamma=1.0, lam=0.95)

    def loss(self, policy_logprobs, scored, weights, **options) -> PolicyLoss:
        assert torch.equal(weights, self.expected(scored))
        return Recording.loss(self, policy_logprobs, scored, weights, **options)


def test_weights_may_depend_on_what_the_models_say():
    """They are made once for each micro-batch, from the policy before the first update, and kept for all updates."""
    method = KlInReward(0.2, 0.04, "population", 1e-6)
    values = learned(moved(), groups(model()), method, num_minibatches=2, inner_updates=3, max_logprob_gap=100.0)
    assert len(method.scored) == 2
    assert len(method.calls) == 6
    second, first = method.scored  # the second minibatch is scored before the update on the first
    for scored, call in zip([first, second] * 3, method.calls, strict=True):
        assert torch.equal(scored.behavior_logprobs, call["behavior"])
    weights = [method.expected(scored) for scored in method.scored]
    assert all(w.std() > 1e-3 for w in weights), "they differ from token to token"
    assert values["num_trained"] == 16


def test_a_minibatch_is_an_update_on_its_own_questions():
    """At rate 0 nothing moves: the second of two updates is that of the second question alone."""
    chosen = groups(model(), num_groups=2)
    changes = {"optimiser": dataclasses.replace(toy.recipe().optimiser, lr=0.0)}
    method = Grpo(0.2, 0.04, "population", 1e-6)
    both = learned(model(), chosen, method, **changes)
    parts = learned(model(), chosen, method, num_minibatches=2, **changes)
    alone = learned(model(), chosen[1:], method, **changes)
    for name in ("loss", "grad_norm", "gradient_coefficient"):
        assert parts[name] == pytest.approx(alone[name], rel=1e-4, abs=1e-7), name
    assert parts["grad_norm"] != pytest.approx(both["grad_norm"], rel=0.05)
    assert parts["num_trained"] == 8


def two_nats_off(rollout: Rollout) -> Rollout:
    completion = rollout.completion
    said = tuple(value - 2 for value in completion.logprobs)
    return dataclasses.replace(rollout, completion=dataclasses.replace(completion, logprobs=said))


def test_the_gate_closes_where_the_generator_says_something_else():
    lm = model()
    chosen = groups(lm)
    wrong = [dataclasses.replace(g, rollouts=tuple(map(two_nats_off, g.rollouts))) for g in chosen]
    method = Grpo(0.2, 0.04, "population", 1e-6)
    with pytest.raises(MathwrightError, match="differ by 2 on average"):
        learned(model(), wrong, method, max_logprob_gap=1.5)
    assert learned(model(), wrong, method, max_logprob_gap=2.5)["logprob_gap"] == pytest.approx(2.0, abs=1e-4)
    assert learned(model(), chosen, method)["logprob_gap_max"] == pytest.approx(0.0, abs=1e-5)
