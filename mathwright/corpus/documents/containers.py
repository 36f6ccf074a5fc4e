"""Files of rows as publishers write them, recognised by their first bytes and never by their names.

    Parquet, Arrow (file or stream)          a row a row
    JSON lines                               a row a line
    a JSON array, objects one after another  a row an object
    plain text                               a row a file, long ones in pieces

each but the first two also under gzip, zstd (of several frames), bzip2 or xz. A row that cannot be read is given with
the reason, and reading goes on behind it; of a file that ends too early, the rows before its end are given first.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.arrow_rows import arrow_batches, plain_rows
from mathwright.unpack import ARROW_FILE, ARROW_STREAM, PARQUET, DamagedFileError, compression_of, open_bytes

Kind = Literal["parquet", "arrow", "json lines", "json values", "text"]

_ARRAY, _OBJECT = re.compile(rb"\s*\[\s*[{\[\]]"), re.compile(rb'\s*\{\s*["}]')
"""Prose may begin with a bracket or a brace too."""
HEAD_BYTES = 4096
MAX_ROW_BYTES = 256 << 20
"""A longer row is set aside, so that a file without line ends does not fill the memory."""
BATCH_BYTES = 16 << 20
"""Of a Parquet file that are rows at a time."""
PIECE_CHARS = 4 << 20
"""Plain text is cut at the last empty line before so many characters."""
_LINES_LOOKED_AT = 3


class BadRow(NamedTuple):
    """A row that is no row."""

    reason: str
    """One of few phrases, so that they can be counted."""


@dataclass(frozen=True, slots=True)
class Container:
    """What a file is."""

    kind: Kind
    compression: str = ""
    """gzip, zstd, bz2, xz, or "" for none."""

    def __str__(self) -> str:
        return f"{self.kind} in {self.compression}" if self.compression else self.kind


def recognise(path: Path) -> Container:
    """What a file is, by its first bytes. Raises DamagedFileError for one that is empty or nothing we know."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    compression = compression_of(head)
    if compression:
        try:
            with open_bytes(path, compression) as file:
                head = file.read1(HEAD_BYTES)  # what stands before any damage
        except (DamagedFileError, OSError) as error:
            raise DamagedFileError(f"{compression} that cannot be read: {error}") from error
    if not head.strip():
        raise DamagedFileError("empty")
    if head.startswith(PARQUET):
        if compression:
            raise DamagedFileError(f"a Parquet file inside {compression}: unpack it first")
        return Container("parquet")
    if head.startswith((ARROW_FILE, ARROW_STREAM)) and not compression:
        return Container("arrow")
    if b"\x00" in head or compression_of(head):
        raise DamagedFileError("neither Parquet, Arrow, JSON nor text")
    start = head.removeprefix(b"\xef\xbb\xbf")
    if _ARRAY.match(start):
        return Container("json values", compression)
    if _OBJECT.match(start):
        with open_bytes(path, compression) as file:
            return Container("json lines" if _has_lines(file) else "json values", compression)
    return Container("text", compression)


def _has_lines(file: io.BufferedReader) -> bool:
    """Whether one of the first lines is a whole JSON object: else objects are spread over lines."""
    seen = 0
    with suppress(DamagedFileError):
        while seen < _LINES_LOOKED_AT and (line := file.readline(MAX_ROW_BYTES)):
            if not line.strip():
                continue
            seen += 1
            # an object at the margin: inside one that is spread over lines, others are indented
            if line.removeprefix(b"\xef\xbb\xbf").startswith(b"{") and isinstance(_row_of(line), dict):
                return True
    return False


# --- rows -----------------------------------------------------------------------------------------


def read_rows(
    path: Path, container: Container, *, groups: tuple[int, int] | None = None
) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    """The rows of a file with their numbers in it, from 0; of JSON lines the number of the line.

    `groups`: first and last (exclusive) row group of a Parquet file; None is all. Plain text gives rows
    {"text": piece}. Raises DamagedFileError behind the last row that can be read.
    """
    if container.kind == "parquet":
        yield from _parquet_rows(path, groups)
    elif container.kind == "arrow":
        yield from _arrow_rows(path)
    else:
        with open_bytes(path, container.compression) as file:
            match container.kind:
                case "json lines":
                    yield from enumerate(_line_rows(file))
                case "json values":
                    yield from enumerate(_value_rows(file))
                case "text":
                    yield from enumerate(_text_rows(file))


