"""Token shards: documents as one stream of token ids on disk, an end-of-sequence token after each, read by memory map.

    folder/
      shard-00000.bin     token ids, uint16 or uint32, little-endian
      shard-00000.json    vocabulary size, eos token, counts, and a row a document: url, archive, offset, start, sizes
      shard-00001.bin ...

A shard exists once its .json is there (written last); an interrupted writer leaves no half shard.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from mathwright.errors import MathwrightError
from mathwright.run import write_json

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardDocument:
    """A document in a shard."""

    url: str
    archive: str
    offset: int
    """Byte offset of the page's record in the archive."""
    start: int
    """Position of its first token in the whole of the shards."""
    num_tokens: int
    """The end-of-sequence token after it included."""
    num_bytes: int
    """UTF-8 bytes of its text."""


class ShardWriter:
    """Writes documents to a folder of shards; use it as a context manager."""

    def __init__(self, folder: str | Path, *, vocab_size: int, eos_token: int, shard_tokens: int = 1 << 27) -> None:
        """Raises ValueError where the eos token is not in the vocabulary, MathwrightError where shards are there."""
        if not 0 <= eos_token < vocab_size:
            raise ValueError(f"eos_token is {eos_token}; it must be in 0..{vocab_size - 1}")
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.glob("shard-*.json")):
            raise MathwrightError(f"{folder} holds shards already", hint="choose another folder, or remove them")
        self.num_documents = 0
        self.num_tokens = 0
        self.num_bytes = 0
        self._vocab_size, self._eos, self._shard_tokens = vocab_size, eos_token, shard_tokens
        self._dtype = np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")
        self._number = 0
        self._file: BinaryIO | None = None
        self._documents: list[dict[str, Any]] = []
        self._written = 0

    def write(
        self, tokens: Sequence[int], *, num_bytes: int, url: str = "", archive: str = "", offset: int = -1
    ) -> None:
        """Append a document; `tokens` come without an end token. Raises ValueError for an id not in the vocabulary."""
        array = np.array([*tokens, self._eos], dtype=np.int64)
        if array.min() < 0 or array.max() >= self._vocab_size:
            raise ValueError(f"token {array.max()} of {url!r} is not in 0..{self._vocab_size - 1}")
        if self._file is None:
            self._file = self._path(".bin.partial").open("wb")
        self._file.write(array.astype(self._dtype).tobytes())
        self._documents.append(
            {
                "url": url,
                "archive": archive,
                "offset": offset,
                "start": self._written,
                "num_tokens": len(array),
                "num_bytes": num_bytes,
            }
        )
        self._written += len(array)
        self.num_documents += 1
        self.num_tokens += len(array)
        self.num_bytes += num_bytes
        if self._written >= self._shard_tokens:
            self._close_shard()

    def _path(self, suffix: str) -> Path:
        return self.folder / f"shard-{self._number:05d}{suffix}"

    def _close_shard(self) -> None:
        if self._file is None:
            return
        self._file.close()
        self._path(".bin.partial").replace(self._path(".bin"))
        index = {
            "format": FORMAT,
            "dtype": self._dtype.name,
            "vocab_size": self._vocab_size,
            "eos_token": self._eos,
            "num_tokens": self._written,
            "num_bytes": sum(document["num_bytes"] for document in self._documents),
            "documents": self._documents,
        }
        write_json(self._path(".json"), index)
        self._file, self._documents, self._written = None, [], 0
        self._number += 1

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._close_shard()
        elif self._file is not None:
            self._file.close()


