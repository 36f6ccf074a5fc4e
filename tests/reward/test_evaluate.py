"""The figures of a reward model, against counts by hand and judges whose quality is known."""

import itertools

import numpy as np
import pytest

from mathwright.records import JudgedGroup, Ranking
from mathwright.reward import judges
from mathwright.reward.evaluate import (
    _Scored,
    auc,
    calibration_error,
    compared,
    evaluation,
    spearman,
    summary_of,
)
from mathwright.reward.examples import Example


def group(name, responses, correct, truncated=None):
    return JudgedGroup(
        problem_id=name,
        prompt=f"{name}?",
        responses=tuple(responses),
        correct=tuple(correct),
        truncated=tuple(truncated or [False] * len(responses)),
    )


def boxed(*answers):
    return [f" so \\boxed{{{answer}}}." for answer in answers]


def test_pairs_by_hand():
    groups = [
        group("a", [*boxed(4, 5), " no idea"], [True, False, False]),
        group("b", boxed(1, 2), [True, False]),
        group("c", boxed(1, 2), [True, True]),  # nothing to compare
        Ranking(problem_id="d", prompt="d?", responses=("x", "y", "z"), ranks=(0, 1, 1)),
    ]
    scores: judges.Scores = [[1.0, 2.0, 0.0], [1.0, 0.5], [0.0, 9.0], [1.0, 1.0, 0.0]]
    found = evaluation(groups, {"model": scores, "answer": judges.by_answer(groups)})
    pairs = found["pairs"]
    assert (pairs["num_prompts"], pairs["num_pairs"]) == (3, 5)
    assert pairs["accuracy"]["model"] == pytest.approx((1 / 2 + 1 + 3 / 4) / 3)
    assert pairs["accuracy"]["answer"] == pytest.approx((3 / 4 + 1 / 2 + 1 / 2) / 3)
    assert pairs["difference"]["answer"] == pytest.approx(pairs["accuracy"]["model"] - pairs["accuracy"]["answer"])
    equal = found["equal_pairs"]
    assert (equal["num_prompts"], equal["num_pairs"]) == (3, 4)
    assert equal["accuracy"] == {"model": pytest.approx((0 + 1 + 3 / 4) / 3), "answer": 0.5}


def test_equal_pairs_are_alike_in_being_cut():
    groups = [group("a", boxed(4, 5, 6), [True, False, False], [False, True, False])]
    found = evaluation(groups, {"model": [[1.0, 5.0, 0.0]]})
    assert found["pairs"]["accuracy"]["model"] == 0.5
    assert (found["equal_pairs"]["num_pairs"], found["equal_pairs"]["accuracy"]["model"]) == (1, 1.0)


def test_a_text_that_stands_twice_is_one_response_of_the_pairs_and_two_of_best_of_n():
    groups = [group("a", boxed(4, 5, 5), [True, False, False])]
    found = evaluation(groups, {"model": [[0.0, 1.0, 1.0]]})
    assert found["pairs"]["num_pairs"] == 1
    assert found["best_of_n"]["rows"][0]["best_of"] == pytest.approx(1 / 3)


def test_what_has_no_verdict_or_no_score_is_left_out():
    groups = [group("a", boxed(4, 5, 6), [True, None, False]), group("b", boxed(4, 5), [True, False])]
    scores = [[0.0, 9.0, 1.0], [None, float("nan")]]
    found = evaluation(groups, {"model": scores})
    assert (found["num_responses"], found["unscored"]) == (2, 2)
    assert (found["pairs"]["num_pairs"], found["pairs"]["accuracy"]["model"]) == (1, 0.0)
    assert {row["num_prompts"] for row in found["best_of_n"]["rows"]} == {1}


def random_groups(number, samples, share=0.4, seed=0):
    rng = np.random.default_rng(seed)
    groups, right = [], rng.random((number, samples)) < share
    for g in range(number):
        answers = [7 if ok else int(rng.integers(10, 14)) for ok in right[g]]
        responses = [f"{text} {'.' * k}" for k, text in enumerate(boxed(*answers))]
        groups.append(group(f"g{g}", responses, map(bool, right[g])))
    return groups, right, rng


