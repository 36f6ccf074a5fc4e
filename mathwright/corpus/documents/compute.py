"""Documents on disk: a Parquet file for each step of the corpus, read and written in batches so that memory is flat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.corpus.text import count_words
from mathwright.errors import MathwrightError
from mathwright.files import atomic
from mathwright.records import Document

SCHEMA = pa.schema(
    [
        ("url", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("notation", pa.string()),  # JSON: formulas found by kind of markup
        ("archive", pa.string()),
        ("offset", pa.int64()),
        ("digest", pa.string()),
        ("date", pa.string()),
        ("num_words", pa.int64()),
        ("num_bytes", pa.int64()),  # UTF-8 bytes of the text
        ("problem", pa.string()),  # what a limit left out of the text; "" for nearly all
    ]
)

BATCH_ROWS = 512
"""Rows of a Parquet row group: a few megabytes of text at a time."""
BATCH_BYTES = 32 << 20
"""Bytes of text from which a row group is closed early, so that a run of huge pages does not pile up in memory."""


def to_row(document: Document) -> dict[str, Any]:
    """The row of SCHEMA that keeps a document."""
    # Lone surrogates (from broken escapes in a page) have no UTF-8 form.
    text = document.text.encode("utf-8", "replace")
    decoded = text.decode("utf-8")
    return {
        "url": document.url,
        "title": document.title.encode("utf-8", "replace").decode("utf-8"),
        "text": decoded,
        "notation": json.dumps(dict(document.notation), sort_keys=True),
        "archive": document.archive,
        "offset": document.offset,
        "digest": document.digest,
        "date": document.date,
        "num_words": count_words(decoded),
        "num_bytes": len(text),
        "problem": document.problem,
    }


def with_text(row: dict[str, Any], text: str) -> dict[str, Any]:
    """The row with another text, counted again. `notation` still says what the page held."""
    return {**row, "text": text, "num_words": count_words(text), "num_bytes": len(text.encode("utf-8"))}


class DocumentWriter:
    """Writes rows to a Parquet file; the file bears its name only when it is complete."""

    def __init__(self, path: Path, *, schema: pa.Schema = SCHEMA) -> None:
        self.path = path
        self._schema = schema
        self._open = ExitStack()
        partial = self._open.enter_context(atomic(path))
        self._file = self._open.enter_context(pq.ParquetWriter(partial, schema, compression="zstd"))
        self._open.push(self._flush_unless_failed)
        self._rows: list[dict[str, Any]] = []
        self._num_bytes = 0

    def write(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._num_bytes += row["num_bytes"]
        if len(self._rows) >= BATCH_ROWS or self._num_bytes >= BATCH_BYTES:
            self._flush()

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Append rows that are in Arrow already, at most BATCH_ROWS of them."""
        self._flush()
        start = 0
        ends = np.cumsum(batch.column("num_bytes").to_numpy())
        while start < batch.num_rows:
            before = int(ends[start - 1]) if start else 0
            end = max(start + 1, int(np.searchsorted(ends, before + BATCH_BYTES, side="right")))
            self._file.write_table(pa.Table.from_batches([batch.slice(start, end - start)], schema=self._schema))
            start = end

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows, self._num_bytes = [], 0

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.__exit__(kind, error, at)

    def _flush_unless_failed(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()


def join_documents(paths: Iterable[Path], output: Path) -> int:
    """Write the rows of documents files into one, in order; returns how many. Memory does not grow with them."""
    num_rows = 0
    with atomic(output) as partial, pq.ParquetWriter(partial, SCHEMA, compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        for path in paths:
            for batch in open_documents(path).iter_batches(batch_size=BATCH_ROWS):
                num_rows += batch.num_rows
                waiting.append(batch)
                if sum(b.num_rows for b in waiting) >= BATCH_ROWS or sum(b.nbytes for b in waiting) >= BATCH_BYTES:
                    writer.write_table(pa.Table.from_batches(waiting, schema=SCHEMA))
                    waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting, schema=SCHEMA))
    return num_rows


def read_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a documents file in order, a batch in memory at a time."""
    for batch in open_documents(path).iter_batches(batch_size=BATCH_ROWS, columns=list(columns) if columns else None):
        yield from batch.to_pylist()


def read_columns(path: Path, columns: Sequence[str]) -> dict[str, list[Any]]:
    """Whole columns of a documents file; not meant for `text`."""
    found: dict[str, list[Any]] = {name: [] for name in columns}
    for batch in open_documents(path).iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
        for name in columns:
            found[name] += batch.column(name).to_pylist()
    return found


def read_column(path: Path, name: str) -> pa.ChunkedArray:
    """A whole column of a documents file as it lies in memory, without an object a row; not meant for `text`."""
    return open_documents(path).read(columns=[name]).column(name)


def open_documents(path: Path) -> pq.ParquetFile:
    """Raises MathwrightError where the file is missing or not Parquet."""
    if not path.is_file():
        raise MathwrightError(f"{path}: no such file", hint="run the corpus stage first, or check the path")
    try:
        # By default pyarrow keeps all it has read of the file until the reader goes.
        return pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    except pa.ArrowInvalid as error:
        raise MathwrightError(f"{path}: not a Parquet file: {error}", hint="make it again") from error
