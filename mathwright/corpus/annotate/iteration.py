"""The pages of one iteration of a run as the annotation page looks at them: domains, prefixes, histograms, samples.

A node of the tree is a prefix (`qa.org/`, `qa.org/questions/`), or `domain:wiki.org` for a registered domain.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq

from mathwright.corpus.documents.compute import open_documents
from mathwright.corpus.rules.domains import DomainUnit
from mathwright.corpus.rules.index import PrefixIndex, prefix_glob
from mathwright.corpus.rules.propose import hosts_of_domains
from mathwright.errors import MathwrightError

NUM_BINS = 24
EXCERPT_CHARACTERS = 500
TEXT_CHARACTERS = 50_000
"""What the browser gets of a page's text at most."""
MANY_PAGES = 20_000
"""From here on a prefix is taken to have others below it, without a look."""

SampleKind = Literal["random", "borderline", "best"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A domain of which pages were collected."""

    name: str
    num_pages: int
    num_collected: int
    mathematical: bool
    """By the 10% rule of the run."""
    hosts: tuple[str, ...]


class IterationPages:
    """What an iteration made of the pool, sorted by address. Not for several threads at once."""

    def __init__(self, run: Path, iteration: int | None = None) -> None:
        """Raises MathwrightError where the run has no finished iteration."""
        self.iteration, folder = find_iteration(run, iteration)
        recipe = json.loads((run / "recipe.json").read_text(encoding="utf-8"))["recipe"]
        recipe = recipe.get("corpus") or recipe
        self.unit: DomainUnit = recipe.get("domain_unit", "host")
        self.prefix_share = float(recipe.get("prefix_share", 0.5))
        self.min_pages = int(recipe.get("domain_min_pages", 5))

        table = pq.ParquetFile(folder / "pages.parquet")
        flags = table.read(columns=["score", "collected"])
        self.index = PrefixIndex(_urls(table), flags["collected"].to_numpy())
        self.scores = flags["score"].to_numpy()[self.index.rows].astype(np.float32)
        """[N] in the order of the index."""
        self.cut = float(self.scores[self.index.collected].min()) if self.index.collected.any() else None
        """The lowest score that was collected."""
        self.edges = np.linspace(self.scores.min(), self.scores.max() + 1e-6, NUM_BINS + 1)
        """Of the histogram's bins. Over the scores there are: with few seed pages they all lie around 0.5."""
        bins = np.searchsorted(self.edges, self.scores, side="right") - 1
        self._bins = bins.clip(0, NUM_BINS - 1).astype(np.uint8)
        self._open_pool(run / "corpus" / "pool" / "pool.parquet", folder)

        self.candidates = self._read_candidates(folder)
        self._by_name = {candidate.name: candidate for candidate in self.candidates}
        self.children = functools.lru_cache(maxsize=32)(self.index.children)
        self.matching = functools.lru_cache(maxsize=4096)(self.index.matching)
        """The places that a glob matches."""
        self._span = functools.lru_cache(maxsize=1 << 17)(self.index.span)
        self.histogram = functools.lru_cache(maxsize=4096)(self._histogram)

    def _open_pool(self, path: Path, folder: Path) -> None:
        self._documents = open_documents(path)
        if self._documents.metadata.num_rows != len(self.index):
            raise MathwrightError(
                f"{folder} has {len(self.index)} pages, the pool {self._documents.metadata.num_rows}",
                hint="the run has started again: annotate when its first iteration is done",
            )
        sizes = [self._documents.metadata.row_group(i).num_rows for i in range(self._documents.num_row_groups)]
        self._group_starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._place_of = np.empty(len(self.index), dtype=np.int64)
        self._place_of[self.index.rows] = np.arange(len(self.index))

    def _read_candidates(self, folder: Path) -> list[Candidate]:
        """In the order of the run's table: by collected pages, then share."""
        rows = pq.read_table(folder / "domains.parquet", filters=[("collected", ">", 0)]).to_pylist()
        hosts = hosts_of_domains(self.index, [row["domain"] for row in rows], self.unit)
        return [
            Candidate(
                name=row["domain"],
                num_pages=row["pages"],
                num_collected=row["collected"],
                mathematical=row["mathematical"],
                hosts=tuple(hosts[row["domain"]]),
            )
            for row in rows
            if row["domain"]  # pages without a host have no prefix to name
        ]

    # -- nodes --

    def node(self, candidate: Candidate) -> str:
        return f"{candidate.name}/" if self.unit == "host" else f"domain:{candidate.name}"

    def globs(self, node: str) -> list[str]:
        """The globs of all pages of a node: two for a registered domain, itself and what is below it."""
        if node.startswith("domain:"):
            name = prefix_glob(node.removeprefix("domain:") + "/")
            return [name, f"*.{name}"]
        return [prefix_glob(node)]

    def prefixes(self, node: str) -> list[str]:
        """The prefixes whose pages are the node's."""
        if not node.startswith("domain:"):
            return [node]
        try:
            hosts = self._by_name[node.removeprefix("domain:")].hosts
        except KeyError:
            raise MathwrightError(f"no domain {node.removeprefix('domain:')}", hint="reload the page") from None
        return sorted((f"{host}/" for host in hosts), key=lambda name: -self.index.share(name).num_collected)

    def ranges(self, node: str) -> tuple[tuple[int, int], ...]:
        return tuple(self._span(prefix) for prefix in self.prefixes(node))

    def below(self, node: str, offset: int, limit: int) -> tuple[int, list[str], int]:
        """The number of nodes below a node, some of them, those with most collected pages first, and the number of
        pages that lie in the node itself."""
        if node.startswith("domain:"):
            hosts = self.prefixes(node)
            return len(hosts), hosts[offset : offset + limit], 0
        children = self.children(node)
        sizes = children.stop - children.start
        order = np.lexsort((children.start, -sizes, -children.collected))[offset : offset + limit]
        names = [self.index.child_name(node, int(children.start[i])) for i in order]
        start, stop = self._span(node)
        return len(children), names, stop - start - int(sizes.sum())

    def has_below(self, node: str) -> bool:
        if node.startswith("domain:"):
            return True
        start, stop = self._span(node)
        return stop - start > MANY_PAGES or bool(len(self.children(node)))

    def _histogram(self, ranges: tuple[tuple[int, int], ...]) -> list[list[int]]:
        """Pages by score: collected and other ones in each bin."""
        counts = np.zeros((2, NUM_BINS), dtype=np.int64)
        for start, stop in ranges:
            bins, taken = self._bins[start:stop], self.index.collected[start:stop]
            counts[0] += np.bincount(bins[taken], minlength=NUM_BINS)
            counts[1] += np.bincount(bins[~taken], minlength=NUM_BINS)
        return counts.tolist()

    # -- globs --

    def count(self, glob: str) -> dict[str, int]:
        """Pages and collected pages that a glob matches."""
        places = self.matching(glob)
        if isinstance(places, slice):
            collected = self.index.num_collected(places.start, places.stop)
            return {"pages": places.stop - places.start, "collected": collected}
        return {"pages": len(places), "collected": int(self.index.collected[places].sum())}

    def examples(self, glob: str) -> list[str]:
        """The first, the middle and the last address that a glob matches."""
        places = self.matching(glob)
        if isinstance(places, slice):
            places = np.arange(places.start, places.stop)
        some = np.unique(np.linspace(0, len(places) - 1, 3).astype(int)) if len(places) else []
        return [self.index.addresses[int(places[i])].as_py() for i in some]

    def overlaps(self, glob: str, start: int, stop: int) -> bool:
        """Whether a glob matches a page in a range."""
        places = self.matching(glob)
        if isinstance(places, slice):
            return max(places.start, start) < min(places.stop, stop)
        first, last = np.searchsorted(places, (start, stop))
        return bool(first < last)

    # -- samples --

    def samples(self, node: str, kind: SampleKind, *, turn: int = 0, limit: int = 8) -> list[dict[str, Any]]:
        """Some pages of a node: random ones, those nearest to the cut, or those with the highest score.

        Each `turn` gives others.
        """
        places = np.concatenate([np.arange(start, stop) for start, stop in self.ranges(node)])
        limit = min(limit, len(places))
        if kind == "random":
            chosen = np.random.default_rng(turn).choice(places, limit, replace=False)
        else:
            scores = self.scores[places]
            distance = np.abs(scores - self.cut) if kind == "borderline" and self.cut is not None else -scores
            chosen = places[np.argsort(distance, kind="stable")[turn * limit :][:limit]]
        return [self.page(int(self.index.rows[place]), characters=EXCERPT_CHARACTERS) for place in chosen]

    def page(self, row: int, *, characters: int = TEXT_CHARACTERS) -> dict[str, Any]:
        """A page of the pool: its text, cut after some characters."""
        if not 0 <= row < len(self.index):
            raise MathwrightError(f"no page {row}", hint="reload the page")
        group = int(np.searchsorted(self._group_starts, row, side="right")) - 1
        table = self._documents.read_row_group(group, columns=["url", "title", "text"])
        values = table.slice(row - int(self._group_starts[group]), 1).to_pylist()[0]
        place = int(self._place_of[row])
        return {
            "row": row,
            "url": values["url"],
            "title": values["title"],
            "text": values["text"][:characters],
            "characters": len(values["text"]),
            "score": float(self.scores[place]),
            "collected": bool(self.index.collected[place]),
        }


def find_iteration(run: Path, number: int | None = None) -> tuple[int, Path]:
    """The last finished iteration of a run, or the given one, and its folder; a half-written one does not count.

    Raises MathwrightError saying what the run lacks.
    """
    if not (run / "recipe.json").is_file():
        raise MathwrightError(f"{run} holds no run", hint="name the folder that a run was given as --out")
    corpus = run / "corpus"
    if not corpus.is_dir():
        hint = f"run it first: mathwright corpus RECIPE --out {run}"
        raise MathwrightError(f"{run} has no corpus stage yet", hint=hint)
    marks = (path.name.removesuffix(".done.json") for path in corpus.glob("iteration-*.done.json"))
    numbers = sorted(int(mark.removeprefix("iteration-")) for mark in marks)
    finished = [k for k in numbers if (corpus / f"iteration-{k}" / "pages.parquet").is_file()]
    if not finished:
        raise MathwrightError(
            f"{run} has no finished iteration yet",
            hint="run the same command again until its first iteration is done; it resumes where it stopped",
        )
    if number is not None and number not in finished:
        hint = f"it has {', '.join(str(k) for k in finished)}"
        raise MathwrightError(f"{run} has no finished iteration {number}", hint=hint)
    chosen = finished[-1] if number is None else number
    return chosen, corpus / f"iteration-{chosen}"


def _urls(table: pq.ParquetFile) -> Iterator[str]:
    for batch in table.iter_batches(columns=["url"]):
        yield from batch.column(0).to_pylist()
