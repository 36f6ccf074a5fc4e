"""All records of an archive, whatever happened to the file.

A record is handed on when it is known to end where its length says: at the next record, the end of its frame (whose
checksum is then verified), or the end of the file. Where that fails, or bytes cannot be decompressed, the reader
looks for the next intact record and reports what lies between: first in the same frame, if that is sound, then from
frame to frame.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mathwright.corpus.archive_frames import (
    GZIP_MAGIC,
    MAGICS,
    PIECE_BYTES,
    SEARCH_OVERLAP,
    ArchiveFile,
    EffortSpentError,
    compression_at,
    frame_extent,
    sound_frame_end,
)
from mathwright.corpus.archive_grammar import ARC, MAX_HEADER_BYTES, WARC, Grammar, RecordHeader
from mathwright.corpus.archive_stream import FIRST_STEP, PLAIN_STEP, ArchiveStream

MAX_BLOCK_BYTES = 64 << 20
"""A larger record is passed over: no page of text is so large, and memory stays bounded."""

EFFORT = 64
"""Bytes read, for each byte of the archive and of what its frames hold, to try what may be records behind damage."""
CHEAP_BYTES = 16 << 10
"""When these are spent, so much is read to try each one: enough for a small record, not for a large one."""

_TAIL_BYTES = 64
_NUM_SAMPLES = 100
_ANY_START = re.compile(b"|".join([*map(re.escape, MAGICS), WARC.start.pattern, ARC.start.pattern]))


class Block(NamedTuple):
    """The content of a record, in two pieces, to copy it less often."""

    head: bytes
    """Up to the first empty line, if there is one soon, and a little more."""
    rest: bytes

    def behind(self, start: int) -> bytes:
        """The content from `start` on, which must lie in the head."""
        return self.head[start:] + self.rest if start < len(self.head) else self.rest


@dataclass(slots=True)
class Record:
    """A record that is intact."""

    offset: int
    """Where reading can begin to get this record: its own offset, or that of the compressed frame that holds it."""
    header: RecordHeader
    block: Block | None
    """What follows the header; None for kinds nobody asked for, and where there is more than MAX_BLOCK_BYTES."""


@dataclass(slots=True)
class Gap:
    """What was passed over to reach the next intact record."""

    offset: int
    size: int
    """In bytes of the archive; 0 where both ends lie in the same compressed frame."""
    reason: str


class _BadRecordError(Exception):
    """Bytes that are no intact record, in a plain archive or in a frame that can be decompressed."""

    def __init__(self, offset: int, restart: tuple[int, int], in_frame: bool, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.restart = restart
        """Start and skip of a stream that begins with these bytes."""
        self.in_frame = in_frame


class _BadFrameError(Exception):
    """Bytes that cannot be decompressed, or that end in the middle of a frame."""

    def __init__(self, offset: int, reason: str, *, behind_frame: bool = False) -> None:
        super().__init__(reason)
        self.offset = offset
        self.behind_frame = behind_frame
        """Whether a sound frame ends there, and no other of its kind begins."""


_Bad = _BadRecordError | _BadFrameError


def read_records(archive: ArchiveFile, start: int, wanted: Collection[str]) -> Iterator[Record | Gap]:
    """The records from offset `start` on, in order, with the blocks of the wanted kinds; and the gaps between them."""
    grammar = grammar_of(archive)
    stretch: _Stretch | None = _Stretch(archive, grammar, wanted, ArchiveStream(archive, start))
    gap: Gap | None = None
    in_frame = False
    while stretch is not None:
        record = None
        try:
            record = stretch.next_record()
        except (_BadRecordError, _BadFrameError) as bad:
            if gap is None:
                gap = Gap(bad.offset, 0, str(bad))
                in_frame = isinstance(bad, _BadRecordError) and bad.in_frame
            stretch = _behind(stretch, bad)
            if stretch is not None:
                continue
        if gap is not None:
            gap.size = (archive.size if record is None else record.offset) - gap.offset
            if gap.size == 0 and in_frame:
                yield Gap(gap.offset, 0, f"{gap.reason} (in a compressed frame that holds further records)")
            elif not archive.is_blank(gap.offset, gap.offset + gap.size):
                yield gap
            gap = None
        if record is None:
            return
        yield record


def grammar_of(archive: ArchiveFile) -> Grammar:
    """WARC or ARC, as the first record says whose header can be made out."""
    for offset in itertools.chain([0], itertools.islice(archive.find(_ANY_START, 0), _NUM_SAMPLES)):
        grammar = _grammar_at(archive, offset)
        if grammar is not None:
            return grammar
    return WARC


def _grammar_at(archive: ArchiveFile, offset: int) -> Grammar | None:
    """The grammar of the header that begins there, or in the frame that begins there; None where none does."""
    for grammar in (WARC, ARC):
        stretch = _Stretch(archive, grammar, (), ArchiveStream(archive, offset))
        stretch.guess(True)
        try:
            stretch.stream.begin_record()
            stretch.read_header()
        except (OSError, ValueError):
            continue
        return grammar
    return None


# --- intact records, one after the other ---------------------------------------------------------------


class _Stretch:
    """Records that follow each other without damage."""

    def __init__(self, archive: ArchiveFile, grammar: Grammar, wanted: Collection[str], stream: ArchiveStream) -> None:
        self.archive, self.grammar, self.wanted, self.stream = archive, grammar, wanted, stream
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
        """The next record; None at the end of the archive. Raises _BadRecordError or _BadFrameError."""
        if self.ahead is not None:
            record, self.ahead = self.ahead, None
            return record
        if self._damage_behind is not None:
            raise _BadFrameError(*self._damage_behind, behind_frame=True)
        stream = self.stream
        offset = stream.frame
        try:
            begin = stream.begin_record()
        except OSError as error:
            raise _BadFrameError(offset, str(error)) from error
        if begin is None:
            self._check_end()
            return None
        restart = stream.restart()
        try:
            header, block = self._read(begin)
        except OSError as error:
            raise _BadFrameError(begin, str(error)) from error
        except ValueError as error:
            raise _BadRecordError(begin, restart, bool(stream.magic), str(error)) from error
        return Record(begin, header, block)

    def _read(self, offset: int) -> tuple[RecordHeader, Block | None]:
        """The record that begins here. Raises ValueError where there is none, or not with the length it names."""
        stream = self.stream
        header = self.read_header()
        start = stream.restart()
        if stream.magic:
            self._look_at_next_frame(offset, header.length)
        else:
            self._look_at_end(start[0] + header.length)
        block = None
        if header.kind in self.wanted and header.length <= MAX_BLOCK_BYTES:
            head = stream.take_head(header.length)
            block = Block(head, stream.take(header.length - len(head)))
        num_read = stream.skip(header.length) if block is None else len(block.head) + len(block.rest)
        stream.on_crossing = None
        stream.settle()
        if num_read < header.length:
            reason = f"the file ends {header.length - num_read} bytes before the record does"
            if stream.magic and frame_extent(self.archive, stream.frame).end is None:
                raise OSError(reason)
            raise ValueError(reason)
        if self._ends_here():
            return header, block
        # Garbage follows, or the length is wrong and leads to an empty line elsewhere, over other records.
        is_right = _has_digest(block, header.block_digest)
        if is_right is None:
            is_right = not self._has_start(start, header.length)
        if not is_right:
            raise ValueError("a wrong length, to the middle of something else")
        return header, block

    def _look_at_end(self, end: int) -> None:
        """Raises ValueError where a record of a plain archive cannot end, before its block is read."""
        if end > self.archive.size:
            raise ValueError(f"the file ends {end - self.archive.size} bytes before the record does")
        if not _can_end(self.archive.read(end, _TAIL_BYTES), self.grammar):
            raise ValueError("the record does not end where its length says")

    def _look_at_next_frame(self, offset: int, length: int) -> None:
        """Raise ValueError as soon as the block goes over into a frame that begins with a record."""

        def look() -> None:
            self.stream.on_crossing = None
            if self.begins_record(frame_extent(self.archive, offset).end):
                raise ValueError(f"the record of {length} bytes reaches into the next one")

        if self.stream.frame == offset:
            self.stream.on_crossing = look
        elif length > len(self.stream.buffer):  # reading its header went over the end of the frame
            look()

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
        """Raises _BadFrameError where the archive ends inside a frame, or behind one that is not its last."""
        stream = self.stream
        if not stream.magic or stream.ends_with_frame():
            return
        end = sound_frame_end(self.archive, stream.frame)
        if end is None:
            raise _BadFrameError(stream.frame, "the file ends in the middle of a compressed frame")
        if end < self.archive.size:
            raise _BadFrameError(end, "no compressed frame begins here", behind_frame=True)

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
        for position in _find_starts(ArchiveStream(self.archive, *restart), self.grammar):
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


# --- behind damage: the next intact record -------------------------------------------------------------


def _behind(stretch: _Stretch, bad: _Bad) -> _Stretch | None:
    """Where reading goes on behind damage: at the next record that is intact; None where there is none."""
    archive, grammar = stretch.archive, stretch.grammar
    for start, skip in _candidates(stretch, bad):
        begun, left = archive.visited, _effort_left(archive)
        archive.limit = begun + max(left, CHEAP_BYTES)
        candidate = None
        try:
            candidate = _Stretch(archive, grammar, stretch.wanted, ArchiveStream(archive, start, skip))
            if candidate.read_ahead():
                return candidate
        except (_BadRecordError, _BadFrameError, OSError):  # OSError: the frame breaks in front of the candidate
            continue
        except EffortSpentError:
            continue
        finally:
            archive.limit = None
            archive.memo["spent"] = archive.memo.get("spent", 0) + archive.visited - begun - _size_of(candidate)
    return None


def _effort_left(archive: ArchiveFile) -> int:
    """How many bytes may still be read to try candidates, so that any damage costs a multiple of the archive's size."""
    return EFFORT * (archive.size + archive.furthest) - archive.memo.get("spent", 0)


