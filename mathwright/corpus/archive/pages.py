"""Reading web archives, damaged ones too: WARC, WET and ARC, compressed or not, here or elsewhere.

`archive.records` finds the intact records, `archive.remote` brings archives here; this module makes pages of them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from mathwright.corpus.archive.frames import ArchiveFile
from mathwright.corpus.archive.http_body import MAX_CODINGS, codings_of, decode_body
from mathwright.corpus.archive.records import Gap, Record, read_records
from mathwright.corpus.archive.remote import fetch_range, open_archive
from mathwright.corpus.archive.stretch import Block
from mathwright.corpus.archive.zipped import ZIP_MAGIC, Part, parts_of
from mathwright.records import Damage, Document, Page

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_CALLED_HTML = re.compile(r"(?:[\w.-]+/)?(?:x-|vnd\.wap\.)?x?html?(?:\+xml)?")
"""How servers write these: `text/htm`, `html`, `application/vnd.wap.xhtml+xml`."""
_PARAMETERS = re.compile(r"[;,\s]")
_TYPE = re.compile(r"[\w.+!#$&^-]+/[\w.+!#$&^-]+")

_UNKNOWN_TYPES = frozenset({"", "*/*", "unknown/unknown", "application/unknown"})
"""With these, none, or what is no type, a browser looks at how the body begins (WHATWG's MIME sniffing); so do we."""
_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*+<(?:!doctype\s+html|html|head|title|body)[\s>]", re.IGNORECASE)

_HEADER_END = re.compile(
    rb"[\r\n](?:(?<=\n)\r{0,2}\n|(?<=\r)\r(?![\r\n])|(?=<(?:!doctype\s+html|html)[\s>]))", re.IGNORECASE
)
"""An empty line, be the lines ended by CR alone; or the beginning of the page, where that line is missing."""
MAX_HTTP_HEADER_BYTES = 1 << 20
"""How far the end of an HTTP header is looked for; as a rule it lies in the first kilobytes."""
_CHARSET = re.compile(r"""[;,\s]charset\s*=\s*["']?\s*([^\s"';,\0]+)""", re.IGNORECASE)
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})", re.IGNORECASE)

T = TypeVar("T")


def read_pages(path: str | Path, *, start: int = 0, counts: Counter[str] | None = None) -> Iterator[Page | Damage]:
    """The HTML pages of a web archive, in order, and a `Damage` for each stretch that is unreadable.

    The archive is a WARC or ARC file, plain or compressed (gzip, LZ4, Zstandard), at a path or any URL that fsspec
    opens (https://, s3://): then it is brought into a temporary file first, which goes when reading ends. Those in a
    zip file (WACZ) are read one after the other; one that is compressed there is unpacked into a temporary file.

    A page is a response with status 200 and an HTML content type (or none, where the body begins as HTML does), HTML
    without any HTTP header, or a resource record of such a type; its body comes without HTTP chunking and compression.
    Everything is counted in `counts`, what is skipped by its reason: "pages", "damaged", "record:<type>",
    "status:<code>", "type:<content type>", "not_http", "empty_body", "no_url", "too_large" (a record over
    MAX_BLOCK_BYTES), "long_header" (an HTTP header over MAX_HTTP_HEADER_BYTES), "too_many_codings" (more than
    MAX_CODINGS). A body that ends before its chunking or compression says so is kept as far as it goes and counted as
    "body_cut".

    `start` is the `offset` of a page, in bytes: reading from there gives what a whole read gives from the first page
    of that offset on. All records in one compressed frame have the offset of that frame, and all in a compressed member
    of a zip file that of the member.

    Memory does not grow with the archive. Raises MathwrightError where the archive is missing or cannot be opened;
    damage never raises.
    """
    return _read(path, start, frozenset({"response", "resource"}), _to_page, "pages", counts)


def read_documents(
    path: str | Path, *, start: int = 0, counts: Counter[str] | None = None
) -> Iterator[Document | Damage]:
    """The documents of a WET archive: the plain text of pages, as its maker extracted it.

    These are the conversion records of type text/plain; their text is taken as it is, without a title, and so mostly
    without its mathematics. All else is as in `read_pages`, with "documents" for "pages".
    """
    return _read(path, start, frozenset({"conversion"}), _to_document, "documents", counts)


