"""Where n-grams of benchmark texts stand in other texts: what decontamination and contamination share.

A window of n grams is looked up by a rolling hash over the whole stream at once, and every window found so is compared
gram by gram with the benchmark text: a hash never decides. The words are hashed without their operators, which the
comparison looks at; before the first gram of a window an operator that only one of the two has stands outside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mathwright.corpus.decontaminate.characters import UNSURE
from mathwright.corpus.decontaminate.grams import (
    SETTLED_CHARS,
    Grams,
    has_broken_words,
    ranges,
    tokenise,
    tokenise_together,
)
from mathwright.corpus.decontaminate.index import ContaminationIndex
from mathwright.corpus.decontaminate.windows import hash_all_windows, hash_windows, running_sums, windows

PIECE_CHARS = 1 << 16
"""Texts are handled in pieces of so many characters: enough for numpy, and their arrays stay in a processor's cache."""
_SECOND_READING = 1 << 40
"""Added to gram numbers of the reading in which words cut at a line's end are joined."""


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
    sums = running_sums(found.words)
    begin, end = windows(found, index.ngram, index.cjk_chars)
    one_size = index.cjk_chars == 1
    hashes = hash_all_windows(sums, index.ngram) if one_size else hash_windows(sums, begin, end)
    at, position = index.long.find(hashes)
    first, length = begin[at], (end - begin)[at]
    if len(index.short.hashes):
        at, short = index.short.find(hash_all_windows(sums, index.short_ngram))
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
