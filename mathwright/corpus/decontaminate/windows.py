"""Windows of n grams and their rolling hash, the same for benchmark texts and for the texts they are sought in."""

from __future__ import annotations

import functools

import numpy as np

from mathwright.corpus.decontaminate.grams import Grams
from mathwright.corpus.decontaminate.hashing import mix

_BASE = 0xA24BAED4963EE407
_INVERSE = pow(_BASE, -1, 1 << 64)


def weights(found: Grams, cjk_chars: int) -> np.ndarray:
    """[N] how much each gram counts, where `cjk_chars` CJK characters count as one gram."""
    return np.where(found.is_cjk, 1, cjk_chars)


def windows(found: Grams, ngram: int, cjk_chars: int) -> tuple[np.ndarray, np.ndarray]:
    """Begin and end of the shortest window of at least `ngram` grams from each gram on, where there are so many."""
    if cjk_chars == 1:
        begin = np.arange(max(0, len(found) - ngram + 1))
        return begin, begin + ngram
    total = np.cumsum(weights(found, cjk_chars))
    begin = np.arange(len(found))
    end = np.searchsorted(total, np.concatenate([[0], total[:-1]]) + ngram * cjk_chars) + 1 if len(found) else begin
    enough = end <= len(found)
    return begin[enough], end[enough]


def running_sums(words: np.ndarray) -> np.ndarray:
    """[N + 1] sums of word_i * B^i modulo 2^64."""
    sums = np.zeros(len(words) + 1, dtype=np.uint64)
    np.cumsum(words * _powers(_BASE, len(words)), out=sums[1:])
    return sums


def hash_windows(sums: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The hash of each window: sum of word_i * B^(i - begin)."""
    hashes = sums[end] - sums[begin]
    hashes *= _powers(_INVERSE, len(sums))[begin]
    return mix(hashes)


def hash_all_windows(sums: np.ndarray, size: int) -> np.ndarray:
    """`hash_windows` of every window of `size` grams."""
    num = max(0, len(sums) - size)
    hashes = sums[len(sums) - num :] - sums[:num]
    hashes *= _powers(_INVERSE, len(sums))[:num]
    return mix(hashes)


@functools.lru_cache(maxsize=8)
def _all_powers(base: int, bits: int) -> np.ndarray:
    """[2^bits] base^i modulo 2^64."""
    result = np.ones(1 << bits, dtype=np.uint64)
    for bit in range(bits):
        half = 1 << bit
        result[half : 2 * half] = result[:half] * np.uint64(pow(base, half, 1 << 64))
    return result


def _powers(base: int, length: int) -> np.ndarray:
    """[length] base^i modulo 2^64."""
    return _all_powers(base, max(14, length.bit_length()))[:length]
