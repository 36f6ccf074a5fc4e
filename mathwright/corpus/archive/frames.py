"""What archive files are made of: plain bytes, or compressed frames (gzip members, LZ4 and Zstandard frames).

FastWARC's decompressors do the work. This module adds what a damaged archive needs: where a frame begins and ends,
and whether all of it is sound.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from fastwarc.stream_io import GzipReader, Lz4Reader, ZstdReader

GZIP_MAGIC = b"\x1f\x8b\x08"
LZ4_MAGIC = b"\x04\x22\x4d\x18"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_READERS = {GZIP_MAGIC: GzipReader, LZ4_MAGIC: Lz4Reader, ZSTD_MAGIC: ZstdReader}
MAGICS = tuple(_READERS)
PIECE_BYTES = 64 << 10
"""How much is read at a time. FastWARC's decompressors are fastest with pieces of this size."""
_FIRST_PIECE_BYTES = 1 << 10
_SEARCH_BYTES = 1 << 20
_FIRST_SEARCH_BYTES = 16 << 10
"""The first piece of a search; the next are each twice as large, up to _SEARCH_BYTES."""
SEARCH_OVERLAP = 8 << 10
"""Longest match that a search over pieces must not miss: the header line of an ARC record."""


class EffortSpentError(Exception):
    """More bytes were about to be read than may be spent on what is looked for."""


class ArchiveFile:
    """An archive that is read at any place. Read, not mapped: mapped pages count as memory of the process."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        self.visited = 0
        """Bytes read so far, of the file and out of its frames, each time they are read."""
        self.furthest = 0
        """The furthest position reached in a stream of frames: so much the archive holds at least."""
        self.limit: int | None = None
        """Where `visited` may not go now."""
        self.memo: dict[Any, Any] = {}
        """What was found out about the archive, by whoever wants to keep it."""

    def read(self, start: int, size: int) -> bytes:
        self._file.seek(start)
        piece = self._file.read(max(0, size))
        self.visit(len(piece))
        return piece

    def visit(self, size: int) -> None:
        """Note that so many bytes were read. Raises EffortSpentError beyond `limit`."""
        self.visited += size
        if self.limit is not None and self.visited > self.limit:
            raise EffortSpentError

    def find(self, pattern: re.Pattern[bytes], start: int, stop: int | None = None) -> Iterator[int]:
        """Offsets at or behind `start`, and before `stop`, where the pattern matches, in order."""
        stop = self.size if stop is None else min(stop, self.size)
        size = _FIRST_SEARCH_BYTES
        while start < stop:
            piece = self.read(start, size + SEARCH_OVERLAP)
            length = min(size, stop - start)
            size = min(2 * size, _SEARCH_BYTES)
            for match in pattern.finditer(piece):
                if match.start() >= length:
                    break
                yield start + match.start()
            start += length

    def is_blank(self, start: int, stop: int) -> bool:
        """Whether nothing but line ends, spaces and zero bytes lie there: padding, not damage."""
        for at in range(start, stop, _SEARCH_BYTES):
            if self.read(at, min(_SEARCH_BYTES, stop - at)).strip(b"\r\n\0 "):
                return False
        return True


class _Window:
    """The archive from `start` on, up to `stop`, as a file for FastWARC."""

    def __init__(self, archive: ArchiveFile, start: int, stop: int) -> None:
        self._archive = archive
        self._start = start
        self._stop = stop
        self._position = start
        self._step = _FIRST_PIECE_BYTES

    def read(self, size: int = -1) -> bytes:
        """As asked for, but less at first: many frames are opened and found to hold nothing after a few bytes."""
        left = self._stop - self._position
        piece = self._archive.read(self._position, left if size < 0 else min(size, left, self._step))
        self._step = min(2 * self._step, PIECE_BYTES)
        self._position += len(piece)
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._start, io.SEEK_CUR: self._position, io.SEEK_END: self._stop}[whence]
        self._position = min(max(base + offset, self._start), self._stop)
        return self.tell()

    def tell(self) -> int:
        return self._position - self._start

    def close(self) -> None:
        """The archive stays open: whoever opened it closes it."""


def compression_at(archive: ArchiveFile, start: int) -> bytes:
    """The magic number of the compressed frame that starts there; b"" where none does."""
    head = archive.read(start, 4)
    return next((magic for magic in _READERS if head.startswith(magic)), b"")


def open_frames(
    archive: ArchiveFile, start: int, magic: bytes, stop: int | None = None
) -> GzipReader | Lz4Reader | ZstdReader:
    """The frames from `start` on (the magic number says of which kind) as one stream of what they hold."""
    return _READERS[magic](_Window(archive, start, archive.size if stop is None else stop), PIECE_BYTES)


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a frame goes as its own structure has it, whatever its checksum says."""

    end: int | None
    """Offset behind it; None where the structure breaks or the file ends first."""
    is_cut: bool
    """Whether the file ends inside the frame, which is sound as far as it goes."""
    content_size: int | None = None
    """Bytes that it holds, where that is known."""


