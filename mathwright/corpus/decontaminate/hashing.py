"""A hash of 64 bits for each word of a text, worked out for all words at once."""

from __future__ import annotations

import hashlib

import numpy as np

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_LONG_WORD = 32
_LOW_CODES = np.array([(1 << 16 * n) - 1 for n in range(5)], dtype=np.uint64)
"""By n: keeps the first n of four codes."""


def hash_words(codes: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """A hash of each stretch of codes, four codes at a time; `codes` goes on for three codes after the last."""
    short = codes.astype(
        np.uint16, copy=False
    )  # what is lost of characters above U+FFFF is mixed in for the first of a word
    pairs = short[:-1] | (short[1:].astype(np.uint32) << np.uint32(16))
    lengths = last - first + 1
    hashes = _four_codes(pairs, first, lengths)
    hashes += lengths.astype(np.uint64) * _FACTOR
    if codes.dtype == np.uint32:
        hashes += codes[first] >> np.uint32(16)
    hashes = mix(hashes)
    longer = np.flatnonzero((lengths > 4) & (lengths <= _LONG_WORD))
    at, left = first[longer] + 4, lengths[longer] - 4
    while len(longer):
        hashes[longer] = mix(hashes[longer] ^ _four_codes(pairs, at, left))
        more = left > 4
        longer, at, left = longer[more], at[more] + 4, left[more] - 4
    for i in np.flatnonzero(lengths > _LONG_WORD).tolist():
        word = codes[first[i] : last[i] + 1].astype(np.uint32).tobytes()
        hashes[i] = int.from_bytes(hashlib.blake2b(word, digest_size=8).digest(), "little")
    return hashes


def _four_codes(pairs: np.ndarray, at: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Up to four codes from each place on, as one number."""
    four = pairs[at + 2].astype(np.uint64)
    four <<= np.uint64(32)
    four |= pairs[at]
    four &= _LOW_CODES[np.minimum(left, 4)]
    return four


def mix(hashes: np.ndarray) -> np.ndarray:
    """Spread each hash over all of its bits."""
    hashes = hashes * _MIX
    hashes ^= hashes >> np.uint64(32)
    hashes *= _FACTOR
    hashes ^= hashes >> np.uint64(29)
    return hashes


def hash_word(word: str) -> int:
    """The hash that `tokenise` gives a word of folded characters."""
    codes = np.array([*map(ord, word), 0, 0, 0], dtype=np.uint32)
    return int(hash_words(codes, np.array([0]), np.array([len(word) - 1]))[0])
