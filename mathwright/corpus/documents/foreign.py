"""Corpora that others made: the texts of Parquet, JSONL and text files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from mathwright.corpus.documents.compute import open_documents, read_rows
from mathwright.errors import MathwrightError
from mathwright.files import files_below
from mathwright.problems import rows as jsonl
from mathwright.unpack import DamagedFileError, open_text, packed

SUFFIXES = (".parquet", *packed(".jsonl", ".txt", ".md"))
"""Files that `read_corpus` takes from a folder."""
PIECE_CHARS = 1 << 20
"""Plain text is read in pieces of about so many characters, so that a corpus may be one file."""
OVERLAP_CHARS = 1 << 14
"""Characters at the end of a piece that the next one begins with again: more than any question is long."""


def read_corpus(corpus: Path) -> Iterator[tuple[str, str]]:
    """(url, text) of each document of a file, or of all files below a folder in the order of their paths.

    Parquet with a column `text`, JSON lines with a field `text`, or plain text (.txt, .md), whose pieces overlap; the
    latter two packed (`mathwright.unpack`) or not. The url is the document's `url` or `id`, else file and line. Raises
    MathwrightError, naming file and line, for a corpus that is not there, holds no such file, or has a document without
    text.
    """
    if not corpus.exists():
        raise MathwrightError(
            f"{corpus}: no such corpus", hint="give a Parquet, JSONL or text file, or a folder of them"
        )
    files = sorted(p for p in files_below(corpus) if _is_text_file(p)) if corpus.is_dir() else [corpus]
    if not files or not all(map(_is_text_file, files)):
        raise MathwrightError(f"{corpus}: no corpus file", hint=f"files that are read: {', '.join(SUFFIXES)}")
    for path in files:
        if path.name.endswith(".parquet"):
            yield from _parquet_texts(path)
        elif path.name.endswith(packed(".jsonl")):
            yield from _jsonl_texts(path)
        else:
            yield from _plain_texts(path)


def _is_text_file(path: Path) -> bool:
    return path.is_file() and path.name.endswith(SUFFIXES)


def _parquet_texts(path: Path) -> Iterator[tuple[str, str]]:
    names = open_documents(path).schema_arrow.names
    if "text" not in names:
        raise MathwrightError(f"{path}: no column `text`", hint=f"its columns are {', '.join(names)}")
    try:
        for number, row in enumerate(read_rows(path, [name for name in ("url", "id", "text") if name in names])):
            yield str(row.get("url") or row.get("id") or f"{path}:{number}"), row["text"] or ""
    except (pa.ArrowInvalid, OSError) as error:
        raise MathwrightError(f"{path}: damaged: {error}", hint="download it again") from error


def _jsonl_texts(path: Path) -> Iterator[tuple[str, str]]:
    for number, row in jsonl.read_rows(path):
        text = row.get("text")
        if not isinstance(text, str):
            raise MathwrightError(
                f"{path}:{number}: no field `text`", hint="each line of a corpus is an object with its text"
            )
        yield str(row.get("url") or row.get("id") or f"{path}:{number}"), text


def _plain_texts(path: Path) -> Iterator[tuple[str, str]]:
    """A text file in pieces; bytes that are no UTF-8 do not hide what stands around them."""
    tail = ""
    try:
        with open_text(path, errors="replace") as file:
            while piece := file.read(PIECE_CHARS):
                yield str(path), tail + piece
                tail = (tail + piece)[-OVERLAP_CHARS:]
    except DamagedFileError as error:
        raise MathwrightError(f"{path}: {error}", hint="download it again") from error
