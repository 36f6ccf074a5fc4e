"""Reading web archives, damaged ones too.

FastWARC reads the intact stretches; it verifies every gzip checksum, and stops at the first thing it cannot
read. A record is therefore handed on only once the next one has begun (or the file has ended), and where FastWARC
stops, `_resynchronise` looks at the raw bytes for the next record that is provably intact: its gzip member
inflates with the right checksum, and its length leads to its end. Reading goes on there.
"""

from __future__ import annotations

import base64
import hashlib
import io
import mmap
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from mathwright.corpus.http_body import decode_body
from mathwright.errors import MathwrightError
from mathwright.records import Damage, Page

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})

_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_START = re.compile(rb"\x1f\x8b\x08")
_PLAIN_START = re.compile(rb"WARC/[01]\.\d+\r?\n")
_ANY_START = re.compile(rb"\x1f\x8b\x08|WARC/[01]\.\d+\r?\n")
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})")
_UNSEARCHABLE = (b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd")
"""LZ4 and Zstandard: FastWARC reads them, but where they are damaged we do not look for the next record."""
_MAX_HEADER_BYTES = 64 << 10
_INFLATE_STEP = 256 << 10


def read_pages(path: str | Path, *, start: int = 0, counts: Counter[str] | None = None) -> Iterator[Page | Damage]:
    """The HTML pages of a WARC file (plain or gzip), in order, and a `Damage` for each stretch that is unreadable.

    A page is a response record with status 200 and an HTML content type; its body comes without HTTP chunking and
    compression. Everything is counted in `counts`, what is skipped by its reason: "pages", "damaged",
    "record:<type>", "status:<code>", "type:<content type>", "not_http", "empty_body", "no_url". A body that ends
    before its chunking or compression says so is kept as far as it goes and counted as "body_cut".

    Memory does not grow with the archive. Raises MathwrightError where the file is missing or cannot be opened;
    damage never raises.
    """
    path = Path(path)
    counts = Counter() if counts is None else counts
    if not path.is_file():
        raise MathwrightError(f"{path}: no such archive", hint="give the path of a WARC file (.warc or .warc.gz)")
    try:
        file = path.open("rb")
    except OSError as error:
        raise MathwrightError(f"{path}: cannot be read ({error.strerror})", hint="check its permissions") from error
    with file:
        if path.stat().st_size == 0:
            counts["damaged"] += 1
            yield Damage(archive=str(path), offset=0, size_bytes=0, reason="empty file")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            for item in _read_tolerantly(raw, start):
                if isinstance(item, _Gap):
                    counts["damaged"] += 1
                    yield Damage(archive=str(path), offset=item.offset, size_bytes=item.size, reason=item.reason)
                elif (page := _to_page(str(path), item, counts)) is not None:
                    counts["pages"] += 1
                    yield page


# --- records, whatever happened to the file ----------------------------------------------------------


@dataclass(slots=True)
class _Record:
    offset: int
    """Where the record starts in the file, or the gzip member that holds it."""
    kind: str
    headers: Mapping[str, str]
    """WARC headers, names in lower case; empty unless kind is "response"."""
    block: bytes
    """What follows the WARC header; empty unless kind is "response"."""


@dataclass(slots=True)
class _Gap:
    offset: int
    size: int
    reason: str


class _Window:
    """The archive from an offset on, as a file for FastWARC."""

    def __init__(self, raw: mmap.mmap, start: int) -> None:
        self._raw = raw
        self._start = start
        self._position = start

    def read(self, size: int = -1) -> bytes:
        stop = len(self._raw) if size < 0 else self._position + size
        piece = self._raw[self._position : stop]
        self._position += len(piece)
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._start, io.SEEK_CUR: self._position, io.SEEK_END: len(self._raw)}[whence]
        self._position = min(max(base + offset, self._start), len(self._raw))
        return self.tell()

    def tell(self) -> int:
        return self._position - self._start

    def close(self) -> None:
        """The archive stays open: whoever mapped it closes it."""


