"""The figures of an evaluation against their definitions."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.eval.metrics import (
    best_of_k,
    cluster_answers,
    expected_majority,
    expected_weighted_vote,
    majority_answer,
    pass_at_k,
    vote_weights,
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


def test_pass_at_k_of_a_thousand_samples_is_exact() -> None:
    for num_correct, k in ((1, 500), (3, 1000), (500, 1), (2, 999), (999, 1)):
        wrong = Fraction(1)
        for i in range(k):
            wrong *= Fraction(max(0, 1000 - num_correct - i), 1000 - i)
        assert pass_at_k(1000, num_correct, k) == pytest.approx(float(1 - wrong), rel=1e-15)


def test_equal_answers_meet_in_one_cluster_and_missing_ones_in_none() -> None:
    same_number = lambda a, b: float(a) == float(b)  # noqa: E731
    assert cluster_answers(["2", None, "3", "2.0", "2"], same_number) == [[0, 3, 4], [2]]


def test_an_answer_that_equals_nothing_is_a_cluster_with_its_copies() -> None:
    assert cluster_answers(["nan", "1", "nan", "???", "1"], lambda a, b: float("nan") == 1) == [[0, 2], [1, 4], [3]]


def test_few_comparisons_are_made() -> None:
    made: list[tuple[str, str]] = []

    def equivalent(a: str, b: str) -> bool:
        made.append((a, b))
        return a.strip() == b.strip()

    answers = ["1", "2", "1 ", "2 ", "1", "2", "1 ", "2 "] * 8
    assert cluster_answers(answers, equivalent)[0][:4] == [0, 2, 4, 6]
    assert made == [("2", "1"), ("1 ", "1"), ("2 ", "1"), ("2 ", "2")]


def test_majority_takes_the_largest_cluster_and_the_first_on_a_tie() -> None:
    same = str.__eq__
    assert majority_answer(["a", "b", "b"], same) == 1
    assert majority_answer(["b", "a", "a", "b"], same) == 0
    assert majority_answer([None, None], same) is None


# --- Maj@K over subsets ---------------------------------------------------------------------------


def majority_of(clusters: Sequence[int | None], right: dict[int, bool]) -> Fraction:
    """Chance that the majority answer of some samples is right, ties drawn by lot; from the definition."""
    votes = Counter(c for c in clusters if c is not None)
    if not votes:
        return Fraction(0)
    tied = [c for c, count in votes.items() if count == max(votes.values())]
    return Fraction(sum(right[c] for c in tied), len(tied))


def brute_force_majority(cluster_of: Sequence[int | None], correct: Sequence[bool], k: int) -> float:
    right = {c: correct[cluster_of.index(c)] for c in set(cluster_of) if c is not None}
    subsets = list(itertools.combinations(cluster_of, k))
    return float(sum((majority_of(subset, right) for subset in subsets), Fraction(0)) / len(subsets))


SAMPLES = st.lists(st.tuples(st.sampled_from([None, 0, 1, 2, 3]), st.booleans()), min_size=1, max_size=7)


@given(SAMPLES, st.data())
def test_expected_majority_is_the_mean_over_all_subsets(
    samples: list[tuple[int | None, bool]], data: st.DataObject
) -> None:
    clusters, correct = [c for c, _ in samples], [v for _, v in samples]
    k = data.draw(st.integers(1, len(samples)))
    assert expected_majority(clusters, correct, k) == pytest.approx(
        brute_force_majority(clusters, correct, k), abs=1e-12
    )


@pytest.mark.parametrize("seed", range(3))
def test_expected_majority_is_what_drawing_subsets_gives(seed: int) -> None:
    rng = random.Random(seed)
    clusters = [rng.choice([None, 0, 0, 1, 1, 2, 3, 4, 5]) for _ in range(64)]
    right = {c: c in (0, 4) for c in range(6)}
    correct = [c is not None and right[c] for c in clusters]
    drawn = [float(majority_of(rng.sample(clusters, 16), right)) for _ in range(20_000)]
    error = float(np.std(drawn)) / math.sqrt(len(drawn))
    assert 0.05 < np.mean(drawn) < 0.95
    assert abs(expected_majority(clusters, correct, 16) - float(np.mean(drawn))) < 4 * error


def test_the_majority_of_all_samples_is_the_vote() -> None:
    same = str.__eq__
    for answers in (["a", "b", "b"], ["b", "a", None, "a"], ["a"] * 40 + ["b"] * 24):
        names = {"a": 0, "b": 1}
        clusters = [names[a] if a else None for a in answers]
        winner = majority_answer(answers, same)
        assert winner is not None
        expected = expected_majority(clusters, [a == "a" for a in answers], len(answers))
        assert expected == pytest.approx(float(answers[winner] == "a"), abs=1e-12)
    assert expected_majority([0, 1, 1, 0, 2], [True, False, False, True, False], 5) == pytest.approx(0.5), "a tie"


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=40))
def test_two_votes_are_worth_one(samples: list[tuple[int, bool]]) -> None:
    """Two samples agree or tie, so Maj@2 is Maj@1, the share of right samples, where all samples have an answer."""
    clusters = [c for c, _ in samples]
    right = dict(reversed(samples))
    correct = [right[c] for c in clusters]
    share = sum(correct) / len(correct)
    assert expected_majority(clusters, correct, 1) == pytest.approx(share, abs=1e-12)
    assert expected_majority(clusters, correct, 2) == pytest.approx(share, abs=1e-12)


def test_missing_answers_are_drawn_but_do_not_vote() -> None:
    clusters, correct = [0, None, None, None], [True, False, False, False]
    assert expected_majority(clusters, correct, 1) == pytest.approx(1 / 4)
    assert expected_majority(clusters, correct, 2) == pytest.approx(1 / 2)
    assert expected_majority(clusters, correct, 4) == pytest.approx(1.0)
    assert expected_majority([None, None], [False, False], 2) == 0.0


def test_a_cluster_has_the_verdict_of_its_first_sample() -> None:
    assert expected_majority([5, 5, 5], [True, False, False], 3) == pytest.approx(1.0)
    assert expected_majority([5, 5, 5], [False, True, True], 3) == 0.0


def test_many_samples_neither_overflow_nor_leave_zero_to_one() -> None:
    clusters = [i % 10 if i % 10 < 7 else 0 for i in range(1100)]  # 440 votes for 0, 110 for each other
    for k, low in ((1, 0.39), (2, 0.39), (64, 0.9), (550, 0.9999)):  # C(1100, 550) is more than a float holds
        assert low <= expected_majority(clusters, [c == 0 for c in clusters], k) <= 1.0


@pytest.mark.parametrize("k", [0, 4])
def test_another_number_of_draws_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"k={k}"):
        expected_majority([0, 1, 1], [True, False, False], k)
    with pytest.raises(ValueError, match=f"k={k}"):
        best_of_k([0.0, 1.0, 1.0], [True, False, False], k)
    with pytest.raises(ValueError, match="two lists"):
        expected_majority([0, 1, 1, 1], [True], 1)


# --- best of K ------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from([-math.inf, -1.0, 0.5, 2.0]), st.booleans()), min_size=1, max_size=7), st.data()
)
def test_best_of_k_is_the_mean_over_all_subsets(samples: list[tuple[float, bool]], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(samples)))
    expected = []
    for subset in itertools.combinations(samples, k):
        verdicts = [verdict for score, verdict in subset if score == max(subset)[0]]
        expected.append(Fraction(sum(verdicts), len(verdicts)))
    scores, correct = [s for s, _ in samples], [v for _, v in samples]
    assert best_of_k(scores, correct, k) == pytest.approx(float(sum(expected, Fraction(0)) / len(expected)), abs=1e-12)


def test_a_perfect_reward_model_reaches_pass_at_k_and_the_worst_one_its_opposite() -> None:
    correct = [i % 5 == 0 for i in range(64)]
    for k in (1, 2, 8, 64):
        assert best_of_k([float(c) for c in correct], correct, k) == pytest.approx(pass_at_k(64, sum(correct), k))
        worst = best_of_k([-float(c) for c in correct], correct, k)
        assert worst == pytest.approx(1 - pass_at_k(64, 64 - sum(correct), k), abs=1e-12)
        assert best_of_k([7.0] * 64, correct, k) == pytest.approx(sum(correct) / 64), "a blind one: accuracy"


def test_best_of_k_refuses_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        best_of_k([0.0, math.nan], [True, False], 1)


# --- votes with weights ---


@given(
    samples=st.lists(
        st.tuples(st.sampled_from([None, 0, 1, 2]), st.integers(0, 3), st.booleans()), min_size=1, max_size=6
    ),
    data=st.data(),
)
def test_a_weighted_vote_is_the_mean_over_all_subsets(samples, data):
    clusters, weights, correct = ([sample[i] for sample in samples] for i in range(3))
    k = data.draw(st.integers(1, len(samples)))
    right = {c: correct[clusters.index(c)] for c in clusters if c is not None}
    values = []
    for subset in itertools.combinations(range(len(samples)), k):
        votes: dict[int, int] = {}
        for i in subset:
            if clusters[i] is not None:
                votes[clusters[i]] = votes.get(clusters[i], 0) + weights[i]
        best = [c for c, weight in votes.items() if weight == max(votes.values())]
        values.append(sum(right[c] for c in best) / len(best) if best else 0)
    found = expected_weighted_vote(clusters, weights, correct, k)
    assert found == pytest.approx(sum(values) / len(values), abs=1e-12)


def test_equal_weights_are_the_majority_and_many_subsets_are_drawn():
    clusters, correct = [0, 0, 1, 1, 1, None] * 4, [True, True, False, False, False, False] * 4
    for k in (1, 3, 24):
        exact = expected_majority(clusters, correct, k)
        assert expected_weighted_vote(clusters, [0.5] * 24, correct, k) == pytest.approx(exact, abs=0.05)
    assert expected_weighted_vote([0, 1, 1], [9.0, 1.0, 1.0], [True, False, False], 3) == 1.0
    assert expected_weighted_vote([0, 1, 1], [1.0, 1.0, 1.0], [True, False, False], 3) == 0.0


def test_weights_keep_the_order_of_scores():
    weights = vote_weights([-math.inf, -1e9, -2.0, 0.0, 3.0, math.nan])
    assert weights[0] < 1e-300 and weights[5] == 0.0 and weights[3] == 0.5
    assert weights[1:5] == sorted(weights[1:5])
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="negative or not finite"):
            expected_weighted_vote([0], [bad], [True], 1)
