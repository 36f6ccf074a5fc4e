"""How process reward models are judged: against plain definitions, and by hand."""

import random

import pytest

from mathwright.reward.step_metrics import (
    AGGREGATES,
    best_threshold,
    first_error_f1,
    first_wrong,
    known,
    lowest_is_last,
    step_auc,
)

SCORES = [[0.9, 0.2, 0.8], [0.9, 0.8], [0.3, 0.9], [0.7, 0.6, 0.1]]
LABELS = [[1.0, 0.0, None], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0, None]]


def test_the_first_wrong_step_is_to_be_found_exactly():
    found = first_error_f1(SCORES, LABELS, 0.5)
    # erroneous: 0 found, 3 not (said the third); correct: 1 found, 2 not
    assert (found.accuracy_erroneous, found.accuracy_correct, found.f1) == (0.5, 0.5, 0.5)
    assert (found.num_erroneous, found.num_correct) == (2, 2)
    assert first_error_f1(SCORES, LABELS, 0.0).f1 == 0.0  # nothing is ever wrong: F1 sees through it
    assert first_error_f1(SCORES[1:3], LABELS[1:3], 0.5).f1 is None


def test_the_threshold_is_the_best_there_is():
    threshold = best_threshold(SCORES, LABELS)
    best = first_error_f1(SCORES, LABELS, threshold).f1
    assert best == max(first_error_f1(SCORES, LABELS, k / 100).f1 or 0.0 for k in range(1, 100))


def test_shares_are_wrong_where_nothing_reached_the_answer():
    assert first_wrong([0.5, 0.125, 0.0, None]) == 2
    assert first_wrong([1.0, 0.25]) is None
    assert known([1.0, 0.0, None]) and known([1.0]) and not known([1.0, None, 0.0]) and not known([])
    with pytest.raises(ValueError, match="step 1 is not labelled"):
        first_wrong([1.0, None, 0.0])


def test_auc_equals_the_count_over_pairs():
    draw = random.Random(0)
    scores = [[draw.choice([0.1, 0.4, 0.4, 0.8]) for _ in range(4)] for _ in range(20)]
    labels = [[draw.choice([0.0, 1.0, 0.5, None]) for _ in range(4)] for _ in range(20)]
    rows = [(s, y) for a, b in zip(scores, labels, strict=True) for s, y in zip(a, b, strict=True) if y is not None]
    pairs = [(a > b) + (a == b) / 2 for a, y in rows if y > 0 for b, z in rows if z == 0]
    assert step_auc(scores, labels) == pytest.approx(sum(pairs) / len(pairs))
    assert step_auc([[0.5]], [[1.0]]) is None


def test_aggregates_and_where_the_lowest_score_is():
    said = [0.5, 0.25, 1.0]
    assert {name: add(said) for name, add in AGGREGATES.items()} == {
        "min": 0.25, "last": 1.0, "mean": pytest.approx(0.58333333), "product": 0.125,
    }  # fmt: skip
    assert lowest_is_last([[0.5, 0.2], [0.1, 0.9], [0.3], [0.9, 0.8, 0.1]]) == pytest.approx(2 / 3)
    assert lowest_is_last([[0.5]]) is None
