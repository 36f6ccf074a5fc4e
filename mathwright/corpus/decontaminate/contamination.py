"""Which benchmark problems stand in a training corpus: `spans.py` the other way round.

The rule is the paper's (§2.1), on questions only: a question of at least `ngram` grams stands in a document if one of
its n-grams does; a shorter one if it stands there as a whole. An answer alone is no evidence, so answers are not looked
for. An exercise with other numbers, or a phrase that many questions share, is found too: `share` tells how much of the
question stands there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, tee
from pathlib import Path

import numpy as np

from mathwright.corpus.decontaminate.grams import ranges
from mathwright.corpus.decontaminate.index import ContaminationIndex, build_index
from mathwright.corpus.decontaminate.match import Hits, find_hits
from mathwright.corpus.documents.foreign import read_corpus
from mathwright.records import Problem, write_jsonl


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """A benchmark problem found in a document."""

    task: str
    problem_id: str
    url: str
    """Of the document; file and line where it has none."""
    matched: str
    """The longest stretch of the document that stands in the question."""
    share: float
    """Share of the question's grams that stand in the document, in stretches of `ngram` grams or more; 1.0 is all."""


# --- finding --------------------------------------------------------------------------------------


class QuestionIndex:
    """The questions to look for, and for a stretch that was found, all those that hold it.

    MATH-500 is a part of MATH, and GSM-Hard is GSM8K with other numbers, so that one stretch can stand in several.
    """

    def __init__(self, problems: Iterable[Problem], *, ngram: int = 10) -> None:
        self.problems = list(problems)
        self.index: ContaminationIndex = build_index(
            {str(i): [problem.question] for i, problem in enumerate(self.problems)}, ngram=ngram
        )
        self._problem_of = [int(name) for name in self.index.benchmark_of]
        self._lengths = np.diff(self.index.ends, prepend=0)

    @property
    def too_short(self) -> list[Problem]:
        """Problems that cannot be looked for: their questions hold fewer than three words that identify them."""
        return [self.problems[int(name)] for name in self.index.num_too_short]

    def find(self, url: str, text: str) -> list[Contamination]:
        """The problems that stand in a document, in their own order, each once."""
        return next(self.find_in([(url, text)]))

    def find_in(self, texts: Iterable[tuple[str, str]]) -> Iterator[list[Contamination]]:
        """`find` for each document given as (url, text); short ones are handled together, which is faster."""
        texts, again = tee(texts)
        for (url, text), hits in zip(again, find_hits((text for _, text in texts), self.index), strict=True):
            yield [
                self._contamination(which, url, text[start:end], share)
                for which, (start, end), share in self._found(hits)
            ]

    def _found(self, hits: Hits) -> Iterator[tuple[int, tuple[int, int], float]]:
        """(text of the index, characters of its longest stretch, share of its grams) of the questions that were hit."""
        which = self.index.text_of(hits.position)
        shift = hits.position - hits.first
        order = np.lexsort((hits.first, shift, which))
        cuts = np.searchsorted(which[order], np.arange(len(self._lengths) + 1)) if len(order) else np.zeros(1, int)
        for number in np.flatnonzero(np.diff(cuts)).tolist():
            own = order[cuts[number] : cuts[number + 1]]
            begin = hits.position[own] - (self.index.ends[number] - self._lengths[number])
            covered = np.zeros(self._lengths[number], dtype=bool)
            covered[ranges(begin, begin + hits.length[own])] = True
            # Windows that follow one another in both texts are a stretch.
            new = (np.diff(shift[own]) != 0) | (np.diff(hits.first[own]) != 1)
            first = np.flatnonzero(np.concatenate([[True], new]))
            last = np.flatnonzero(np.concatenate([new, [True]]))
            start, end = hits.start[own][first], hits.end[own][last]
            longest = int(np.lexsort((start, start - end))[0])
            yield number, (int(start[longest]), int(end[longest])), float(covered.mean())

    def _contamination(self, which: int, url: str, matched: str, share: float) -> Contamination:
        problem = self.problems[self._problem_of[which]]
        # Lone surrogates (from broken escapes in a page) have no UTF-8 form.
        url, matched = (s.encode("utf-8", "replace").decode("utf-8") for s in (url, matched))
        return Contamination(task=problem.source, problem_id=problem.id, url=url, matched=matched, share=share)


def find_contaminated(
    problems: Iterable[Problem], texts: Iterable[tuple[str, str]], *, ngram: int = 10
) -> Iterator[Contamination]:
    """The problems whose question stands in one of the documents `texts`, given as (url, text).

    A problem found in several documents is given for each, in the order of the documents. Texts with one url after
    each other are pieces of one document, of which the best finding is given. A few texts are held in memory.
    """
    index = QuestionIndex(problems, ngram=ngram)
    texts, again = tee(texts)
    for _, pieces in groupby(zip(again, index.find_in(texts), strict=True), key=lambda piece: piece[0][0]):
        best: dict[tuple[str, str], Contamination] = {}
        for _, findings in pieces:
            for found in findings:
                key = (found.task, found.problem_id)
                if key not in best or found.share > best[key].share:
                    best[key] = found
        yield from best.values()


# --- the whole ------------------------------------------------------------------------------------


def write_contamination(path: Path, found: Iterable[Contamination]) -> int:
    """Write JSON lines, one a finding, as they come; the file appears when it is complete. Returns how many."""
    return write_jsonl(path, found)


def contamination(
    corpus: Path,
    problems: Sequence[Problem],
    out: Path,
    *,
    ngram: int = 10,
    min_share: float = 0.0,
    on_text: Callable[[str, str], None] = lambda url, text: None,
) -> dict[str, int]:
    """Look for `problems` in a corpus, write the findings to `out`; returns the number of problems found, by task.

    `min_share` keeps findings with at least that share of the question; 0.0 is the paper's rule: one n-gram is enough.
    `on_text` is called with url and text of each document before it is looked at. Raises MathwrightError as
    `read_corpus` does; nothing is written then.
    """

    def texts() -> Iterator[tuple[str, str]]:
        for url, text in read_corpus(corpus):
            on_text(url, text)
            yield url, text

    marked: set[tuple[str, str]] = set()

    def noted() -> Iterator[Contamination]:
        for found in find_contaminated(problems, texts(), ngram=ngram):
            if found.share >= min_share:
                marked.add((found.task, found.problem_id))
                yield found

    write_contamination(out, noted())
    counts = Counter(task for task, _ in marked)
    return {task: counts[task] for task in dict.fromkeys(problem.source for problem in problems)}