def test_a_perfect_judge_a_blind_one_and_a_perverse_one():
    groups, right, rng = random_groups(60, 8)
    found = {
        name: evaluation(groups, {"model": scores.tolist()})
        for name, scores in {
            "perfect": right * 20.0 - 10, "blind": rng.normal(size=right.shape), "perverse": 10 - right * 20.0
        }.items()
    }  # fmt: skip
    accuracy = {name: f["pairs"]["accuracy"]["model"] for name, f in found.items()}
    assert (accuracy["perfect"], accuracy["perverse"]) == (1, 0) and 0.4 < accuracy["blind"] < 0.6
    low, high = found["blind"]["pairs"]["interval"]["model"]
    assert low < 0.5 < high
    assert found["perfect"]["auc"] == 1 and found["perverse"]["auc"] == 0
    assert found["perfect"]["calibration_error"] < 0.01 < 0.9 < found["perverse"]["calibration_error"]
    for row in found["perfect"]["best_of_n"]["rows"]:
        assert row["best_of"] == pytest.approx(row["pass_at"])
    blind = found["blind"]["best_of_n"]["rows"]
    assert [row["n"] for row in blind] == [1, 2, 4, 8]
    assert blind[-1]["best_of"] == pytest.approx(right.mean(), abs=0.15)
    ahead = found["perfect"]["best_of_n"]["ahead_of"]
    assert ahead["one_sample"] == pytest.approx(blind[-1]["pass_at"] - right.mean())
    assert 0 < ahead["maj_at_interval"][0] < ahead["maj_at"] < ahead["maj_at_interval"][1]


def test_the_interval_over_prompts_covers_the_truth():
    """Under a judge of known quality, 95% intervals hold its accuracy about as often as they say."""
    held = 0
    for seed in range(100):
        groups, right, rng = random_groups(40, 4, seed=seed)
        scores = right * 0.6 + rng.normal(size=right.shape)
        scored = [_Scored.of(g, {"model": row.tolist()}) for g, row in zip(groups, scores, strict=True)]
        low, high = compared(scored, ["model"], equal_only=False)["interval"]["model"]
        held += low <= 0.6643 <= high  # P(N(0.6, 2) > 0)
    assert held / 100 >= 0.87


def test_solve_rates_are_told_apart():
    groups = [group("hard", boxed(1, 2, 3, 4), [True, False, False, False]), group("easy", boxed(1, 2), [True, False])]
    rows = evaluation(groups, {"model": [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0]]})["by_solve_rate"]
    assert [(row["above"], row["up_to"], row["accuracy"]) for row in rows] == [(0.0, 0.25, 1.0), (0.25, 0.5, 0.0)]


def test_auc_is_the_share_of_pairs_over_all_prompts():
    rng = np.random.default_rng(0)
    scores, right = rng.integers(0, 5, 60).astype(float), rng.random(60) < 0.4
    pairs = [(a > b) + (a == b) / 2 for a, b in itertools.product(scores[right], scores[~right])]
    assert auc(scores, right) == pytest.approx(np.mean(pairs))
    assert auc(scores, np.ones(60, dtype=bool)) is None


def test_calibration_by_hand():
    scores = np.array([0.0, 0.0, 100.0, -100.0])
    assert calibration_error(scores, np.array([True, False, True, False])) == pytest.approx(0)
    assert calibration_error(scores, np.array([True, True, False, False])) == pytest.approx((2 * 0.5 + 1) / 4)


def test_rank_correlation():
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([1.0, 8, 27, 64])) == pytest.approx(1)
    assert spearman(np.array([1.0, 2, 3, 4]), np.array([4.0, 4, 4, 4])) is None


@pytest.mark.parametrize("verdict", [True, False])
def test_equal_verdicts_alone_give_no_pair_figures(verdict):
    groups = [group("a", boxed(1, 2), [verdict] * 2)]
    summary = summary_of(evaluation(groups, {"model": [[0.0, 1.0]]}))
    assert "pair_accuracy" not in summary and summary["auc"] is None


def test_one_response_a_problem_and_none_at_all():
    found = evaluation([group("a", boxed(1), [True]), group("b", [], [])], {"model": [[0.5], []]})
    assert found["pairs"] == {"num_prompts": 0, "num_pairs": 0}
    assert evaluation([], {"model": []})["best_of_n"] == {}


def test_length_prefers_what_was_right_more_often_in_training():
    def example(*responses):
        return Example(
            problem_id="p", prompt="?", responses=responses, ranks=(0, 1), truncated=(False,) * 2, judged=True
        )

    assert judges.length_sign([example("long", "s"), example("long", "s"), example("s", "long")]) == 1
    assert judges.length_sign([example("s", "long")]) == -1
    assert judges.by_length([group("a", ["abc", "a"], [True, False])], -1.0) == [[-3.0, -1.0]]
