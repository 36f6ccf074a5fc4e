"""Figures of an evaluation, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A 95% interval, as shares between 0 and 1 (or their difference)."""

    low: float
    high: float


Z95 = 1.959963984540054
"""97.5% quantile of the normal distribution."""


def wilson_interval(num_correct: int, num_total: int) -> Interval:
    """Wilson's 95% interval of a share: it stays inside [0, 1] and holds for small counts (Wilson 1927)."""
    if num_total == 0:
        return Interval(0.0, 1.0)
    share, n = num_correct / num_total, num_total
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def mean_interval(values: Sequence[float]) -> Interval:
    """Normal 95% interval of the mean of per-problem values."""
    n = len(values)
    if n < 2:
        return Interval(0.0, 1.0)
    mean = sum(values) / n
    variance = sum((v - mean) ** 2 for v in values) / (n - 1)
    half = Z95 * math.sqrt(variance / n)
    return Interval(mean - half, mean + half)


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Unbiased Pass@K of one problem: 1 - C(n-c, k) / C(n, k), the chance that k of the n samples hold a right one.

    Source: Chen et al. 2021, used by the paper's Figure 7. Raises ValueError unless 1 <= k <= n and 0 <= c <= n.
    """
    if not 1 <= k <= num_samples or not 0 <= num_correct <= num_samples:
        raise ValueError(f"pass_at_k: need 1 <= k <= n and 0 <= c <= n, got n={num_samples}, c={num_correct}, k={k}")
    return 1.0 - math.comb(num_samples - num_correct, k) / math.comb(num_samples, k)


def cluster_answers(answers: Sequence[str | None], equivalent: Callable[[str, str], bool]) -> list[list[int]]:
    """Indices of equal answers together, clusters in order of their first answer; None (no answer) is left out.

    Every answer is compared with the first of each cluster; equal strings are not compared again.
    """
    clusters: list[list[int]] = []
    known: dict[str, int] = {}
    for index, answer in enumerate(answers):
        if answer is None:
            continue
        place = known.get(answer)
        if place is None:
            place = next((i for i, c in enumerate(clusters) if equivalent(answer, answers[c[0]] or "")), len(clusters))
            known[answer] = place
        if place == len(clusters):
            clusters.append([])
        clusters[place].append(index)
    return clusters


def majority_answer(answers: Sequence[str | None], equivalent: Callable[[str, str], bool]) -> int | None:
    """Maj@K: index of an answer of the largest cluster; a tie goes to the answer that came first. None if none."""
    clusters = cluster_answers(answers, equivalent)
    return max(clusters, key=len)[0] if clusters else None


def paired_difference(before: Sequence[bool], after: Sequence[bool]) -> tuple[float, Interval]:
    """Difference of two accuracies on the same problems, with its 95% interval from the discordant pairs.

    Source: the normal interval of McNemar's design: d = (n01 - n10)/n, var = (n01 + n10 - (n01 - n10)^2/n)/n^2.
    Raises ValueError where the two lists differ in length or are empty.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"paired_difference needs two lists of one length, got {len(before)} and {len(after)}")
    n = len(before)
    gained = sum(b and not a for a, b in zip(before, after, strict=True))
    lost = sum(a and not b for a, b in zip(before, after, strict=True))
    difference = (gained - lost) / n
    half = Z95 * math.sqrt(max(0.0, gained + lost - (gained - lost) ** 2 / n)) / n
    return difference, Interval(difference - half, difference + half)
