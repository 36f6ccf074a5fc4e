"""Archives to documents: read the pages, extract their text in worker processes, drop what has too little of it."""

from __future__ import annotations

import glob
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from mathwright.corpus.archive import read_pages
from mathwright.corpus.documents import DocumentWriter, to_row
from mathwright.corpus.extract import extract
from mathwright.errors import MathwrightError
from mathwright.records import Damage, Page
from mathwright.run import Stage

BATCH_PAGES = 32
BATCH_BYTES = 8 << 20
"""HTML of one batch, so that a few huge pages do not pile up in memory."""


def find_archives(patterns: Sequence[str]) -> list[Path]:
    """The files that paths and globs name, sorted. Raises MathwrightError where one names none."""
    found: set[Path] = set()
    for pattern in patterns:
        # Path.glob takes no absolute pattern.
        matches = [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207
        if not matches:
            raise MathwrightError(f"no archive at {pattern}", hint="check corpus.web.archives")
        found.update(path for path in matches if path.is_file())
    if not found:
        raise MathwrightError("no archives to read", hint="name WARC files or globs in corpus.web.archives")
    return sorted(found)


def extract_archives(archives: Sequence[Path], output: Path, stage: Stage, *, min_words: int) -> int:
    """Write the documents of all archives, in order, to one Parquet file; returns how many.

    Two funnels are reported: records to pages, pages to documents. Damage and pages without text are set aside.
    """
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    num_documents = 0
    with DocumentWriter(output) as writer, stage.progress("extract pages", None) as advance:
        for row, reason in _extract_in_workers(_pages(archives, stage, counts)):
            advance(1)
            if not reason and row["num_words"] < min_words:
                reason = f"fewer than {min_words} words"
                row = {name: row[name] for name in ("url", "archive", "offset", "num_words")}
            if reason:
                dropped[reason] += 1
                stage.reject("extract", row, reason)
            else:
                writer.write(row)
                num_documents += 1
    counts.pop("body_cut", None)  # such pages are kept, and counted as pages
    num_pages = counts.pop("pages", 0)
    stage.funnel(
        "read archives", unit="records", num_in=num_pages + counts.total(), num_out=num_pages, dropped=dict(counts)
    )
    stage.funnel("extract", unit="pages", num_in=num_pages, num_out=num_documents, dropped=dropped)
    return num_documents


def _pages(archives: Iterable[Path], stage: Stage, counts: Counter[str]) -> Iterator[Page]:
    for archive in archives:
        for item in read_pages(archive, counts=counts):
            if isinstance(item, Damage):
                row = {"archive": item.archive, "offset": item.offset, "size_bytes": item.size_bytes}
                stage.reject("damage", row, item.reason)
            else:
                yield item


def _batches(pages: Iterable[Page]) -> Iterator[list[Page]]:
    batch: list[Page] = []
    size = 0
    for page in pages:
        batch.append(page)
        size += len(page.html)
        if len(batch) >= BATCH_PAGES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _extract_in_workers(pages: Iterable[Page]) -> Iterator[tuple[dict[str, Any], str]]:
    """(row, reason it is no document or "") of each page, in order; a few batches are under way at a time."""
    num_workers = min(16, os.cpu_count() or 1)
    # spawn: the caller may have torch or Daft threads, which do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context) as pool:
        under_way: deque[Future[list[tuple[dict[str, Any], str]]]] = deque()
        for batch in _batches(pages):
            under_way.append(pool.submit(_extract_batch, batch))
            if len(under_way) > 2 * num_workers:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()


def _extract_batch(pages: list[Page]) -> list[tuple[dict[str, Any], str]]:
    results: list[tuple[dict[str, Any], str]] = []
    for page in pages:
        document = extract(page.html, page.url, charset=page.charset)
        if not document.text.strip():
            results.append(({"url": page.url, "archive": page.archive, "offset": page.offset}, "no text"))
            continue
        document = replace(document, archive=page.archive, offset=page.offset, digest=page.digest, date=page.date)
        results.append((to_row(document), ""))
    return results
