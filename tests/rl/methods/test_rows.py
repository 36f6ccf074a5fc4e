"""Each row by hand: what it trains, its weights, and the gradient that Table 10 or its own paper gives it."""

import dataclasses
import typing
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from mathwright.records import Completion, Rollout, RolloutGroup, Verdict
from mathwright.rl import correction, methods
from mathwright.rl.methods import base
from mathwright.rl.methods.base import ScoredBatch
from mathwright.rl.methods.table import TABLE_10
from mathwright.rl.recipe import RewardTermRecipe, RLRecipe
from tests.oracles import rl_advantages, rl_losses
from tests.rl import toy

REWARDS = [[1.0, 0.0, 0.25, None], [0.5, 0.5, 2.0, 0.0]]
LENGTHS = [[3, 1, 2, 2], [2, 4, 1, 3]]


def rollout(length: int, reward: float | None) -> Rollout:
    verdict = None
    if reward is not None:
        verdict = Verdict(status="correct" if reward >= 0.5 else "incorrect", prediction="1", reference="1")
    completion = Completion(
        tokens=tuple(range(length)),
        logprobs=(-1.0,) * length,
        sampled=(True,) * length,
        text="x" * length,
        finish="stop",
    )
    return Rollout(completion=completion, verdict=verdict, reward=reward)


GROUPS = [
    RolloutGroup(
        problem=toy.PROBLEMS[0],
        prompt="q",
        prompt_tokens=(7,),
        rollouts=tuple(map(rollout, lengths, rewards)),
    )
    for lengths, rewards in zip(LENGTHS, REWARDS, strict=True)
]


def scored_batch(chosen, *, seed: int = 0, has_reference: bool = True) -> ScoredBatch:
    """All training groups in one batch in float64, with numbers drawn for what the models say."""
    generator = torch.Generator().manual_seed(seed)
    lengths = [len(response) for group in chosen for response in group.tokens.responses]
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    behavior = -2 * torch.rand(mask.shape, generator=generator, dtype=torch.float64)
    ref = behavior + 0.3 * torch.randn(mask.shape, generator=generator, dtype=torch.float64)
    return ScoredBatch(
        groups=torch.tensor([g for g, group in enumerate(chosen) for _ in group.tokens.responses]),
        response_mask=mask,
        group_weights=torch.cat([group.weights[:, : mask.shape[1]] for group in chosen]).double(),
        behavior_logprobs=behavior,
        ref_logprobs=ref if has_reference else None,
    )


def gradient_of(method: base.Method, scored: ScoredBatch, policy: torch.Tensor | None = None):
    """Loss and gradient by log pi; at theta_old = theta where no policy is given."""
    policy = (scored.behavior_logprobs if policy is None else policy).clone().requires_grad_()
    mask = scored.response_mask
    loss = method.loss(policy, scored, method.weights(scored), num_sequences=len(mask), num_tokens=int(mask.sum())).loss
    (gradient,) = torch.autograd.grad(loss, policy)
    return loss.item(), gradient


def row_of(method: str, **changes) -> Any:
    return methods.from_recipe(toy.recipe(method=method, advantage_eps=0.0, **changes))


