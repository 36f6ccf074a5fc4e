"""How sure a figure is: intervals, tests and the quality of a ranking, for every stage that reports one.

What scipy does well is scipy's: `scipy.stats`, which takes a second to load and is loaded where it is called. Wilson's
interval is a closed form here: tables of domains ask for thousands of them, `scipy.stats.binomtest` takes a thousand
times as long for each (it computes a p-value too), and refuses the fractional counts of `mean_interval`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Z95 = 1.959963984540054
"""97.5% quantile of the normal distribution."""


class Interval(NamedTuple):
    """A 95% interval, as shares between 0 and 1 (or their difference)."""

    low: float
    high: float


# --- shares ---------------------------------------------------------------------------------------


def wilson_interval(successes: float, trials: float) -> Interval:
    """Wilson's 95% score interval of a share: it stays inside [0, 1] and holds for small counts (Wilson 1927).

    (0, 1) for no trials. Counts may be fractional.
    """
    if trials == 0:
        return Interval(0.0, 1.0)
    share, n = successes / trials, trials
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


# --- two models on the same problems --------------------------------------------------------------


def paired_difference(before: Sequence[bool], after: Sequence[bool]) -> tuple[float, Interval]:
    """Difference of two accuracies on the same problems, with its 95% interval from the discordant pairs.

    Source: the normal interval of McNemar's design: d = (n01 - n10)/n, var = (n01 + n10 - (n01 - n10)^2/n)/n^2.
    Raises ValueError where the two lists differ in length or are empty.
    """
    _require_pairs("paired_difference", before, after)
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
    from scipy.stats import binomtest

    if b < 0 or c < 0:
        raise ValueError(f"mcnemar needs counts, got {b} and {c}")
    return float(binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0


def paired_bootstrap(before: Sequence[float], after: Sequence[float], num: int = 10_000, seed: int = 0) -> Interval:
    """95% interval of mean(after) - mean(before), the problems drawn again `num` times (percentiles; Efron 1979).

    For per-problem values of any kind, such as the share of right samples. Of one problem it is a point. Raises
    ValueError where the two lists differ in length or are empty.
    """
    from scipy.stats import bootstrap

    _require_pairs("paired_bootstrap", before, after)
    differences = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    if len(differences) == 1:
        return Interval(float(differences[0]), float(differences[0]))
    low, high = bootstrap(
        (differences,),
        np.mean,
        method="percentile",
        n_resamples=num,
        batch=max(1, 2**20 // len(differences)),  # a few megabytes at a time
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(low), float(high))


def _require_pairs(name: str, before: Sequence[float], after: Sequence[float]) -> None:
    if len(before) != len(after) or len(before) == 0:
        raise ValueError(f"{name} needs two lists of one length, got {len(before)} and {len(after)}")


# --- rankings -------------------------------------------------------------------------------------


def average_precision(relevant: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean of the precision at each relevant item down the ranking; None without one. relevant [N] bool; scores [N].

    Items of equal score share the precision at the last of them.
    """
    if not relevant.any():
        return None
    order = np.argsort(-scores, kind="stable")
    ranked, values = relevant[order], scores[order]
    last = np.searchsorted(-values, -values, side="right")  # rank of the last item of the same score
    precision = np.cumsum(ranked)[last - 1] / last
    return float(precision[ranked].mean())
