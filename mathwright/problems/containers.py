"""Rows in whatever people keep them: JSON lines, JSON, CSV, packed or not, Parquet, what `datasets` saved, the hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mathwright.csv_rows import SUFFIXES as CSV
from mathwright.csv_rows import csv_rows
from mathwright.errors import MathwrightError
from mathwright.files import content_mark, files_below, files_that_fit, is_glob, similar
from mathwright.unpack import ARROW_FILE, ARROW_STREAM, PARQUET, DamagedFileError, packed

HUB = "hub:"
"""Before the id of a data set on the Hugging Face hub: hub:OWNER/NAME, hub:OWNER/NAME:SPLIT or
hub:OWNER/NAME:CONFIGURATION:SPLIT."""
SUFFIXES = (*packed(".jsonl", ".json", ".ndjson"), *CSV, ".parquet", ".arrow")
SPLITS = {"train": "train", "test": "test", "validation": "test", "valid": "test", "val": "test", "dev": "test",
          "eval": "test"}  # fmt: skip
"""What a word in the name of a file or of a saved split says of its rows."""

Rows = Iterator[tuple[str, dict[str, Any]]]
"""Each row with the place to name in an error."""


def is_data(where: str) -> bool:
    """Whether a name is that of rows, by its looks: a file, a folder, a glob, or a data set of the hub."""
    return where.startswith((HUB, "/", "./", "../", "~")) or where.endswith(SUFFIXES) or "/" in where or "*" in where


def data_rows(where: str, fields: Sequence[tuple[str, str]] = ()) -> Rows:
    """The rows of a file, of all files of a folder or glob, or of a data set.

    Where there are several files, a row without a `split` has that of its file's name (train-00000.parquet).

    Args:
        where: as `is_data` says.
        fields: pairs (our name, the file's name) of fields that are called otherwise there.

    Raises MathwrightError naming file and line or row, where there is nothing or it cannot be read.
    """
    count = 0
    for place, row in _rows(where):
        count += 1
        for _, theirs in fields:
            if count == 1 and theirs not in row:
                raise MathwrightError(
                    f"{place}: there is no field {theirs!r}", hint=f"its fields are {', '.join(map(str, row))}"
                )
        yield place, {**row, **{ours: row[theirs] for ours, theirs in fields if theirs in row}}
    if not count:
        raise MathwrightError(f"{where}: there is no row in it", hint="the file is empty; name another one")


def files_of(where: str) -> list[Path]:
    """The files that a path or glob names, in order. Raises MathwrightError where there is none."""
    path = Path(where).expanduser()
    if is_glob(where):
        return files_that_fit(where)
    if path.is_dir():
        found = sorted(file for file in files_below(path) if file.name.endswith(SUFFIXES) and not is_note(file))
        if not found:
            raise MathwrightError(
                f"{where}: no data file in this folder", hint=f"it would end in {', '.join(SUFFIXES)}"
            )
        return found
    if not path.is_file():
        there = [file.name for file in path.parent.glob("*") if file.name.endswith(SUFFIXES)]
        raise MathwrightError(f"{where}: no such file", hint=similar(path.name, there))
    return [path]


def data_mark(where: str) -> str:
    """What tells the rows from others (`files.content_mark`); "" for the hub."""
    return "" if where.startswith(HUB) else content_mark(files_of(where))


def is_note(file: Path) -> bool:
    """Whether a file beside the rows only speaks of them."""
    return file.name in ("dataset_info.json", "dataset_dict.json", "state.json", "manifest.json", "dataset_infos.json")


def _rows(where: str) -> Rows:
    if where.startswith(HUB):
        from mathwright.problems.tables import HubSource, hub_rows

        name, *more = where.removeprefix(HUB).split(":")
        split = more[-1] if more else "train"
        yield from hub_rows(HubSource(id=name, split=split, configs=(more[0],) if len(more) > 1 else (None,)))
        return
    files = files_of(where)
    for file in files:
        split = _split_of(file, Path(where)) if len(files) > 1 else ""
        for place, row in file_rows(file):
            yield place, {"split": split, **row} if split else row


def _split_of(file: Path, whole: Path) -> str:
    """The split that a file's name, or that of its folder within the data set, speaks of."""
    inside = file.relative_to(whole) if whole.is_dir() else Path(file.name)
    words = re.split(r"[\W_\d]+", str(inside).lower())
    return next((SPLITS[word] for word in words if word in SPLITS), "")


def file_rows(path: Path) -> Rows:
    """The rows of one file: Parquet and Arrow told by their first bytes or their name, CSV by its name, else JSON.

    Raises MathwrightError naming file and line or row.
    """
    start = b""
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(6)
    if start.startswith((PARQUET, ARROW_FILE, ARROW_STREAM)) or path.name.endswith((".parquet", ".arrow")):
        yield from _table_rows(path)
    elif path.name.endswith(CSV):
        yield from _csv_rows(path)
    else:
        from mathwright.problems.tables import file_rows as json_rows

        yield from json_rows(path)


def _csv_rows(path: Path) -> Rows:
    try:
        for line, row in csv_rows(path):
            if isinstance(row, str):
                hint = "save it as UTF-8" if "UTF-" in row else "quote a field that holds a comma or a line end"
                raise MathwrightError(f"{path}:{line}: {row}", hint=hint)
            yield f"{path}:{line}", row
    except DamagedFileError as error:
        raise MathwrightError(f"{path}: cannot be read: {error}", hint="fetch it again") from error


def _table_rows(path: Path) -> Rows:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MathwrightError("the package pyarrow is missing", hint="pip install 'mathwright[problems]'") from error
    from mathwright.arrow_rows import plain_rows, table_batches

    number = 0
    try:
        for batch in table_batches(path):
            for row in plain_rows(batch):
                if row is None:
                    raise MathwrightError(f"{path}, row {number}: invalid UTF-8", hint="remove the row, or mend it")
                yield f"{path}, row {number}", row
                number += 1
    except (pa.ArrowException, OSError) as error:
        words = " ".join(str(error).split())[:200]
        raise MathwrightError(
            f"{path}: cannot be read: {words}", hint="the file is damaged or of another kind; save it again"
        ) from error
