"""Archives behind URLs: fetched in ranges, through lost connections, and gone from the disk afterwards."""

from __future__ import annotations

import contextlib
import gzip
import re
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("aiohttp", reason="fsspec reads http:// with it")
fsspec = pytest.importorskip("fsspec")

from mathwright.corpus.archive import (  # noqa: E402
    read_page_at,
    read_pages,
    remote,
)
from mathwright.errors import MathwrightError  # noqa: E402
from mathwright.records import Damage, Page  # noqa: E402
from tests.corpus.archives import page_records, read  # noqa: E402

UNITS = [gzip.compress(data) for records in page_records(12) for data in records]
DATA = b"".join(UNITS)


@dataclass
class Server:
    """A web server with one archive, which can be made to behave badly."""

    url: str = ""
    has_ranges: bool = True
    has_size: bool = True
    cut_after: int | None = None
    """Break the connection off after this many bytes of each of the next `num_failures` bodies."""
    status: int | None = None
    """Answer the next `num_failures` requests with this."""
    num_failures: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Method and range of each request."""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            asked = self.headers["Range"]
            state.asked.append((self.command, asked))
            assert "gzip" not in self.headers["Accept-Encoding"], "archives shall come as they are"
            if self.path != "/a.warc.gz":
                self._send(404, {}, b"no such archive")
            elif state.status is not None and state.num_failures > 0:
                state.num_failures -= 1
                self._send(state.status, {}, b"not now")
            elif asked and state.has_ranges:
                first, last = (int(number) for number in re.findall(r"\d+", asked))
                body = DATA[first : last + 1]
                headers = {"Content-Range": f"bytes {first}-{first + len(body) - 1}/{len(DATA)}"}
                self._send(206 if body else 416, headers, body)
            else:
                self._send(200, {}, DATA)

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            headers["Content-Type"] = "application/octet-stream"
            if state.has_size or status != 200:
                headers["Content-Length"] = str(len(body))
            else:
                headers["Connection"] = "close"
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            if state.cut_after is not None and state.num_failures > 0:
                state.num_failures -= 1
                self.wfile.write(body[: state.cut_after])
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(body)
            self.close_connection = "Connection" in headers

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Nothing: the tests look at `asked`."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{web.server_address[1]}/a.warc.gz"
    yield state
    web.shutdown()
    web.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made."""
    made: list[float] = []
    monkeypatch.setattr(remote, "_pause", made.append)
    return made


@pytest.fixture
def local(tmp_path: Path) -> list[Page]:
    pages, damages, _ = read(tmp_path / "local", DATA)
    assert len(pages) == 12 and not damages
    return pages


def at(url: str, pages: list[Page]) -> list[Page]:
    return [replace(page, archive=url) for page in pages]


