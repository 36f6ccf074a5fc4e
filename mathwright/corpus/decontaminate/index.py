"""The index of benchmark texts: their grams, and where each of their n-grams stands, by a rolling hash.

`match.py` looks texts up in it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mathwright.corpus.decontaminate.grams import Grams, identifying, ranges, tokenise_together
from mathwright.corpus.decontaminate.windows import hash_windows, running_sums, weights, windows

BATCH_CHARS = 1 << 16
"""Benchmark texts are handled together up to so many characters, which is faster than one by one."""
_KEPT_BYTES = 31 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkText:
    """A question or an answer of a benchmark."""

    text: str
    problem: str = ""
    """What it belongs to, for the audit log: an id, or file and line."""


@dataclass(frozen=True, slots=True)
class PositionTable:
    """Positions by hash."""

    hashes: np.ndarray
    """[K] uint64, sorted; one for each position."""
    positions: np.ndarray
    """[K] starts in the index's tokens."""
    filter: np.ndarray
    """[2^bits / 8] uint8, a bit for the top bits of a hash: sends nearly all windows away after one memory access."""
    shift: np.uint64

    @classmethod
    def build(cls, hashes: np.ndarray, positions: np.ndarray) -> PositionTable:
        order = np.lexsort((positions, hashes))
        hashes, positions = hashes[order], positions[order]
        bits = max(10, len(hashes).bit_length() + 6)
        shift = np.uint64(64 - bits)
        filled = np.zeros(1 << bits, dtype=bool)
        filled[(hashes >> shift).astype(np.int64)] = True
        return cls(hashes, positions, np.packbits(filled, bitorder="little"), shift)

    def find(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(index into `hashes`, position) of all pairs with one hash."""
        at = hashes >> self.shift
        bits = self.filter[(at >> np.uint64(3)).astype(np.intp)]
        bits >>= (at & np.uint64(7)).astype(np.uint8)
        maybe = np.flatnonzero(bits & 1)
        low = np.searchsorted(self.hashes, hashes[maybe], side="left")
        known = self.hashes[np.minimum(low, len(self.hashes) - 1)] == hashes[maybe] if len(self.hashes) else low < 0
        maybe, low = maybe[known], low[known]
        high = np.searchsorted(self.hashes, hashes[maybe], side="right")
        return np.repeat(maybe, high - low), self.positions[ranges(low, high)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminationIndex:
    """The n-grams of all benchmark texts; made by `build_index`."""

    ngram: int
    short_ngram: int
    cjk_chars: int
    """CJK characters that count as one gram."""
    word_hashes: np.ndarray
    """[V] hash of each word of the benchmarks."""
    spelling: np.ndarray
    """Code points of all words, end to end; those of word i from `spelling_ends[i - 1]` to `spelling_ends[i]`."""
    spelling_ends: np.ndarray
    tokens: np.ndarray
    """All benchmark texts, end to end, as numbers of words."""
    operators: np.ndarray
    """[len(tokens)] as in `Grams`."""
    ends: np.ndarray
    """[X] end of each benchmark text in `tokens`."""
    long: PositionTable
    """Windows of texts with at least `ngram` grams."""
    short: PositionTable
    """Beginnings of shorter texts."""
    is_short: np.ndarray
    """[X] bool: the text is matched as a whole."""
    benchmark_of: list[str]
    """[X] benchmark of each text."""
    problem_of: list[str]
    """[X] problem of each text."""
    num_texts: Mapping[str, int] = field(default_factory=dict)
    """Texts indexed, by benchmark."""
    num_too_short: Mapping[str, int] = field(default_factory=dict)
    """Texts left out because they are too short to identify (empty, a number, one or two words), by benchmark."""
    num_empty: Mapping[str, int] = field(default_factory=dict)
    """Those of `num_too_short` that have no gram at all."""
    num_repeated: Mapping[str, int] = field(default_factory=dict)
    """Texts left out because the benchmark has the same text already."""

    @property
    def size_bytes(self) -> int:
        """Memory of the arrays."""
        tables = [array for table in (self.long, self.short) for array in (table.hashes, table.positions, table.filter)]
        words = (self.word_hashes, self.spelling, self.spelling_ends, self.tokens, self.operators, self.ends)
        return sum(array.nbytes for array in (*tables, *words))

    def text_of(self, position: np.ndarray) -> np.ndarray:
        """Number of the benchmark text in which each place of `tokens` lies."""
        return np.searchsorted(self.ends, position, side="right")

    @property
    def max_window(self) -> int:
        """Most grams of a window."""
        return self.ngram * self.cjk_chars


# --- building -------------------------------------------------------------------------------------


def build_index(
    texts: Mapping[str, Iterable[str | BenchmarkText]],
    *,
    ngram: int = 10,
    short_ngram: int = 3,
    min_words: int | None = None,
    cjk_chars: int = 1,
) -> ContaminationIndex:
    """Index benchmark texts given by benchmark name; the texts may be an iterator, read once.

    A text of at least `ngram` grams is indexed by all its n-grams; a shorter one as a whole, if it has at least
    `min_words` words that identify it (see `grams.identifying`; None is `short_ngram`, and 0 takes every text of
    `short_ngram` grams, `\\frac{3}{4}` among them). `cjk_chars` CJK characters count as one gram: with 2, about the
    length of a Chinese word, ten grams of Chinese are twenty characters. Raises ValueError for a size out of range.
    """
    if not 1 <= short_ngram <= ngram:
        raise ValueError(f"short_ngram is {short_ngram}; it must be from 1 to ngram ({ngram})")
    if cjk_chars < 1:
        raise ValueError(f"cjk_chars is {cjk_chars}; it must be 1 or more")
    # glibc keeps freed memory up to twice the largest block ever freed. Without this, the arrays of each piece are
    # asked of the system again, and their page faults take as long as the work.
    np.empty(_KEPT_BYTES, dtype=np.uint8)
    builder = _Builder(ngram, short_ngram, short_ngram if min_words is None else min_words, cjk_chars)
    for benchmark, benchmark_texts in texts.items():
        known: set[bytes] = set()
        for batch in _batches(benchmark_texts):
            builder.add(benchmark, batch, known)
    return builder.finish()


def _batches(texts: Iterable[str | BenchmarkText]) -> Iterator[list[BenchmarkText]]:
    batch: list[BenchmarkText] = []
    size = 0
    for text in texts:
        batch.append(BenchmarkText(text=text) if isinstance(text, str) else text)
        size += len(batch[-1].text)
        if size > BATCH_CHARS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Builder:
    """Collects the parts of an index."""

    def __init__(self, ngram: int, short_ngram: int, min_words: int, cjk_chars: int) -> None:
        self.ngram, self.short_ngram, self.min_words, self.cjk_chars = ngram, short_ngram, min_words, cjk_chars
        self.word_ids: dict[int, int] = {}
        self.spelling: list[np.ndarray] = []
        self.tokens: list[np.ndarray] = []
        self.operators: list[np.ndarray] = []
        self.ends: list[int] = []
        self.is_short: list[bool] = []
        self.long: list[tuple[np.ndarray, np.ndarray]] = []
        self.short: list[tuple[np.ndarray, np.ndarray]] = []
        self.benchmark_of: list[str] = []
        self.problem_of: list[str] = []
        self.counts = {name: Counter[str]() for name in ("texts", "too_short", "empty", "repeated")}

    def add(self, benchmark: str, batch: Sequence[BenchmarkText], known: set[bytes]) -> None:
        """Enter texts of a benchmark; `known` are the texts it has already, and grows."""
        found, begins = tokenise_together([item.text for item in batch])
        text_of = np.searchsorted(begins, found.ends - 1, side="right") - 1
        num_grams = np.bincount(text_of, minlength=len(batch))
        size = np.bincount(text_of, weights=weights(found, self.cjk_chars), minlength=len(batch))
        words, cjk = identifying(found)
        num_words = np.bincount(text_of, weights=words, minlength=len(batch)) + (
            np.bincount(text_of, weights=cjk, minlength=len(batch)) // 2
        )
        is_long = size >= self.ngram * self.cjk_chars
        is_short = ~is_long & (size >= self.short_ngram * self.cjk_chars) & (num_words >= self.min_words)
        start = np.cumsum(num_grams) - num_grams
        keep = np.zeros(len(batch), dtype=bool)
        for i, item in enumerate(batch):
            key = self._key(found, int(start[i]), int(num_grams[i]))
            if not (is_long[i] or is_short[i]):
                self.counts["too_short"][benchmark] += 1
                self.counts["empty"][benchmark] += int(num_grams[i] == 0)
            elif key in known:
                self.counts["repeated"][benchmark] += 1
            else:
                known.add(key)
                keep[i] = True
                self.is_short.append(not is_long[i])
                self.benchmark_of.append(benchmark)
                self.problem_of.append(item.problem)
                self.counts["texts"][benchmark] += 1
        self._enter(found, text_of, num_grams, keep, is_long)

    @staticmethod
    def _key(found: Grams, start: int, length: int) -> bytes:
        part = slice(start, start + length)
        return hashlib.blake2b(found.words[part].tobytes() + found.operators[part].tobytes(), digest_size=16).digest()

    def _enter(
        self, found: Grams, text_of: np.ndarray, num_grams: np.ndarray, keep: np.ndarray, is_long: np.ndarray
    ) -> None:
        before = self.ends[-1] if self.ends else 0
        kept = keep[text_of]
        place = np.cumsum(kept) - 1 + before  # of each gram that is kept, in `tokens`
        begin, end = windows(found, self.ngram, self.cjk_chars)
        inside = (text_of[begin] == text_of[end - 1]) & kept[begin] & is_long[text_of[begin]]
        sums = running_sums(found.words)
        self.long.append((hash_windows(sums, begin[inside], end[inside]), place[begin[inside]]))
        first = (np.cumsum(num_grams) - num_grams)[keep & ~is_long]
        self.short.append((hash_windows(sums, first, first + self.short_ngram), place[first]))
        self.tokens.append(self._word_ids(found, np.flatnonzero(kept)))
        self.operators.append(found.operators[kept])
        self.ends.extend((before + np.cumsum(num_grams[keep])).tolist())

    def _word_ids(self, found: Grams, chosen: np.ndarray) -> np.ndarray:
        distinct, first, inverse = np.unique(found.words[chosen], return_index=True, return_inverse=True)
        ids = np.empty(len(distinct), dtype=np.int32)
        for i, (value, at) in enumerate(zip(distinct.tolist(), chosen[first].tolist(), strict=True)):
            if value not in self.word_ids:
                self.word_ids[value] = len(self.word_ids)
                self.spelling.append(np.array([ord(char) for char in found.spell(at)], dtype=np.uint32))
            ids[i] = self.word_ids[value]
        return ids[inverse]

    def finish(self) -> ContaminationIndex:
        def joined(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
            return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype=dtype)

        def table(parts: list[tuple[np.ndarray, np.ndarray]]) -> PositionTable:
            return PositionTable.build(
                joined([hashes for hashes, _ in parts], np.uint64), joined([places for _, places in parts], np.int32)
            )

        return ContaminationIndex(
            ngram=self.ngram,
            short_ngram=self.short_ngram,
            cjk_chars=self.cjk_chars,
            word_hashes=np.fromiter(self.word_ids, dtype=np.uint64, count=len(self.word_ids)),
            spelling=joined(self.spelling, np.uint32),
            spelling_ends=np.cumsum([len(word) for word in self.spelling], dtype=np.int64),
            tokens=joined(self.tokens, np.int32),
            operators=joined(self.operators, np.uint8),
            ends=np.array(self.ends, dtype=np.int64),
            is_short=np.array(self.is_short, dtype=bool),
            long=table(self.long),
            short=table(self.short),
            benchmark_of=self.benchmark_of,
            problem_of=self.problem_of,
            num_texts=self.counts["texts"],
            num_too_short=self.counts["too_short"],
            num_empty=+self.counts["empty"],
            num_repeated=self.counts["repeated"],
        )
