"""§2.1: keep benchmark questions and answers out of the corpus.

The paper: a text segment with a 10-gram that occurs in a benchmark text is removed; a benchmark text of 3 to 9 grams
is matched as a whole. It says "segment" for the first and "page" for the second; here the first removes the paragraph
(every paragraph a matching 10-gram touches) and the second the page. Grams are those of `grams.py`.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from mathwright.corpus.grams import count_identifying_words, gram_spans, grams, spellings
from mathwright.errors import MathwrightError

BENCHMARK_FIELDS = (
    *("question", "problem", "input", "query", "prompt", "original_text", "informal_statement"),
    *("answer", "solution", "rationale", "informal_proof", "golden"),
)
"""Fields of a benchmark's JSON lines that hold questions and answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminatedSpan:
    """A stretch of text that stands in a benchmark too."""

    start: int
    end: int
    """Character offsets into the text, end exclusive."""
    benchmark: str
    rule: Literal["ngram", "short"]
    """ngram: it has an n-gram of a benchmark text; short: it is a whole short benchmark text."""
    matched: str
    """The grams that matched, from first to last."""


_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def _window_hashes(values: np.ndarray, lengths: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
    """(n, hash of every window of n values) for each n: sum of values[i + j] * M^j modulo 2^64, by doubling."""
    hashes = {1: values}

    def window(n: int) -> np.ndarray:
        if n not in hashes:
            half = 1 << ((n - 1).bit_length() - 1)  # largest power of two below n
            left, right = window(half), window(n - half)
            power = np.uint64(pow(int(_MULTIPLIER), half, 1 << 64))
            hashes[n] = left[: len(values) - n + 1] + power * right[half : half + len(values) - n + 1]
        return hashes[n]

    for n in lengths:
        if n <= len(values):
            yield n, window(n)


@dataclass(frozen=True, slots=True)
class _Table:
    """Where each n-gram of one length stands in the benchmark texts; looked up by hash, confirmed by comparing."""

    hashes: np.ndarray
    """[K] sorted, distinct."""
    positions: np.ndarray
    """[K] start of the gram in the index's flat token array."""
    filter: np.ndarray
    """[2^bits] bool by the top bits of a hash: sends nearly all windows away after one memory access."""
    shift: np.uint64

    @classmethod
    def build(cls, hashes: np.ndarray, positions: np.ndarray) -> _Table:
        hashes, first = np.unique(hashes, return_index=True)
        bits = max(10, len(hashes).bit_length() + 5)
        table = np.zeros(1 << bits, dtype=bool)
        shift = np.uint64(64 - bits)
        table[(hashes >> shift).astype(np.int64)] = True
        return cls(hashes, positions[first], table, shift)

    def find(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(index into `hashes`, position in the benchmark tokens) of the windows whose hash is known."""
        maybe = np.flatnonzero(self.filter[(hashes >> self.shift).astype(np.int64)])
        at = np.searchsorted(self.hashes, hashes[maybe])
        at[at == len(self.hashes)] = 0
        hit = self.hashes[at] == hashes[maybe]
        return maybe[hit], self.positions[at[hit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminationIndex:
    """The n-grams of all benchmark texts; made by `build_index`."""

    ngram: int
    vocabulary: dict[str, int]
    values: np.ndarray
    """[V + 1] a random 64-bit number for each gram; row 0 stands for grams no benchmark has."""
    tokens: np.ndarray
    """All benchmark texts, end to end, as gram ids."""
    tables: dict[int, _Table]
    ends: np.ndarray
    """End of each benchmark text in `tokens`."""
    benchmark_of: list[str]
    """Benchmark of each text."""
    num_texts: Mapping[str, int] = field(default_factory=dict)
    """Texts indexed, by benchmark."""
    num_too_short: Mapping[str, int] = field(default_factory=dict)
    """Texts left out because they are too short to identify (empty, a number, one or two words), by benchmark."""


def build_index(
    texts: Mapping[str, Iterable[str]], *, ngram: int = 10, short_ngram: int = 3, seed: int = 0
) -> ContaminationIndex:
    """Index benchmark texts given by benchmark name.

    A text of at least `ngram` grams is indexed by all its n-grams; a shorter one as a whole, if it has at least
    `short_ngram` words that identify it (`count_identifying_words`).
    """
    if not 1 <= short_ngram <= ngram:
        raise ValueError(f"short_ngram is {short_ngram}; it must be from 1 to ngram ({ngram})")
    vocabulary: dict[str, int] = {}
    rows: list[list[int]] = []
    benchmark_of: list[str] = []
    too_short: Counter[str] = Counter()
    for benchmark, benchmark_texts in texts.items():
        for text in benchmark_texts:
            found = grams(text)
            if len(found) < ngram and count_identifying_words(text) < short_ngram:
                too_short[benchmark] += 1
                continue
            rows.append([_gram_id(gram, vocabulary) for gram in found])
            benchmark_of.append(benchmark)
    values = np.random.default_rng(seed).integers(1 << 64, size=len(vocabulary) + 1, dtype=np.uint64)
    tokens = np.array([t for row in rows for t in row], dtype=np.int64)
    ends = np.cumsum([len(row) for row in rows], dtype=np.int64)
    return ContaminationIndex(
        ngram=ngram,
        vocabulary=vocabulary,
        values=values,
        tokens=tokens,
        tables=_build_tables(tokens, ends, values, ngram),
        ends=ends,
        benchmark_of=benchmark_of,
        num_texts=Counter(benchmark_of),
        num_too_short=too_short,
    )


def _gram_id(gram: str, vocabulary: dict[str, int]) -> int:
    """The id of a gram, new ones entered under all their spellings."""
    if gram not in vocabulary:
        new = len(vocabulary) + 1
        for spelling in spellings(gram):
            vocabulary[spelling] = new
    return vocabulary[gram]


def _build_tables(tokens: np.ndarray, ends: np.ndarray, values: np.ndarray, ngram: int) -> dict[int, _Table]:
    """A table for the n-grams of long texts, and one for each length of short texts."""
    lengths = np.diff(ends, prepend=0)
    tables: dict[int, _Table] = {}
    for n, hashes in _window_hashes(values[tokens], sorted({min(int(length), ngram) for length in lengths})):
        starts = np.arange(len(hashes))
        text = np.searchsorted(ends, starts, side="right")
        inside = starts + n <= ends[text]
        of_right_length = lengths[text] >= ngram if n == ngram else lengths[text] == n
        chosen = starts[inside & of_right_length]
        tables[n] = _Table.build(hashes[chosen], chosen)
    return tables


def find_contamination(text: str, index: ContaminationIndex) -> list[ContaminatedSpan]:
    """The stretches of `text` that stand in a benchmark, in order; overlapping ones of one benchmark are joined."""
    get = index.vocabulary.get
    ids = np.array([get(gram, 0) for gram in grams(text)], dtype=np.int64)
    hits: list[tuple[int, int, int]] = []  # first gram, number of grams, position in the benchmark tokens
    for n, hashes in _window_hashes(index.values[ids], index.tables):
        at, position = index.tables[n].find(hashes)
        for i, p in zip(at.tolist(), position.tolist(), strict=True):
            if np.array_equal(ids[i : i + n], index.tokens[p : p + n]):
                hits.append((i, n, p))
    return _spans(text, index, hits) if hits else []


def _spans(text: str, index: ContaminationIndex, hits: list[tuple[int, int, int]]) -> list[ContaminatedSpan]:
    offsets = list(gram_spans(text))
    joined: list[tuple[int, int, str, Literal["ngram", "short"]]] = []  # first and last gram
    open_span: dict[tuple[str, str], int] = {}
    for first, n, position in sorted(hits):
        benchmark = index.benchmark_of[int(np.searchsorted(index.ends, position, side="right"))]
        rule: Literal["ngram", "short"] = "ngram" if n == index.ngram else "short"
        last = first + n - 1
        at = open_span.get((benchmark, rule))
        if at is not None and joined[at][1] >= first:
            joined[at] = (joined[at][0], max(last, joined[at][1]), benchmark, rule)
        else:
            open_span[benchmark, rule] = len(joined)
            joined.append((first, last, benchmark, rule))
    return [
        ContaminatedSpan(
            start=offsets[first][0],
            end=offsets[last][1],
            benchmark=benchmark,
            rule=rule,
            matched=text[offsets[first][0] : offsets[last][1]],
        )
        for first, last, benchmark, rule in joined
    ]


# --- removing -------------------------------------------------------------------------------------

_PARAGRAPH_BREAK = re.compile(r"\n\s*\n")


def remove_contamination(text: str, spans: Iterable[ContaminatedSpan]) -> str:
    """The text without its contaminated paragraphs; "" where a short benchmark text stands in it (the page goes)."""
    spans = list(spans)
    if any(span.rule == "short" for span in spans):
        return ""
    kept: list[str] = []
    start = 0
    for stop, following in [*((m.start(), m.end()) for m in _PARAGRAPH_BREAK.finditer(text)), (len(text), len(text))]:
        if not any(span.start < stop and span.end > start for span in spans):
            kept.append(text[start:stop])
        start = following
    return "\n\n".join(kept)


# --- benchmark files ------------------------------------------------------------------------------


def read_benchmark(path: str | Path) -> Iterator[str]:
    """Questions and answers of a JSONL file (plain or .gz): the values of the fields in BENCHMARK_FIELDS.

    Raises MathwrightError with file and line for a line that is not a JSON object or has none of these fields.
    """
    path = Path(path)
    if not path.is_file():
        raise MathwrightError(f"{path}: no such benchmark file", hint="check corpus.benchmarks")
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise MathwrightError(
                    f"{path}:{number}: not JSON: {error}", hint="each line is one JSON object; mend or remove it"
                ) from error
            found = [row[name] for name in BENCHMARK_FIELDS if name in row] if isinstance(row, dict) else []
            if not found:
                raise MathwrightError(
                    f"{path}:{number}: no question and no answer",
                    hint=f"name them by one of: {', '.join(BENCHMARK_FIELDS)}",
                )
            # GSM8K writes a calculator call into its answers: 16 - 3 = <<16-3=13>>13.
            yield from (re.sub(r"<<[^<>]*>>", "", value) for value in found if isinstance(value, str))