def test_an_archive_behind_a_url(server: Server, local: list[Page], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "RANGE_BYTES", 30_000)
    assert list(read_pages(server.url)) == at(server.url, local)
    ranges = [asked for method, asked in server.asked if method == "GET"]
    assert ranges[0] == "bytes=0-29999" and len(ranges) == -(-len(DATA) // 30_000) > 2


def test_from_an_offset(server: Server, local: list[Page]) -> None:
    assert list(read_pages(server.url, start=local[7].offset)) == at(server.url, local[7:])


def test_lost_connections_cost_a_range_each(
    server: Server, local: list[Page], monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setattr(remote, "RANGE_BYTES", 30_000)
    server.cut_after, server.num_failures = 10_000, 3
    assert list(read_pages(server.url)) == at(server.url, local)
    assert pauses == [1, 2, 4], "one range failed three times, the others came at once"
    ranges = [asked for method, asked in server.asked if method == "GET"]
    assert ranges[:5] == ["bytes=0-29999"] * 4 + ["bytes=30000-59999"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_servers_are_asked_again(server: Server, local: list[Page], pauses: list[float], status: int) -> None:
    server.status, server.num_failures = status, 5
    assert list(read_pages(server.url)) == at(server.url, local)
    assert 0 < len(pauses) <= 5


def test_giving_up_says_why(server: Server, pauses: list[float]) -> None:
    server.cut_after, server.num_failures = 1000, 10**6
    with pytest.raises(MathwrightError, match=r"a\.warc\.gz: cannot be read .*hint"):
        list(read_pages(server.url))
    assert pauses == [1, 2, 4, 8, 16]


def test_what_is_not_there_is_asked_for_once(server: Server, pauses: list[float]) -> None:
    with pytest.raises(MathwrightError, match="404"):
        list(read_pages(server.url + ".other"))
    with pytest.raises(MathwrightError, match=r"cannot be read .*hint"):
        read_page_at(server.url + ".other", 0, 100)
    assert pauses == []


@pytest.mark.parametrize("has_size", [True, False])
def test_servers_without_ranges(
    server: Server, local: list[Page], monkeypatch: pytest.MonkeyPatch, has_size: bool
) -> None:
    monkeypatch.setattr(remote, "RANGE_BYTES", 30_000)
    server.has_ranges, server.has_size = False, has_size
    assert list(read_pages(server.url)) == at(server.url, local)
    server.cut_after, server.num_failures = 50_000, 2
    if has_size:  # without a size nobody can tell a cut connection from the end
        assert list(read_pages(server.url)) == at(server.url, local)


def test_a_single_page_is_one_small_request(server: Server, local: list[Page]) -> None:
    ends = [sum(map(len, UNITS[: number + 1])) for number in range(len(UNITS))]
    for page in local[:4]:
        length = next(end for end in ends if end > page.offset) - page.offset
        server.asked.clear()
        assert read_page_at(server.url, page.offset, length) == replace(page, archive=server.url)
        assert server.asked == [("GET", f"bytes={page.offset}-{page.offset + length - 1}")]
    damage = read_page_at(server.url, len(DATA) + 10, 100)
    assert isinstance(damage, Damage) and damage.offset == len(DATA) + 10


def test_a_single_page_from_a_server_without_ranges(server: Server, local: list[Page]) -> None:
    server.has_ranges = False
    with pytest.raises(MathwrightError, match="sends no ranges"):
        read_page_at(server.url, local[5].offset, 100)


def test_other_file_systems(local: list[Page]) -> None:
    url = "memory://archives/a.warc.gz"
    with fsspec.open(url, "wb") as file:
        file.write(DATA)
    assert list(read_pages(url)) == at(url, local)
    assert read_page_at(url, local[3].offset, len(DATA)) == at(url, local)[3]
    with pytest.raises(MathwrightError, match=r"memory://nowhere: cannot be read"):
        list(read_pages("memory://nowhere"))


def test_file_urls(tmp_path: Path, local: list[Page]) -> None:
    url = (tmp_path / "local").as_uri()
    assert list(read_pages(url)) == at(url, local)


def test_unknown_schemes_and_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MathwrightError, match=r"nosuch://a.*hint"):
        list(read_pages("nosuch://a/b.warc"))

    def no_s3(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", no_s3)
    with pytest.raises(MathwrightError, match="pip install s3fs"):
        list(read_pages("s3://bucket/a.warc.gz"))


def test_the_copy_goes_when_reading_ends(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pages = read_pages(server.url)
    next(pages)
    assert any(str(tmp_path) in link for link in open_files()), "it lies there, without a name"
    pages.close()  # pyright: ignore[reportAttributeAccessIssue]  a generator, abandoned in the middle
    assert list(tmp_path.iterdir()) == [] and not any(str(tmp_path) in link for link in open_files())


def open_files() -> list[str]:
    """What the open files of this process are, deleted ones too."""
    links = Path("/proc/self/fd")
    if not links.exists():
        pytest.skip("no /proc/self/fd: open files are seen on Linux only")
    found: list[str] = []
    for link in links.iterdir():
        with contextlib.suppress(OSError):  # closed since it was listed
            found.append(str(link.readlink()))
    return found