def is_wet(path: str | Path) -> bool:
    """Whether an archive's name says that it holds plain text: `….warc.wet.gz`, as Common Crawl names them."""
    return ".wet" in Path(path).suffixes


def read_page_at(archive: str | Path, offset: int, length: int) -> Page | Damage:
    """The page in the `length` bytes from `offset` on, as an index of an archive names them.

    Only these bytes are read, from a local file or from a server that serves ranges. `Damage`, with the reason, where
    no page lies there. Raises MathwrightError where the archive cannot be reached.
    """
    counts: Counter[str] = Counter()
    data = fetch_range(archive, offset, length)
    is_zip = data.startswith(ZIP_MAGIC)
    reason = "a compressed member of a zip file: read all of it" if is_zip else "no record begins here"
    for item in read_records(ArchiveFile(io.BytesIO(data)), 0, frozenset({"response", "resource"})):
        if isinstance(item, Gap):
            reason = reason if is_zip else item.reason
            break
        page = _to_page(str(archive), item, counts)
        if page is not None:
            return replace(page, offset=offset + page.offset)
        reason = f"not a page: {next(iter(counts))}"
        break
    return Damage(archive=str(archive), offset=offset, size_bytes=length, reason=reason)


def _read(
    path: str | Path,
    start: int,
    wanted: frozenset[str],
    convert: Callable[[str, Record, Counter[str]], T | None],
    name: str,
    counts: Counter[str] | None,
) -> Iterator[T | Damage]:
    counts = Counter() if counts is None else counts
    with open_archive(path) as file:
        for part in parts_of(file, start):
            for item in _items(part, start, wanted):
                item.offset = part.place(item.offset)
                if isinstance(item, Gap):
                    counts["damaged"] += 1
                    yield Damage(archive=str(path), offset=item.offset, size_bytes=item.size, reason=item.reason)
                elif (converted := convert(str(path), item, counts)) is not None:
                    counts[name] += 1
                    yield converted


def _items(part: Part, start: int, wanted: frozenset[str]) -> Iterator[Record | Gap]:
    """The records of one archive in a file from an offset of the file on, and the gaps between them."""
    if part.archive.size == 0 and not part.problem:
        yield Gap(0, 0, "empty file" if part.end is None else "an empty member of a zip file")
    for item in read_records(part.archive, 0 if part.is_packed else max(0, start - part.offset), wanted):
        if isinstance(item, Gap) and part.is_packed:
            item.size = 0
        yield item
    if part.problem:
        yield Gap(0, (part.end or part.offset) - part.offset, part.problem)


# --- from record to page -----------------------------------------------------------------------------


def _to_page(archive: str, record: Record, counts: Counter[str]) -> Page | None:
    """The page in a record; None, and the reason counted, where there is none."""
    header = record.header
    if header.kind not in ("response", "resource"):
        counts[f"record:{header.kind}"] += 1
        return None
    if record.block is None:
        counts["too_large"] += 1
        return None
    if header.kind == "resource":
        return _resource_page(archive, record, counts)
    block = record.block
    head, skipped = _without_interim(block.head)
    if block.rest and _is_cut(head):
        block = Block(block.head + block.rest[:MAX_HTTP_HEADER_BYTES], block.rest[MAX_HTTP_HEADER_BYTES:])
        head, skipped = _without_interim(block.head)
    status = _STATUS_LINE.match(head)
    if status is None and header.url and _HTML.match(head) is not None:  # HTTP/0.9, or a tool that kept no headers
        return _page(archive, record, block.behind(skipped), _content_type(header.content_type)[1], counts)
    if status is None or not header.url:
        counts["no_url" if status else "not_http"] += 1
        return None
    if status[1] != b"200":
        counts[f"status:{status[1].decode()}"] += 1
        return None
    if len(head) > MAX_HTTP_HEADER_BYTES and _HEADER_END.search(head) is None:
        counts["long_header"] += 1
        return None
    fields, start = _http_fields(head)
    content_type, charset = _content_type(fields.get("content-type", ""))
    is_unknown = content_type in _UNKNOWN_TYPES or _TYPE.fullmatch(content_type) is None
    if content_type not in HTML_TYPES and not is_unknown:
        counts[f"type:{content_type[:60]}"] += 1
        return None
    if len(codings_of(fields.get("content-encoding", ""))) > MAX_CODINGS:
        counts["too_many_codings"] += 1
        return None
    payload = block.behind(skipped + start)
    body, complete = decode_body(payload, fields.get("transfer-encoding", ""), fields.get("content-encoding", ""))
    if is_unknown and _HTML.match(body) is None:
        counts[f"type:{content_type[:60]}"] += 1
        return None
    if not complete:
        counts["body_cut"] += 1
    return _page(archive, record, body, charset, counts)