def _read_tolerantly(raw: mmap.mmap, start: int) -> Iterator[_Record | _Gap]:
    """All records of an archive; where reading fails, the gap, and then on from the next intact record."""
    while start < len(raw):
        pending: _Record | None = None
        frame = start
        reason = "no record begins here"
        quirks = _has_bare_newlines(raw, start)
        try:
            for record in ArchiveIterator(_Window(raw, start), parse_http=False, quirks_mode=quirks):
                before, frame = frame, _frame_start(raw, start + record.stream_pos, frame)
                if pending is not None:
                    # In quirks mode FastWARC passes over damage silently: look whether the record ends here.
                    if quirks and _behind_newlines(raw, _intact_end(raw, before)) != frame:
                        frame = before
                        break
                    yield pending
                    pending = None
                pending = _read_record(record, frame)
        except (OSError, ValueError) as error:  # what FastWARC raises, and UnicodeDecodeError
            reason = str(error) or type(error).__name__
        if raw[start : start + 4] in _UNSEARCHABLE and pending is not None:
            yield pending
            return
        gap_start = frame
        if pending is not None:
            end = _intact_end(raw, frame)
            if end is not None or _cut_behind(raw, frame):
                yield pending
            gap_start = frame if end is None else _behind_newlines(raw, end)
        start = _resynchronise(raw, gap_start, inclusive=gap_start > frame)
        if raw[gap_start:start].strip(b"\r\n\0 "):
            yield _Gap(gap_start, start - gap_start, reason)


def _behind_newlines(raw: mmap.mmap, position: int | None) -> int:
    """The first byte at or behind `position` that is not a line end; -1 for no position."""
    if position is None:
        return -1
    while position < len(raw) and raw[position] in b"\r\n":
        position += 1
    return position


def _read_record(record: WarcRecord, frame: int) -> _Record:
    """Read one record to its end. Raises OSError where the file ends before the record does."""
    kind = str(record.record_type)
    if record.record_type == WarcRecordType.response:
        block = record.reader.read()
        size = len(block)
        headers = {name.lower(): value for name, value in record.headers.items()}
    else:
        block, headers = b"", {}
        size = record.reader.consume()
    if record.record_type == WarcRecordType.unknown and record.headers.get("WARC-Type") is None:
        raise OSError("a record without WARC-Type")
    if size != record.content_length:
        raise OSError(f"the record ends {record.content_length - size} bytes early")
    return _Record(frame, kind, headers, block)


def _has_bare_newlines(raw: mmap.mmap, start: int) -> bool:
    """Whether the record at `start` ends its header lines with a mere newline, against the standard."""
    head = raw[start : start + 1024]
    if head.startswith(_GZIP_MAGIC):
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, 64)
        except zlib.error:
            return False
    line, newline, _ = head.partition(b"\n")
    return bool(newline) and line.startswith(b"WARC/") and not line.endswith(b"\r")


def _frame_start(raw: mmap.mmap, position: int, previous: int) -> int:
    """Where the record at FastWARC's `position` really starts.

    FastWARC names the place it has read up to where one gzip member holds several records; the start of the
    member is then the last place where reading can begin.
    """
    if raw[position : position + 3] == _GZIP_MAGIC or raw[previous : previous + 3] != _GZIP_MAGIC:
        return position
    return previous


# --- finding the next intact record ------------------------------------------------------------------


def _resynchronise(raw: mmap.mmap, start: int, *, inclusive: bool) -> int:
    """Offset of the first intact record at or behind `start` (behind, unless `inclusive`), or the end of the file."""
    head = raw[:5]
    pattern = _GZIP_START if head[:3] == _GZIP_MAGIC else _PLAIN_START if head == b"WARC/" else _ANY_START
    for match in pattern.finditer(raw, start if inclusive else start + 1):
        if _intact_end(raw, match.start()) is not None:
            return match.start()
    return len(raw)


def _intact_end(raw: mmap.mmap, start: int) -> int | None:
    """End of the intact record (or gzip member of records) that starts at `start`; None where there is none."""
    if raw[start : start + 3] == _GZIP_MAGIC:
        return _intact_member_end(raw, start)
    head = raw[start : start + _MAX_HEADER_BYTES]
    size = _record_size(head)
    if size is None or start + size > len(raw):
        return None
    end = start + size
    behind = raw[end : end + 16]
    rest = behind.lstrip(b"\r\n")
    if rest and not rest.startswith(b"WARC/"):
        # Either garbage follows, or the length is wrong and leads to an empty line elsewhere, over other records.
        swallowed = _PLAIN_START.search(raw, start + 5, end)
        if swallowed is not None or not _at_boundary(behind):
            return None
    return end