def column(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_every_method_of_a_recipe_is_a_row_and_every_row_is_a_method():
    offered = typing.get_args(typing.get_type_hints(RLRecipe)["method"])
    assert set(offered) == set(TABLE_10)
    made = {type(row_of(name)) for name in offered}
    assert len(made) == len(offered)


def test_dr_grpo_divides_by_neither_the_deviation_nor_the_length():
    method = row_of("dr_grpo", kl_coef=0.0)
    scored = scored_batch(method.training_groups(GROUPS), has_reference=False)
    centred = [1 - 1.25 / 3, -1.25 / 3, 0.25 - 1.25 / 3, 0.0, *(r - 0.75 for r in (0.5, 0.5, 2.0, 0.0))]
    _, gradient = gradient_of(method, scored)
    # toy.recipe: at most 8 new tokens; 8 responses
    torch.testing.assert_close(gradient, -column(centred) * scored.response_mask / (8 * 8), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("changes", "high"), [({}, 0.28), ({"clip_eps_high": 0.5}, 0.5)])
def test_dapo_means_over_all_tokens_and_clips_higher(changes, high):
    method = row_of("dapo", **changes)
    scored = scored_batch(method.training_groups(GROUPS))
    policy = scored.behavior_logprobs + torch.linspace(-0.7, 0.7, 8, dtype=torch.float64)[:, None]
    advantages = [a for rewards in REWARDS for a in rl_advantages.outcome_group(rewards, "population", 0.0)]
    assert scored.ref_logprobs is not None
    total = 0.0
    for b, advantage in enumerate(advantages):
        kept = scored.response_mask[b]
        of_policy, of_old, of_ref = (
            x[b][kept].tolist() for x in (policy, scored.behavior_logprobs, scored.ref_logprobs)
        )
        total += rl_losses.eq3_sequence_sum(
            of_policy, of_old, of_ref, [advantage] * len(of_old), eps_low=0.2, eps_high=high, beta=0.04
        )
    loss, _ = gradient_of(method, scored, policy)
    assert loss == pytest.approx(-total / sum(map(sum, LENGTHS)), rel=1e-6)


def test_rloo_takes_the_kl_from_the_reward_and_the_others_as_baseline():
    method = row_of("rloo", kl_coef=0.3)
    scored = scored_batch(method.training_groups(GROUPS))
    assert scored.ref_logprobs is not None
    log_ratio = ((scored.behavior_logprobs - scored.ref_logprobs) * scored.response_mask).sum(1).tolist()
    shaped = [None if r is None else r - 0.3 * d for r, d in zip([*REWARDS[0], *REWARDS[1]], log_ratio, strict=True)]
    expected = [*rl_advantages.leave_one_out_group(shaped[:4]), *rl_advantages.leave_one_out_group(shaped[4:])]
    _, gradient = gradient_of(method, scored)
    torch.testing.assert_close(gradient, -column(expected) * scored.response_mask / 8, rtol=1e-6, atol=1e-9)
    assert method.unsplittable, "the others must be there"


def test_rloo_is_unbiased():
    """The mean gradient over all pairs of two responses a, b ~ pi is that of the expected reward less the KL."""
    theta = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64, requires_grad=True)
    reward, beta = torch.tensor([1.0, 0.0, 3.0], dtype=torch.float64), 0.5
    ref = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
    logprobs = theta.log_softmax(0)
    objective = (logprobs.exp() * (reward - beta * (logprobs - ref))).sum()
    (expected,) = torch.autograd.grad(objective, theta, retain_graph=True)
    method, mean = row_of("rloo", kl_coef=beta), torch.zeros(3, dtype=torch.float64)
    for a in range(3):
        for b in range(3):
            drawn = torch.tensor([a, b])
            policy = logprobs[drawn][:, None]
            scored = ScoredBatch(
                groups=torch.zeros(2, dtype=torch.long),
                response_mask=torch.ones(2, 1, dtype=torch.bool),
                group_weights=reward[drawn][:, None],
                behavior_logprobs=policy.detach(),
                ref_logprobs=ref[drawn][:, None],
            )
            loss = method.loss(policy, scored, method.weights(scored), num_sequences=2, num_tokens=2).loss
            (gradient,) = torch.autograd.grad(loss, theta, retain_graph=True)
            mean -= logprobs.detach()[drawn].sum().exp() * gradient
    torch.testing.assert_close(mean, expected)


