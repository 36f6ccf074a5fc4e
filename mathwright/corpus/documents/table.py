"""Whole-corpus work as Daft expressions: on the cores of this machine, or the same on a Ray cluster.

On Ray the documents must lie where every node reads them under the same path (a shared folder).
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from mathwright.corpus.documents.compute import BATCH_ROWS, open_documents
from mathwright.errors import MathwrightError

PART_BYTES = 64 << 20
"""Text that the native engine works on at a time."""

Runner = Literal["native", "ray"]


def set_runner(runner: Runner, address: str = "") -> None:
    """Choose where expressions run, once a process: this machine's cores, or the Ray cluster at `address` ("" is the
    one this machine belongs to, or a new local one).

    Raises MathwrightError where Ray is missing, or where the process runs on another runner already.
    """
    import daft

    if runner == "native":
        return  # Daft's default; a process that has computed on Ray stays there
    require_ray()
    try:
        daft.set_runner_ray(address or None)
    except RuntimeError as error:  # Daft: the runner can be set once
        raise MathwrightError(
            f"cannot go over to Ray: {error}", hint="run the command again with --runner ray"
        ) from error


def require_ray() -> None:
    """Raise MathwrightError where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise MathwrightError("the runner ray needs Ray", hint="pip install 'mathwright[ray]'")


def _parts(documents: Path) -> Iterator[list[int] | None]:
    """Row groups of a documents file that are computed together. The native engine holds all it reads at a time, a few
    times over; a cluster spreads the whole file."""
    import daft

    if daft.get_or_infer_runner_type() != "native":
        yield None
        return
    metadata = open_documents(documents).metadata
    part: list[int] = []
    num_bytes = 0
    for group in range(metadata.num_row_groups):
        part.append(group)
        num_bytes += metadata.row_group(group).total_byte_size
        if num_bytes >= PART_BYTES:
            yield part
            part, num_bytes = [], 0
    if part:
        yield part


def compute(documents: Path, **expressions: Any) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """Daft's expressions for every page of a documents file, a batch at a time: (rows in the file [n], values).

    Batches come in any order and cover each row once. Memory: 28 bytes a row, and `QUERY_BYTES` of pages.
    """
    import daft

    rows_of = _RowIndex(documents)
    outputs = [*KEYS, *(expression.alias(name) for name, expression in expressions.items())]
    tables = (
        daft.read_parquet([str(documents)], row_groups=None if part is None else [part]).select(*outputs)
        for part in _parts(documents)
    )
    for batch in itertools.chain.from_iterable(table.to_arrow_iter() for table in tables):
        yield rows_of.take(batch), pa.Table.from_batches([batch]).select(list(expressions))


KEYS = ("archive", "offset", "url")
"""What names a row of a documents file."""


class _RowIndex:
    """Finds the rows of a documents file by their keys, each row once.

    Of keys it holds 64-bit hashes (Python's, the same within a process). Records of one gzip member share its offset;
    whichever of two with the same URL comes first is as good, so two rows of equal hash need not be told apart.
    """

    def __init__(self, documents: Path) -> None:
        file = open_documents(documents)
        hashes = np.zeros(file.metadata.num_rows, dtype=np.int64)
        start = 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(KEYS)):
            hashes[start : start + batch.num_rows] = _hashes(batch)
            start += batch.num_rows
        self._rows = np.argsort(hashes)
        self._sorted = hashes[self._rows]
        self._num_taken = np.zeros(len(hashes), dtype=np.uint32)
        """[N] how many rows of a hash have been found, at the first place of that hash."""

    def take(self, batch: pa.RecordBatch) -> np.ndarray:
        """The rows [n] of a batch that has the key columns. Raises RuntimeError for one that is not in the file."""
        hashes = _hashes(batch)
        first = np.searchsorted(self._sorted, hashes)
        order = np.argsort(first, kind="stable")
        new = np.concatenate([[True], np.diff(first[order]) != 0])  # equal hashes within the batch: one behind another
        starts = np.flatnonzero(new)
        behind = np.zeros(len(first), dtype=np.int64)
        behind[order] = np.arange(len(first)) - np.repeat(starts, np.diff(np.append(starts, len(first))))
        places = first + self._num_taken[first.clip(max=len(self._sorted) - 1)] + behind
        if len(places) and (places.max() >= len(self._sorted) or (self._sorted[places] != hashes).any()):
            raise RuntimeError("a page came back under a key that it does not have, or twice")
        np.add.at(self._num_taken, first, 1)
        return self._rows[places]


def _hashes(batch: pa.RecordBatch) -> np.ndarray:
    keys = zip(*(batch.column(name).to_pylist() for name in KEYS), strict=True)
    return np.fromiter((hash(key) for key in keys), dtype=np.int64, count=batch.num_rows)
