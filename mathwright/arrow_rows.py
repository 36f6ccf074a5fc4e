"""Rows of Arrow batches as Python values, though a publisher wrote what Python cannot hold."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

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
