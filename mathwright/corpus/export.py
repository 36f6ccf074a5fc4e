"""A corpus as one file for other tools: `mathwright corpus export`, its fields described in docs/corpora.md."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.corpus.documents.compute import BATCH_BYTES, BATCH_ROWS, open_documents, read_rows
from mathwright.corpus.importing.near import documents_files
from mathwright.corpus.mining.state import collected_scores
from mathwright.errors import MathwrightError
from mathwright.files import atomic
from mathwright.lines import json_text
from mathwright.run import read_manifest

FIELDS: Mapping[str, pa.DataType] = {
    "url": pa.string(),
    "title": pa.string(),
    "text": pa.string(),
    "score": pa.float64(),
    "notation": pa.string(),
    "num_words": pa.int64(),
    "num_bytes": pa.int64(),
    "date": pa.string(),
    "archive": pa.string(),
    "offset": pa.int64(),
    "digest": pa.string(),
    "problem": pa.string(),
    "metadata": pa.string(),
}
"""Fields of a document in their order, each with its type in Parquet."""
JSON_FIELDS = ("notation", "metadata")
"""JSON in a string in Parquet; in JSON lines the value itself."""
ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")

Row = dict[str, Any]
Write = Callable[[Row], None]


def export(
    corpus: Path, target: Path, *, fields: Sequence[str] = (), overwrite: bool = False, advance: Write | None = None
) -> int:
    """Write the documents of a corpus to one file; returns how many. Memory does not grow with them.

    The file has its name only once it is whole.

    Args:
        corpus: a run whose corpus stage has finished, its corpus folder, a folder that `corpus import` has written, or
            a documents file.
        target: .jsonl, .jsonl.gz, .jsonl.zst or .parquet.
        fields: names out of FIELDS; all that the corpus has by default.
        overwrite: replace a file that is there.
        advance: called with each row once it is written.

    Raises MathwrightError for a corpus that is not there or has not finished, for an unknown field or ending, and for a
    target that exists; one that is a file of the corpus is never replaced.
    """
    writer = _writer(target)
    folder = _folder(corpus)
    files = documents_files(folder)
    names = _fields(files, fields, has_scores=_classifier(folder) is not None)
    if target.is_dir():
        raise MathwrightError(f"{target} is a folder, where a file is needed", hint=f"--out {target}/corpus.jsonl.zst")
    if target.exists() and target.resolve().is_relative_to(folder.resolve()):
        raise MathwrightError(f"{target} is a file of the corpus itself", hint="choose another --out")
    if target.exists() and not overwrite:
        raise MathwrightError(f"{target} is there already", hint="choose another --out, or say --overwrite")
    count = 0
    with atomic(target) as partial, writer(partial, names) as write:
        for row in _rows(folder, files, names):
            write(row)
            count += 1
            if advance is not None:
                advance(row)
    return count


# --- what is read ---------------------------------------------------------------------------------


def _folder(corpus: Path) -> Path:
    """Where the documents are. Raises MathwrightError for a run or an import that has not come to them."""
    if not corpus.exists():
        raise MathwrightError(f"{corpus}: no such file or folder", hint="name a run, or a folder of `corpus import`")
    folder = corpus / "corpus" if (corpus / "recipe.json").is_file() else corpus
    if folder.is_dir() and read_manifest(folder) is None and (folder != corpus or (folder / "begun.json").is_file()):
        raise MathwrightError(f"the corpus of {corpus} has not finished", hint="give the command that makes it again")
    return folder


def _classifier(folder: Path) -> Path | None:
    """The folder of the last iteration of a corpus that was mined."""
    manifest = read_manifest(folder) if folder.is_dir() else None
    place = manifest["outputs"].get("classifier") if manifest is not None else None
    return folder.parent / place if place is not None else None


def _fields(files: Sequence[Path], asked: Sequence[str], *, has_scores: bool) -> list[str]:
    there = set.intersection(*(set(open_documents(file).schema_arrow.names) for file in files))
    known = [name for name in FIELDS if name in there or (name == "score" and has_scores)]
    if unknown := [name for name in asked if name not in known]:
        raise MathwrightError(f"the corpus has no field {unknown[0]!r}", hint=f"it has {', '.join(known)}")
    return list(dict.fromkeys(asked)) or known


def _rows(folder: Path, files: Sequence[Path], names: Sequence[str]) -> Iterator[Row]:
    stored = [name for name in names if name != "score"]
    classifier = _classifier(folder)
    if "score" not in names or classifier is None:
        for file in files:
            yield from read_rows(file, stored)
        return
    scores = collected_scores(classifier)
    for file in files:
        for row in read_rows(file, list({*stored, "url"})):
            yield {**row, "score": _score_of(row["url"], scores, classifier)}


def _score_of(url: str, scores: Iterator[tuple[str, float]], classifier: Path) -> float:
    """Documents stand in the order in which pages were ranked, those that were dropped since left out."""
    for page, score in scores:
        if page == url:
            return score
    raise MathwrightError(
        f"{classifier} has no score of {url}: it belongs to other documents", hint="make the corpus again"
    )


# --- what is written ------------------------------------------------------------------------------


def _writer(target: Path) -> Callable[[Path, Sequence[str]], AbstractContextManager[Write]]:
    if target.name.endswith(".parquet"):
        return _parquet
    for ending, opened in (
        (".jsonl", lambda path: path.open("wb")),
        (".jsonl.gz", lambda path: gzip.GzipFile(path, "wb", mtime=0)),
        (".jsonl.zst", lambda path: pa.CompressedOutputStream(str(path), "zstd")),
    ):
        if target.name.endswith(ending):
            return lambda path, names, opened=opened: _json_lines(opened(path), names)
    raise MathwrightError(f"{target}: no known ending", hint=f"--out with one of {', '.join(ENDINGS)}")


@contextmanager
def _json_lines(file: Any, names: Sequence[str]) -> Iterator[Write]:
    with file, io.BufferedWriter(_Raw(file), BATCH_BYTES // 8) as lines:

        def write(row: Row) -> None:
            lines.write((json_text({name: _plain(name, row[name]) for name in names}) + "\n").encode())

        yield write


class _Raw(io.RawIOBase):
    """What compresses, without a call a line."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(bytes(data))
        return len(data)


def _plain(name: str, value: Any) -> Any:
    return json.loads(value) if name in JSON_FIELDS and value else value


@contextmanager
def _parquet(path: Path, names: Sequence[str]) -> Iterator[Write]:
    schema = pa.schema([(name, FIELDS[name]) for name in names])
    rows: list[Row] = []
    num_bytes = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as file:

        def write(row: Row) -> None:
            nonlocal num_bytes
            rows.append({name: row[name] for name in names})
            num_bytes += len(row.get("text") or "")
            if len(rows) >= BATCH_ROWS or num_bytes >= BATCH_BYTES:
                flush()

        def flush() -> None:
            nonlocal num_bytes
            file.write_table(pa.Table.from_pylist(rows, schema=schema))
            rows.clear()
            num_bytes = 0

        yield write
        if rows:
            flush()
