"""How good a process reward model is: does it find the first wrong step, tell right steps from wrong ones, choose the
better solution?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mathwright.stats import Interval, wilson_interval

Scores = Sequence[float]
"""sigma(s_j) of the steps of a solution."""
Labels = Sequence[float | None]
"""1 right, 0 wrong, or a share of completions; None: not labelled."""


AGGREGATES: Mapping[str, Callable[[Scores], float]] = {
    "min": min,
    "last": lambda scores: scores[-1],
    "mean": lambda scores: sum(scores) / len(scores),
    "product": math.prod,
}
"""What a solution is worth by its steps: min of Math-Shepherd, mean of RLHFlow, product of Lightman et al. (2023); last
is what an outcome reward model would say."""


# --- first wrong step -----------------------------------------------------------------------------


class FirstError(NamedTuple):
    """ProcessBench's measure."""

    f1: float | None
    """Harmonic mean of the two accuracies; None where solutions of one kind are missing."""
    accuracy_erroneous: float | None
    """Of solutions with a wrong step: share of which the first is found, exactly."""
    interval_erroneous: Interval
    accuracy_correct: float | None
    """Of solutions without one: share in which none is found."""
    interval_correct: Interval
    num_erroneous: int
    num_correct: int


def first_wrong(labels: Labels) -> int | None:
    """The first step labelled wrong: of share 0, as hard labels have it. None where there is none.

    Raises ValueError where a step before it is not labelled, so that an earlier one may be wrong.
    """
    for j, label in enumerate(labels):
        if label is None:
            raise ValueError(f"step {j} is not labelled, and no step before it is wrong")
        if label == 0:
            return j
    return None


def first_below(scores: Scores, threshold: float) -> int | None:
    """The first step that a model holds to be wrong: scored below the threshold."""
    return next((j for j, score in enumerate(scores) if score < threshold), None)


def known(labels: Labels) -> bool:
    """Whether a solution's first wrong step is known, or that it has none."""
    return bool(labels) and None not in labels[: labels.index(0.0) if 0.0 in labels else len(labels)]


def first_error_f1(scores: Sequence[Scores], labels: Sequence[Labels], threshold: float) -> FirstError:
    """ProcessBench (Zheng et al. 2024): F1 of finding the first wrong step, or that there is none.

    The threshold is to be chosen on other data (`best_threshold`).
    """
    erroneous: list[bool] = []
    correct: list[bool] = []
    for said, truth in zip(scores, labels, strict=True):
        wrong = first_wrong(truth)
        (correct if wrong is None else erroneous).append(first_below(said, threshold) == wrong)
    on_erroneous, on_correct = _share(erroneous), _share(correct)
    f1 = None
    if on_erroneous is not None and on_correct is not None:
        both = on_erroneous + on_correct
        f1 = 2 * on_erroneous * on_correct / both if both else 0.0
    return FirstError(
        f1,
        on_erroneous,
        wilson_interval(sum(erroneous), len(erroneous)),
        on_correct,
        wilson_interval(sum(correct), len(correct)),
        len(erroneous),
        len(correct),
    )


def best_threshold(scores: Sequence[Scores], labels: Sequence[Labels]) -> float:
    """The threshold of the highest first-error F1, of 99 between 0.01 and 0.99; of equal ones that nearest to 0.5.

    0.5 where solutions of one kind are missing.
    """
    thresholds = sorted((k / 100 for k in range(1, 100)), key=lambda threshold: abs(threshold - 0.5))
    return max(thresholds, key=lambda threshold: first_error_f1(scores, labels, threshold).f1 or 0.0)


# --- steps ----------------------------------------------------------------------------------------


def step_auc(scores: Sequence[Scores], labels: Sequence[Labels]) -> float | None:
    """Share of the pairs of a right and a wrong step, of any solutions, in which the right one scores higher; a tie
    counts half. None without a pair. Right is a label above 0, as for hard labels."""
    rows = [
        (score, label > 0)
        for said, truth in zip(scores, labels, strict=True)
        for score, label in zip(said, truth, strict=True)
        if label is not None
    ]
    num_right = sum(right for _, right in rows)
    num_wrong = len(rows) - num_right
    if not num_right or not num_wrong:
        return None
    from scipy.stats import rankdata

    ranks = rankdata([score for score, _ in rows])
    above = sum(rank for rank, (_, right) in zip(ranks, rows, strict=True) if right)
    return float((above - num_right * (num_right + 1) / 2) / (num_right * num_wrong))


def lowest_is_last(scores: Sequence[Scores]) -> float | None:
    """Share of the solutions of two steps and more whose lowest score is that of the last step.

    Where it is high the model judges answers, not steps: Math-Shepherd's is at 44%, Qwen's at 17% (Zhang et al. 2025).
    """
    return _share([min(range(len(said)), key=lambda j: said[j]) == len(said) - 1 for said in scores if len(said) > 1])


def _share(found: Sequence[bool]) -> float | None:
    return sum(found) / len(found) if found else None
