"""The pages to mine from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mathwright.corpus import recall
from mathwright.corpus.classify import Classifier
from mathwright.corpus.documents import BATCH_ROWS, read_columns, read_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A documents file and what of it is held in memory: about 200 bytes a page."""

    documents: Path
    urls: list[str]
    archives: list[str]
    num_tokens: np.ndarray
    """[N] estimated."""

    @classmethod
    def open(cls, documents: Path) -> Pool:
        columns = read_columns(documents, ["url", "archive", "num_bytes"])
        names: dict[str, str] = {}
        return cls(
            documents=documents,
            urls=columns["url"],
            archives=[names.setdefault(name, name) for name in columns["archive"]],  # one string an archive
            num_tokens=recall.estimate_tokens(np.array(columns["num_bytes"], dtype=np.int64)),
        )

    def texts(self, rows: Iterable[int]) -> dict[int, str]:
        """The texts of some rows, by row; one pass over the file."""
        wanted = set(rows)
        return {i: row["text"] for i, row in enumerate(read_rows(self.documents, ["text"])) if i in wanted}

    def score(self, classifier: Classifier, advance: Callable[[int], None]) -> np.ndarray:
        """Probability of the positive class of every page, [N]; one pass over the file."""
        scores: list[np.ndarray] = []
        for batch in _batches(row["text"] for row in read_rows(self.documents, ["text"])):
            scores.append(classifier.score(batch))
            advance(len(batch))
        return np.concatenate(scores)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch
