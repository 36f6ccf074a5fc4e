"""Archives made to be slow: what is read to find the next intact record grows as the archive does, and it is found."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable

import pytest

from mathwright.corpus.archive.frames import ArchiveFile
from mathwright.corpus.archive.records import CHEAP_BYTES, EFFORT, Gap, read_records
from tests.corpus.archives import STORAGES, arc_head, arc_record, response


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    num_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.num_read += len(piece)
        return piece


def record(length: int, block: bytes = b"x\r\n", *, url: bytes = b"http://a.org/") -> bytes:
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: %s\r\nContent-Length: %d\r\n\r\n" % (url, length)
    return head + block


def arc_line(length: int) -> bytes:
    return b"http://a.org/ 1.1.1.1 20080101000000 text/html %d\n" % length


BEYOND = 10**9
stored, zstd, lz4, compress = STORAGES["stored gzip"], STORAGES["zstd"], STORAGES["lz4"], gzip.compress
GOOD = response("http://good.org/", b"<p>good</p>")
FAMILIES: dict[str, tuple[Callable[[int], bytes], bytes]] = {
    "lines that begin records": (lambda n: b"WARC/1.0\r\n" * n, GOOD),
    "such lines behind letters": (lambda n: b"xWARC/1.0\n" * n, GOOD),
    "headers cut off": (lambda n: b"WARC/1.0\na:b\n" * n, GOOD),
    "headers cut off behind letters": (lambda n: b"xWARC/1.0\na:b\n" * n, GOOD),
    "headers without end": (lambda n: b"".join(b"WARC/1.0\n" + b"a: b\n" * 20 for _ in range(n // 20)), GOOD),
    "lengths beyond the file": (lambda n: record(BEYOND) * n, GOOD),
    "lengths to the middle of others": (lambda n: b"".join(record(40 * (n - i)) for i in range(n)), GOOD),
    "lengths to an empty line": (
        lambda n: b"".join(record(45 * (n - i) + i % 7, b"\r\n\r\nabc\r\n\r\nabc") for i in range(n)), GOOD,
    ),
    "members, lengths beyond": (lambda n: compress(record(BEYOND)) * n, compress(GOOD)),
    "members, lengths into others": (
        lambda n: b"".join(compress(record(40 * (n - i))) for i in range(n)), compress(GOOD),
    ),
    "members and others without records": (
        lambda n: b"".join(compress(record(BEYOND)) + compress(b"filler %d" % i) for i in range(n // 2)),
        compress(GOOD),
    ),
    "stored members": (lambda n: stored(record(BEYOND)) * n, stored(GOOD)),
    "zstd frames": (lambda n: zstd(record(BEYOND)) * (n // 4), zstd(GOOD)),
    "lz4 frames": (lambda n: lz4(record(BEYOND)) * (n // 2), lz4(GOOD)),
    "one member, lines": (lambda n: compress(b"WARC/1.0\r\n" * n), compress(GOOD)),
    "one member, headers cut off": (lambda n: compress(b"WARC/1.0\na:b\n" * n), compress(GOOD)),
    "one member, lengths beyond": (lambda n: compress(record(BEYOND) * n), compress(GOOD)),
    "good and bad in turn": (lambda n: (GOOD + record(BEYOND)) * (n // 8), GOOD),
    "good and bad in turn, to the middle": (
        lambda n: b"".join(GOOD + record(200 * (n // 8 - i)) for i in range(n // 8)), GOOD,
    ),
    "good and bad members in turn": (lambda n: (compress(GOOD) + compress(record(BEYOND))) * (n // 8), compress(GOOD)),
    "good and bad members in turn, into others": (
        lambda n: b"".join(compress(GOOD) + compress(record(200 * (n // 8 - i))) for i in range(n // 8)),
        compress(GOOD),
    ),
    "beginnings of members": (lambda n: b"\x1f\x8b\x08" * n, GOOD),
    "beginnings of members with names": (lambda n: b"\x1f\x8b\x08\x08\0\0\0\0\0\0" * n, GOOD),
    "beginnings of zstd frames": (lambda n: b"\x28\xb5\x2f\xfd\x00" * n, GOOD),
    "arc, lengths beyond": (lambda n: arc_head() + arc_line(BEYOND) * n, arc_record("http://good.org/", b"good")),
    "arc, lengths into others": (
        lambda n: arc_head() + b"".join(arc_line(27 * (n - i)) for i in range(n)),
        arc_record("http://good.org/", b"good"),
    ),
}  # fmt: skip


def read(data: bytes) -> tuple[int, list[str]]:
    """Bytes read, of the file and out of its frames, and the addresses of the records found."""
    file = Counting(data)
    archive = ArchiveFile(file)
    items = list(read_records(archive, 0, {"response"}))
    assert archive.visited >= file.num_read
    return archive.visited, [item.header.url for item in items if not isinstance(item, Gap)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_next_record_is_found_in_time_that_grows_with_the_archive(family: str) -> None:
    make, good = FAMILIES[family]
    costs, data = [], b""
    for n in (2000, 4000):
        data = make(n) + good
        cost, urls = read(data)
        assert "http://good.org/" in urls
        costs.append(cost)
    few_times_the_archive = 20 * len(data)
    assert costs[1] <= max(2.5 * costs[0], few_times_the_archive)


@pytest.mark.parametrize("n", [2000, 4000, 16000])
def test_what_is_tried_inside_one_frame_is_bounded_by_its_size(n: int) -> None:
    """There each attempt reads all that lies before it again; when too much is spent, the frame is given up."""
    content = b"".join(record(40 * (n - i)) for i in range(n))
    data = gzip.compress(content) + gzip.compress(GOOD)
    cost, urls = read(data)
    assert "http://good.org/" in urls
    assert cost <= (EFFORT + 20) * (len(data) + len(content)) + 64 * CHEAP_BYTES


@pytest.mark.parametrize("storage", ["plain", "gzip", "zstd"])
def test_much_real_damage_spends_no_effort_that_good_records_need(storage: str) -> None:
    """Every second record is broken, by a tool that counted characters: all others come back, large ones too."""
    store = STORAGES[storage]
    pieces = []
    for i in range(60):
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + b"<p>words</p>" * 8000
        pieces.append(store(response(f"http://a.org/{i}", b"<p>words</p>" * 8000)))
        pieces.append(store(record(len(block) - 37, block + b"\r\n\r\n", url=b"http://b.org/")))
    _, urls = read(b"".join(pieces))
    assert [url for url in urls if url.startswith("http://a.org/")] == [f"http://a.org/{i}" for i in range(60)]