def _size_of(candidate: _Stretch | None) -> int:
    """Bytes of the record that was found: reading it was no wasted effort."""
    record = candidate.ahead if candidate is not None else None
    return 0 if record is None else record.header.size + record.header.length


def _candidates(stretch: _Stretch, bad: _Bad) -> Iterator[tuple[int, int]]:
    """Start and skip of the streams that may begin with an intact record, in the order of the archive."""
    archive, grammar = stretch.archive, stretch.grammar
    if isinstance(bad, _BadRecordError) and bad.in_frame:
        start, skip = bad.restart
        extent = frame_extent(archive, bad.offset)
        # Where the next frame begins with a record, this one is looked through alone: no record goes over its end.
        stop = extent.end if stretch.begins_record(extent.end) or extent.end == archive.size else None
        content_size = extent.content_size if stop is not None and start == bad.offset else None
        try:
            stream = ArchiveStream(archive, start, skip + 1, stop)
            for position in _find_starts(stream, grammar, content_size=content_size):
                if _effort_left(archive) <= 0:
                    break  # each costs as much as lies before it in the frame
                yield start, skip + 1 + position
            else:
                if extent.end == archive.size or (stop is None and frame_extent(archive, stream.frame).end is not None):
                    return
        except OSError:
            pass  # the frame, or a later one, is damaged as well
    elif _begins_other_kind(archive, grammar, bad):
        yield bad.offset, 0
    search_from = bad.offset + 1
    magic = compression_at(archive, bad.offset)
    if magic == GZIP_MAGIC:
        end = frame_extent(archive, bad.offset).end
        if end is not None and (end == archive.size or compression_at(archive, end)):
            # LZ4 and Zstandard only name sizes: bytes cut out there can join two frames to one that seems whole.
            search_from = end  # only the content of the frame is damaged: what lies in it is no record
    elif not magic and isinstance(bad, _BadFrameError):
        search_from = bad.offset
    for offset in archive.find(_start_pattern(archive, grammar), search_from):
        yield offset, 0


