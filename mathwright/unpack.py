"""The bytes of a file that may be packed: gzip, zstd (of several frames), bzip2 or xz, told by its first bytes.

Names are not asked, since they lie. Of a damaged file all bytes before the damage can be had.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError

ENDINGS = ("", ".gz", ".zst", ".zstd", ".bz2", ".xz")
"""How the names of packed files end, plain ones first."""
_MAGIC = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),  # the latter: a frame without data
    "bz2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17\x72\x45\x38\x50\x90)"),  # a text may begin with BZh
    "xz": re.compile(rb"\xfd7zXZ\x00"),
}
PARQUET, ARROW_FILE, ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
"""How tables begin, which are packed inside; `datasets` saves Arrow streams."""
HEAD_BYTES = 10
"""That tell what a file is."""
_DAMAGE = (OSError, EOFError, lzma.LZMAError, zlib.error)


class DamagedFileError(Exception):
    """A file that cannot be read, or not to its end; the message says why."""


def packed(*suffixes: str) -> tuple[str, ...]:
    """Endings of names with each ending of a packing: packed(".jsonl") has .jsonl, .jsonl.gz, .jsonl.zst, ..."""
    return tuple(suffix + ending for suffix in suffixes for ending in ENDINGS)


def without_ending(name: str) -> str:
    """A file's name without the ending of its packing."""
    return next((name.removesuffix(ending) for ending in ENDINGS[1:] if name.endswith(ending)), name)


def compression_of(head: bytes) -> str:
    """gzip, zstd, bz2, xz or "" (none), by the first bytes of a file."""
    return next((name for name, magic in _MAGIC.items() if magic.match(head)), "")


def open_bytes(path: Path, compression: str | None = None) -> io.BufferedReader:
    """A file unpacked, where it is packed at all. Reading raises DamagedFileError behind the last byte before damage.

    compression: as `compression_of` says; None to look. Raises MathwrightError for zstd where pyarrow is missing.
    """
    if compression is None:
        with path.open("rb") as file:
            compression = compression_of(file.read(HEAD_BYTES))
    return path.open("rb") if not compression else io.BufferedReader(_Unpacked(path, compression))


@contextmanager
def open_text(path: Path, *, newline: str | None = None, errors: str = "strict") -> Iterator[io.TextIOWrapper]:
    """The same as text in UTF-8, without a byte order mark. Raises what `open_bytes` does, and UnicodeDecodeError."""
    with open_bytes(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline=newline, errors=errors) as text:
        yield text


class _Unpacked(io.RawIOBase):
    """A packed file as bytes."""

    def __init__(self, path: Path, compression: str) -> None:
        self._path, self._compression = path, compression
        self._stream = self._unpack()
        self._position = 0
        self._rest: io.BytesIO | None = None
        """What could still be had before the damage, once that is met."""
        self._damage = ""

    def _unpack(self) -> Any:
        if self._compression == "xz":
            return lzma.open(self._path)
        try:
            import pyarrow as pa  # several times as fast as Python's, and the only one of zstd
        except ImportError:
            if self._compression == "zstd":
                raise MathwrightError(
                    f"{self._path}: needs the package pyarrow", hint="pip install 'mathwright[corpus]'"
                ) from None
            return (gzip if self._compression == "gzip" else bz2).open(self._path)
        # pyarrow's reader takes several frames or members, and skips frames without data
        return pa.CompressedInputStream(pa.OSFile(str(self._path)), self._compression)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._rest is None:
            try:
                data = self._stream.read(len(buffer))
                buffer[: len(data)] = data
                self._position += len(data)
                return len(data)
            except _DAMAGE as error:
                self._damage = str(error)
                self._rest = io.BytesIO(self._before_damage(len(buffer)))
        num = self._rest.readinto(buffer)
        if num == 0:
            raise DamagedFileError(f"damaged {self._compression}: {self._damage}")
        return num

    def _before_damage(self, asked: int) -> bytes:
        """The bytes of the read that failed, one by one from a second reader at the same place."""
        again = self._unpack()
        left = self._position
        while left:
            left -= len(again.read(min(left, 1 << 20)))
        found = bytearray()
        with suppress(*_DAMAGE):
            while len(found) < asked and (byte := again.read(1)):
                found += byte
        return bytes(found)
