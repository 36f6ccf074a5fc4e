"""The figures of an evaluation against their definitions."""

import itertools
import random

import pytest

from mathwright.eval.metrics import (
    cluster_answers,
    majority_answer,
    mean_interval,
    paired_difference,
    pass_at_k,
    wilson_interval,
)


@pytest.mark.parametrize("num_correct", range(6))
@pytest.mark.parametrize("k", range(1, 6))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(num_correct: int, k: int) -> None:
    samples = [True] * num_correct + [False] * (5 - num_correct)
    subsets = list(itertools.combinations(samples, k))
    assert pass_at_k(5, num_correct, k) == pytest.approx(sum(any(s) for s in subsets) / len(subsets), abs=1e-12)


def test_pass_at_k_refuses_more_draws_than_samples() -> None:
    with pytest.raises(ValueError, match="k=6"):
        pass_at_k(5, 2, 6)


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


def test_equal_answers_meet_in_one_cluster_and_missing_ones_in_none() -> None:
    same_number = lambda a, b: float(a) == float(b)  # noqa: E731
    assert cluster_answers(["2", None, "3", "2.0", "2"], same_number) == [[0, 3, 4], [2]]


def test_majority_takes_the_largest_cluster_and_the_first_on_a_tie() -> None:
    same = str.__eq__
    assert majority_answer(["a", "b", "b"], same) == 1
    assert majority_answer(["b", "a", "a", "b"], same) == 0
    assert majority_answer([None, None], same) is None


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
