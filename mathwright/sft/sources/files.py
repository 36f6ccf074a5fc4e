"""The rows of a published file, whatever container it is: told by its first bytes, since names lie.

Parquet, what `datasets` saves (Arrow), JSON lines, a JSON list, objects written one after another, an object that keeps
its list in a field, packed (`mathwright.unpack`) or not; zip files of JSON; and CSV, which its name tells. A row that
cannot be read comes as BadRow, and reading goes on behind it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mathwright.csv_rows import SUFFIXES as CSV
from mathwright.csv_rows import csv_rows
from mathwright.errors import MathwrightError
from mathwright.files import files_below
from mathwright.lines import is_text
from mathwright.problems.containers import is_note
from mathwright.unpack import ARROW_FILE, ARROW_STREAM, PARQUET, DamagedFileError, open_bytes, packed

ROW_LISTS = ("Instances", "data", "example", "rows")
"""Fields in which an object keeps the rows of a whole file (Lila: `Instances`)."""
SUFFIXES = (*packed(".jsonl", ".json", ".ndjson"), *CSV, ".parquet", ".arrow", ".zip")
"""Endings of the files that are read from a folder."""
MAX_JOINED_LINES = 200
"""A row whose strings hold bare line ends is put together from so many lines at most."""
SPLITS = {
    "train": "train", "training": "train", "test": "test", "tests": "test",
    "valid": "validation", "validation": "validation", "val": "validation", "dev": "validation",
}  # fmt: skip

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A stretch of a file that is no row, and why."""

    reason: str
    text: str = ""
    """Its beginning."""


