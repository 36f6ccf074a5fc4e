"""What an iteration of the mining hands on: to the next one, to the stage, and to a run that resumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.corpus.rules.rules import Rule, read_rules, write_rules

_PAGES_ROWS = 1 << 16
_PAGES = pa.schema(
    [("url", pa.string()), ("score", pa.float64()), ("collected", pa.bool_()), ("seed", pa.bool_()),
     ("next_seed", pa.bool_())]
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What an iteration leaves for the next."""

    scores: np.ndarray
    """[N] probability of the positive class."""
    collected: np.ndarray
    """[N] bool."""
    seed_pages: np.ndarray
    """[N] bool: the seed of this iteration."""
    next_seed_pages: np.ndarray
    """[N] bool: the seed of the next iteration."""
    rules: list[Rule]

    def save(self, folder: Path, urls: Sequence[str]) -> None:
        flags = {"collected": self.collected, "seed": self.seed_pages, "next_seed": self.next_seed_pages}
        with pq.ParquetWriter(folder / "pages.parquet", _PAGES, compression="zstd") as writer:
            for start in range(0, len(urls), _PAGES_ROWS):
                rows = slice(start, start + _PAGES_ROWS)
                columns = {"url": urls[rows], "score": self.scores[rows]} | {k: v[rows] for k, v in flags.items()}
                writer.write_table(pa.table(columns, schema=_PAGES))
        write_rules(folder / "rules.toml", self.rules)

    @classmethod
    def load(cls, folder: Path) -> State:
        names = ["score", "collected", "seed", "next_seed"]
        table = pq.read_table(folder / "pages.parquet", columns=names)
        arrays = {name: table[name].to_numpy() for name in names}
        return cls(
            scores=arrays["score"],
            collected=arrays["collected"],
            seed_pages=arrays["seed"],
            next_seed_pages=arrays["next_seed"],
            rules=read_rules(folder / "rules.toml"),
        )


def collected_scores(folder: Path) -> Iterator[tuple[str, float]]:
    """URL and score of the pages that an iteration collected, in the order of the pool, a batch in memory at a time."""
    with pq.ParquetFile(folder / "pages.parquet") as pages:
        for batch in pages.iter_batches(batch_size=_PAGES_ROWS, columns=["url", "score", "collected"]):
            columns = (batch.column(name).to_pylist() for name in ("url", "score", "collected"))
            yield from ((url, score) for url, score, collected in zip(*columns, strict=True) if collected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """The result of the loop."""

    state: State
    iterations: list[dict[str, Any]]
    """A row an iteration: sizes, change, domains, held-out figures of the classifier."""
    rules: list[dict[str, Any]]
    """A row a rule: what it says, and how many pages it matches, has collected and has brought to the seed."""
    top_domains: list[dict[str, Any]]
    top_pages: list[tuple[int, float]]
    """(row, score) of the best-ranked pages."""
    first_seed_pages: np.ndarray
    """[N] bool: the seed the loop began with."""
    last_excluded: np.ndarray
    """[N] bool: pages that could not be negatives in the last iteration."""
