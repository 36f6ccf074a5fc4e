"""Intervals, tests and rankings against their definitions."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mathwright.stats import (
    average_precision,
    mcnemar,
    mean_interval,
    paired_bootstrap,
    paired_difference,
    wilson_interval,
)

# --- shares ---------------------------------------------------------------------------------------


@given(trials=st.integers(1, 500), data=st.data())
def test_wilson_interval_is_that_of_scipy(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    theirs = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(trials=st.integers(1, 500), data=st.data())
def test_wilson_ends_solve_the_score_equation(trials: int, data: st.DataObject) -> None:
    """The ends are the shares p at which (p_hat - p)^2 = z^2 p (1 - p) / n."""
    successes = data.draw(st.integers(0, trials))
    z, p_hat = 1.959963984540054, successes / trials

    def distance(p: float) -> float:
        return (p_hat - p) ** 2 - z * z * p * (1 - p) / trials

    low, high = wilson_interval(successes, trials)
    assert distance(low) == pytest.approx(0, abs=1e-12)
    assert distance(high) == pytest.approx(0, abs=1e-12)
    assert 0 <= low <= p_hat + 1e-12 and p_hat - 1e-12 <= high <= 1
    assert high - low > 1 / (trials + z * z)


def test_wilson_interval_covers_the_true_share_in_about_95_of_100_samples() -> None:
    rng = random.Random(0)
    share, n, repeats = 0.15, 40, 4000
    covered = 0
    for _ in range(repeats):
        low, high = wilson_interval(sum(rng.random() < share for _ in range(n)), n)
        covered += low <= share <= high
    assert 0.93 < covered / repeats < 0.975


def test_wilson_interval_stays_inside_zero_and_one() -> None:
    assert wilson_interval(0, 20).low == 0.0
    assert 0.0 < wilson_interval(0, 20).high < 0.2
    assert wilson_interval(20, 20).high == 1.0
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_mean_interval_of_a_constant_is_a_point() -> None:
    assert mean_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_mean_interval_of_zeros_and_ones_is_about_wilsons() -> None:
    for num_right in (0, 1, 7, 20, 40):
        values = [1.0] * num_right + [0.0] * (40 - num_right)
        assert mean_interval(values) == pytest.approx(wilson_interval(num_right, 40), abs=0.005)
    assert mean_interval([0.0] * 40).high > 0.05, "no right answer in 40 does not prove that there is none"
    assert mean_interval([1.0]) == (0.0, 1.0)


def test_mean_interval_covers_the_mean_of_shares_in_about_95_of_100_samples() -> None:
    rng = np.random.default_rng(2)
    for a, b in ((2.0, 5.0), (0.3, 1.5), (0.1, 0.1)):
        covered = 0
        for _ in range(2000):
            low, high = mean_interval(rng.beta(a, b, size=60).tolist())
            assert 0.0 <= low < high <= 1.0
            covered += low <= a / (a + b) <= high
        assert 0.92 < covered / 2000 < 0.98, (a, b)


# --- two models on the same problems --------------------------------------------------------------


def test_paired_difference_is_the_difference_of_the_accuracies() -> None:
    before = [True, False, False, True, False, False]
    after = [True, True, True, False, True, False]
    difference, interval = paired_difference(before, after)
    assert difference == pytest.approx(2 / 6)
    assert interval.low < difference < interval.high


def test_paired_difference_interval_covers_no_change_in_about_95_of_100_samples() -> None:
    rng = random.Random(1)
    covered = 0
    for _ in range(2000):
        before = [rng.random() < 0.4 for _ in range(100)]
        after = [rng.random() < 0.4 for _ in range(100)]
        low, high = paired_difference(before, after)[1]
        covered += low <= 0 <= high
    assert 0.92 < covered / 2000 < 0.98


def test_identical_results_differ_by_exactly_nothing() -> None:
    assert paired_difference([True, False], [True, False]) == (0.0, (0.0, 0.0))


@pytest.mark.parametrize(("b", "c"), [(0, 1), (1, 0), (3, 3), (5, 15), (15, 5), (0, 12), (40, 61), (900, 1000)])
def test_mcnemar_is_the_exact_binomial_test(b: int, c: int) -> None:
    tail = sum(math.comb(b + c, i) for i in range(min(b, c) + 1))
    assert mcnemar(b, c) == pytest.approx(min(1.0, 2 * tail / 2 ** (b + c)), rel=1e-12)


def test_mcnemar_without_a_difference_proves_nothing_and_refuses_nonsense() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(4, 4) == 1.0
    with pytest.raises(ValueError, match="-1"):
        mcnemar(-1, 3)


def test_paired_bootstrap_is_about_the_normal_interval_and_repeats() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(300)
    after = before + rng.normal(0.05, 0.2, 300)
    low, high = paired_bootstrap(before.tolist(), after.tolist())
    differences = after - before
    half = 1.96 * differences.std(ddof=1) / math.sqrt(300)
    assert low == pytest.approx(differences.mean() - half, abs=0.003)
    assert high == pytest.approx(differences.mean() + half, abs=0.003)
    assert (low, high) == paired_bootstrap(before.tolist(), after.tolist())
    assert (low, high) != paired_bootstrap(before.tolist(), after.tolist(), seed=1)


def test_paired_bootstrap_keeps_the_pairs() -> None:
    """Problems of very different difficulty, each a little better: unpaired the interval would hold 0."""
    before = [0.0, 1.0] * 50
    assert paired_bootstrap(before, [b + 0.1 for b in before]) == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize("after", [[], [0.5]])
def test_paired_bootstrap_refuses_lists_that_are_no_pairs(after: list[float]) -> None:
    with pytest.raises(ValueError, match="one length"):
        paired_bootstrap([0.1, 0.2] if after else [], after)


def test_paired_bootstrap_takes_the_quantiles_of_means_drawn_with_replacement() -> None:
    rng = np.random.default_rng(5)
    before, after = rng.random(30), rng.random(30)
    drawn = np.random.default_rng(3).integers(30, size=(500, 30))
    means = (after - before)[drawn].mean(axis=1)
    expected = np.quantile(means, (0.025, 0.975)).tolist()
    assert paired_bootstrap(before.tolist(), after.tolist(), num=500, seed=3) == pytest.approx(expected, abs=1e-12)
    assert paired_bootstrap([0.25], [1.0]) == (0.75, 0.75)


# --- rankings -------------------------------------------------------------------------------------


@given(
    pages=st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.3, 0.4])), min_size=1, max_size=12),
)
def test_average_precision_by_its_definition(pages: list[tuple[bool, float]]) -> None:
    relevant, scores = np.array([r for r, _ in pages]), np.array([s for _, s in pages])
    precisions = []
    for is_relevant, score in pages:
        if is_relevant:
            at_least = [r for r, s in pages if s >= score]
            precisions.append(sum(at_least) / len(at_least))
    expected = sum(precisions) / len(precisions) if precisions else None
    assert average_precision(relevant, scores) == (None if expected is None else pytest.approx(expected, abs=1e-12))