def columns_of(path: Path, container: Container) -> list[str]:
    """The names of the columns of a Parquet file, or of the fields of the first hundred rows of another."""
    if container.kind == "parquet":
        return open_parquet(path).schema_arrow.names
    names: dict[str, None] = {}
    with suppress(DamagedFileError):
        for number, row in read_rows(path, container):
            names.update(dict.fromkeys(row if isinstance(row, dict) else ()))
            if number >= 100:
                break
    return list(names)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Raises DamagedFileError for one that was cut short."""
    try:
        return pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    except (pa.ArrowInvalid, OSError) as error:
        raise DamagedFileError(f"damaged Parquet: {error}") from error


def _parquet_rows(path: Path, groups: tuple[int, int] | None) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    file = open_parquet(path)
    first, last = groups or (0, file.metadata.num_row_groups)
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    number = sum(sizes[:first])
    for group in range(first, last):
        row_bytes = file.metadata.row_group(group).total_byte_size // max(1, sizes[group])
        batch_size = max(1, min(512, BATCH_BYTES // max(1, row_bytes)))
        try:
            for batch in file.iter_batches(batch_size=batch_size, row_groups=[group]):
                for row in _plain_rows(batch):
                    yield number, row
                    number += 1
        except (pa.ArrowException, OSError) as error:
            raise DamagedFileError(f"damaged Parquet in row group {group}: {error}") from error


def _arrow_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    number = 0
    try:
        with pa.memory_map(str(path)) as source:
            for batch in arrow_batches(source):
                for start in range(0, batch.num_rows, 512):
                    for row in _plain_rows(batch.slice(start, 512)):
                        yield number, row
                        number += 1
    except (pa.ArrowException, OSError) as error:
        raise DamagedFileError(f"damaged Arrow: {error}") from error


def _plain_rows(batch: pa.RecordBatch) -> list[dict[str, Any] | BadRow]:
    return [BadRow("not UTF-8") if row is None else row for row in plain_rows(batch)]


def _row_of(line: bytes) -> dict[str, Any] | BadRow:
    try:
        value = json.loads(line.removeprefix(b"\xef\xbb\xbf"), parse_constant=_no_number)
    except UnicodeDecodeError:
        return BadRow("not UTF-8")
    except (ValueError, RecursionError):  # also a number of too many digits
        return BadRow("not JSON")
    return _checked(value)


def _no_number(_: str) -> None:
    """NaN and the infinities, which Python writes and JSON does not know."""


def _checked(value: Any) -> dict[str, Any] | BadRow:
    if not isinstance(value, dict):
        return BadRow("not an object")
    return value or BadRow("empty object")


def _line_rows(file: io.BufferedReader) -> Iterator[dict[str, Any] | BadRow]:
    while line := file.readline(MAX_ROW_BYTES):
        if len(line) == MAX_ROW_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield BadRow(f"longer than {MAX_ROW_BYTES >> 20} MiB")
        elif line.strip():
            yield _row_of(line)
        else:
            yield BadRow("empty line")


class _Text:
    """The text of a file, a piece at a time. What is no UTF-8 becomes U+FFFD; damage is kept for `require_whole`."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._damage: DamagedFileError | None = None
        self.ended = False

    def read(self, num_chars: int) -> str:
        """About so many characters; less only at the end."""
        pieces, size = [], 0
        while size < num_chars and not self.ended:
            try:
                data = self._file.read1(1 << 16)
            except DamagedFileError as error:
                self._damage, data = error, b""
            self.ended = not data
            pieces.append(self._decoder.decode(data, final=self.ended))
            size += len(pieces[-1])
        return "".join(pieces)

    def require_whole(self) -> None:
        """Raise what ended the file too early."""
        if self._damage is not None:
            raise self._damage


def _value_rows(file: io.BufferedReader) -> Iterator[dict[str, Any] | BadRow]:
    """The objects of a JSON array, or of objects (or arrays) one after another."""
    decoder = json.JSONDecoder(parse_constant=_no_number)
    source = _Text(file)
    text, position, in_array, num_rows = "", 0, False, 0
    while True:
        while position < len(text) and (text[position].isspace() or (in_array and text[position] in ",]")):
            in_array = in_array and text[position] != "]"
            position += 1
        if text[position : position + 1] == "[" and not in_array:
            in_array = True
            position += 1
            continue
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            if not source.ended and len(text) - position <= MAX_ROW_BYTES:
                # each time as much again, so that a long value is not looked at in vain too often
                text, position = text[position:] + source.read(max(1 << 16, len(text) - position)), 0
                continue
            source.require_whole()
            if position < len(text):
                raise DamagedFileError(f"not JSON behind row {num_rows}") from error
            if in_array:
                raise DamagedFileError(f"its JSON array ends too early, behind row {num_rows}") from error
            return
        num_rows += 1
        yield _checked(value)


def _text_rows(file: io.BufferedReader) -> Iterator[dict[str, Any] | BadRow]:
    source = _Text(file)
    text = ""
    while piece := source.read(PIECE_CHARS):
        text += piece
        while len(text) > PIECE_CHARS:
            cut = max(0, text.rfind("\n\n", 0, PIECE_CHARS)) or PIECE_CHARS
            yield {"text": text[:cut]}
            text = text[cut:].lstrip("\n")
    if text:
        yield {"text": text}
    source.require_whole()
