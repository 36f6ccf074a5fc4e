"""Intact records of an archive, one after the other, and how it is known that they are intact."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mathwright.corpus.archive.frames import (
    PIECE_BYTES,
    SEARCH_OVERLAP,
    ArchiveFile,
    compression_at,
    frame_extent,
    sound_frame_end,
)
from mathwright.corpus.archive.grammar import MAX_HEADER_BYTES, Grammar, RecordHeader
from mathwright.corpus.archive.stream import FIRST_STEP, PLAIN_STEP, ArchiveStream

_TAIL_BYTES = 64
_MISCOUNTED = 11
"""So far before the end that a length names, or a few bytes behind it, a record may end where another begins for sure.

Less than four line ends and the beginning of a header, so that what is left of that shows behind the end.
"""
_TRUE_END = re.compile(rb"\r\n\r\n(?=WARC/[01]\.|\Z)")
_CUT_SHORT = re.compile(rb"([^\r\n]{1,5})\r\n\r\n(?=WARC/[01]\.|\Z)")
_OVER = re.compile(rb"\r\n\r\n(W(?:A(?:R(?:C(?:/(?:[01]\.?)?)?)?)?)?)\Z")


class Block(NamedTuple):
    """The content of a record, in two pieces, to copy it less often."""

    head: bytes
    """Up to the first empty line, if there is one soon, and a little more."""
    rest: bytes

    def behind(self, start: int) -> bytes:
        """The content from `start` on, which must lie in the head."""
        return self.head[start:] + self.rest if start < len(self.head) else self.rest

    def end(self, size: int) -> bytes:
        """The last bytes of the content."""
        return self.rest[-size:] if len(self.rest) >= size else self.behind(0)[-size:]

    def holds_record(self) -> bool:
        """Whether something like a record begins in the block, behind an empty line as records do, and ends in it."""
        return self.behind(0).find(b"\r\n\r\nWARC/", 0, -_MISCOUNTED) >= 0

    def without(self, size: int) -> Block:
        """The block less its last bytes."""
        if len(self.rest) >= size:
            return Block(self.head, self.rest[:-size])
        return Block(self.behind(0)[:-size], b"")


@dataclass(slots=True)
class Record:
    """A record that is intact."""

    offset: int
    """Where reading can begin to get this record: its own offset, or that of the compressed frame that holds it."""
    header: RecordHeader
    block: Block | None
    """What follows the header; None for kinds nobody asked for, and where there is more than may be kept."""


class BadRecordError(Exception):
    """Bytes that are no intact record, in a plain archive or in a frame that can be decompressed."""

    def __init__(self, offset: int, restart: tuple[int, int], in_frame: bool, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.restart = restart
        """Start and skip of a stream that begins with these bytes."""
        self.in_frame = in_frame


class BadFrameError(Exception):
    """Bytes that cannot be decompressed, or that end in the middle of a frame."""

    def __init__(self, offset: int, reason: str, *, behind_frame: bool = False) -> None:
        super().__init__(reason)
        self.offset = offset
        self.behind_frame = behind_frame
        """Whether a sound frame ends there, and no other of its kind begins."""


Bad = BadRecordError | BadFrameError


class Stretch:
    """Records that follow each other without damage."""

    def __init__(
        self,
        archive: ArchiveFile,
        grammar: Grammar,
        wanted: Collection[str],
        stream: ArchiveStream,
        *,
        max_block_bytes: int = 0,
    ) -> None:
        """Blocks of the wanted kinds are kept, but for those of more than `max_block_bytes`."""
        self.archive, self.grammar, self.wanted, self.stream = archive, grammar, wanted, stream
        self.max_block_bytes = max_block_bytes
        self._is_guess = False
        self.ahead: Record | None = None
        """A record that has been read, and that `next_record` will give."""
        self._damage_behind: tuple[int, str] | None = None

    def read_ahead(self) -> bool:
        """Read the record now that `next_record` will give; False at the end, raises as that does."""
        self.guess(True)
        self.ahead = self.next_record()
        self.guess(False)
        return self.ahead is not None

    def guess(self, is_guess: bool) -> None:
        """Whether it is a guess that a record begins here: its header may then not hold the beginning of another."""
        self._is_guess, self.stream.plain_step = is_guess, FIRST_STEP if is_guess else PLAIN_STEP

    def next_record(self) -> Record | None:
        """The next record; None at the end of the archive. Raises BadRecordError or BadFrameError."""
        if self.ahead is not None:
            record, self.ahead = self.ahead, None
            return record
        if self._damage_behind is not None:
            raise BadFrameError(*self._damage_behind, behind_frame=True)
        stream = self.stream
        offset = stream.frame
        try:
            begin = stream.begin_record()
        except OSError as error:
            raise BadFrameError(offset, str(error)) from error
        if begin is None:
            self._check_end()
            return None
        restart = stream.restart()
        try:
            header, block = self._read(begin)
        except OSError as error:
            raise BadFrameError(begin, str(error)) from error
        except ValueError as error:
            raise BadRecordError(begin, restart, bool(stream.magic), str(error)) from error
        return Record(begin, header, block)

    def _read(self, offset: int) -> tuple[RecordHeader, Block | None]:
        """The record that begins here. Raises ValueError where there is none, or not with the length it names."""
        stream = self.stream
        named = header = self.read_header()
        start = stream.restart()
        # Pages are small and as a rule intact: to look ahead of each would cost more than it saves.
        is_looking = self._is_guess or header.length > PIECE_BYTES
        if is_looking and stream.magic:
            self._look_at_next_frame(offset, header.length)
        elif is_looking:
            header = header._replace(length=header.length + self._look_at_end(start[0] + header.length))
        block, is_mended = None, header.length != named.length
        if header.kind in self.wanted and header.length <= self.max_block_bytes:
            head = stream.take_head(header.length)
            block = Block(head, stream.take(header.length - len(head)))
        num_read = stream.skip(header.length) if block is None else len(block.head) + len(block.rest)
        stream.on_crossing = None
        stream.settle()
        if is_mended and (block is None or block.holds_record()):
            raise ValueError("the record does not end where its length says")
        if num_read < header.length:
            reason = f"the file ends {header.length - num_read} bytes before the record does"
            if stream.magic and frame_extent(self.archive, stream.frame).end is None:
                raise OSError(reason)
            raise ValueError(reason)
        has_crossed = bool(stream.magic) and stream.frame != offset
        try:
            if has_crossed and not is_looking:
                self._check_crossing(offset, header.length)
            if self._ends_here():
                return header, block
        except ValueError:
            mended = None if self._is_guess else self._mended(header, block, has_crossed=has_crossed)
            if mended is None:
                raise
            return mended
        # Garbage follows, or the length is wrong and leads to an empty line elsewhere, over other records.
        is_right = _has_digest(block, header.block_digest)
        if is_right is None:
            is_right = not self._has_start(start, header.length)
        if not is_right:
            raise ValueError("a wrong length, to the middle of something else")
        return header, block

    def _look_at_end(self, end: int) -> int:
        """How many bytes the record of a plain archive is longer than its length says, before its block is read.

        Raises ValueError where it cannot end.
        """
        if end > self.archive.size:
            raise ValueError(f"the file ends {end - self.archive.size} bytes before the record does")
        tail = self.archive.read(end - _MISCOUNTED, _MISCOUNTED + _TAIL_BYTES)
        if _can_end(tail[_MISCOUNTED:], self.grammar):
            return 0
        true_end = _TRUE_END.search(tail, 0, _MISCOUNTED + 5 + 4 + 7)
        if self._is_guess or self.grammar.line_ends != 2 or true_end is None:
            raise ValueError("the record does not end where its length says")
        return true_end.start() - _MISCOUNTED

    def _mended(
        self, header: RecordHeader, block: Block | None, *, has_crossed: bool
    ) -> tuple[RecordHeader, Block] | None:
        """The record, read with a length a few bytes wrong, as far as it goes up to the next one; else None.

        Writers miscount line ends, or characters for bytes. The next record must begin right behind it, none may begin
        in it, and a digest, where there is one, must be that of the block.
        """
        stream = self.stream
        if self.grammar.line_ends != 2 or block is None or block.holds_record():
            return None
        if not has_crossed and (short := _CUT_SHORT.match(stream.buffer)) is not None:
            if short.end() == len(stream.buffer) and stream.fill(1):
                return None
            stream.take(len(short[1]))
            header = header._replace(length=header.length + len(short[1]))
            block = Block(block.head, block.rest + short[1])
        elif (over := _OVER.search(block.end(_MISCOUNTED))) is not None:
            if not stream.buffer:
                stream.fill(15)
            if self.grammar.prefix.match(over[1] + stream.buffer) is None:
                return None
            block = block.without(len(over[0]))
            header = header._replace(length=header.length - len(over[0]))
            stream.give_back(over[1], has_crossed=has_crossed)
            stream.settle()
        else:
            return None
        return (header, block) if _has_digest(block, header.block_digest) is not False and self._ends_here() else None

    def _look_at_next_frame(self, offset: int, length: int) -> None:
        """Raise ValueError as soon as the block goes over into a frame that begins with a record."""

        def look() -> None:
            self.stream.on_crossing = None
            self._check_crossing(offset, length)

        if self.stream.frame == offset:
            self.stream.on_crossing = look
        elif length > len(self.stream.buffer):  # reading its header went over the end of the frame
            look()

    def _check_crossing(self, offset: int, length: int) -> None:
        if self.begins_record(frame_extent(self.archive, offset).end):
            raise ValueError(f"the record of {length} bytes reaches into the next one")

    def read_header(self) -> RecordHeader:
        """The header that begins here. Raises ValueError where none does."""
        stream, grammar = self.stream, self.grammar
        while not (end := grammar.find_end(stream.buffer)):
            if len(stream.buffer) >= 16 and not grammar.prefix.match(stream.buffer):
                raise ValueError("no record begins here")
            if self._is_guess and grammar.start.search(stream.buffer, 1):
                raise ValueError("a header that goes over into another")
            if len(stream.buffer) > MAX_HEADER_BYTES or not stream.fill_header():
                raise ValueError("a header without end")
        header = grammar.parse(stream.buffer[:end])
        if header is None:
            is_record = grammar.prefix.match(stream.buffer)
            raise ValueError("a malformed header" if is_record else "no record begins here")
        stream.take(end)
        return header

    def _ends_here(self) -> bool:
        """Whether a record ends here for sure: its frame does, or another begins, or the archive ends.

        False where something else follows behind the line ends of a record. Raises ValueError where these lack, and
        OSError where the frame of the record is damaged behind it; damage that begins behind the frame is kept
        for later.
        """
        stream, frame = self.stream, self.stream.frame
        num_line_ends = 0
        try:
            if not stream.buffer:
                stream.fill(2 * self.grammar.line_ends)
            while True:
                num_line_ends += stream.take_line_ends().count(b"\n")
                stream.settle()
                if stream.buffer or not stream.fill(1):
                    break
                if stream.buffer not in (b"\r", b"\n"):
                    break
            if not stream.buffer or stream.frame != frame:
                return True
            if len(stream.buffer) < 16:
                stream.fill(15)
        except OSError as error:
            if not stream.buffer:
                end = sound_frame_end(self.archive, stream.frame)
                if end is None:
                    raise
                self._damage_behind = (end, str(error))
                return True
        if self.grammar.prefix.match(stream.buffer):
            return True
        if num_line_ends < self.grammar.line_ends:
            raise ValueError("the record does not end where its length says")
        return False

    def _check_end(self) -> None:
        """Raises BadFrameError where the archive ends inside a frame, or behind one that is not its last."""
        stream = self.stream
        if not stream.magic or stream.ends_with_frame():
            return
        end = sound_frame_end(self.archive, stream.frame)
        if end is None:
            raise BadFrameError(stream.frame, "the file ends in the middle of a compressed frame")
        if end < self.archive.size:
            raise BadFrameError(end, "no compressed frame begins here", behind_frame=True)

    def begins_record(self, offset: int | None) -> bool:
        """Whether a compressed frame begins there with a record."""
        if offset is None or not compression_at(self.archive, offset):
            return False
        stream = ArchiveStream(self.archive, offset)
        try:
            if stream.begin_record() is not None:
                stream.fill(15)
        except OSError:
            return False
        return self.grammar.prefix.match(stream.buffer) is not None

    def _has_start(self, restart: tuple[int, int], size: int) -> bool:
        """Whether something like a record begins in the block there, behind an empty line as records do."""
        for position in find_starts(ArchiveStream(self.archive, *restart), self.grammar):
            if position >= size:
                break
            start, skip = restart
            before = ArchiveStream(self.archive, start, skip + max(0, position - 4)).take(min(4, position))
            if before.replace(b"\r", b"").endswith(b"\n" * self.grammar.line_ends):
                return True
        return False


def _has_digest(block: Block | None, digest: str) -> bool | None:
    """Whether the block has the digest its header names; None where there is nothing to compare."""
    algorithm, _, value = digest.partition(":")
    if block is None or algorithm.lower() != "sha1" or len(value) != 32:
        return None
    return base64.b32encode(hashlib.sha1(block.behind(0), usedforsecurity=False).digest()).decode() == value.upper()


# --- what may begin or end a record ------------------------------------------------------------------


def find_starts(stream: ArchiveStream, grammar: Grammar, *, content_size: int | None = None) -> Iterator[int]:
    """How far ahead in the stream records may begin, in order. Raises OSError behind the last before damage.

    `content_size`: where the stream ends, so that what would go beyond begins no record.
    """
    origin = stream.position
    size = None if content_size is None else content_size - origin
    damage = ""
    while not damage:
        try:
            if not stream.fill(PIECE_BYTES):
                break
        except OSError as error:
            damage = str(error)
        length = max(0, len(stream.buffer) - SEARCH_OVERLAP)
        for match in grammar.start.finditer(stream.buffer):
            if match.start() >= length:
                break
            position = stream.position - origin + match.start()
            if _is_plausible(stream.buffer, match.start(), grammar, None if size is None else size - position):
                yield position
        stream.take(length)
    for match in grammar.start.finditer(stream.buffer):
        position = stream.position - origin + match.start()
        if _is_plausible(stream.buffer, match.start(), grammar, None if size is None else size - position):
            yield position
    if damage:
        raise OSError(damage)


def _is_plausible(buffer: bytes, start: int, grammar: Grammar, left: int | None) -> bool:
    """Whether a record can begin there, by as much of it as is in the buffer; `left`: bytes up to the end, if known.

    To try a record inside a frame costs as much as lies before it: what can be seen to be none is not tried.
    """
    head = buffer[start : start + SEARCH_OVERLAP]
    another = grammar.start.search(head, 1)
    end = grammar.find_end(head[: another.start()] if another else head)
    if not end:
        return another is None
    header = grammar.parse(head[:end])
    if header is None or (left is not None and header.length > left - end):
        return False
    behind = start + end + header.length
    return behind + _TAIL_BYTES > len(buffer) or _can_end(buffer[behind : behind + _TAIL_BYTES], grammar)


def _can_end(tail: bytes, grammar: Grammar) -> bool:
    """Whether a record can end where these bytes follow: the line ends behind it, another record, or nothing."""
    text = tail.lstrip(b"\r\n")
    num_line_ends = tail[: len(tail) - len(text)].count(b"\n")
    return not text or num_line_ends >= grammar.line_ends or grammar.prefix.match(text) is not None
