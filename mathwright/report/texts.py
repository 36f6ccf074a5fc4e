"""The corpus as texts one can open: some of the pages that were collected, and some just below the cut."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mathwright.report.gathered import Run
from mathwright.report.tex import with_formulas

NUM_OF_EACH = 20
"""Pages of each kind."""
TEXT_CHARS = 6_000
"""Of a page; the rest is cut, and said."""
PAGE_CHARS = 1_500_000
"""Of all texts together; further ones are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A page of the corpus as the report shows it."""

    title: str
    url: str
    score: float | None
    num_words: int
    text: Markup
    num_left_out: int
    """Characters that were cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Pages of one kind."""

    title: str
    note: str
    pages: list[Shown]


def shelves_of(run: Run) -> list[Shelf]:
    """Collected pages with the highest scores, some at random and those just above the cut; and some just below it.

    Of a corpus that was not ranked (an imported one), some pages. Empty where there is no corpus, or where pyarrow is
    not installed, which reads it.
    """
    manifest = run.manifests.get("corpus")
    documents = run.path / manifest["outputs"].get("documents", "") if manifest else None
    if documents is None or not documents.is_file():
        return []
    try:
        import pyarrow  # noqa: F401  # of the extra `corpus`, which whoever only reads a report may lack
    except ModuleNotFoundError:
        return []
    ranked = _ranking(run.path / "corpus")
    if not ranked:
        rows = {row["url"]: row for row in _rows(documents, None, NUM_OF_EACH)}
        return _filled([("Some pages", "The first ones of the corpus.", list(rows))], rows, {})
    collected = [url for url, _, taken in ranked if taken]
    below = [url for url, _, taken in ranked if not taken][:NUM_OF_EACH]
    drawn = random.Random(0).sample(collected, min(NUM_OF_EACH, len(collected)))
    wanted = [
        ("Highest scores", "What the classifier is surest of.", collected[:NUM_OF_EACH]),
        ("At random", "A fair look at the collection: drawn by chance, the same at each look.", drawn),
        ("Just above the cut", "The last pages that were taken.", collected[-NUM_OF_EACH:]),
        ("Just below the cut", "Not collected: the next pages that a larger budget would have taken.", below),
    ]
    urls = {url for _, _, some in wanted for url in some}
    pool = run.path / "corpus" / "pool" / "pool.parquet"
    rows = {row["url"]: row for row in _rows(pool, urls)} if pool.is_file() else {}
    rows |= {row["url"]: row for row in _rows(documents, urls)}  # as they were kept
    return _filled(wanted, rows, {url: score for url, score, _ in ranked if url in urls})


def _ranking(corpus: Path) -> list[tuple[str, float, bool]]:
    """URL, score and whether it was taken, of the last iteration, the highest score first."""
    import pyarrow.parquet

    iterations = sorted(corpus.glob("iteration-*/pages.parquet"), key=lambda path: int(path.parent.name.split("-")[1]))
    if not iterations:
        return []
    names = ["url", "score", "collected"]
    with pyarrow.parquet.ParquetFile(iterations[-1]) as file:  # `read_table` imports pandas, which takes seconds
        columns = file.read(columns=names)
    rows = zip(*(columns.column(name).to_pylist() for name in names), strict=True)
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _rows(path: Path, urls: set[str] | None, most: int = 0) -> Iterator[dict[str, Any]]:
    """The documents of these addresses; without addresses, the first ones. Read a batch at a time."""
    import pyarrow
    import pyarrow.parquet

    num = 0
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=2_000, columns=["url", "title", "text", "num_words"]):
            if urls is not None:
                batch = batch.filter(pyarrow.array([url in urls for url in batch.column("url").to_pylist()]))
            for row in batch.to_pylist():
                yield row
                num += 1
                if most and num >= most:
                    return


def _filled(
    wanted: Iterable[tuple[str, str, list[str]]], rows: Mapping[str, Mapping[str, Any]], scores: Mapping[str, float]
) -> list[Shelf]:
    """The shelves with their pages, each page once, as long as there is room."""
    seen: set[str] = set()
    room = PAGE_CHARS
    shelves = []
    for title, note, urls in wanted:
        pages = []
        for url in urls:
            if url in seen or url not in rows:
                continue
            page = _shown(rows[url], scores.get(url))
            if len(page.text) > room:
                continue
            seen.add(url)
            room -= len(page.text)
            pages.append(page)
        if pages:
            shelves.append(Shelf(title=title, note=note, pages=pages))
    return shelves


def _shown(row: Mapping[str, Any], score: float | None) -> Shown:
    text = row["text"]
    return Shown(
        title=" ".join(row["title"].split())[:120] or row["url"],
        url=row["url"],
        score=score,
        num_words=row["num_words"],
        text=with_formulas(text[:TEXT_CHARS]),
        num_left_out=max(0, len(text) - TEXT_CHARS),
    )