def _begins_other_kind(archive: ArchiveFile, grammar: Grammar, bad: _Bad) -> bool:
    """Whether records stored in another way begin there: archives can be joined."""
    begins_frame = bool(compression_at(archive, bad.offset))
    if isinstance(bad, _BadRecordError):
        return begins_frame
    return bad.behind_frame and (begins_frame or bool(grammar.prefix.match(archive.read(bad.offset, 16))))


def _start_pattern(archive: ArchiveFile, grammar: Grammar) -> re.Pattern[bytes]:
    """What records, or the frames that hold them, begin with in this archive.

    That is what most of the first ones begin with. Pages can hold archives, but not so many; and in gzip members that
    are stored, not compressed, the records are seen too, about as often as the members.
    """
    if "magic" not in archive.memo:
        found = Counter(
            compression_at(archive, offset)
            for offset in itertools.islice(archive.find(_ANY_START, 0), _NUM_SAMPLES)
            if _grammar_at(archive, offset) is not None
        )
        magic = max(MAGICS, key=lambda magic: found[magic])
        archive.memo["magic"] = magic if 2 * found[magic] > found[b""] else b""
    magic = archive.memo["magic"]
    return re.compile(re.escape(magic)) if magic else grammar.start


def _find_starts(stream: ArchiveStream, grammar: Grammar, *, content_size: int | None = None) -> Iterator[int]:
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
