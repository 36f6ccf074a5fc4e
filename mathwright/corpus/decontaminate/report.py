"""What decontamination took out of a corpus: a row for each match, and what each benchmark's rules cost.

A rule may do harm: one problem's "1 2 3 4 5 6 7 8 9 10" is every numbered list. The report therefore lists the n-grams
that matched on most pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mathwright.corpus.decontaminate.characters import OPERATORS, UNSURE
from mathwright.corpus.decontaminate.grams import Grams, tokenise
from mathwright.corpus.decontaminate.index import ContaminationIndex
from mathwright.corpus.decontaminate.match import find_hits
from mathwright.corpus.decontaminate.spans import ContaminatedSpan, Removal
from mathwright.lines import json_text

MAX_NGRAMS = 200_000
"""N-grams counted at a time; beyond, those seen on one page only are forgotten."""


@dataclass(slots=True)
class RuleCost:
    """What one rule cost for one benchmark."""

    spans: int = 0
    segments: int = 0
    """Stretches removed: spans, paragraphs or pages, by the mode."""
    pages: int = 0
    """Pages that lost something."""
    whole_pages: int = 0
    """Pages of which nothing was left."""
    bytes: int = 0
    """UTF-8 bytes removed; what two rules removed counts for both."""
    bytes_alone: int = 0
    """Bytes that no other rule and no other benchmark would have removed."""


class DecontaminationReport:
    """Counts removals, page by page."""

    def __init__(self, index: ContaminationIndex) -> None:
        self.index = index
        self.costs: dict[tuple[str, str], RuleCost] = {}
        self.num_pages = 0
        self.num_bytes = 0
        self.pages_of_ngram: Counter[tuple[str, str]] = Counter()
        self.problem_of_ngram: dict[tuple[str, str], str] = {}

    def add(self, url: str, text: str, removals: Sequence[Removal]) -> Iterator[dict[str, Any]]:
        """Count the removals of a page; gives the rows of the audit log, one for each matching span of each removal."""
        size = len(text.encode("utf-8", "surrogatepass"))
        self.num_pages += 1
        self.num_bytes += size
        seen: set[tuple[str, str]] = set()
        removed = 0
        for removal in removals:
            removed_bytes = len(text[removal.start : removal.end].encode("utf-8", "surrogatepass"))
            removed += removed_bytes
            rules = {(span.benchmark, span.rule) for span in removal.spans}
            for rule in rules:
                cost = self.costs.setdefault(rule, RuleCost())
                cost.segments += 1
                cost.bytes += removed_bytes
                cost.bytes_alone += removed_bytes if len(rules) == 1 else 0
            seen |= rules
            for span in removal.spans:
                yield self._row(url, span, removal, removed_bytes)
        spans = {span for removal in removals for span in removal.spans}  # one may reach over two paragraphs
        for span in spans:
            self.costs[span.benchmark, span.rule].spans += 1
        for rule in seen:
            self.costs[rule].pages += 1
            self.costs[rule].whole_pages += int(removed == size)
        self._count_ngrams(sorted(spans, key=lambda span: (span.start, span.end, span.benchmark, span.rule)))

    @staticmethod
    def _row(url: str, span: ContaminatedSpan, removal: Removal, removed_bytes: int) -> dict[str, Any]:
        row = {"url": url, **asdict(span)}
        row["matched"] = span.matched.encode("utf-8", "replace").decode("utf-8")
        row |= {"removed_start": removal.start, "removed_end": removal.end, "removed_bytes": removed_bytes}
        return row

    def _count_ngrams(self, spans: Sequence[ContaminatedSpan]) -> None:
        on_page: dict[tuple[str, str], str] = {}
        for span, hits in zip(spans, find_hits([span.matched for span in spans], self.index), strict=True):
            found = tokenise(span.matched)
            # Windows of the benchmark and the reading the span is of; another's may lie inside it.
            own = [self.index.benchmark_of[i] == span.benchmark for i in self.index.text_of(hits.position).tolist()]
            first = hits.first[np.array(own, dtype=bool)]
            length = hits.length[np.array(own, dtype=bool)]
            for i, n in sorted(set(zip(first.tolist(), length.tolist(), strict=True))):
                if i + n <= len(found):
                    on_page.setdefault((span.benchmark, _written(found, i, n)), span.problem)
        for key, problem in on_page.items():
            self.pages_of_ngram[key] += 1
            self.problem_of_ngram.setdefault(key, problem)
        if len(self.pages_of_ngram) > MAX_NGRAMS:
            self.pages_of_ngram = Counter({key: n for key, n in self.pages_of_ngram.items() if n > 1})
            self.problem_of_ngram = {key: self.problem_of_ngram[key] for key in self.pages_of_ngram}

    def summary(self, num_ngrams: int = 50) -> dict[str, Any]:
        """What is saved as JSON: pages, bytes, `rules` (a row a benchmark and rule), `ngrams` (the most frequent)."""
        rules = [
            {"benchmark": benchmark, "rule": rule, **asdict(cost)}
            for (benchmark, rule), cost in sorted(self.costs.items())
        ]
        frequent = sorted(self.pages_of_ngram.items(), key=lambda item: (-item[1], item[0]))[:num_ngrams]
        ngrams = [
            {"benchmark": benchmark, "ngram": ngram, "pages": pages, "problem": self.problem_of_ngram[benchmark, ngram]}
            for (benchmark, ngram), pages in frequent
        ]
        return {"pages": self.num_pages, "bytes": self.num_bytes, "rules": rules, "ngrams": ngrams}


def _written(found: Grams, first: int, length: int) -> str:
    signs = [OPERATORS[int(number) & ~UNSURE].strip() for number in found.operators[first : first + length]]
    return " ".join(sign + found.spell(first + i) for i, sign in enumerate(signs))


def cost_table(summary: Mapping[str, Any]) -> str:
    """The summary as a table of text for people: rules by bytes, then the n-grams that matched on most pages."""
    lines = [f"{'benchmark':24} {'rule':6} {'spans':>8} {'segments':>9} {'pages':>7} {'bytes':>11} {'alone':>11}"]
    lines += [
        f"{row['benchmark'][:24]:24} {row['rule']:6} {row['spans']:8,} {row['segments']:9,} {row['pages']:7,} "
        f"{row['bytes']:11,} {row['bytes_alone']:11,}"
        for row in sorted(summary["rules"], key=lambda row: -row["bytes"])
    ]
    lines += ["", f"{'pages':>7}  n-gram (benchmark, problem)"]
    lines += [f"{row['pages']:7,}  {row['ngram']} ({row['benchmark']}, {row['problem']})" for row in summary["ngrams"]]
    return "\n".join(lines)


def summary_json(summary: Mapping[str, Any]) -> str:
    """The summary as it is written next to the documents."""
    return json_text(summary, indent=2) + "\n"
