"""Documents in the order of their URLs, in memory that does not grow with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from mathwright.corpus.documents.compute import BATCH_ROWS, DocumentWriter, open_documents

pc: Any = pyarrow.compute  # its functions are made on import, so that no type checker sees them

SORT_BYTES = 64 << 20
"""Text that is put in order in memory; more of it is first spread over files of consecutive ranks."""
MAX_PARTS = 32

_Ranked = tuple[np.ndarray, pa.RecordBatch]
"""Ranks [n] and the rows that have them."""


def write_sorted(documents: Path, keep: np.ndarray, output: Path) -> None:
    """Write the rows of a documents file that are True in `keep` [N], in the order of their URLs.

    Memory: the URLs, once, and a few times SORT_BYTES. A temporary copy of the documents lies next to `output`.
    """
    keys = open_documents(documents).read(columns=["url", "archive", "offset", "num_bytes"])
    sizes = keys.column("num_bytes").to_numpy()
    keys = keys.append_column("row", pa.array(np.arange(len(sizes)))).filter(pa.array(keep))
    names = ("url", "archive", "offset", "row")
    order = keys.column("row").to_numpy()[pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in names])]
    del keys
    ranks = np.full(len(sizes), -1, dtype=np.int64)
    ranks[order] = np.arange(len(order))
    with DocumentWriter(output) as writer, tempfile.TemporaryDirectory(dir=output.parent) as folder:
        for batch in _in_order(_kept(documents, ranks), sizes[order], 0, Path(folder)):
            writer.write_batch(batch)


def _kept(documents: Path, ranks: np.ndarray) -> Iterator[_Ranked]:
    start = 0
    for batch in open_documents(documents).iter_batches(batch_size=BATCH_ROWS):
        own = ranks[start : start + batch.num_rows]
        start += batch.num_rows
        yield own[own >= 0], batch.filter(pa.array(own >= 0))


def _in_order(rows: Iterator[_Ranked], sizes: np.ndarray, first: int, folder: Path) -> Iterator[pa.RecordBatch]:
    """The rows by their ranks, which are `first`, first + 1, ...; sizes [n] are their bytes of text in that order."""
    if sizes.sum() <= SORT_BYTES or len(sizes) == 1:
        parts = [part for part in rows if len(part[0])]
        if parts:
            ranks = np.concatenate([part[0] for part in parts])
            table = pa.Table.from_batches([part[1] for part in parts]).take(pa.array(np.argsort(ranks)))
            yield from table.to_batches(max_chunksize=BATCH_ROWS)
        return
    ends = np.cumsum(sizes)
    num = min(MAX_PARTS, 1 + int(ends[-1]) // SORT_BYTES)
    # The rank after each part; a part has at least one row, and there are at least two.
    cuts = np.unique(np.maximum(1, np.searchsorted(ends, ends[-1] * np.arange(1, num) / num)))
    edges = first + np.concatenate([[0], cuts[cuts < len(sizes)], [len(sizes)]])
    below = Path(tempfile.mkdtemp(dir=folder))
    ranks_of = _spread(rows, edges, below)
    for number, (start, end) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        path = below / str(number)
        yield from _in_order(_read_part(path, ranks_of[number]), sizes[start - first : end - first], start, below)
        path.unlink()


def _spread(rows: Iterator[_Ranked], edges: np.ndarray, folder: Path) -> list[np.ndarray]:
    """Write the rows of each stretch of ranks to a file of its own; returns the ranks in each."""
    num = len(edges) - 1
    ranks_of: list[list[np.ndarray]] = [[] for _ in range(num)]
    writers: dict[int, pa.RecordBatchFileWriter] = {}
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    for ranks, batch in rows:
        parts = np.searchsorted(edges, ranks, side="right") - 1
        for number in np.unique(parts).tolist():
            if number not in writers:
                writers[number] = pa.ipc.new_file(str(folder / str(number)), batch.schema, options=options)
            ranks_of[number].append(ranks[parts == number])
            writers[number].write_batch(batch.filter(pa.array(parts == number)))
    for writer in writers.values():
        writer.close()
    return [np.concatenate(found) for found in ranks_of]


def _read_part(path: Path, ranks: np.ndarray) -> Iterator[_Ranked]:
    start = 0
    with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            yield ranks[start : start + batch.num_rows], batch
            start += batch.num_rows
