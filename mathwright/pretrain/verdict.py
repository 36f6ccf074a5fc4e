"""Which of several trainings is ahead, and by how much one would have to be to be seen.

The verdict is about bits per byte of the same texts under each arm, trained with the same seeds at the same rates. An
arm is ahead only where nothing speaks against it: at each rate the difference is significant over texts and seeds as
crossed random effects, after Holm's correction for all pairs, a two-way bootstrap agrees, and every seed at every rate
has the same sign. Otherwise no difference is shown, which is not the same as none: the least one that could have been
seen is named.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mathwright.stats import Interval, crossed_effects, foresee_error, holm, least_detectable, two_way_bootstrap

LEVEL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RateResult:
    """The difference of two arms at one learning rate, first minus second, in bits per byte."""

    rate: float
    difference: float
    interval: Interval
    bootstrap: Interval
    p_value: float
    """Of the crossed effects, not adjusted."""
    seed_differences: tuple[float, ...]
    least_detectable: float
    """Difference found with probability 0.8 at the level that the first of all pairs must pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said of two arms."""

    first: str
    second: str
    ahead: str | None
    """The arm with fewer bits per byte, or None where no difference is shown."""
    difference: float
    """First minus second, mean over the rates."""
    p_value: float
    """Largest over the rates, adjusted for all pairs."""
    least_detectable: float
    reason: str
    """Why none is ahead; "" where one is."""
    rates: tuple[RateResult, ...]
    unit: str = "bits per byte"

    def __str__(self) -> str:
        if self.ahead is not None:
            behind = self.second if self.ahead == self.first else self.first
            return f"{self.ahead} is ahead of {behind} by {abs(self.difference):.4f} {self.unit}"
        return (
            f"{self.first} and {self.second}: no difference shown ({self.reason}), could have seen "
            f"{self.least_detectable:.4f} {self.unit}"
        )


def judge(
    bits: Mapping[str, Mapping[float, np.ndarray]], num_bytes: np.ndarray, *, unit: str = "bits per byte"
) -> list[Verdict]:
    """The verdict on each pair of arms.

    Args:
        bits: by arm and learning rate, bits of each text under each seed [texts, seeds]; the same texts and seeds, in
            the same order, in all.
        num_bytes: bytes of each text [texts]; of questions, which count alike, 1 each.
        unit: of the bits over `num_bytes`, for the words of the verdict.

    Raises ValueError where arms differ in their rates, texts or seeds, and as `crossed_effects` does.
    """
    arms = list(bits)
    rates = list(bits[arms[0]])
    shape = np.shape(bits[arms[0]][rates[0]])
    for arm in arms:
        if list(bits[arm]) != rates or any(np.shape(bits[arm][rate]) != shape for rate in rates):
            raise ValueError(f"{arm} was not measured at the same rates, texts and seeds as {arms[0]}")
    pairs = list(itertools.combinations(arms, 2))
    found = {
        pair: tuple(_at_rate(rate, bits[pair[0]][rate] - bits[pair[1]][rate], num_bytes, len(pairs)) for rate in rates)
        for pair in pairs
    }
    # To be ahead at every rate each of its tests must pass, so the largest p-value is that of all (Berger 1982).
    adjusted = holm([max(result.p_value for result in found[pair]) for pair in pairs])
    return [_verdict(pair, found[pair], p, unit) for pair, p in zip(pairs, adjusted, strict=True)]


def foresee(bits: Mapping[str, Mapping[float, np.ndarray]], num_bytes: np.ndarray, *, num_seeds: int) -> float:
    """The largest, over all pairs of arms, of the differences that `judge` could see with so many seeds, in bits per
    byte: from a pilot of two seeds or more, before the others are paid for. Arguments as for `judge`."""
    pairs = list(itertools.combinations(bits, 2))
    least = []
    for (first, second), rate in itertools.product(pairs, bits[next(iter(bits))]):
        values = (bits[first][rate] - bits[second][rate]) * len(num_bytes) / num_bytes.sum()
        error, df = foresee_error(values, num_seeds)
        least.append(least_detectable(error, df, alpha=LEVEL / len(pairs)))
    return max(least)


def _at_rate(rate: float, differences: np.ndarray, num_bytes: np.ndarray, num_pairs: int) -> RateResult:
    # A text counts by its bytes: the mean of these values is the difference in bits over the bytes of all texts.
    values = differences * len(num_bytes) / num_bytes.sum()
    crossed = crossed_effects(values)
    return RateResult(
        rate=rate,
        difference=crossed.mean,
        interval=crossed.interval,
        bootstrap=two_way_bootstrap(values),
        p_value=crossed.p_value,
        seed_differences=tuple(values.mean(axis=0).tolist()),
        least_detectable=least_detectable(crossed.standard_error, crossed.df, alpha=LEVEL / num_pairs),
    )


def _verdict(pair: tuple[str, str], results: tuple[RateResult, ...], p_value: float, unit: str) -> Verdict:
    first, second = pair
    difference = float(np.mean([result.difference for result in results]))
    signs = {bool(result.difference > 0) for result in results}
    of_seeds = {bool(value > 0) for result in results for value in result.seed_differences}
    reason = ""
    if len(signs) > 1:
        reason = "it depends on the learning rate"
    elif len(of_seeds) > 1:
        reason = "seeds disagree"
    elif p_value > LEVEL:
        reason = f"p = {p_value:.2g}"
    elif any(result.bootstrap.low <= 0 <= result.bootstrap.high for result in results):
        reason = "the bootstrap does not exclude 0"
    return Verdict(
        first=first,
        second=second,
        ahead=None if reason else (second if difference > 0 else first),
        difference=difference,
        p_value=p_value,
        least_detectable=max(result.least_detectable for result in results),
        reason=reason,
        rates=results,
        unit=unit,
    )
