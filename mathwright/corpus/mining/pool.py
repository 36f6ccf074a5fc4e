"""The pages to mine from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mathwright.corpus.classifier import Classifier
from mathwright.corpus.documents.compute import read_column, read_columns, read_rows
from mathwright.corpus.documents.table import compute
from mathwright.corpus.mining import ranking


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
        known: dict[str, str] = {}
        names = (row["archive"] for row in read_rows(documents, ["archive"]))
        return cls(
            documents=documents,
            urls=read_columns(documents, ["url"])["url"],
            archives=[known.setdefault(name, name) for name in names],  # one string an archive
            num_tokens=ranking.estimate_tokens(read_column(documents, "num_bytes").to_numpy()),
        )

    def texts(self, rows: Iterable[int]) -> dict[int, str]:
        """The texts of some rows, by row; one pass over the file."""
        wanted = set(rows)
        return {i: row["text"] for i, row in enumerate(read_rows(self.documents, ["text"])) if i in wanted}

    def score(self, classifier: Path, advance: Callable[[int], None]) -> np.ndarray:
        """Probability of the positive class of every page, [N], by the classifier saved in a folder."""
        import daft

        scores = np.zeros(len(self.urls))
        for rows, batch in compute(self.documents, score=_scorer()(str(classifier)).score(daft.col("text"))):
            scores[rows] = batch.column("score").to_numpy()
            advance(len(rows))
        return scores


@functools.cache
def _scorer() -> Any:
    """Daft's user-defined function, in a class that loads the classifier once where it runs."""
    import daft

    @daft.cls
    class Scorer:
        def __init__(self, folder: str) -> None:
            self.classifier = Classifier.load(Path(folder))

        @daft.method.batch(return_dtype=daft.DataType.float64(), batch_size=64)
        def score(self, text: Any) -> np.ndarray:
            return self.classifier.score(text.to_pylist())

    return Scorer
