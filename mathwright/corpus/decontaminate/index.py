"""The n-grams of benchmark texts and where they stand in other texts: what decontamination and contamination share.

A window of n grams is looked up by a rolling hash over the whole stream at once, and every window found so is compared
gram by gram with the benchmark text: a hash never decides. The words are hashed without their operators, which the
comparison looks at; before the first gram of a window an operator that only one of the two has stands outside it.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mathwright.corpus.decontaminate.grams import (
    SETTLED_CHARS,
    UNSURE,
    Grams,
    has_broken_words,
    identifying,
    mix,
    ranges,
    tokenise,
    tokenise_together,
)

PIECE_CHARS = 1 << 16
"""Texts are handled in pieces of so many characters: enough for numpy, and their arrays stay in a processor's cache."""
_KEPT_BYTES = 31 << 20
_BASE = 0xA24BAED4963EE407
_INVERSE = pow(_BASE, -1, 1 << 64)
_SECOND_READING = 1 << 40
"""Added to gram numbers of the reading in which words cut at a line's end are joined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkText:
    """A question or an answer of a benchmark."""

    text: str
    problem: str = ""
    """What it belongs to, for the audit log: an id, or file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Windows of a text that stand in benchmark texts; [H] each, a row for each place of the benchmarks."""

    first: np.ndarray
    """Number in the text of the window's first gram."""
    position: np.ndarray
    """Where the window begins in `ContaminationIndex.tokens`."""
    length: np.ndarray
    """Grams of the window."""
    start: np.ndarray
    end: np.ndarray
    """Characters of the text."""

    def __len__(self) -> int:
        return len(self.first)


_NONE = np.zeros(0, dtype=np.int64)
NO_HITS = Hits(first=_NONE, position=_NONE, length=_NONE, start=_NONE, end=_NONE)


@dataclass(frozen=True, slots=True)
class _Table:
    """Positions by hash."""

    hashes: np.ndarray
    """[K] uint64, sorted; one for each position."""
    positions: np.ndarray
    """[K] starts in the index's tokens."""
    filter: np.ndarray
    """[2^bits / 8] uint8, a bit for the top bits of a hash: sends nearly all windows away after one memory access."""
    shift: np.uint64

    @classmethod
    def build(cls, hashes: np.ndarray, positions: np.ndarray) -> _Table:
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
    long: _Table
    """Windows of texts with at least `ngram` grams."""
    short: _Table
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
    # asked of the system anew, and their page faults take as long as the work.
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
        if size > PIECE_CHARS:
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
        size = np.bincount(text_of, weights=_weights(found, self.cjk_chars), minlength=len(batch))
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
        begin, end = _windows(found, self.ngram, self.cjk_chars)
        inside = (text_of[begin] == text_of[end - 1]) & kept[begin] & is_long[text_of[begin]]
        sums = _running_sums(found.words)
        self.long.append((_hash_windows(sums, begin[inside], end[inside]), place[begin[inside]]))
        first = (np.cumsum(num_grams) - num_grams)[keep & ~is_long]
        self.short.append((_hash_windows(sums, first, first + self.short_ngram), place[first]))
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

        def table(parts: list[tuple[np.ndarray, np.ndarray]]) -> _Table:
            return _Table.build(
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


# --- windows --------------------------------------------------------------------------------------


def _weights(found: Grams, cjk_chars: int) -> np.ndarray:
    return np.where(found.is_cjk, 1, cjk_chars)


def _windows(found: Grams, ngram: int, cjk_chars: int) -> tuple[np.ndarray, np.ndarray]:
    """Begin and end of the shortest window of at least `ngram` grams from each gram on, where there are so many."""
    if cjk_chars == 1:
        begin = np.arange(max(0, len(found) - ngram + 1))
        return begin, begin + ngram
    total = np.cumsum(_weights(found, cjk_chars))
    begin = np.arange(len(found))
    end = np.searchsorted(total, np.concatenate([[0], total[:-1]]) + ngram * cjk_chars) + 1 if len(found) else begin
    enough = end <= len(found)
    return begin[enough], end[enough]


def _running_sums(words: np.ndarray) -> np.ndarray:
    """[N + 1] sums of word_i * B^i modulo 2^64."""
    sums = np.zeros(len(words) + 1, dtype=np.uint64)
    np.cumsum(words * _powers(_BASE, len(words)), out=sums[1:])
    return sums


def _hash_windows(sums: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The hash of each window: sum of word_i * B^(i - begin)."""
    hashes = sums[end] - sums[begin]
    hashes *= _powers(_INVERSE, len(sums))[begin]
    return mix(hashes)


def _hash_all_windows(sums: np.ndarray, size: int) -> np.ndarray:
    """`_hash_windows` of every window of `size` grams."""
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


# --- matching -------------------------------------------------------------------------------------


def find_hits(texts: Iterable[str], index: ContaminationIndex) -> Iterator[Hits]:
    """The windows of each text that stand in the benchmarks, in order. A piece of a text is in memory as arrays."""
    batch: list[str] = []
    size = 0
    for text in texts:
        if size + len(text) > PIECE_CHARS:
            yield from _hits_of_batch(batch, index)
            batch, size = [], 0
        if len(text) > PIECE_CHARS:
            yield _hits_of_long_text(text, index)
        else:
            batch.append(text)
            size += len(text)
    yield from _hits_of_batch(batch, index)


def _hits_of_batch(texts: Sequence[str], index: ContaminationIndex) -> Iterator[Hits]:
    if not texts:
        return
    found, begins = tokenise_together(texts)
    by_text = [NO_HITS] * len(texts)
    hits = _match(found, index)
    if len(hits):
        first_gram = np.searchsorted(found.ends, begins, side="right")
        text_of = np.searchsorted(first_gram, hits.first, side="right") - 1
        one_text = text_of == np.searchsorted(first_gram, hits.first + hits.length - 1, side="right") - 1
        hits, text_of = _select(hits, one_text), text_of[one_text]
        for i in np.unique(text_of).tolist():
            by_text[i] = _moved(_select(hits, text_of == i), grams=-int(first_gram[i]), chars=-int(begins[i]))
    for text, own in zip(texts, by_text, strict=True):
        yield _joined([own, _second_reading(text, index)]) if has_broken_words(text) else own


def _hits_of_long_text(text: str, index: ContaminationIndex) -> Hits:
    own = _hits_by_pieces(text, index, join_hyphens=False)
    return _joined([own, _second_reading(text, index)]) if has_broken_words(text) else own


def _second_reading(text: str, index: ContaminationIndex) -> Hits:
    return _moved(_hits_by_pieces(text, index, join_hyphens=True), grams=_SECOND_READING, chars=0)


def _hits_by_pieces(text: str, index: ContaminationIndex, *, join_hyphens: bool) -> Hits:
    """The hits of one text. Pieces share as many grams as a window holds but one, so that none is lost or doubled."""
    parts: list[Hits] = []
    at, size, num_before = 0, PIECE_CHARS, 0
    while True:
        piece = text[at : at + size]
        found = tokenise(piece, at_line_start=at == 0, join_hyphens=join_hyphens)
        if at + size >= len(text):
            parts.append(_moved(_match(found, index), grams=num_before, chars=at))
            return _joined(parts)
        settled = int(np.searchsorted(found.ends, len(piece) - SETTLED_CHARS, side="right"))
        passed = settled - index.max_window + 1
        if passed <= 0:  # blanks, or one endless word
            size *= 2
            continue
        hits = _match(found, index)
        parts.append(_moved(_select(hits, hits.first < passed), grams=num_before, chars=at))
        at, size, num_before = at + int(found.ends[passed - 1]), PIECE_CHARS, num_before + passed


def _match(found: Grams, index: ContaminationIndex) -> Hits:
    """All windows of a stream that stand in the benchmarks, in the order of their first grams."""
    if len(found) < index.short_ngram or not len(index.tokens):
        return NO_HITS
    sums = _running_sums(found.words)
    begin, end = _windows(found, index.ngram, index.cjk_chars)
    one_size = index.cjk_chars == 1
    hashes = _hash_all_windows(sums, index.ngram) if one_size else _hash_windows(sums, begin, end)
    at, position = index.long.find(hashes)
    first, length = begin[at], (end - begin)[at]
    if len(index.short.hashes):
        at, short = index.short.find(_hash_all_windows(sums, index.short_ngram))
        text = index.text_of(short)
        lengths = index.ends[text] - short
        fits = at + lengths <= len(found)
        first = np.concatenate([first, at[fits]])
        position = np.concatenate([position, short[fits]])
        length = np.concatenate([length, lengths[fits]])
    position = position.astype(np.int64)
    if not len(first):
        return NO_HITS
    same = _same_grams(found, index, first, position, length)
    first, position, length = first[same], position[same], length[same]
    order = np.lexsort((position, length, first))
    first, position, length = first[order], position[order], length[order]
    return Hits(
        first=first,
        position=position,
        length=length,
        start=found.starts[first],
        end=found.ends[first + length - 1],
    )


def _same_grams(
    found: Grams, index: ContaminationIndex, first: np.ndarray, position: np.ndarray, length: np.ndarray
) -> np.ndarray:
    """[H] whether a window of the stream and one of the benchmarks have the same grams."""
    here, there = ranges(first, first + length), ranges(position, position + length)
    word = index.tokens[there]
    same = index.word_hashes[word] == found.words[here]
    same &= _same_operators(found.operators[here], index.operators[there], here == np.repeat(first, length))
    grams, inverse = np.unique(here[same], return_inverse=True)
    words = np.zeros(len(grams), dtype=np.int64)
    words[inverse] = word[same]  # words with one hash have one number
    same[same] = _same_spelling(found, index, grams, words)[inverse]
    return np.logical_and.reduceat(same, np.cumsum(length) - length)


def _same_operators(here: np.ndarray, there: np.ndarray, is_first: np.ndarray) -> np.ndarray:
    same = (here & ~np.uint8(UNSURE)) == (there & ~np.uint8(UNSURE))
    return same | ((there == 0) & (is_first | (here >= UNSURE))) | ((here == 0) & (is_first | (there >= UNSURE)))


def _same_spelling(found: Grams, index: ContaminationIndex, grams: np.ndarray, words: np.ndarray) -> np.ndarray:
    """[K] whether a gram of the stream is spelled like a word of the benchmarks."""
    first, last = found.first_codes[grams], found.last_codes[grams] + 1
    end = index.spelling_ends[words]
    begin = np.where(words > 0, index.spelling_ends[words - 1], 0)
    same = last - first == end - begin
    equal = found.codes[ranges(first[same], last[same])] == index.spelling[ranges(begin[same], end[same])]
    lengths = (end - begin)[same]
    if len(lengths):
        same[same] = np.logical_and.reduceat(equal, np.cumsum(lengths) - lengths)
    for i in np.flatnonzero(~same & found.is_command[grams]).tolist():  # \dfrac is frac
        spelling = "".join(map(chr, index.spelling[begin[i] : end[i]].tolist()))
        same[i] = found.spell(int(grams[i])) == spelling
    return same


# --- hits -----------------------------------------------------------------------------------------


def _select(hits: Hits, which: np.ndarray | slice) -> Hits:
    return Hits(
        first=hits.first[which],
        position=hits.position[which],
        length=hits.length[which],
        start=hits.start[which],
        end=hits.end[which],
    )


def _moved(hits: Hits, *, grams: int, chars: int) -> Hits:
    return Hits(
        first=hits.first + grams,
        position=hits.position,
        length=hits.length,
        start=hits.start + chars,
        end=hits.end + chars,
    )


def _joined(parts: Sequence[Hits]) -> Hits:
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else NO_HITS
    return Hits(
        first=np.concatenate([part.first for part in parts]),
        position=np.concatenate([part.position for part in parts]),
        length=np.concatenate([part.length for part in parts]),
        start=np.concatenate([part.start for part in parts]),
        end=np.concatenate([part.end for part in parts]),
    )