def _intact_member_end(raw: mmap.mmap, start: int) -> int | None:
    """As `_intact_end`, for a gzip member; inflates it in pieces, so that its size does not matter."""
    head = b""
    behind = b""  # the 16 bytes behind the first record
    size: int | None = None
    total = 0
    member = _Member(raw, start)
    try:
        for piece in member.pieces():
            if len(head) < _MAX_HEADER_BYTES and size is None:
                head += piece
                size = _record_size(head)
            if size is not None and len(behind) < 16 and total + len(piece) > size:
                skip = max(0, size - total)
                behind += piece[skip : skip + 16 - len(behind)]
            total += len(piece)
    except zlib.error:
        return None
    if member.end is None or size is None or size > total or not _at_boundary(behind):
        return None
    return member.end


def _cut_behind(raw: mmap.mmap, start: int) -> bool:
    """Whether the file ends inside the gzip member at `start`, which is sound as far as it goes."""
    if raw[start : start + 3] != _GZIP_MAGIC:
        return False
    member = _Member(raw, start)
    try:
        for _ in member.pieces():
            pass
    except zlib.error:
        return False
    return member.end is None


class _Member:
    """A gzip member that is inflated in pieces."""

    def __init__(self, raw: mmap.mmap, start: int) -> None:
        self._raw = raw
        self._start = start
        self.end: int | None = None
        """Offset behind the member, known once all its pieces were read."""

    def pieces(self) -> Iterator[bytes]:
        """What the member holds. Raises zlib.error at the first byte that cannot be right, the checksum included."""
        inflate = zlib.decompressobj(wbits=31)
        position = self._start
        while position < len(self._raw) and not inflate.eof:
            data = self._raw[position : position + _INFLATE_STEP]
            position += len(data)
            while data and not inflate.eof:
                yield inflate.decompress(data, _INFLATE_STEP)
                data = inflate.unconsumed_tail
        if inflate.eof:
            self.end = position - len(inflate.unused_data)


def _record_size(head: bytes) -> int | None:
    """Size in bytes of the record whose first bytes are `head`: header, empty line, block."""
    lead = len(head) - len(head[:16].lstrip(b"\r\n")) - len(head[16:])  # line ends of the record before it
    if not _PLAIN_START.match(head, lead):
        return None
    end = _HEADER_END.search(head, lead)
    if end is None:
        return None
    length = _CONTENT_LENGTH.search(head, lead, end.start())
    return None if length is None else end.end() + int(length[1])


def _at_boundary(behind: bytes) -> bool:
    """Whether these 16 bytes follow a record: its two line ends and anything, or more or fewer and the next record.

    A length that is off by a line end harms nobody; one that is off by more does not lead here.
    """
    rest = behind.lstrip(b"\r\n")
    return not rest or rest.startswith(b"WARC/") or behind.startswith((b"\r\n\r\n", b"\n\n"))


# --- from record to page -----------------------------------------------------------------------------


def _to_page(archive: str, record: _Record, counts: Counter[str]) -> Page | None:
    """The page in a record; None, and the reason counted, where there is none."""
    if record.kind != "response":
        counts[f"record:{record.kind}"] += 1
        return None
    url = record.headers.get("warc-target-uri", "").strip().removeprefix("<").removesuffix(">")
    status = _STATUS_LINE.match(record.block)
    if status is None or not url:
        counts["no_url" if status else "not_http"] += 1
        return None
    if status[1] != b"200":
        counts[f"status:{status[1].decode()}"] += 1
        return None
    fields, payload = _split_http(record.block)
    content_type, _, parameters = fields.get("content-type", "").partition(";")
    content_type = content_type.strip().lower()
    if content_type not in HTML_TYPES:
        counts[f"type:{content_type[:60]}"] += 1
        return None
    body, complete = decode_body(payload, fields.get("transfer-encoding", ""), fields.get("content-encoding", ""))
    if not complete:
        counts["body_cut"] += 1
    if not body.strip():
        counts["empty_body"] += 1
        return None
    return Page(
        url=url,
        html=body,
        charset=_charset(parameters),
        archive=archive,
        offset=record.offset,
        digest=base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode(),
        date=record.headers.get("warc-date", ""),
    )


def _split_http(block: bytes) -> tuple[dict[str, str], bytes]:
    """The header fields of an HTTP response (names in lower case, the last of several) and its payload."""
    end = _HEADER_END.search(block)
    head, payload = (block, b"") if end is None else (block[: end.start()], block[end.end() :])
    fields: dict[str, str] = {}
    for line in head.decode("latin-1").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    return fields, payload


def _charset(parameters: str) -> str | None:
    """The charset among the parameters of a Content-Type."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").lower() or None
    return None