def find_files(path: Path, patterns: Sequence[str] = (), *, leave_out: Path | None = None) -> list[Path]:
    """The file itself, or the data files below a folder: those of `patterns`, where any matches, else all; but for
    those in the folder `leave_out`, which is being written.

    Files of tests come first, so that a question of theirs is known before the training files are read. Raises
    MathwrightError where there is none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MathwrightError(
            f"{path}: no such file or folder", hint="name the data set's file, or the folder it is in"
        )
    files = list(files_below(path, leave_out=leave_out))
    found = [file for file in files if any(file.match(pattern) for pattern in patterns)]
    found = found or [file for file in files if file.name.endswith(SUFFIXES) and not is_note(file)]
    if not found:
        raise MathwrightError(f"{path}: no data file", hint=f"files that are read: {', '.join(SUFFIXES)}")
    return sorted(found, key=lambda file: (split_of(file, path) == "train", file))


_SPLIT_WORD = re.compile(r"(train|test|valid|val|dev)(?:ing|s|ation)?(?:set|split)?\d*")


def split_of(file: Path, root: Path | None = None) -> str:
    """The split that a file's name tells, or a folder it is in, the nearest first and none above `root`: train,
    validation or test; train where none does."""
    for word in re.split(r"[^a-z0-9]+", file.name.lower()):
        if found := _SPLIT_WORD.fullmatch(word):
            return SPLITS[found[1]]
    for folder in file.parents:
        highest = root is None or folder == root
        if highest and not _NAMELESS.fullmatch(file.name):
            break  # "test" may be what its owner calls a folder of trials
        if found := _SPLIT_WORD.fullmatch(folder.name.lower()):
            return SPLITS[found[1]]
        if highest:
            break
    return "train"


_NAMELESS = re.compile(r"(?:part|data|shard|file)?[-_]?\d[-_\d]*(?:of[-_]?\d+)?\.[\w.]+")
"""Files without names of their own, such as 0000.parquet."""


def read_rows(file: Path) -> Iterator[tuple[str, Row | BadRow]]:
    """The rows of a file, each with the place to name: line, item or row.

    Raises MathwrightError for a damaged container, or where the package for it is missing.
    """
    with file.open("rb") as opened:
        magic = opened.read(len(ARROW_FILE))
    if magic.startswith((PARQUET, ARROW_FILE, ARROW_STREAM)):
        yield from _table_rows(file)
        return
    try:
        if magic.startswith(b"PK\x03\x04"):
            yield from _zip_rows(file)
        elif file.name.endswith(CSV):
            yield from _csv_rows(file)
        else:
            with open_bytes(file) as stream:
                yield from _text_rows(stream, str(file))
    except (DamagedFileError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise MathwrightError(f"{file}: damaged: {error}", hint="download it again") from error


def _pyarrow(file: Path) -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MathwrightError(f"{file}: needs the package pyarrow", hint="pip install 'mathwright[corpus]'") from error
    return pyarrow


def _table_rows(file: Path) -> Iterator[tuple[str, Row | BadRow]]:
    pyarrow = _pyarrow(file)
    from mathwright.arrow_rows import plain_rows, table_batches

    number = 0
    try:
        for batch in table_batches(file):
            for row in plain_rows(batch):
                shown = BadRow(reason="invalid UTF-8") if row is None else row
                yield f"{file}, row {number}", shown
                number += 1
    except (pyarrow.ArrowException, OSError) as error:
        raise MathwrightError(f"{file}: damaged after row {number:,}: {error}", hint="download it again") from error


def _csv_rows(file: Path) -> Iterator[tuple[str, Row | BadRow]]:
    for line, row in csv_rows(file):
        yield f"{file}:{line}", BadRow(reason=row) if isinstance(row, str) else row


def _zip_rows(file: Path) -> Iterator[tuple[str, Row | BadRow]]:
    with zipfile.ZipFile(file) as archive:
        names = sorted(archive.namelist(), key=lambda name: (split_of(file / name, file) == "train", name))
        for name in names:
            if name.endswith((".json", ".jsonl")) and not name.startswith("__MACOSX"):
                with archive.open(name) as member:
                    yield from _text_rows(io.BufferedReader(member), f"{file}/{name}")  # type: ignore[arg-type]


# --- text -----------------------------------------------------------------------------------------


def _text_rows(stream: BinaryIO, name: str) -> Iterator[tuple[str, Row | BadRow]]:
    first = b""
    while not first.strip():
        first = stream.readline()
        if not first:
            return
    first = first.removeprefix(b"\xef\xbb\xbf")
    if _is_lines(first):
        yield from _line_rows(first, stream, name)
    else:
        yield from _document_rows((first + stream.read()), name)


def _is_lines(first: bytes) -> bool:
    """Whether a file is JSON lines: its first line is whole, or is not what a longer document begins with."""
    begun = first.strip()
    if begun in (b"[", b"{") or (begun[:1] == b"[" and not begun.endswith(b"]")):
        return False
    try:
        value = json.loads(begun)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and begun[error.pos : error.pos + 1] == b"{":
            return False  # objects one after another on a line
        return begun[:1] == b"{" and len(begun) > 2  # a damaged line, or a string with a bare line end
    except (ValueError, RecursionError):
        return True
    return not (isinstance(value, list) and value and all(isinstance(item, dict | list) for item in value)
                and not _is_conversation(value))  # fmt: skip


def _is_conversation(value: list[Any]) -> bool:
    """Whether a list is one row: the messages of a conversation, not a list of rows."""
    return all(isinstance(item, dict) and {"from", "role"} & set(item) for item in value)


def _line_rows(first: bytes, stream: BinaryIO, name: str) -> Iterator[tuple[str, Row | BadRow]]:
    number = 1
    pending: list[bytes] = []  # lines read ahead for a row with bare line ends that was none
    line = first
    while line:
        if line.strip():
            found = _object(line)
            taken = 0
            if isinstance(found, BadRow) and found.reason.startswith("not JSON"):
                taken, joined = _joined(line, pending, stream)
                if taken:
                    found = joined
            place = f"{name}:{number}"
            if taken:
                number += taken
                del pending[:taken]
            yield from _rows_of(found, place)
        line = pending.pop(0) if pending else stream.readline()
        number += 1


def _joined(line: bytes, pending: list[bytes], stream: BinaryIO) -> tuple[int, Any]:
    """A row that goes on over the next lines: how many more, and the row; 0 where the next line begins a row itself."""
    whole = line
    for taken in range(1, MAX_JOINED_LINES):
        if len(pending) < taken:
            following = stream.readline()
            if not following:
                break
            pending.append(following)
        following = pending[taken - 1]
        if not isinstance(_object(following), BadRow):
            break
        whole += following
        if following.rstrip().endswith(b"}") and not isinstance(found := _object(whole), BadRow):
            return taken, found
    return 0, None


def _object(line: bytes) -> Any:
    try:
        text = line.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError:
        return BadRow(reason="invalid UTF-8", text=line[:200].decode(errors="replace"))
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return BadRow(reason="not JSON", text=text[:200])
    return _checked(value, text)


def _checked(value: Any, text: str) -> Any:
    if not isinstance(value, dict | list):
        return BadRow(reason="no object", text=text[:200])
    if "\\u" in text and not is_text(json.dumps(value, ensure_ascii=False)):
        return BadRow(reason="half of a surrogate pair", text=text[:200])
    return value


def _document_rows(data: bytes, name: str) -> Iterator[tuple[str, Row | BadRow]]:
    """A JSON list, or objects one after another over many lines."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text = data.decode(errors="replace")
        yield f"{name}, byte {error.start}", BadRow(reason="invalid UTF-8")
    decoder = json.JSONDecoder(strict=False)
    position = number = 0
    is_list = text.lstrip()[:1] == "["
    if is_list:
        position = text.index("[") + 1
    between = re.compile(r"[\s,]*")
    while (position := between.match(text, position).end()) < len(text):  # type: ignore[union-attr]
        if is_list and text[position] == "]":
            return
        number += 1
        place = f"{name}, item {number}"
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            yield place, BadRow(reason="not JSON", text=text[position : position + 200])
            following = re.compile(r"\n\s*\{").search(text, position + 1)
            if following is None:
                return
            position = following.start()
            continue
        yield from _rows_of(_checked(value, text[position:end]), place)
        position = end


def _rows_of(value: Any, place: str) -> Iterator[tuple[str, Row | BadRow]]:
    """The row itself; the rows of an object that holds a whole file; a list of messages as a row of one field."""
    if isinstance(value, list):
        yield place, {"messages": value}
        return
    rows = [value[name] for name in ROW_LISTS if isinstance(value, dict) and isinstance(value.get(name), list)]
    if rows and all(isinstance(row, dict) for row in rows[0]) and "messages" not in value:
        for number, row in enumerate(rows[0]):
            yield f"{place}, item {number}", row
        return
    yield place, value
