"""How records are written in a WARC file (ISO 28500) and in its predecessor, the ARC file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

MAX_HEADER_BYTES = 64 << 10

_WARC_START = re.compile(rb"WARC/[01]\.\d+[ \t]*\r?\n")
_WARC_HEADER_END = re.compile(rb"\r?\n[ \t]*\r?\n")
_WARC_TYPES = frozenset(
    {"warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"}
)
_WARC_FIELD = re.compile(
    rb"(?im)^(warc-type|content-length|warc-target-uri|warc-date|content-type|warc-block-digest)[ \t]*:[ \t]*([^\r\n]*)"
)
_FOLD = re.compile(rb"\r?\n[ \t]+")
_LENGTH = re.compile(rb"\d{1,18}")
_WARC_CANDIDATE = re.compile(rb"WARC/[01]\.\d{1,8}[ \t]{0,64}\r?\n(?=[!-9;-~]{1,100}[ \t]{0,64}:)")
"""The first line of a header and the beginning of a field; lines of the first kind alone are no records."""
# URL (with spaces, in the wild), IP address, date, type, any more fields of version 2, length
_ARC_START = re.compile(
    rb"[a-z][a-z0-9+.-]{0,20}:[^\r\n]{0,6000}? [0-9a-fA-F.:]{2,45} (\d{8,17}) ([^ \r\n]{1,200}) (?:[^\r\n]{0,1000} )?"
    rb"(\d{1,18})\r?\n"
)


class RecordHeader(NamedTuple):
    size: int
    """Bytes of the header itself, the empty line behind it included."""
    length: int
    """Bytes of the block that follows."""
    kind: str
    """WARC-Type in lower case ("unknown" for one of no standard); of an ARC record "response" or "filedesc"."""
    url: str
    date: str
    """ISO 8601, or "" where the archive does not say."""
    content_type: str
    block_digest: str
    """WARC-Block-Digest as it stands there, or ""."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """One of the two ways to write records."""

    prefix: re.Pattern[bytes]
    """Matches the first bytes of a record, as many as there are up to 16."""
    start: re.Pattern[bytes]
    """Finds where a record may begin; no match is longer than 8 KB."""
    find_end: Callable[[bytes], int]
    """Where the header ends with which these bytes begin; 0 where its end is not among them."""
    parse: Callable[[bytes], RecordHeader | None]
    """The header in these bytes, which end with it; None where it is none."""
    line_ends: int
    """How many line ends stand behind a block."""


def _find_warc_end(data: bytes) -> int:
    end = data.find(b"\r\n\r\n")
    if end >= 0 and data.find(b"\n\n", 0, end) < 0:  # as nearly always, and faster than the expression
        return end + 4
    match = _WARC_HEADER_END.search(data)
    return match.end() if match else 0


def _parse_warc(head: bytes) -> RecordHeader | None:
    # A header that was cut off may be followed by another, or by a compressed one.
    if _WARC_START.match(head) is None or b"\nWARC/" in head or b"\0" in head:
        return None
    size = len(head)
    if b"\n " in head or b"\n\t" in head:
        head = _FOLD.sub(b" ", head.rstrip()) + b"\n"
    # Of several the first counts: as a rule the others say the same.
    fields = {name.lower(): value for name, value in reversed(_WARC_FIELD.findall(head))}
    kind = fields.get(b"warc-type", b"").strip().decode("latin-1").lower()
    length = fields.get(b"content-length", b"").strip()
    if not kind or not _LENGTH.fullmatch(length):
        return None
    return RecordHeader(
        size=size,
        length=int(length),
        kind=kind if kind in _WARC_TYPES else "unknown",
        url=_text(fields.get(b"warc-target-uri", b"")).removeprefix("<").removesuffix(">"),
        date=_text(fields.get(b"warc-date", b"")),
        content_type=_text(fields.get(b"content-type", b"")),
        block_digest=_text(fields.get(b"warc-block-digest", b"")),
    )


def _parse_arc(line: bytes) -> RecordHeader | None:
    match = _ARC_START.fullmatch(line)
    if match is None:
        return None
    url = _text(line[: match.start(1)]).rstrip().rpartition(" ")[0]
    date = match[1].decode()
    if len(date) >= 14:
        date = f"{date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:14]}Z"
    return RecordHeader(
        size=len(line),
        length=int(match[3]),
        kind="filedesc" if url.startswith("filedesc:") else "response",
        url=url,
        date=date,
        content_type=_text(match[2]),
        block_digest="",
    )


def _text(value: bytes) -> str:
    """Header text: UTF-8, as the standard has it, or Latin-1 where it is not."""
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()


WARC = Grammar(
    prefix=re.compile(rb"WARC/[01]\."),
    start=_WARC_CANDIDATE,
    find_end=_find_warc_end,
    parse=_parse_warc,
    line_ends=2,
)
ARC = Grammar(
    prefix=re.compile(rb"[a-z][a-z0-9+.-]*(?:$|:)"),
    start=re.compile(rb"(?m:^)" + _ARC_START.pattern),
    find_end=lambda data: data.find(b"\n") + 1,
    parse=_parse_arc,
    line_ends=1,
)
