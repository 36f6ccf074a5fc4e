"""Rows of published data sets: from a local JSON or JSONL file, or from the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.problems.rows import read_rows
from mathwright.unpack import DamagedFileError, open_text, packed

PARQUET_COPY = "refs/convert/parquet"
"""Where the hub keeps its own Parquet copy of a data set; `datasets` 4 and newer runs no loading scripts."""

_DOCUMENT_KEYS = ("example", "examples", "data")
"""Keys under which a JSON object keeps its list of rows (GAOKAO-Bench: `example`; BIG-Bench Hard: `examples`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSource:
    """A split of a data set on the Hugging Face hub."""

    id: str
    configs: tuple[str | None, ...] = (None,)
    """Configurations, read one after another; None where the data set has but one."""
    split: str = "test"
    """Name of the split, or several joined by `+`."""
    files: str = ""
    """Pattern of the files to read, where the repository does not say which files make up the split."""
    revision: str | None = None

    def __str__(self) -> str:
        names = [*filter(None, self.configs), *([self.files] if self.files else []), self.split]
        return f"{self.id} ({', '.join(names)})"


def hub_rows(source: HubSource) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a split, each with the place to name in an error.

    Raises MathwrightError where the package `datasets` is missing or the hub does not give the data.
    """
    try:
        import datasets  # heavy, and needed only here
        from datasets.exceptions import DatasetsError
    except ImportError as error:
        raise MathwrightError("the package `datasets` is missing", hint="pip install 'mathwright[problems]'") from error
    options: dict[str, Any] = {"revision": source.revision} if source.revision else {}
    if source.files:
        options["data_files"] = {source.split: source.files}
    number = 0
    for config in source.configs:
        try:
            rows: Any = datasets.load_dataset(source.id, config, split=source.split, **options)
        except (OSError, ValueError, RuntimeError, DatasetsError) as error:
            raise MathwrightError(
                f"{source.id}: cannot be loaded from the Hugging Face hub: {error}",
                hint="check network and id, or give a folder with the data files",
            ) from error
        for row in rows:
            yield f"{source.id}, {source.split} row {number}", row
            number += 1


def file_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a JSONL file, of a JSON list, or of a JSON object that keeps its list under a key (`_DOCUMENT_KEYS`).

    Each comes with the place to name in an error. Raises MathwrightError naming file and line or item.
    """
    items = _document(path) if path.is_file() else None
    if items is None:
        for number, row in read_rows(path):
            yield f"{path}:{number}", row
        return
    for number, item in enumerate(items, start=1):
        if not isinstance(item, dict):
            raise MathwrightError(
                f"{path}, item {number}: not a JSON object but {type(item).__name__}",
                hint="each item of the list is one problem; correct or remove this one",
            )
        yield f"{path}, item {number}", item


def _document(path: Path) -> list[Any] | None:
    """The rows of a file that is one JSON document; None where it is JSON lines, whatever its name says."""
    try:
        with open_text(path) as file:
            start = next((line.lstrip()[:1] for line in file if line.strip()), "")
        if start != "[" and not path.name.endswith(packed(".json")):
            return None
        with open_text(path) as file:
            text = file.read()
    except (OSError, DamagedFileError, UnicodeDecodeError) as error:
        raise MathwrightError(
            f"{path}: cannot be read: {error}", hint="the file is damaged or not UTF-8; download it again"
        ) from error
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if start == "{" and error.msg == "Extra data":
            return None
        raise MathwrightError(
            f"{path}:{error.lineno}: not JSON: {error}", hint="the file is cut off or edited; download it again"
        ) from error
    if isinstance(value, list):
        return value
    rows = [value[key] for key in _DOCUMENT_KEYS if isinstance(value, dict) and isinstance(value.get(key), list)]
    return rows[0] if rows else [value]
