"""§4.1.2, §4.1.3, GAE, leave-one-out: oracles, identities, and what is undefined in the paper."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mathwright.rl import advantages
from tests.oracles import rl_advantages as oracle
from tests.properties import examples

EPS = 1e-3
reward = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 0.1, 0.5]), st.floats(-10, 10))
std_kind = st.sampled_from(["population", "sample"])


def tensor(rows):
    return torch.tensor([[math.nan if r is None else r for r in row] for row in rows], dtype=torch.float64)


@examples(60)
@given(rewards=st.lists(reward, min_size=2, max_size=6), std=std_kind)
def test_outcome_equals_the_loop_written_from_the_definition(rewards, std):
    computed = advantages.outcome_advantages(tensor([rewards]), std=std, eps=EPS)
    torch.testing.assert_close(computed, tensor([oracle.outcome_group(rewards, std, EPS)]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("rewards", "std", "expected"),
    [
        ([1.0, 0.0, 0.0, 1.0], "population", [1.0, -1.0, -1.0, 1.0]),  # by hand: mean 1/2, deviation 1/2
        ([1.0, 0.0], "sample", [0.5**0.5, -(0.5**0.5)]),  # n - 1: deviation sqrt(1/2)
        ([2.0, 0.0, None, None], "population", [1.0, -1.0, 0.0, 0.0]),  # unscored: not in the mean, own advantage 0
        ([0.1, 0.1, 0.1], "population", [0.0, 0.0, 0.0]),  # equal: 0, though the mean of three 0.1 is not 0.1
        ([1.0, None, None], "sample", [0.0, 0.0, 0.0]),  # one scored: nothing to compare with
        ([None, None], "population", [0.0, 0.0]),  # none scored
    ],
)
def test_outcome_golden_cases(rewards, std, expected):
    computed = advantages.outcome_advantages(tensor([rewards]), std=std, eps=0.0)
    torch.testing.assert_close(computed, tensor([expected]), rtol=0, atol=1e-12)


def test_groups_do_not_mix():
    rewards = torch.tensor([[1.0, 0.0], [7.0, 5.0]], dtype=torch.float64)
    torch.testing.assert_close(
        advantages.outcome_advantages(rewards, std="population", eps=0.0),
        torch.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=torch.float64),
    )


@examples(30)
@given(rewards=st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=6), std=std_kind)
def test_outcome_ignores_shift_and_scale_of_the_reward(rewards, std):
    once = advantages.outcome_advantages(tensor([rewards]), std=std, eps=0.0)
    moved = advantages.outcome_advantages(tensor([[3 * r + 7 for r in rewards]]), std=std, eps=0.0)
    torch.testing.assert_close(once, moved, rtol=1e-9, atol=1e-9)
    assert abs(once.sum().item()) < 1e-9


@pytest.mark.parametrize(
    ("arguments", "named"), [({"std": "kurtosis", "eps": 0.0}, "std"), ({"std": "sample", "eps": -1.0}, "eps")]
)
def test_bad_arguments_are_named(arguments, named):
    with pytest.raises((ValueError, TypeError), match=named):
        advantages.outcome_advantages(torch.zeros(1, 2), **arguments)


# --- process supervision ---


@st.composite
def groups_of_steps(draw):
    """Step ends and rewards of a group of responses of up to 7 tokens; some responses without steps."""
    group = []
    for _ in range(draw(st.integers(1, 4))):
        ends = sorted(draw(st.sets(st.integers(0, 6), max_size=4)))
        group.append([(end, draw(st.sampled_from([0.0, 1.0, 0.5]))) for end in ends])
    return group


def pad_steps(group, filler=-1):
    S = max(1, *(len(response) for response in group))
    rewards = [[r for _, r in response] + [None] * (S - len(response)) for response in group]
    ends = [[e for e, _ in response] + [filler] * (S - len(response)) for response in group]
    return tensor(rewards)[None], torch.tensor(ends)[None]


@examples(60)
@given(group=groups_of_steps(), std=std_kind)
def test_process_equals_the_loop_written_from_the_definition(group, std):
    rewards, ends = pad_steps(group)
    computed = advantages.process_advantages(rewards, ends, num_tokens=7, std=std, eps=EPS)
    torch.testing.assert_close(computed[0], tensor(oracle.process_group(group, 7, std, EPS)), rtol=1e-9, atol=1e-9)


def test_process_by_hand():
    # R = {1, 0, 0, 1} over both responses: mean 1/2, deviation 1/2, normalised +1 -1 | -1 +1
    group = [[(1, 1.0), (3, 0.0)], [(0, 0.0), (2, 1.0)]]
    rewards, ends = pad_steps(group)
    computed = advantages.process_advantages(rewards, ends, num_tokens=5, std="population", eps=0.0)
    expected = [[0.0, 0.0, -1.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0, 0.0]]  # the end token belongs to its own step
    torch.testing.assert_close(computed[0], tensor(expected))


def test_process_with_one_step_at_the_last_token_is_outcome_supervision():
    outcomes = [1.0, 0.0, 0.0, 0.25]
    rewards, ends = pad_steps([[(5, r)] for r in outcomes])
    process = advantages.process_advantages(rewards, ends, num_tokens=6, std="sample", eps=EPS)
    outcome = advantages.outcome_advantages(tensor([outcomes]), std="sample", eps=EPS)
    torch.testing.assert_close(process, outcome[:, :, None].expand(1, 4, 6))


def test_a_step_end_outside_the_response_is_an_error():
    with pytest.raises(ValueError, match="7 lies outside the 7 tokens"):
        advantages.process_advantages(*pad_steps([[(7, 1.0)]]), num_tokens=7, std="sample", eps=0.0)


# --- credit by the worst step, by the mean ---


@examples(60)
@given(group=groups_of_steps(), std=std_kind)
def test_min_and_mean_equal_the_loop_written_from_the_definition(group, std):
    rewards, ends = pad_steps(group)
    given_ = {"num_tokens": 7, "std": std, "eps": EPS}
    shares = [
        (advantages.min_process_advantages, lambda r: oracle.softmin_shares(r, 0.1)),
        (advantages.mean_process_advantages, lambda r: [1 / max(1, len(r))] * len(r)),
    ]
    for function, share in shares:
        expected = tensor(oracle.shared_process_group(group, 7, std, EPS, share))
        torch.testing.assert_close(function(rewards, ends, **given_)[0], expected, rtol=1e-6, atol=1e-6)


BY_WORTH = [advantages.min_process_advantages, advantages.mean_process_advantages]


@pytest.mark.parametrize("function", BY_WORTH)
def test_the_number_of_steps_pays_nothing_where_a_response_has_one_worth(function):
    """The sum of §4.1.3 gives a response of many good steps more than one of few; these do not."""
    group = [[(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)], [(3, 1.0)], [(1, 0.0), (3, 0.0)]]
    computed = function(*pad_steps(group), num_tokens=4, std="population", eps=0.0)[0]
    torch.testing.assert_close(computed[0, 0], computed[1, 0])
    summed = advantages.process_advantages(*pad_steps(group), num_tokens=4, std="population", eps=0.0)[0]
    assert summed[0, 0] > 2 * summed[1, 0]


@pytest.mark.parametrize("function", BY_WORTH)
def test_equal_worth_by_other_numbers_of_steps_is_nothing_to_prefer(function):
    for worth in (0.1, 0.3, 0.7, 0.9):
        group = [[(end, worth) for end in range(count)] for count in (1, 3, 6, 7)]  # sums that round apart
        computed = function(*pad_steps(group), num_tokens=7, std="population", eps=0.0)
        assert computed.abs().max() == 0


@pytest.mark.parametrize("function", [advantages.process_advantages, *BY_WORTH])
def test_one_step_at_the_last_token_is_outcome_supervision_whatever_the_credit(function):
    outcomes = [1.0, 0.0, 0.0, 0.25]
    computed = function(*pad_steps([[(5, r)] for r in outcomes]), num_tokens=6, std="sample", eps=EPS)
    outcome = advantages.outcome_advantages(tensor([outcomes]), std="sample", eps=EPS)
    torch.testing.assert_close(computed, outcome[:, :, None].expand(1, 4, 6))


def test_after_the_worst_step_a_response_is_held_to_account_for_nothing():
    group = [[(1, 1.0), (3, 0.0), (5, 1.0)], [(1, 1.0), (3, 1.0), (5, 1.0)]]
    computed = advantages.min_process_advantages(*pad_steps(group), num_tokens=6, std="population", eps=0.0)[0]
    assert computed[0, 0].item() == pytest.approx(-1.0, abs=1e-3)
    assert computed[0, 3].item() == pytest.approx(-1.0, abs=1e-2)
    assert abs(computed[0, 4].item()) < 1e-2
    with pytest.raises(ValueError, match="temperature is 0"):
        advantages.min_process_advantages(*pad_steps(group), num_tokens=6, std="sample", eps=0.0, temperature=0.0)


# --- leave-one-out, centred ---


@examples(60)
@given(rewards=st.lists(reward, min_size=1, max_size=6))
def test_leave_one_out_equals_the_loop_written_from_the_definition(rewards):
    computed = advantages.leave_one_out_advantages(tensor([rewards]))
    torch.testing.assert_close(computed, tensor([oracle.leave_one_out_group(rewards)]), rtol=1e-9, atol=1e-9)


def test_leave_one_out_by_hand():
    computed = advantages.leave_one_out_advantages(tensor([[3.0, 1.0, None, 2.0]]))
    torch.testing.assert_close(computed, tensor([[1.5, -1.5, 0.0, 0.0]]))


def test_leave_one_out_is_the_centred_reward_times_n_over_n_minus_1():
    rewards = tensor([[1.0, 0.0, 0.0, 3.0, None]])
    torch.testing.assert_close(
        advantages.leave_one_out_advantages(rewards), advantages.centred_advantages(rewards) * 4 / 3
    )


# --- GAE ---

numbers = st.floats(-3, 3)


@examples(60)
@given(
    steps=st.lists(st.tuples(numbers, numbers, st.booleans()), min_size=1, max_size=6),
    gamma=st.floats(0, 1),
    lam=st.floats(0, 1),
)
def test_gae_equals_the_quadratic_sum_over_the_unmasked_tokens(steps, gamma, lam):
    rewards, values, mask = (torch.tensor([list(column)]) for column in zip(*steps, strict=True))
    rewards, values, mask = rewards.double(), values.double(), mask.bool()
    junk = torch.full_like(rewards, math.nan)
    computed = advantages.generalized_advantages(
        rewards.where(mask, junk), values.where(mask, junk), mask, gamma=gamma, lam=lam
    )
    expected = oracle.gae_sequence(rewards[mask].tolist(), values[mask].tolist(), gamma, lam)
    torch.testing.assert_close(computed[mask], torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9)
    assert (computed[~mask] == 0).all()


def test_gae_steps_over_masked_tokens():
    rewards, values = torch.tensor([[1.0, math.nan, 3.0]]), torch.tensor([[0.5, math.nan, 0.25]])
    mask = torch.tensor([[True, False, True]])
    computed = advantages.generalized_advantages(rewards, values, mask, gamma=0.5, lam=0.5)
    # delta of the last is 3 - 1/4; of the first 1 + 1/2 * 1/4 - 1/2, and a quarter of the last's advantage comes back
    torch.testing.assert_close(computed, torch.tensor([[0.625 + 0.25 * 2.75, 0.0, 2.75]]))


def test_gae_identities():
    torch.manual_seed(0)
    rewards, values = torch.randn(2, 5).double(), torch.randn(2, 5).double()
    mask = torch.ones(2, 5, dtype=torch.bool)
    to_go = rewards.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(
        advantages.generalized_advantages(rewards, values, mask, gamma=1.0, lam=1.0), to_go - values
    )
    following = torch.cat([values[:, 1:], torch.zeros(2, 1)], 1)
    torch.testing.assert_close(
        advantages.generalized_advantages(rewards, values, mask, gamma=0.9, lam=0.0),
        rewards + 0.9 * following - values,
    )


def test_eq2_gives_the_outcome_at_the_last_token_and_takes_the_kl_from_every_token():
    policy = torch.tensor([[-1.0, -2.0, -3.0, math.nan], [-1.0, math.nan, math.nan, math.nan]])
    ref = torch.tensor([[-1.5, -2.0, -1.0, math.nan], [-1.0, 0.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True, False], [False] * 4])
    shaped = advantages.kl_shaped_rewards(torch.tensor([10.0, 5.0]), policy, ref, mask, kl_coef=0.1)
    # log(pi/pi_ref) = 0.5, 0, -2; the second response is empty
    torch.testing.assert_close(shaped, torch.tensor([[-0.05, 0.0, 10.2, 0.0], [0.0] * 4]))
