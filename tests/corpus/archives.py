"""Archives for the tests: records written by hand, stored in every way that archives are."""

from __future__ import annotations

import base64
import gzip
import hashlib
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from fastwarc.stream_io import Lz4Writer, ZstdWriter

from mathwright.corpus.archive import read_pages
from mathwright.records import Damage, Page

HTML = "Content-Type: text/html; charset=UTF-8"


def record(
    kind: str, block: bytes, url: str = "http://example.org/", *, line_end: str = "\r\n", more: str = ""
) -> bytes:
    lines = [
        "WARC/1.0", f"WARC-Type: {kind}", f"WARC-Target-URI: {url}", "WARC-Date: 2024-01-02T03:04:05Z",
        "WARC-Record-ID: <urn:uuid:0>", *more.splitlines(), f"Content-Length: {len(block)}", "", "",
    ]  # fmt: skip
    if "content-type" not in more.lower():
        lines.insert(5, "Content-Type: application/http")
    return line_end.join(lines).encode() + block + 2 * line_end.encode()


def response(
    url: str, body: bytes, *, head: str = HTML, status: int = 200, line_end: str = "\r\n", has_digest: bool = False
) -> bytes:
    block = f"HTTP/1.1 {status} X\r\n{head}\r\n\r\n".encode() + body
    digest = base64.b32encode(hashlib.sha1(block).digest()).decode()
    more = f"WARC-Block-Digest: sha1:{digest}" if has_digest else ""
    return record("response", block, url, line_end=line_end, more=more)


def arc_record(url: str, block: bytes, *, content_type: str = "text/html") -> bytes:
    return f"{url} 127.0.0.1 20080430204825 {content_type} {len(block)}\n".encode() + block + b"\n"


def arc_head() -> bytes:
    return arc_record("filedesc://a.arc", b"1 0 Us\nURL IP-address Archive-date Content-type Archive-length\n")


def _compressed_by(writer: type[Lz4Writer] | type[ZstdWriter]) -> Callable[[bytes], bytes]:
    def compress(data: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frame"
            with writer(str(path)) as file:
                file.write(data)
                file.finish()
            return path.read_bytes()

    return compress


def _stored(data: bytes) -> bytes:
    return gzip.compress(data, 0, mtime=0)


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


STORAGES: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": _gzip,
    "stored gzip": _stored,
    "lz4": _compressed_by(Lz4Writer),
    "zstd": _compressed_by(ZstdWriter),
}


def page_url(number: int) -> str:
    return f"http://example.org/{number}"


def page_records(count: int, *, line_end: str = "\r\n") -> list[list[bytes]]:
    """For each page a request and a response, some with a metadata record; bodies as they try a reader."""
    rng = random.Random(7)
    archives_in_archives = [
        response("http://inner.example/", b"<p>a page in an archive that is itself a page"),
        gzip.compress(response("http://inner.example/", b"<p>the same, compressed"), mtime=0),
    ]
    pages: list[list[bytes]] = []
    for number in range(count):
        body = "".join(rng.choices("abcdefgh <>\n", k=rng.choice([0, 20, 2_000, 40_000]))).encode()
        if number % 4 == 1:
            body += b"\r\n\r\n<pre>WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 3\r\n\r\nabc\r\n\r\n</pre>"
        is_archive = number % 4 == 3
        if is_archive:  # the digest tells that the record does not end before the one in its page
            body += b"\r\n\r\n" + archives_in_archives[number // 4 % 2] + b"<p>"
        records = [
            record("request", b"GET / HTTP/1.1\r\n\r\n", line_end=line_end),
            response(page_url(number), f"<p>{number}</p>".encode() + body, line_end=line_end, has_digest=is_archive),
        ]
        if number % 3 == 0:
            records.append(record("metadata", b"" if number % 2 else b"fetchTimeMs: 7\r\n", line_end=line_end))
        pages.append(records)
    return pages


def read(path: Path, data: bytes, **options: int) -> tuple[list[Page], list[Damage], Counter[str]]:
    path.write_bytes(data)
    counts: Counter[str] = Counter()
    items = list(read_pages(path, counts=counts, **options))
    return (
        [item for item in items if isinstance(item, Page)],
        [item for item in items if isinstance(item, Damage)],
        counts,
    )


def starts_of(units: Sequence[bytes]) -> list[int]:
    """Where each of these pieces begins when they are joined."""
    return [sum(map(len, units[:number])) for number in range(len(units))]
