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

from mathwright.corpus.documents import open_documents, read_columns
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
    if importlib.util.find_spec("ray") is None:
        raise MathwrightError("the runner ray needs Ray", hint="pip install 'mathwright[ray]'")
    try:
        daft.set_runner_ray(address or None)
    except RuntimeError as error:  # Daft: the runner can be set once
        raise MathwrightError(
            f"cannot go over to Ray: {error}", hint="start the command anew with --runner ray"
        ) from error


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

    Batches come in any order and cover each row once. Memory: the key of every row, about 200 bytes.
    """
    import daft

    keys = ("archive", "offset", "url")
    rows_of: dict[tuple[str, int, str], list[int]] = {}
    columns = read_columns(documents, keys)
    for row, key in enumerate(zip(*(columns[name] for name in keys), strict=True)):
        rows_of.setdefault(key, []).append(row)
    del columns
    outputs = [*keys, *(expression.alias(name) for name, expression in expressions.items())]
    tables = (
        daft.read_parquet([str(documents)], row_groups=None if part is None else [part]).select(*outputs)
        for part in _parts(documents)
    )
    for batch in itertools.chain.from_iterable(table.to_arrow_iter() for table in tables):
        found = zip(*(batch.column(name).to_pylist() for name in keys), strict=True)
        # Records of one gzip member share its offset; whichever of two with the same URL comes first is as good.
        rows = np.array([rows_of[key].pop() for key in found], dtype=np.int64)
        yield rows, pa.Table.from_batches([batch]).select(list(expressions))