class TokenShards:
    """The shards of a folder as one stream of tokens; nothing but the index is held in memory."""

    def __init__(self, folder: str | Path) -> None:
        """Raises MathwrightError where there are no shards, or where index and tokens do not agree."""
        self.folder = Path(folder)
        paths = sorted(self.folder.glob("shard-*.json"))
        if not paths:
            raise MathwrightError(f"{folder}: no token shards", hint="run the corpus stage, or check the path")
        self._names = [path.stem for path in paths]
        self._indexes = [_read_index(path) for path in paths]
        self._arrays = [_map_tokens(path, index) for path, index in zip(paths, self._indexes, strict=True)]
        first = self._indexes[0]
        for path, index in zip(paths, self._indexes, strict=True):
            if (index["vocab_size"], index["eos_token"]) != (first["vocab_size"], first["eos_token"]):
                raise MathwrightError(f"{path}: another tokenizer than {paths[0]}", hint="tokenise the corpus again")
        self.vocab_size: int = first["vocab_size"]
        self.eos_token: int = first["eos_token"]
        self.num_bytes: int = sum(index["num_bytes"] for index in self._indexes)
        """UTF-8 bytes of all texts: the denominator of bits per byte."""
        self._shard_starts = np.cumsum([0, *(len(array) for array in self._arrays)]).tolist()
        self.num_tokens: int = self._shard_starts[-1]
        self.document_starts = np.concatenate(
            [
                np.array([document["start"] for document in index["documents"]], dtype=np.int64) + start
                for start, index in zip(self._shard_starts, self._indexes, strict=False)
            ]
        )
        """[D] position of the first token of each document, ascending."""

    def shard_range(self, name: str) -> tuple[int, int]:
        """Position of the first token of one shard (`shard-00001`) and its number of tokens. Raises MathwrightError."""
        if name not in self._names:
            raise MathwrightError(f"{self.folder}: no shard {name}", hint=f"there are {', '.join(self._names)}")
        shard = self._names.index(name)
        return self._shard_starts[shard], len(self._arrays[shard])

    @property
    def num_documents(self) -> int:
        return len(self.document_starts)

    def read(self, start: int, length: int) -> np.ndarray:
        """Tokens [length] from position `start` on, int64. Raises IndexError outside 0..num_tokens."""
        if start < 0 or length < 0 or start + length > self.num_tokens:
            raise IndexError(f"tokens {start}..{start + length} of {self.num_tokens}")
        parts: list[np.ndarray] = []
        shard = bisect_right(self._shard_starts, start) - 1
        while length > 0:
            inside = start - self._shard_starts[shard]
            part = self._arrays[shard][inside : inside + length]
            parts.append(part.astype(np.int64))
            start, length, shard = start + len(part), length - len(part), shard + 1
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def document(self, number: int) -> ShardDocument:
        """The document of that number, 0..num_documents-1."""
        start = int(self.document_starts[number])
        shard = bisect_right(self._shard_starts, start) - 1
        rows = self._indexes[shard]["documents"]
        first = int(np.searchsorted(self.document_starts, self._shard_starts[shard]))
        return ShardDocument(**{**rows[number - first], "start": start})

    def documents(self) -> Iterator[ShardDocument]:
        """All documents in order."""
        return map(self.document, range(self.num_documents))

    def document_at(self, position: int) -> ShardDocument:
        """The document that a token position belongs to. Raises IndexError outside 0..num_tokens-1."""
        if not 0 <= position < self.num_tokens:
            raise IndexError(f"token {position} of {self.num_tokens}")
        return self.document(int(np.searchsorted(self.document_starts, position, side="right")) - 1)


def _read_index(path: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise MathwrightError(f"{path}: not JSON: {error}", hint="tokenise the corpus again") from error
    if index.get("format") != FORMAT:
        raise MathwrightError(
            f"{path}: shard format {index.get('format')}, this version reads {FORMAT}", hint="tokenise the corpus again"
        )
    return index


def _map_tokens(path: Path, index: dict[str, Any]) -> np.ndarray:
    tokens = path.with_suffix(".bin")
    dtype = np.dtype(index["dtype"]).newbyteorder("<")
    size = tokens.stat().st_size if tokens.is_file() else 0
    if size != index["num_tokens"] * dtype.itemsize:
        raise MathwrightError(
            f"{tokens}: {size} bytes, the index says {index['num_tokens'] * dtype.itemsize}",
            hint="the shard was cut short or mixed up; tokenise the corpus again",
        )
    return np.memmap(tokens, dtype=dtype, mode="r")
