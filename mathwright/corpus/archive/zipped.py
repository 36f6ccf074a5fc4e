"""Archives in a zip file, as a WACZ holds them beside its index and its list of pages."""

from __future__ import annotations

import io
import lzma
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from mathwright.corpus.archive.frames import ArchiveFile

ZIP_MAGIC = b"PK\x03\x04"
MAX_DIRECTORY_BYTES = 16 << 20
"""zipfile keeps ten times as much in memory. A WACZ has a few dozen members of a hundred bytes each."""
MAX_RATIO = 100
MAX_SMALL_BYTES = 1 << 30
"""A member that inflates to more than this, and to so many times its size, is not unpacked: text does not, bombs do."""

_ENDINGS = tuple(
    kind + compression for kind in (".warc", ".warc.wet", ".arc") for compression in ("", ".gz", ".zst", ".lz4")
)
_PIECE_BYTES = 16 << 10
"""An error takes with it all that was read at once."""
_DAMAGED = (zipfile.BadZipFile, struct.error, NotImplementedError, OverflowError, ValueError, OSError)
"""What zipfile raises where the directory is damaged."""
_UNREADABLE = (*_DAMAGED, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
"""What zipfile raises where a member is damaged, encrypted or compressed in a way it does not know."""


@dataclass(frozen=True, slots=True)
class Part:
    """One of the archives in a file; as a rule the file itself."""

    archive: ArchiveFile
    offset: int = 0
    """Where it begins in the file."""
    end: int | None = None
    """Where it ends, of one in a zip file."""
    is_packed: bool = False
    """Whether it is compressed once more, so that nothing in it has a place of its own in the file."""
    problem: str = ""
    """Why it is not there to its end."""

    def place(self, offset: int) -> int:
        """Where in the file lies what lies there in the archive; all of a packed archive where that begins."""
        return self.offset + (0 if self.is_packed else offset)


def parts_of(file: BinaryIO, start: int = 0) -> Iterator[Part]:
    """The archives in a file that reach beyond `start`, in order: those in a zip file, or the file as one.

    A zip file whose directory is lost or has no archive is read as it stands, and so its members, where they are stored
    as they are.
    """
    members = _members(file)
    if not members:
        yield Part(ArchiveFile(file))
    for member in members:
        begin, end = _extent(file, member)
        if member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1:
            if end > start:
                yield Part(ArchiveFile(cast(BinaryIO, _Slice(file, begin, end))), begin, end)
        elif start <= member.header_offset:
            yield from _unpacked(file, member, end)


def _members(file: BinaryIO) -> list[zipfile.ZipInfo]:
    file.seek(0)
    if file.read(4) != ZIP_MAGIC or _directory_size(file) > MAX_DIRECTORY_BYTES:
        return []
    try:
        with zipfile.ZipFile(file) as archive:
            found = [member for member in archive.infolist() if member.filename.lower().endswith(_ENDINGS)]
    except _DAMAGED:
        return []
    found = [member for member in found if member.header_offset >= 0]  # else the directory is damaged
    return sorted(found, key=lambda member: member.header_offset)


def _directory_size(file: BinaryIO) -> int:
    """Bytes of the directory at the end of a zip file, as its last record has it; 0 where that is lost."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - (66 << 10)))
    tail = file.read()
    last = tail.rfind(b"PK\x05\x06")
    if last < 0:
        return 0
    directory_size = int.from_bytes(tail[last + 12 : last + 16], "little")
    if tail[last - 20 : last - 16] == b"PK\x06\x07":  # zip64: its own record says where another one is
        file.seek(min(size, int.from_bytes(tail[last - 12 : last - 4], "little")))
        directory_size = max(directory_size % 0xFFFFFFFF, int.from_bytes(file.read(56)[40:48], "little"))
    return directory_size


def _extent(file: BinaryIO, member: zipfile.ZipInfo) -> tuple[int, int]:
    """Where the data of a member begins and ends: behind its own header, which may differ from the directory's."""
    file.seek(member.header_offset + 26)
    sizes = file.read(4)
    begin = member.header_offset + 30 + int.from_bytes(sizes[:2], "little") + int.from_bytes(sizes[2:], "little")
    return begin, begin + member.compress_size


def _unpacked(file: BinaryIO, member: zipfile.ZipInfo, end: int) -> Iterator[Part]:
    """A compressed member, in a temporary file: records are read at any place of an archive."""
    with tempfile.TemporaryFile(prefix="mathwright-") as copy:
        problem = ""
        if member.file_size > max(MAX_SMALL_BYTES, MAX_RATIO * member.compress_size):
            problem = f"a member of a zip file that is {MAX_RATIO} times as large unpacked: unzip it yourself"
        else:
            try:
                with zipfile.ZipFile(file) as archive, archive.open(member) as packed:
                    while piece := cast(zipfile.ZipExtFile, packed).read1(_PIECE_BYTES):
                        copy.write(piece)
            except _UNREADABLE as error:
                problem = f"a member of a zip file that cannot be unpacked: {error}"
        yield Part(ArchiveFile(copy), member.header_offset, end, is_packed=True, problem=problem)


class _Slice(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, file: BinaryIO, begin: int, end: int) -> None:
        self._file, self._begin, self._end, self._position = file, begin, end, begin
        self._end = max(begin, min(end, file.seek(0, io.SEEK_END)))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._begin, io.SEEK_CUR: self._position, io.SEEK_END: self._end}[whence]
        self._position = max(self._begin, base + offset)
        return self._position - self._begin

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._position)
        self._file.seek(self._position)
        piece = self._file.read(left if size < 0 else min(size, left))
        self._position += len(piece)
        return piece
