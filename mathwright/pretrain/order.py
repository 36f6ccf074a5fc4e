"""Which rows of which corpus come when, as functions of their number alone: no array over a corpus.

A corpus of 120B tokens has 29 million windows of 4,096; an array of their order is 234 MB, for each epoch anew. Here
the order is a keyed bijection (a Feistel network), and the choice of corpora a sequence of low discrepancy whose
counts have a closed form.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence

_ROUNDS = 6
_STEPS = 1 << 61
"""Places of a unit interval on which the choice of corpora is made in whole numbers."""
_GOLDEN = int((5**0.5 - 1) / 2 * (1 << 52)) << 9 | 1
"""The golden section of _STEPS, odd: its multiples fill the interval evenly, any stretch of them alike."""


def key_of(*parts: object) -> int:
    """A 64-bit key from values; other values give another, on every machine the same."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


class Permutation:
    """A random order of 0..length-1 that is computed place by place.

    A Feistel network over the next even power of two; places that it sends outside are sent on until they are inside
    (cycle walking: Black & Rogaway 2002), at most four times on average.
    """

    def __init__(self, length: int, key: int) -> None:
        if length < 1:
            raise ValueError(f"length is {length}; there must be something to put in order")
        self.length = length
        self._half = max(1, ((length - 1).bit_length() + 1) // 2)
        self._mask = (1 << self._half) - 1
        self._keys = [key_of(key, round_number) for round_number in range(_ROUNDS)]

    def __getitem__(self, place: int) -> int:
        """What stands at a place. Raises IndexError outside 0..length-1."""
        if not 0 <= place < self.length:
            raise IndexError(f"place {place} of {self.length}")
        value = self._shuffle(place)
        while value >= self.length:
            value = self._shuffle(value)
        return value

    def _shuffle(self, value: int) -> int:
        left, right = value >> self._half, value & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right ^ key) & self._mask)
        return left << self._half | right


def _mix(value: int) -> int:
    """A good 64-bit hash of a number (the finaliser of SplitMix64, Steele et al. 2014)."""
    value &= 0xFFFFFFFFFFFFFFFF
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    value = (value ^ value >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return value ^ value >> 31


class Interleaving:
    """Which of several corpora each row comes from, in given shares, evenly in every stretch of the training.

    Row i belongs to the corpus in whose part of [0, 1) the point (i * golden section + offset) mod 1 falls. So the rows
    of each corpus are within a handful of its share at any time, and how many came before a row is known at once.
    """

    def __init__(self, weights: Sequence[float], key: int) -> None:
        """weights: positive; their sum is taken for one."""
        total = sum(weights)
        ends = [round(sum(weights[: i + 1]) / total * _STEPS) for i in range(len(weights))]
        self._bounds = [0, *ends[:-1], _STEPS]
        self._offset = key % _STEPS

    def corpus(self, row: int) -> int:
        """The number of the corpus that a row comes from."""
        point = (row * _GOLDEN + self._offset) % _STEPS
        return next(c for c in range(len(self._bounds) - 1) if point < self._bounds[c + 1])

    def before(self, row: int) -> list[int]:
        """How many of the rows 0..row-1 come from each corpus."""
        below = [_count_below(row, self._offset, bound) for bound in self._bounds]
        return [high - low for low, high in itertools.pairwise(below)]


def _count_below(num: int, offset: int, bound: int) -> int:
    """How many i < num have (i * _GOLDEN + offset) mod _STEPS < bound."""
    # [x mod m < t] = floor(x / m) - floor((x - t) / m)
    return _floor_sum(num, _GOLDEN, offset) - _floor_sum(num, _GOLDEN, offset - bound + _STEPS) + num


def _floor_sum(num: int, a: int, b: int) -> int:
    """sum of floor((a i + b) / _STEPS) over i < num, in steps as many as Euclid's algorithm takes."""
    total, m = 0, _STEPS
    while num > 0:
        total += (num - 1) * num // 2 * (a // m) + num * (b // m)
        a, b = a % m, b % m
        reach = a * num + b
        if reach < m:
            break
        num, b, a, m = reach // m, reach % m, m, a
    return total
