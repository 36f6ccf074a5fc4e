"""One answer out of several samples: Pass@K, Maj@K, best-of-K and the vote weighted by a score, as expectations.

How sure such a figure is: `mathwright.stats`. docs/evaluation_metrics.md tells them to people.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

NUM_SUBSETS = 1000
"""Subsets up to which a weighted vote is exact; beyond, so many are drawn."""


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


# --- votes with weights -----------------------------------------------------------------------------


def vote_weights(scores: Sequence[float]) -> list[float]:
    """sigma(r) of each score: what a sample's vote counts. NaN and -inf count nothing.

    For a reward model with a pointwise part it is the chance of being right (the weights of Li et al. 2023); it is
    positive, and keeps the order of scores, for any other.
    """
    return [0.0 if math.isnan(score) else 1 / (1 + math.exp(-max(-700.0, score))) for score in scores]


def expected_weighted_vote(
    cluster_of: Sequence[int | None], weights: Sequence[float], correct: Sequence[bool], k: int
) -> float:
    """Weighted vote of one problem: the chance that, of k of its n samples, the answer of most weight is right.

    With equal weights it is `expected_majority`. Exact where there are at most NUM_SUBSETS subsets, else the mean over
    so many that are drawn with one seed. Answers of equal weight are chosen with the same probability.

    Args:
        cluster_of: [n] the cluster of each sample's answer; None for a sample without an answer, which never votes. A
            subset without any answer is wrong.
        weights: [n] what each vote counts, none below 0.
        correct: [n] verdict of each sample. A cluster is right if its first sample is.
        k: from 1 to n.

    Raises ValueError for lists of different lengths, another k, or a weight that is negative or not finite.
    """
    n = len(cluster_of)
    if not n == len(correct) == len(weights) or not 1 <= k <= n:
        raise ValueError(
            f"expected_weighted_vote: need 1 <= k <= n and three lists of n, "
            f"got {n}, {len(weights)}, {len(correct)} and k={k}"
        )
    if not all(0 <= weight < math.inf for weight in weights):
        raise ValueError("expected_weighted_vote: a weight is negative or not finite")
    clusters = sorted({cluster for cluster in cluster_of if cluster is not None})
    right: dict[int, bool] = {}
    for cluster, verdict in zip(cluster_of, correct, strict=True):
        if cluster is not None:
            right.setdefault(cluster, verdict)
    if not any(right.values()):
        return 0.0
    votes_nC = np.zeros((n, len(clusters)))
    for sample, cluster in enumerate(cluster_of):
        if cluster is not None:
            votes_nC[sample, clusters.index(cluster)] = weights[sample]
    answered_nC = np.array([[cluster == c for c in clusters] for cluster in cluster_of])
    chosen_Sk = _subsets(n, k)
    weight_SC = votes_nC[chosen_Sk].sum(1)
    weight_SC[~answered_nC[chosen_Sk].any(1)] = -1.0  # an answer that nobody gave does not win, even over weight 0
    best_SC = np.isclose(weight_SC, weight_SC.max(1, keepdims=True), rtol=1e-12, atol=0) & (weight_SC >= 0)
    share_S = (best_SC & np.array([right[c] for c in clusters])).sum(1) / np.maximum(1, best_SC.sum(1))
    return float(share_S.mean())


@lru_cache(maxsize=64)
def _subsets(n: int, k: int) -> np.ndarray:
    """[S, k] all subsets of k of n, or NUM_SUBSETS that are drawn."""
    if math.comb(n, k) <= NUM_SUBSETS:
        return np.array(list(itertools.combinations(range(n), k)))
    rng = np.random.default_rng((n, k))
    return rng.random((NUM_SUBSETS, n)).argsort(1)[:, :k]