def test_the_two_kinds_of_dpo_agree_where_responses_have_one_token():
    pairs = [dataclasses.replace(g, rollouts=(rollout(1, 1.0), rollout(1, 0.0), rollout(1, 0.0))) for g in GROUPS]
    losses = []
    for name in ("dpo", "dpo_sum"):
        method = row_of(name, kl_coef=0.3)
        chosen = method.training_groups(pairs)
        assert [len(group.tokens.responses) for group in chosen] == [2, 2], "what has no partner is left over"
        losses.append(gradient_of(method, scored_batch(chosen))[0])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", ["dpo", "dpo_sum"])
def test_dpo_equals_the_loop_over_pairs(name):
    method = row_of(name, kl_coef=0.7)
    chosen = method.training_groups(GROUPS)
    scored = scored_batch(chosen)
    policy = scored.behavior_logprobs + torch.linspace(-0.4, 0.6, len(scored.groups), dtype=torch.float64)[:, None]
    assert scored.ref_logprobs is not None
    total = 0.0
    for pair in range(len(chosen)):
        lists = [
            x[b][scored.response_mask[b]].tolist()
            for b in (2 * pair, 2 * pair + 1)
            for x in (policy, scored.ref_logprobs)
        ]
        total += rl_losses.eq12(*lists, beta=0.7, length_normalised=name == "dpo")
    loss, gradient = gradient_of(method, scored, policy)
    assert loss == pytest.approx(-total / len(chosen), rel=1e-9)
    assert (gradient[0::2][scored.response_mask[0::2]] < 0).all(), "the chosen are raised"


def test_likelihood_rows_weigh_by_the_verdict_or_not_at_all():
    right = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    for name, weights in (("online_rft", right), ("rft", right), ("sft", [1.0] * 8)):
        method = row_of(name)
        groups = GROUPS
        if name == "sft":  # a group there is a problem with one solution
            groups = [dataclasses.replace(g, rollouts=(r,)) for g in GROUPS for r in g.rollouts]
        scored = scored_batch(method.training_groups(groups), has_reference=False)
        _, gradient = gradient_of(method, scored)
        mask = scored.response_mask
        torch.testing.assert_close(gradient, -column(weights) * mask / (8 * mask.sum(1, keepdim=True)))


def test_every_row_names_a_test_that_there_is():
    for name, row in TABLE_10.items():
        path, _, test = row.test.partition("::")
        source = (Path(__file__).parents[2] / path).read_text(encoding="utf-8")
        assert f"def {test}(" in source, f"{name}: {row.test}"


def named(group: RolloutGroup, rewards: dict[str, list[float | None]]) -> RolloutGroup:
    """The group with rewards by name; unscored where one is None in all of them."""
    rows = [dict(zip(rewards, row, strict=True)) for row in zip(*rewards.values(), strict=True)]
    rollouts = [
        dataclasses.replace(r, rewards_by_name=row, reward=None if None in row.values() else sum(row.values()))
        for r, row in zip(group.rollouts, rows, strict=True)
    ]
    return dataclasses.replace(group, rollouts=tuple(rollouts))


def test_gdpo_normalises_each_reward_apart():
    """By the loop: each reward within its group, their weighted sum over the step."""
    rewards = [
        {"answer": [1.0, 0.0, 0.0, 1.0], "format": [1.0, 1.0, 0.0, 1.0]},
        {"answer": [0.0, 0.0, 1.0, None], "format": [0.0, 2.0, 2.0, 0.0]},
    ]
    groups = [named(g, r) for g, r in zip(GROUPS, rewards, strict=True)]
    term = RewardTermRecipe(kind="format", weight=0.5)
    gdpo = row_of("gdpo", extra_rewards=(term,))
    sums: list[float | None] = []
    for by_name in rewards:
        known = [i for i in range(4) if None not in (by_name["answer"][i], by_name["format"][i])]
        columns = {
            name: dict(
                zip(known, rl_advantages.outcome_group([column[i] for i in known], "population", 0.0), strict=True)
            )
            for name, column in by_name.items()
        }
        sums += [columns["answer"][i] + 0.5 * columns["format"][i] if i in known else None for i in range(4)]
    expected = rl_advantages.outcome_group(sums, "population", 0.0)
    found = gdpo.advantages(groups)[:, :, 0].flatten()
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    alone = row_of("grpo").advantages(groups)[:, :, 0].flatten()
    assert not torch.allclose(alone, found, atol=0.05), "a sum that is normalised as a whole is another thing"


