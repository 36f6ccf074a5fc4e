"""PPO's advantages: the identities that tie Eq. 1 and 2, GAE and the value model to each other and to its relatives."""

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch

from mathwright.rl import explained, kl_control, losses, methods
from mathwright.rl.advantages import (
    centred_advantages,
    generalized_advantages,
    leave_one_out_advantages,
    length_adaptive_lambda,
    whiten,
)
from mathwright.rl.explained import Moments, add_up
from mathwright.rl.methods import ppo
from mathwright.rl.methods.base import ScoredBatch
from tests.rl import toy
from tests.rl.methods.test_rows import GROUPS, rollout

T = torch.float64


def made(**changes: Any) -> ppo.Ppo:
    """The plain one with changes: lambda 1, no KL, no gate."""
    plain = {"clip_eps": 0.2, "kl": beta(0.0), "lambda_policy": 1.0, "lambda_value": 1.0}
    return ppo.Ppo(**{**plain, "lambda_alpha": None, "gate": "off", **changes})


def beta(*values: Any, **options: Any) -> kl_control.KlCoefficient:
    return kl_control.KlCoefficient(*values, **options)


def batch(rewards, lengths, *, values=None, seed: int = 0, holes: bool = False, baselines=None) -> ScoredBatch:
    """Responses of these lengths with numbers drawn for what the models say; `holes` masks tokens inside them."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(lengths)
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    draw = lambda: torch.randn(mask.shape, generator=generator, dtype=T)  # noqa: E731
    behavior, ref, drawn = -1 + 0.3 * draw(), -1 + 0.3 * draw(), draw()
    if holes:
        mask = mask & (torch.rand(mask.shape, generator=generator) < 0.6)
    return ScoredBatch(
        groups=torch.zeros(len(lengths), dtype=torch.long),
        response_mask=mask,
        group_weights=torch.tensor(rewards, dtype=T)[:, None].expand(mask.shape),
        behavior_logprobs=behavior,
        ref_logprobs=ref,
        values=drawn if values is None else values.expand(mask.shape),
        baselines=baselines,
    )


def values_of(scored: ScoredBatch) -> torch.Tensor:
    assert scored.values is not None
    return scored.values


def ref_of(scored: ScoredBatch) -> torch.Tensor:
    assert scored.ref_logprobs is not None
    return scored.ref_logprobs


REWARDS, LENGTHS = [1.0, 0.0, 0.25, 2.0], [5, 1, 3, 4]


def test_at_lambda_1_an_advantage_is_the_reward_to_go_minus_the_value():
    scored, method = batch(REWARDS, LENGTHS, holes=True), made(kl=beta(0.3))
    found = method.estimate(scored)
    for b, row in enumerate(scored.response_mask):
        tokens = row.nonzero().squeeze(1).tolist()
        for place, t in enumerate(tokens):
            # Eq. 2 by the loop: the KL of this and later tokens, the reward at the last of them
            to_go = sum(-0.3 * (scored.behavior_logprobs[b, s] - ref_of(scored)[b, s]).item() for s in tokens[place:])
            to_go += REWARDS[b]
            assert found.advantages[b, t].item() == pytest.approx(to_go - values_of(scored)[b, t].item())
            assert found.returns[b, t].item() == pytest.approx(to_go)


def test_at_lambda_0_an_advantage_is_the_temporal_difference():
    scored = batch(REWARDS, LENGTHS, holes=True)
    found = made(lambda_policy=0.0).estimate(scored)
    for b, row in enumerate(scored.response_mask):
        tokens = row.nonzero().squeeze(1).tolist()
        for place, t in enumerate(tokens):
            is_last = place == len(tokens) - 1
            after = REWARDS[b] if is_last else values_of(scored)[b, tokens[place + 1]].item()
            assert found.advantages[b, t].item() == pytest.approx(after - values_of(scored)[b, t].item())


def test_the_lambdas_of_targets_and_policy_are_apart():
    scored = batch(REWARDS, LENGTHS)
    apart = made(lambda_policy=0.3, lambda_value=1.0).estimate(scored)
    torch.testing.assert_close(apart.returns, made().estimate(scored).returns)
    torch.testing.assert_close(apart.advantages, made(lambda_policy=0.3, lambda_value=0.3).estimate(scored).advantages)
    assert not torch.allclose(apart.advantages, made().estimate(scored).advantages)


def test_the_adaptive_lambda_grows_with_the_length():
    mask = torch.tensor([[True] * 10, [True] + [False] * 9, [True, False] * 5])
    torch.testing.assert_close(length_adaptive_lambda(mask, alpha=0.5), torch.tensor([0.8, 0.0, 0.6]))
    scored = batch(REWARDS, LENGTHS)
    found = made(lambda_alpha=0.5).estimate(scored).advantages
    for b, length in enumerate(LENGTHS):
        alone = generalized_advantages(
            made().rewards(scored), values_of(scored), scored.response_mask, gamma=1.0, lam=1 - 1 / max(1, 0.5 * length)
        )
        torch.testing.assert_close(found[b], alone[b])


def test_with_the_mean_of_the_group_for_a_value_it_is_dr_grpo():
    """lambda 1, beta 0; by a value model that says so, and by the gate, to the bit of one rounding."""
    rewards = torch.tensor(REWARDS, dtype=T)
    scored = batch(REWARDS, LENGTHS, values=rewards.mean().reshape(1, 1), baselines=rewards.mean().expand(4))
    expected = centred_advantages(rewards[None])[0][:, None].expand(scored.response_mask.shape)
    expected = expected.where(scored.response_mask, 0.0)
    assert torch.equal(made().estimate(scored).advantages, expected)
    assert torch.equal(made().from_baseline(scored), expected)


def test_with_the_mean_of_the_others_for_a_value_it_is_rloo():
    rewards = torch.tensor(REWARDS, dtype=T)
    others = (rewards.sum() - rewards) / 3
    scored = batch(REWARDS, LENGTHS, values=others[:, None])
    expected = leave_one_out_advantages(rewards[None])[0][:, None].expand(scored.response_mask.shape)
    torch.testing.assert_close(made().estimate(scored).advantages, expected.where(scored.response_mask, 0.0))


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_exact_values_of_a_small_mdp_give_its_advantages(lam):
    """Two steps of two choices each. The mean of A_t over the second choice is Q(first) - V, whatever lambda."""
    first, second = torch.tensor([0.3, 0.7], dtype=T), torch.tensor([[0.2, 0.8], [0.6, 0.4]], dtype=T)
    reward = torch.tensor([[1.0, 0.0], [0.5, 3.0]], dtype=T)
    q = (second * reward).sum(1)  # the value after the first choice
    v = (first * q).sum()
    values = torch.stack([torch.stack([v, q[a]]) for a in (0, 1) for _ in (0, 1)])
    scored = batch(reward.flatten().tolist(), [2] * 4, values=values)
    found = made(lambda_policy=lam).estimate(scored).advantages.reshape(2, 2, 2)
    torch.testing.assert_close(found[:, :, 1], reward - q[:, None])
    torch.testing.assert_close((second * found[:, :, 0]).sum(1), q - v)
    if lam == 0:
        torch.testing.assert_close(found[:, :, 0], (q - v)[:, None].expand(2, 2))


def test_the_score_lands_on_the_last_trained_token():
    """Behind it stands what a tool inserted, or padding."""
    scored = batch([1.0, 0.5], [4, 2])
    mask = torch.tensor([[True, False, True, False], [True, True, False, False]])
    rewards = made().rewards(dataclasses.replace(scored, response_mask=mask))
    assert rewards.tolist() == [[0, 0, 1.0, 0], [0, 0.5, 0, 0]]


def with_junk(scored: ScoredBatch) -> ScoredBatch:
    mask = scored.response_mask
    fields = {name: getattr(scored, name) for name in ("behavior_logprobs", "ref_logprobs", "values")}
    return dataclasses.replace(scored, **{name: value.where(mask, math.nan) for name, value in fields.items()})


def test_what_stands_in_masked_slots_changes_nothing():
    scored, method = batch(REWARDS, LENGTHS, holes=True), made(kl=beta(0.3), lambda_policy=0.9)
    clean, junk = method.targets([scored]), method.targets([with_junk(scored)])
    assert torch.equal(clean.weights[0], junk.weights[0])
    assert torch.equal(clean.returns[0], junk.returns[0])
    assert clean.values == junk.values


def test_inserted_tokens_are_no_actions():
    """A response with a masked stretch inside is the response without it."""
    whole = batch([1.0], [4], seed=3)
    keep = [0, 1, 4, 5]
    fields = {}
    for name in ("behavior_logprobs", "ref_logprobs", "values", "group_weights"):
        spread = torch.full((1, 6), 7.0, dtype=T)
        spread[:, keep] = getattr(whole, name)
        fields[name] = spread
    mask = torch.zeros(1, 6, dtype=torch.bool)
    mask[:, keep] = True
    method = made(kl=beta(0.3), lambda_policy=0.8)
    holes = dataclasses.replace(whole, response_mask=mask, **{**fields, "group_weights": torch.ones(1, 6, dtype=T)})
    torch.testing.assert_close(method.estimate(holes).advantages[:, keep], method.estimate(whole).advantages)


def split(scored: ScoredBatch) -> list[ScoredBatch]:
    """A batch a response, as micro-batches."""
    names = [f.name for f in dataclasses.fields(scored) if isinstance(getattr(scored, f.name), torch.Tensor)]
    return [
        dataclasses.replace(scored, **{name: getattr(scored, name)[b : b + 1] for name in names})
        for b in range(len(scored.groups))
    ]


def test_micro_batches_change_nothing():
    scored, method = batch(REWARDS, LENGTHS, holes=True), made(kl=beta(0.3), lambda_policy=0.9)
    whole, parts = method.targets([scored]), method.targets(split(scored))
    torch.testing.assert_close(whole.weights[0], torch.cat(parts.weights))
    torch.testing.assert_close(whole.returns[0], torch.cat(parts.returns))
    for name, value in whole.values.items():
        assert parts.values[name] == pytest.approx(value), name


def test_a_batch_that_only_keeps_company_is_in_no_sum():
    scored, method = batch(REWARDS, LENGTHS), made(kl=beta(0.3))
    company = dataclasses.replace(batch([9.0, -9.0], [3, 3], seed=5), counts=False)
    alone, both = method.targets([scored]), method.targets([scored, company])
    assert torch.equal(alone.weights[0], both.weights[0])
    assert alone.values == both.values


def test_advantages_are_white_over_the_step_and_returns_are_not():
    method = made(kl=beta(0.3))
    parts = [batch(REWARDS, LENGTHS), batch([5.0, -3.0], [2, 6], seed=1)]
    found = method.targets(parts)
    tokens = torch.cat([w[b.response_mask] for w, b in zip(found.weights, parts, strict=True)])
    assert tokens.mean().item() == pytest.approx(0, abs=1e-9)
    assert tokens.var(correction=0).item() == pytest.approx(1, abs=1e-6)
    for scored, returns in zip(parts, found.returns, strict=True):
        torch.testing.assert_close(returns, method.estimate(scored).returns)
        assert returns.abs().max() > 0.9, "in the units of the reward"


def test_whiten_by_hand():
    advantages = torch.tensor([[1.0, 3.0, math.nan], [5.0, math.nan, math.nan]], dtype=T)
    mask = ~advantages.isnan()
    expected = torch.tensor([[-2.0, 0.0, 0.0], [2.0, 0.0, 0.0]], dtype=T) / (8 / 3) ** 0.5
    torch.testing.assert_close(whiten(advantages, mask), expected, rtol=1e-7, atol=0)
    assert torch.equal(whiten(torch.full((2, 3), 0.1), torch.ones(2, 3, dtype=torch.bool)), torch.zeros(2, 3))
    assert torch.equal(whiten(torch.ones(1, 2), torch.zeros(1, 2, dtype=torch.bool)), torch.zeros(1, 2))


def test_explained_variance_adds_up_and_is_what_it_says():
    generator = torch.Generator().manual_seed(0)
    returns = torch.randn(50, generator=generator, dtype=T)
    everything = torch.ones(50, dtype=torch.bool)

    def of(values, cuts=(0, 50)) -> float | None:
        def moments(numbers):
            pieces = [slice(a, b) for a, b in itertools.pairwise(cuts)]
            return add_up(Moments.of(numbers[piece], everything[piece]) for piece in pieces)

        return explained.explained_variance(moments(returns), moments(returns - values))

    noisy = returns + torch.randn(50, generator=generator, dtype=T)
    expected = 1 - (returns - noisy).var(correction=0) / returns.var(correction=0)
    assert of(noisy) == pytest.approx(expected.item())
    assert of(noisy, (0, 1, 17, 17, 50)) == pytest.approx(expected.item())
    assert of(returns) == pytest.approx(1.0)
    assert of(torch.full_like(returns, 9.0)) == pytest.approx(0.0)
    assert (
        explained.explained_variance(Moments.of(torch.full((7,), 0.1), everything[:7]), Moments(7.0, 1.0, 1.0)) is None
    )


def test_the_gate_takes_the_mean_of_the_group_where_values_explain_nothing():
    rewards = torch.tensor(REWARDS, dtype=T)
    baselines = rewards.mean().expand(4)
    bad = batch(REWARDS, LENGTHS, values=-3 * rewards[:, None], baselines=baselines)
    good = batch(REWARDS, LENGTHS, values=0.5 * rewards[:, None], baselines=baselines)
    open_gate, closed = made(), made(gate="ev")
    assert closed.targets([bad]).values["value_gated"] == 1.0
    assert closed.targets([good]).values["value_gated"] == 0.0
    assert open_gate.targets([bad]).values["value_gated"] == 0.0
    expected = whiten(made().from_baseline(bad), bad.response_mask)
    torch.testing.assert_close(closed.targets([bad]).weights[0], expected)
    torch.testing.assert_close(closed.targets([good]).weights[0], open_gate.targets([good]).weights[0])
    torch.testing.assert_close(closed.targets([bad]).returns[0], open_gate.targets([bad]).returns[0])


def test_equal_rewards_have_no_explained_variance_and_move_nothing_under_the_gate():
    scored = batch([1.0] * 4, LENGTHS, baselines=torch.ones(4, dtype=T))
    found = made(gate="ev").targets([scored])
    assert found.values["explained_variance"] is None
    assert torch.equal(found.weights[0], torch.zeros_like(found.weights[0]))


def test_a_response_without_a_trained_token_has_no_part():
    scored = batch([1.0, 0.0, 5.0], [3, 2, 2])
    mask = scored.response_mask.clone()
    mask[2] = False
    without = dataclasses.replace(scored, response_mask=mask)
    alone = dataclasses.replace(
        scored,
        **{
            name: getattr(without, name)[:2]
            for name in ("groups", "response_mask", "group_weights", "behavior_logprobs", "ref_logprobs", "values")
        },
    )
    found, expected = made().targets([without]), made().targets([alone])
    torch.testing.assert_close(found.weights[0][:2], expected.weights[0])
    assert torch.equal(found.weights[0][2], torch.zeros(3, dtype=T))
    assert found.values["explained_variance"] == pytest.approx(expected.values["explained_variance"])


def test_the_gradient_at_theta_old_is_the_advantage():
    """Eq. 18: GC = A_t; Eq. 1 means over the tokens of a response, then over responses."""
    scored, method = batch(REWARDS, LENGTHS), made(kl=beta(0.3))
    (weights,) = method.targets([scored]).weights
    policy = scored.behavior_logprobs.clone().requires_grad_()
    method.loss(policy, scored, weights, num_sequences=4, num_tokens=13).loss.backward()
    lengths = scored.response_mask.sum(1, keepdim=True)
    assert policy.grad is not None
    torch.testing.assert_close(policy.grad, -weights / (4 * lengths))
    stats = method.loss(policy, scored, weights, num_sequences=4, num_tokens=13).stats
    assert stats.kl > 0, "measured, though it has no weight"


def test_unscored_responses_are_left_out():
    first, second = made().training_groups(GROUPS)
    assert len(first.tokens.responses) == 3, "one of four is unscored"
    assert first.baselines is not None and second.baselines is not None
    assert first.baselines.tolist() == pytest.approx([1.25 / 3] * 3)
    assert second.baselines.tolist() == pytest.approx([0.75] * 4)
    assert first.weights[:, 0].tolist() == [1.0, 0.0, 0.25]


def test_alone_in_its_group_a_response_is_compared_with_all():
    groups = [
        dataclasses.replace(g, rollouts=(rollout(2, reward),)) for g, reward in zip(GROUPS, (1.0, 0.0), strict=True)
    ]
    for group in made().training_groups(groups):
        assert group.baselines is not None and group.baselines.tolist() == [0.5]


def test_beta_follows_the_kl_of_a_response():
    fixed, steered = beta(0.1), beta(0.1, target=6.0, horizon=1000)
    for coefficient in (fixed, steered):
        coefficient.follow(60.0, 100)
    assert (fixed.beta, steered.beta) == (0.1, pytest.approx(0.1 * (1 + 0.2 * 100 / 1000)))
    steered = beta(0.1, target=6.0, horizon=1000)
    steered.follow(6.0, 100)
    assert steered.beta == pytest.approx(0.1)
    steered.follow(5.7, 100)
    assert steered.beta == pytest.approx(0.1 * (1 - 0.05 * 0.1))


def test_the_kl_that_is_steered_is_a_sum_over_a_response():
    scored = batch(REWARDS, LENGTHS)
    expected = (scored.behavior_logprobs - ref_of(scored)).where(scored.response_mask, 0.0).sum(1).mean()
    found = made(kl=beta(0.3)).targets([scored])
    assert found.values["kl_response"] == pytest.approx(expected.item())
    assert made().targets([scored]).values["kl_response"] is None, "beta 0 has no reference"


def test_the_value_is_clipped_towards_what_it_was():
    """A value that has left its range has no gradient where the return lies on the far side, and one where it lies
    behind it."""
    mask = torch.ones(1, 1, dtype=torch.bool)
    old = torch.zeros(1, 1, dtype=T)
    for value, returned, moves in [(0.5, 1.0, False), (0.5, -1.0, True), (0.1, 1.0, True), (-0.5, -1.0, False)]:
        values = torch.full((1, 1), value, dtype=T, requires_grad=True)
        losses.value_loss(values, old, torch.full((1, 1), returned, dtype=T), mask, clip_range=0.2).backward()
        assert values.grad is not None and bool(values.grad.abs() > 0) is moves, (value, returned)


def test_a_recipe_names_all_of_it():
    recipe = toy.recipe(
        method="ppo", lambda_policy=0.9, lambda_value=0.95, value_gate="ev", kl_target=2.0, kl_horizon=50, kl_coef=0.2
    )
    assert methods.from_recipe(recipe) == made(
        clip_eps=0.2, kl=beta(0.2, 2.0, 50), lambda_policy=0.9, lambda_value=0.95, lambda_alpha=None, gate="ev"
    )
