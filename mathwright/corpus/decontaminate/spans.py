"""§2.1: keep benchmark questions and answers out of the corpus.

The paper: a text segment with a 10-gram that occurs in a benchmark text is removed; a benchmark text of 3 to 9 grams
is matched as a whole. It says "segment" for the first and "page" for the second; here the first removes the paragraph
(every paragraph a matching 10-gram touches) and the second the page, unless another mode is asked for. Grams are those
of `decontaminate.grams`; `docs/decontamination.md` tells what is caught and what is not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from typing import Literal

from mathwright.corpus.decontaminate.index import BenchmarkText, ContaminationIndex, build_index
from mathwright.corpus.decontaminate.match import Hits, find_hits
from mathwright.corpus.decontaminate.texts import read_benchmark

__all__ = [
    "BenchmarkText",
    "ContaminatedSpan",
    "ContaminationIndex",
    "Removal",
    "build_index",
    "find_contamination",
    "find_contamination_in",
    "find_removals",
    "read_benchmark",
    "remove_contamination",
]

Rule = Literal["ngram", "short"]
"""ngram: it has an n-gram of a benchmark text; short: it is a whole short benchmark text."""
Mode = Literal["span", "segment", "page"]
"""What goes for a match: the matching text, each paragraph it touches (the page for a short text), or the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminatedSpan:
    """A stretch of text that stands in a benchmark too."""

    start: int
    end: int
    """Character offsets into the text, end exclusive."""
    benchmark: str
    rule: Rule
    matched: str
    """The grams that matched, from first to last."""
    problem: str = ""
    """The problem of the benchmark that has most of it, the first of several."""
    num_problems: int = 1
    """Texts of the benchmark that have a part of it."""


# --- finding --------------------------------------------------------------------------------------


def find_contamination(text: str, index: ContaminationIndex) -> list[ContaminatedSpan]:
    """The stretches of `text` that stand in a benchmark, in order; overlapping ones of one benchmark are joined."""
    return next(find_contamination_in((text,), index))


def find_contamination_in(texts: Iterable[str], index: ContaminationIndex) -> Iterator[list[ContaminatedSpan]]:
    """`find_contamination` of each text, in order; short texts are handled together, which is faster."""
    texts, again = tee(texts)
    for text, hits in zip(again, find_hits(texts, index), strict=True):
        yield _spans(text, index, hits) if len(hits) else []


@dataclass(slots=True)
class _OpenSpan:
    start: int
    end: int
    texts: Counter[int]
    """Windows of each benchmark text."""


def _spans(text: str, index: ContaminationIndex, hits: Hits) -> list[ContaminatedSpan]:
    spans: list[tuple[str, Rule, _OpenSpan]] = []
    latest: dict[tuple[str, Rule], _OpenSpan] = {}
    which = index.text_of(hits.position)
    for start, end, number in sorted(zip(hits.start.tolist(), hits.end.tolist(), which.tolist(), strict=True)):
        benchmark = index.benchmark_of[number]
        rule: Rule = "short" if index.is_short[number] else "ngram"
        span = latest.get((benchmark, rule))
        if span is None or span.end <= start:
            span = latest[benchmark, rule] = _OpenSpan(start, end, Counter())
            spans.append((benchmark, rule, span))
        span.end = max(span.end, end)
        span.texts[number] += 1
    return [_closed(text, index, benchmark, rule, span) for benchmark, rule, span in spans]


def _closed(text: str, index: ContaminationIndex, benchmark: str, rule: Rule, span: _OpenSpan) -> ContaminatedSpan:
    most = max(span.texts.values())
    return ContaminatedSpan(
        start=span.start,
        end=span.end,
        benchmark=benchmark,
        rule=rule,
        matched=text[span.start : span.end],
        problem=index.problem_of[min(number for number, count in span.texts.items() if count == most)],
        num_problems=len(span.texts),
    )


# --- removing -------------------------------------------------------------------------------------

_PARAGRAPH_BREAK = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A stretch of a text that goes, and why."""

    start: int
    end: int
    """Character offsets into the text, end exclusive."""
    spans: tuple[ContaminatedSpan, ...]


def find_removals(text: str, spans: Iterable[ContaminatedSpan], mode: Mode = "segment") -> list[Removal]:
    """What goes out of a text for its contaminated spans, in order. ValueError for an unknown mode."""
    spans = sorted(spans, key=lambda span: (span.start, span.end))
    if mode not in ("span", "segment", "page"):
        raise ValueError(f"mode is {mode!r}; it must be 'span', 'segment' or 'page'")
    if not spans:
        return []
    if mode == "page" or (mode == "segment" and any(span.rule == "short" for span in spans)):
        return [Removal(start=0, end=len(text), spans=tuple(spans))]
    if mode == "span":
        return _covered(spans)
    removals: list[Removal] = []
    first = 0  # of the spans that may reach into this or a later paragraph
    for start, stop in _paragraphs(text):
        while first < len(spans) and spans[first].end <= start:
            first += 1
        own = tuple(_reaching(spans, first, start, stop))
        if own:
            removals.append(Removal(start=start, end=stop, spans=own))
    return removals


def _covered(spans: Sequence[ContaminatedSpan]) -> list[Removal]:
    """Spans that overlap, of several benchmarks or rules, as one."""
    groups: list[list[ContaminatedSpan]] = []
    end = -1
    for span in spans:
        if span.start < end:
            groups[-1].append(span)
        else:
            groups.append([span])
        end = max(end, span.end)
    return [Removal(start=group[0].start, end=max(span.end for span in group), spans=tuple(group)) for group in groups]


def _reaching(spans: Sequence[ContaminatedSpan], first: int, start: int, stop: int) -> Iterator[ContaminatedSpan]:
    for span in spans[first:]:
        if span.start >= stop:
            return
        if span.end > start:
            yield span


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _PARAGRAPH_BREAK.finditer(text):
        yield start, match.start()
        start = match.end()
    yield start, len(text)


def remove_contamination(text: str, spans: Iterable[ContaminatedSpan], mode: Mode = "segment") -> str:
    """The text without its contaminated parts.

    By default these are paragraphs, and "" is left where a short benchmark text stands in it (the page goes). The mode
    `span` takes out the matching text alone, which may leave a half sentence or formula; `page` leaves "".
    """
    gone = find_removals(text, spans, mode)
    if mode == "segment":
        starts = {removal.start for removal in gone}
        if gone and gone[0].end == len(text) and gone[0].start == 0:
            return ""
        return "\n\n".join(text[start:stop] for start, stop in _paragraphs(text) if start not in starts)
    kept: list[str] = []
    start = 0
    for removal in gone:
        kept.append(text[start : removal.start])
        start = removal.end
    return "".join([*kept, text[start:]])