def _resource_page(archive: str, record: Record, counts: Counter[str]) -> Page | None:
    """A page that a tool stored without its HTTP headers."""
    content_type, charset = _content_type(record.header.content_type)
    if content_type not in HTML_TYPES:
        counts["record:resource"] += 1
        return None
    if not record.header.url:
        counts["no_url"] += 1
        return None
    return _page(archive, record, record.block.behind(0) if record.block else b"", charset, counts)


def _page(archive: str, record: Record, body: bytes, charset: str | None, counts: Counter[str]) -> Page | None:
    if not body or body.isspace():
        counts["empty_body"] += 1
        return None
    return Page(
        url=record.header.url,
        html=body,
        charset=charset,
        archive=archive,
        offset=record.offset,
        digest=_digest(body),
        date=record.header.date,
    )


def _to_document(archive: str, record: Record, counts: Counter[str]) -> Document | None:
    """The text in a conversion record; None, and the reason counted, where there is none."""
    header = record.header
    if header.kind != "conversion":
        counts[f"record:{header.kind}"] += 1
        return None
    content_type, charset = _content_type(header.content_type)
    block = b"" if record.block is None else record.block.behind(0)
    reason = (
        "too_large" if record.block is None
        else f"type:{content_type[:60]}" if content_type != "text/plain"
        else "no_url" if not header.url
        else "empty_body" if not block or block.isspace()
        else ""
    )  # fmt: skip
    if reason:
        counts[reason] += 1
        return None
    try:
        text = block.decode(charset or "utf-8", "replace")
    except LookupError:  # a charset nobody knows
        text = block.decode("utf-8", "replace")
    return Document(
        url=header.url,
        title="",
        text=text,
        archive=archive,
        offset=record.offset,
        digest=_digest(block),
        date=header.date,
    )


def _digest(body: bytes) -> str:
    return base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()


def _without_interim(block: bytes) -> tuple[bytes, int]:
    """The block from its final header on, and how many bytes were before: empty lines, interim responses (100
    Continue, ...), a proxy's "200 Connection established"."""
    start = len(block) - len(block.lstrip(b"\r\n"))
    while (status := _STATUS_LINE.match(block, start)) is not None:
        end = _HEADER_END.search(block, start)
        if end is None or _STATUS_LINE.match(block, end.end()) is None:
            break
        if not status[1].startswith(b"1") and b"\ncontent-type:" in block[start : end.end()].lower():
            break  # a page that shows a response
        start = end.end()
    return block[start:], start


def _is_cut(head: bytes) -> bool:
    """Whether these bytes end before the HTTP header does, or so soon behind it that another one may follow."""
    end = _HEADER_END.search(head)
    return _STATUS_LINE.match(head) is not None and (end is None or len(head) - end.end() < 16)


def _http_fields(block: bytes) -> tuple[dict[str, str], int]:
    """The fields of an HTTP header (names in lower case, the last of several), and where the payload begins."""
    end = _HEADER_END.search(block)
    head, start = (block, len(block)) if end is None else (block[: end.start()], end.end())
    fields: dict[str, str] = {}
    name = ""
    for line in head.decode("latin-1").split("\n" if b"\n" in head else "\r")[1:]:
        if line[:1] in (" ", "\t") and name:  # folded, as HTTP once allowed
            fields[name] += " " + line.strip()
            continue
        field, colon, value = line.partition(":")
        if colon:
            name = field.strip().lower()
            fields[name] = value.strip()
    return fields, start


def _content_type(value: str) -> tuple[str, str | None]:
    """The media type in a Content-Type header, and its charset if it has one; of several types joined, the first.

    One of HTML is "text/html", however it is written; anything else is given as it stands.
    """
    words = _PARAMETERS.split(value.strip(" \t\0\"'"), maxsplit=1)
    content_type = words[0].strip("\0\"'").lower()
    charset = _CHARSET.search(value)
    if content_type not in HTML_TYPES and _CALLED_HTML.fullmatch(content_type):
        content_type = "text/html"
    return content_type, charset[1].lower() if charset is not None else None
