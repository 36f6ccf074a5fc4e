"""All records of an archive, whatever happened to the file.

A record is handed on when it is known to end where its length says: at the next record, the end of its frame (whose
checksum is then verified), or the end of the file. Where that fails, or bytes cannot be decompressed, the reader
looks for the next intact record and reports what lies between: first in the same frame, if that is sound, then from
frame to frame.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mathwright.corpus.archive.frames import (
    GZIP_MAGIC,
    MAGICS,
    ArchiveFile,
    EffortSpentError,
    compression_at,
    frame_extent,
)
from mathwright.corpus.archive.grammar import ARC, WARC, Grammar
from mathwright.corpus.archive.stream import ArchiveStream
from mathwright.corpus.archive.stretch import Bad, BadFrameError, BadRecordError, Record, Stretch, find_starts

MAX_BLOCK_BYTES = 64 << 20
"""A larger record is passed over: no page of text is so large, and memory stays bounded."""
EFFORT = 64
"""Bytes read, for each byte of the archive and of what its frames hold, to try what may be records behind damage."""
CHEAP_BYTES = 16 << 10
"""When these are spent, so much is read to try each one: enough for a small record, not for a large one."""

_NUM_SAMPLES = 100
_ANY_START = re.compile(b"|".join([*map(re.escape, MAGICS), WARC.start.pattern, ARC.start.pattern]))


@dataclass(slots=True)
class Gap:
    """What was passed over to reach the next intact record."""

    offset: int
    size: int
    """In bytes of the archive; 0 where both ends lie in the same compressed frame."""
    reason: str


def read_records(archive: ArchiveFile, start: int, wanted: Collection[str]) -> Iterator[Record | Gap]:
    """The records from offset `start` on, in order, with the blocks of the wanted kinds; and the gaps between them."""
    grammar = grammar_of(archive)
    stream = ArchiveStream(archive, start)
    stretch: Stretch | None = Stretch(archive, grammar, wanted, stream, max_block_bytes=MAX_BLOCK_BYTES)
    gap: Gap | None = None
    in_frame = False
    while stretch is not None:
        record = None
        try:
            record = stretch.next_record()
        except (BadRecordError, BadFrameError) as bad:
            if gap is None:
                gap = Gap(bad.offset, 0, str(bad))
                in_frame = isinstance(bad, BadRecordError) and bad.in_frame
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
        stretch = Stretch(archive, grammar, (), ArchiveStream(archive, offset))
        stretch.guess(True)
        try:
            stretch.stream.begin_record()
            stretch.read_header()
        except (OSError, ValueError):
            continue
        return grammar
    return None


# --- behind damage: the next intact record -------------------------------------------------------------


def _behind(stretch: Stretch, bad: Bad) -> Stretch | None:
    """Where reading goes on behind damage: at the next record that is intact; None where there is none."""
    archive, grammar = stretch.archive, stretch.grammar
    for start, skip in _candidates(stretch, bad):
        begun, left = archive.visited, _effort_left(archive)
        archive.limit = begun + max(left, CHEAP_BYTES)
        candidate = None
        try:
            stream = ArchiveStream(archive, start, skip)
            limit = stretch.max_block_bytes
            candidate = Stretch(archive, grammar, stretch.wanted, stream, max_block_bytes=limit)
            if candidate.read_ahead():
                return candidate
        except (BadRecordError, BadFrameError, OSError):  # OSError: the frame breaks in front of the candidate
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


def _size_of(candidate: Stretch | None) -> int:
    """Bytes of the record that was found: reading it was no wasted effort."""
    record = candidate.ahead if candidate is not None else None
    return 0 if record is None else record.header.size + record.header.length


def _candidates(stretch: Stretch, bad: Bad) -> Iterator[tuple[int, int]]:
    """Start and skip of the streams that may begin with an intact record, in the order of the archive."""
    archive, grammar = stretch.archive, stretch.grammar
    if isinstance(bad, BadRecordError) and bad.in_frame:
        start, skip = bad.restart
        extent = frame_extent(archive, bad.offset)
        # Where the next frame begins with a record, this one is looked through alone: no record goes over its end.
        stop = extent.end if stretch.begins_record(extent.end) or extent.end == archive.size else None
        content_size = extent.content_size if stop is not None and start == bad.offset else None
        try:
            stream = ArchiveStream(archive, start, skip + 1, stop)
            for position in find_starts(stream, grammar, content_size=content_size):
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
    elif not magic and isinstance(bad, BadFrameError):
        search_from = bad.offset
    for offset in archive.find(_start_pattern(archive, grammar), search_from):
        yield offset, 0


def _begins_other_kind(archive: ArchiveFile, grammar: Grammar, bad: Bad) -> bool:
    """Whether records stored in another way begin there: archives can be joined."""
    begins_frame = bool(compression_at(archive, bad.offset))
    if isinstance(bad, BadRecordError):
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
