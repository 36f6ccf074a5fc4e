"""Figures of an evaluation, and how sure they are. docs/evaluation_metrics.md tells them to people."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A 95% interval, as shares between 0 and 1 (or their difference)."""

    low: float
    high: float


Z95 = 1.959963984540054
"""97.5% quantile of the normal distribution."""


def wilson_interval(num_correct: float, num_total: float) -> Interval:
    """Wilson's 95% interval of a share: it stays inside [0, 1] and holds for small counts (Wilson 1927)."""
    if num_total == 0:
        return Interval(0.0, 1.0)
    share, n = num_correct / num_total, num_total
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def mean_interval(values: Sequence[float]) -> Interval:
    """95% interval of the mean of per-problem values between 0 and 1.

    Wilson's interval with the effective number of problems m (1 - m) / (s^2 / n), s^2 being the variance between the
    problems (Dean & Pagano 2015): for values of 0 and 1 it is nearly `wilson_interval`, for values that vary less it is
    about m +- 1.96 s / sqrt(n), and it never leaves [0, 1]. Where all values are 0, or all 1, the number is n.
    """
    n = len(values)
    if n < 2:
        return Interval(0.0, 1.0)
    mean = sum(values) / n
    variance = sum((v - mean) ** 2 for v in values) / (n - 1)
    if variance == 0 and 0 < mean < 1:
        return Interval(mean, mean)
    effective = mean * (1 - mean) * n / variance if variance > 0 else n
    return wilson_interval(mean * effective, effective)


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Unbiased Pass@K of one problem: 1 - C(n-c, k) / C(n, k), the chance that k of the n samples hold a right one.

    Source: Chen et al. 2021, used by the paper's Figure 7. In whole numbers up to the one division, so that it is exact
    for any n. Raises ValueError unless 1 <= k <= n and 0 <= c <= n.
    """
    if not 1 <= k <= num_samples or not 0 <= num_correct <= num_samples:
        raise ValueError(f"pass_at_k: need 1 <= k <= n and 0 <= c <= n, got n={num_samples}, c={num_correct}, k={k}")
    subsets = math.comb(num_samples, k)
    return (subsets - math.comb(num_samples - num_correct, k)) / subsets


# --- majority -------------------------------------------------------------------------------------


def cluster_answers(answers: Sequence[str | None], equivalent: Callable[[str, str], bool]) -> list[list[int]]:
    """Indices of equal answers together, clusters in order of their first answer; None (no answer) is left out.

    Every answer is compared with the first of each cluster; equal strings are one answer and are not compared. So an
    answer that equals nothing, not even itself (NaN, unreadable), is a cluster with its own exact copies.
    """
    clusters: list[list[int]] = []
    firsts: list[str] = []
    known: dict[str, int] = {}
    for index, answer in enumerate(answers):
        if answer is None:
            continue
        place = known.get(answer)
        if place is None:
            place = next((i for i in range(len(clusters)) if equivalent(answer, firsts[i])), len(clusters))
            known[answer] = place
        if place == len(clusters):
            clusters.append([])
            firsts.append(answer)
        clusters[place].append(index)
    return clusters


def majority_answer(answers: Sequence[str | None], equivalent: Callable[[str, str], bool]) -> int | None:
    """Index of the first sample that gives the answer given most often; a tie goes to the answer that came first.

    The vote itself, as a person would take it, for showing which answer wins; None where no sample has an answer. Its
    expectation over subsets, with ties shared, is `expected_majority`.
    """
    clusters = cluster_answers(answers, equivalent)
    return max(clusters, key=len)[0] if clusters else None


def expected_majority(cluster_of: Sequence[int | None], correct: Sequence[bool], k: int) -> float:
    """Maj@K of one problem: the chance that the majority answer of k of its n samples, drawn together, is right.

    Exact over all C(n, k) subsets. Where several answers are given equally often, each is the majority answer with the
    same probability. Source of the vote: Wang et al. 2022 (self-consistency); the paper's Figure 7 draws it over K.

    Args:
        cluster_of: [n] the cluster of each sample's answer (any integers); None for a sample without an answer, which
            is one of the k but never votes. A subset without any answer is wrong.
        correct: [n] verdict of each sample. A cluster is right if its first sample is.
        k: from 1 to n.

    Raises ValueError for lists of different lengths or another k.
    """
    n = len(cluster_of)
    if n != len(correct) or not 1 <= k <= n:
        raise ValueError(f"expected_majority: need 1 <= k <= n and two lists of n, got {n}, {len(correct)} and k={k}")
    right: dict[int, bool] = {}
    for cluster, verdict in zip(cluster_of, correct, strict=True):
        if cluster is not None:
            right.setdefault(cluster, verdict)
    sizes = Counter(cluster for cluster in cluster_of if cluster is not None)
    return _expected_majority(tuple(sorted((size, right[cluster]) for cluster, size in sizes.items())), n, k)


@lru_cache(maxsize=65536)
def _expected_majority(clusters: tuple[tuple[int, bool], ...], n: int, k: int) -> float:
    """The same from (size, right) of each cluster.

    Each sample is kept with probability k/n on its own, given that k are kept: every subset is then equally likely, and
    the numbers stay between 0 and 1. Sum over m, the votes of the majority answer: clusters smaller than m
    are one lot; for each other one, in turn, it is decided whether it has m votes or fewer.
    """
    if not any(right for _, right in clusters):
        return 0.0
    pmf = _binomial(n, k, k / n)
    total = 0.0
    for m in range(1, min(k, max(size for size, _ in clusters)) + 1):
        large = [(size, right) for size, right in clusters if size >= m]
        # [votes, clusters that have m votes]: probability, and the same times the number of right clusters among those
        ways = np.zeros((k + 1, min(len(large), k // m) + 2))
        right_ways = np.zeros_like(ways)
        ways[0, 0] = 1.0
        for size, right in large:
            tied, tied_right = np.zeros_like(ways), np.zeros_like(ways)
            tied[m:, 1:] = pmf[size, m] * ways[:-m, :-1]
            tied_right[m:, 1:] = pmf[size, m] * right_ways[:-m, :-1]
            below, below_right = _fewer_votes(ways, pmf[size, :m]), _fewer_votes(right_ways, pmf[size, :m])
            ways, right_ways = below + tied, below_right + tied_right + (tied if right else 0.0)
        share = right_ways[:, 1:] @ (1.0 / np.arange(1, ways.shape[1]))
        total += float(share @ pmf[n - sum(size for size, _ in large), k::-1])
    return min(1.0, total / float(pmf[n, k]))


def _fewer_votes(ways: np.ndarray, pmf: np.ndarray) -> np.ndarray:
    """`ways` [votes, ties] after one more cluster that has c votes with probability pmf[c]."""
    result = pmf[0] * ways
    for votes in range(1, len(pmf)):
        result[votes:] += pmf[votes] * ways[:-votes]
    return result


@lru_cache(maxsize=16)
def _binomial(n: int, k: int, share: float) -> np.ndarray:
    """[n + 1, k + 1] probability that c of s samples are kept; by adding one sample at a time: no overflow."""
    pmf = np.zeros((n + 1, k + 1))
    pmf[0, 0] = 1.0
    for s in range(n):
        pmf[s + 1] = (1 - share) * pmf[s]
        pmf[s + 1, 1:] += share * pmf[s, :-1]
    return pmf


def best_of_k(scores: Sequence[float], correct: Sequence[bool], k: int) -> float:
    """Best-of-K of one problem: the chance that the sample with the highest score among k of the n is right.

    Exact over all C(n, k) subsets; of samples with equal scores each is chosen with the same probability. Scores of
    -inf are chosen last. Raises ValueError for lists of different lengths, a NaN, or unless 1 <= k <= n.
    """
    n = len(scores)
    if n != len(correct) or not 1 <= k <= n:
        raise ValueError(f"best_of_k: need 1 <= k <= n and two lists of n, got {n}, {len(correct)} and k={k}")
    if any(math.isnan(score) for score in scores):
        raise ValueError("best_of_k: a score is NaN; score such samples -inf if they are to be chosen last")
    verdicts: dict[float, list[bool]] = {}
    for score, verdict in sorted(zip(scores, correct, strict=True), reverse=True):
        verdicts.setdefault(score, []).append(verdict)
    subsets, worse, expected = math.comb(n, k), n, 0.0
    for group in verdicts.values():
        best_is_here = math.comb(worse, k) - math.comb(worse - len(group), k)
        worse -= len(group)
        expected += best_is_here / subsets * sum(group) / len(group)
    return expected


# --- two models on the same problems --------------------------------------------------------------


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


def mcnemar(b: int, c: int) -> float:
    """Exact two-sided p-value of McNemar's test: min(1, 2 P(X <= min(b, c))), X ~ Binomial(b + c, 1/2).

    `b` and `c` are the problems that only the one and only the other model solves. 1.0 where there are none.
    Raises ValueError for a negative count.
    """
    if b < 0 or c < 0:
        raise ValueError(f"mcnemar needs counts, got {b} and {c}")
    n, term, tail = b + c, 1, 0
    for i in range(min(b, c) + 1):
        tail += term
        term = term * (n - i) // (i + 1)
    return min(1.0, 2 * tail / 2**n)


def paired_bootstrap(before: Sequence[float], after: Sequence[float], num: int = 10_000, seed: int = 0) -> Interval:
    """95% interval of mean(after) - mean(before), the problems drawn again `num` times (percentiles; Efron 1979).

    For per-problem values of any kind, such as the share of right samples. Raises ValueError where the two lists differ
    in length or are empty.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"paired_bootstrap needs two lists of one length, got {len(before)} and {len(after)}")
    differences = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    n = len(differences)
    rng = np.random.default_rng(seed)
    rows = max(1, 2**20 // n)  # a few megabytes at a time
    means = [differences[rng.integers(n, size=(min(rows, num - done), n))].mean(axis=1) for done in range(0, num, rows)]
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
    return Interval(float(low), float(high))