def frame_extent(archive: ArchiveFile, start: int) -> Extent:
    """Extent of the frame at `start`; Extent(None, False) where none begins."""
    known = archive.memo.get("extent")
    if known is None or known[0] != start:
        magic = compression_at(archive, start)
        known = start, _EXTENTS[magic](archive, start) if magic else Extent(None, False)
        archive.memo["extent"] = known
    return known[1]


def sound_frame_end(archive: ArchiveFile, start: int) -> int | None:
    """Offset behind the frame at `start` if all of it decompresses and its checksum is right; else None."""
    end = frame_extent(archive, start).end
    if end is None:
        return None
    reader = open_frames(archive, start, compression_at(archive, start), end)
    try:
        while piece := reader.read(PIECE_BYTES):
            archive.visit(len(piece))
    except OSError:
        return None
    return end


def _gzip_extent(archive: ArchiveFile, start: int) -> Extent:
    # Bare deflate: with its header zlib would stop at a wrong checksum and not say where the member ends.
    inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    position = start + _gzip_header_size(archive, start)
    size = _FIRST_PIECE_BYTES
    content_size = 0
    try:
        while position < archive.size and not inflate.eof:
            data = archive.read(position, size)
            size = min(2 * size, PIECE_BYTES)
            position += len(data)
            while data and not inflate.eof:
                content = len(inflate.decompress(data, 4 * PIECE_BYTES))
                archive.visit(content)
                content_size += content
                data = inflate.unconsumed_tail
    except zlib.error:
        return Extent(None, False)
    if not inflate.eof:
        return Extent(None, True)
    return replace(_extent(archive, position - len(inflate.unused_data) + 8), content_size=content_size)


def _gzip_header_size(archive: ArchiveFile, start: int) -> int:
    """Size of a gzip header with its optional fields (RFC 1952)."""
    head = archive.read(start, 10)
    if len(head) < 10:
        return len(head)
    if head[3] & 0b11100:
        head = archive.read(start, PIECE_BYTES)
    flags, size = head[3], 10
    if flags & 4:
        size += 2 + int.from_bytes(head[size : size + 2], "little")
    for flag in (8, 16):  # file name, comment: each up to a zero byte
        if flags & flag:
            size = head.find(b"\0", size) + 1 or len(head)
    return size + (2 if flags & 2 else 0)


def _lz4_extent(archive: ArchiveFile, start: int) -> Extent:
    """Walks over the blocks, which name their sizes (LZ4 frame format 1.6)."""
    flags = int.from_bytes(archive.read(start + 4, 1), "little")
    position = start + 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
    while position + 4 <= archive.size:
        size = int.from_bytes(archive.read(position, 4), "little") & 0x7FFFFFFF
        position += 4
        if size == 0:  # the end mark, and the checksum of the content
            return _extent(archive, position + (4 if flags & 0x04 else 0))
        position += size + (4 if flags & 0x10 else 0)
    return Extent(None, True)


def _zstd_extent(archive: ArchiveFile, start: int) -> Extent:
    """Walks over the blocks, which name their sizes (RFC 8878)."""
    flags = int.from_bytes(archive.read(start + 4, 1), "little")
    single_segment = bool(flags & 0x20)
    content_size = (1 if single_segment else 0, 2, 4, 8)[flags >> 6]
    position = start + 5 + (0 if single_segment else 1) + (0, 1, 2, 4)[flags & 3] + content_size
    while position + 3 <= archive.size:
        header = int.from_bytes(archive.read(position, 3), "little")
        is_last, kind, size = header & 1, header >> 1 & 3, header >> 3
        position += 3 + (1 if kind == 1 else size)  # a run-length block is one byte
        if is_last:
            return _extent(archive, position + (4 if flags & 0x04 else 0))
    return Extent(None, True)


def _extent(archive: ArchiveFile, end: int) -> Extent:
    return Extent(end, False) if end <= archive.size else Extent(None, True)


_EXTENTS = {GZIP_MAGIC: _gzip_extent, LZ4_MAGIC: _lz4_extent, ZSTD_MAGIC: _zstd_extent}
