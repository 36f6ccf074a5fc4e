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


# --- two trainings, over problems and seeds ---------------------------------------------------------


class Crossed(NamedTuple):
    """A mean over problems and seeds, both of which are samples."""

    mean: float
    interval: Interval
    standard_error: float
    df: float
    """Satterthwaite's degrees of freedom of the standard error."""
    p_value: float
    """Two-sided, that the mean is 0."""


def crossed_effects(values: np.ndarray) -> Crossed:
    """The mean of values [problems, seeds] with its 95% interval, problems and seeds being crossed random effects.

    x[i, s] = mean + problem[i] + seed[s] + rest[i, s], so Var(mean) = s2_problem/n + s2_seed/S + s2_rest/(n S), which
    the mean squares of a two-way layout estimate as (MS_problem + MS_seed - MS_rest) / (n S); t with Satterthwaite's
    degrees of freedom (1946). Never less than the larger of the two alone: the difference may come out too small by
    chance. Values of problems are never pooled over seeds, as if each seed brought new problems.
    Raises ValueError for fewer than two problems or two seeds, and for values that are not finite.
    """
    from scipy.stats import t

    mean = float(np.mean(values))
    error, df = _crossed_error(_mean_squares(values), *np.shape(values))
    if error == 0.0:
        return Crossed(mean, Interval(mean, mean), 0.0, df, 0.0 if mean else 1.0)
    half = float(t.ppf(0.975, df)) * error
    return Crossed(mean, Interval(mean - half, mean + half), error, df, float(2 * t.sf(abs(mean) / error, df)))


def foresee_error(values: np.ndarray, num_seeds: int) -> tuple[float, float]:
    """(standard error, its degrees of freedom) that `crossed_effects` would have with so many seeds in place of those
    of values [problems, seeds], as far as these tell. Raises ValueError as `crossed_effects`."""
    n, pilot_seeds = np.shape(values)
    ms_problem, ms_seed, ms_rest = _mean_squares(values)
    of_problem, of_seed = max(0.0, ms_problem - ms_rest) / pilot_seeds, max(0.0, ms_seed - ms_rest) / n
    return _crossed_error((num_seeds * of_problem + ms_rest, n * of_seed + ms_rest, ms_rest), n, num_seeds)


def _mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    """Of problems, of seeds and of the rest, of values [problems, seeds]."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"crossed effects need two problems and two seeds at least, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("crossed effects of a value that is not finite")
    n, num_seeds = values.shape
    mean, by_problem, by_seed = values.mean(), values.mean(axis=1), values.mean(axis=0)
    rest = values - by_problem[:, None] - by_seed[None, :] + mean
    return (
        num_seeds * float(((by_problem - mean) ** 2).sum()) / (n - 1),
        n * float(((by_seed - mean) ** 2).sum()) / (num_seeds - 1),
        float((rest**2).sum()) / ((n - 1) * (num_seeds - 1)),
    )


def _crossed_error(mean_squares: tuple[float, float, float], n: int, num_seeds: int) -> tuple[float, float]:
    """Standard error of the mean, and its degrees of freedom."""
    ms_problem, ms_seed, ms_rest = mean_squares
    numerator = max(ms_problem + ms_seed - ms_rest, ms_problem, ms_seed)
    if numerator == 0.0:
        return 0.0, float(num_seeds - 1)
    dfs = (n - 1, num_seeds - 1, (n - 1) * (num_seeds - 1))
    df = numerator**2 / sum(ms**2 / own for ms, own in zip(mean_squares, dfs, strict=True))
    return math.sqrt(numerator / (n * num_seeds)), max(float(num_seeds - 1), df)


def two_way_bootstrap(values: np.ndarray, num: int = 2000, seed: int = 0) -> Interval:
    """95% interval of the mean of values [problems, seeds], both drawn again at a time (Owen 2007; percentiles)."""
    values = np.asarray(values, dtype=np.float64)
    n, num_seeds = values.shape
    rng = np.random.default_rng(seed)
    problems = rng.multinomial(n, np.full(n, 1 / n), size=num)
    seeds = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=num)
    means = ((problems @ values) * seeds).sum(axis=1) / values.size
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests, adjusted so that the chance of any false one stays below the level (Holm 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def least_detectable(standard_error: float, df: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The difference that a two-sided t-test at level `alpha` would have found with probability `power`."""
    from scipy.stats import t

    return float(t.ppf(1 - alpha / 2, df) + t.ppf(power, df)) * standard_error


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
