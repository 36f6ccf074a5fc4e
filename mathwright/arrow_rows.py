"""Rows of Arrow batches as Python values, though a publisher wrote what Python cannot hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.unpack import ARROW_FILE, ARROW_STREAM


def table_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of a Parquet file, an Arrow file or an Arrow stream, told by its first bytes; else it is Parquet.

    Raises pyarrow's exceptions or OSError where it is damaged.
    """
    with path.open("rb") as file:
        start = file.read(len(ARROW_FILE))
    if start.startswith((ARROW_FILE, ARROW_STREAM)):
        with pa.memory_map(str(path)) as source:
            yield from arrow_batches(source)
    else:
        with pq.ParquetFile(path) as table:
            yield from table.iter_batches(batch_size=1000)


def arrow_batches(source: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file or an Arrow stream."""
    if source.read(len(ARROW_FILE)) == ARROW_FILE:
        file = pa.ipc.open_file(source)
        yield from map(file.get_batch, range(file.num_record_batches))
    else:
        source.seek(0)
        yield from pa.ipc.open_stream(source)


_UNREADABLE = (UnicodeDecodeError, OverflowError, ValueError, KeyError, pa.ArrowException)
"""Strings that are no UTF-8, dates beyond the year 9999, time zones that nobody knows."""


def plain_rows(batch: pa.RecordBatch) -> list[dict[str, Any] | None]:
    """The rows of a batch; None for one with a string that is no UTF-8. Dates that Python cannot hold are None."""
    try:
        return list(batch.to_pylist())
    except _UNREADABLE:
        return [_row(batch, number) for number in range(batch.num_rows)]


def _row(batch: pa.RecordBatch, number: int) -> dict[str, Any] | None:
    row: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[number].as_py()
        except UnicodeDecodeError:
            return None
        except _UNREADABLE:
            row[name] = None
    return row