def test_distillation_lowers_the_divergence_from_the_teacher():
    """Over all tokens that may be drawn, the gradient is that of KL(pi || pi_T)."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(5, generator=generator, dtype=torch.float64).log_softmax(0)
    logprobs = logits.log_softmax(0)
    divergence = (logprobs.exp() * (logprobs - teacher)).sum()
    (expected,) = torch.autograd.grad(divergence, logits, retain_graph=True)
    every_token = logprobs[:, None]
    mask = torch.ones(5, 1, dtype=torch.bool)
    scored = ScoredBatch(
        groups=torch.zeros(5, dtype=torch.long),
        response_mask=mask,
        group_weights=torch.zeros(5, 1),
        behavior_logprobs=every_token.detach(),
        ref_logprobs=teacher[:, None],
    )
    distill = row_of("distill")
    found = torch.zeros(5, dtype=torch.float64)
    for token, probability in enumerate(logprobs.exp().tolist()):
        one = dataclasses.replace(
            scored,
            **{
                name: getattr(scored, name)[token : token + 1]
                for name in ("groups", "response_mask", "group_weights", "behavior_logprobs", "ref_logprobs")
            },
        )
        loss = distill.loss(every_token[token : token + 1], one, distill.weights(one), num_sequences=1, num_tokens=1)
        (gradient,) = torch.autograd.grad(loss.loss, logits, retain_graph=True)
        found += probability * gradient
    torch.testing.assert_close(found, expected)


def test_truncated_responses_keep_their_part_in_the_mean_and_are_not_trained():
    first = GROUPS[1].rollouts[0]
    cut = dataclasses.replace(first, completion=dataclasses.replace(first.completion, finish="length"))
    group = dataclasses.replace(GROUPS[1], rollouts=(cut, *GROUPS[1].rollouts[1:]))
    (trained,) = row_of("grpo").training_groups([correction.without_truncated(group)])
    (plain,) = row_of("grpo").training_groups([group])
    assert torch.equal(trained.weights, plain.weights)
    assert trained.tokens.trained is not None
    assert [any(row) for row in trained.tokens.trained] == [False, True, True, True]


def test_importance_weights_make_the_mean_that_of_the_policy():
    """Over all tokens drawn from another distribution; truncated from above, or masked on both sides."""
    generator = torch.Generator().manual_seed(1)
    policy, drawn = (torch.randn(6, generator=generator, dtype=torch.float64).log_softmax(0) for _ in range(2))
    values = torch.randn(6, generator=generator, dtype=torch.float64)
    mask = torch.ones(6, 1, dtype=torch.bool)

    def weights(mode: Literal["truncate", "mask"], low: float, high: float) -> torch.Tensor:
        return correction.importance_weights(
            policy[:, None], drawn[:, None], mask, mode=mode, lowest=low, highest=high
        )[:, 0]

    free = weights("truncate", 0.0, 1e9)
    torch.testing.assert_close((drawn.exp() * free * values).sum(), (policy.exp() * values).sum())
    assert (free > 2).any() and (free < 0.5).any()
    torch.testing.assert_close(weights("truncate", 0.5, 2.0), free.clamp(max=2.0))
    torch.testing.assert_close(weights("mask", 0.5, 2.0), free.where((free >= 0.5) & (free <= 2.0), 0.0))
    nothing = torch.zeros(6, 1, dtype=torch.bool)
    nan = torch.full((6, 1), float("nan"))
    assert (
        correction.importance_weights(nan, nan, nothing, mode="mask", lowest=0.5, highest=2.0).tolist() == [[0.0]] * 6
    )
