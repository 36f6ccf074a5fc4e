"""The crawler: which URLs it takes, what it honours, and what other tools read from its archives."""

from __future__ import annotations

import dataclasses
import http.server
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from warcio.archiveiterator import ArchiveIterator

from mathwright.corpus.crawl.frontier import Frontier
from mathwright.corpus.crawl.run import CrawlReport, crawl
from mathwright.corpus.localweb import DocsWeb
from mathwright.corpus.recipe import WebRecipe
from mathwright.errors import MathwrightError

RECIPE = WebRecipe(
    kind="crawl",
    archives=(),
    packages=(),
    start_urls=(),
    max_pages=1000,
    max_pages_per_host=1000,
    delay_s=0.0,
    requests_per_host=4,
    user_agent="TestBot/1.0 (+https://example.org/bot)",
)


# --- which URLs ------------------------------------------------------------------------------------


def simulate(sites: dict[str, dict[str, list[str]]], *, order: int, **budgets: int) -> tuple[Frontier, list[str]]:
    """Crawl a made-up web (host -> path -> links), answering in one of several orders."""
    frontier = Frontier([f"http://{host}/" for host in sites], **budgets)
    waiting = frontier.take()
    fetched = []
    while waiting:
        url, _ = waiting.pop(order if order < 0 else min(order, len(waiting) - 1))
        _, _, host, path = url.split("/", 3)
        if path in sites[host]:
            for link in sites[host][path]:
                frontier.add(f"http://{host}/{link}")
            frontier.page(url)
            fetched.append(url)
        else:
            frontier.drop(url, "status_4xx")
        waiting += frontier.take()
    frontier.finish()
    return frontier, fetched


SITES = {
    "wide": {"": [f"{i}" for i in range(50)], **{f"{i}": [f"{i}/x"] for i in range(50)}},
    "deep": {"": ["1"], **{f"{i}": [f"{i + 1}", "dead"] for i in range(1, 30)}},
    "small": {"": ["a"], "a": [""]},
}


@pytest.mark.parametrize("order", [-1, 0, 3])
def test_budget_is_shared_evenly_and_choice_ignores_timing(order: int) -> None:
    frontier, fetched = simulate(SITES, order=order, max_pages=32, max_pages_per_host=100)
    counts = Counter(url.split("/")[2] for url in fetched)
    assert counts == {"wide": 15, "deep": 15, "small": 2}  # what the small site leaves is divided among the others
    reference = simulate(SITES, order=0, max_pages=32, max_pages_per_host=100)[1]
    assert set(fetched) == set(reference)
    assert frontier.num_urls == frontier.num_pages + sum(frontier.dropped.values())
    assert frontier.dropped["status_4xx"] == 1


def test_breadth_first_and_a_sample_that_is_not_alphabetical() -> None:
    fetched = simulate(SITES, order=0, max_pages=31, max_pages_per_host=11)[1]
    wide = [int(url.rsplit("/", 1)[1]) for url in fetched if "//wide/" in url and not url.endswith("/")]
    assert len(wide) == 10
    assert all(str(path).isdigit() for path in wide)  # depth 1 only while depth 1 lasts
    assert max(wide) > 20


def test_a_failed_page_does_not_cost_budget() -> None:
    sites = {"h": {"": ["dead1", "dead2", "dead3", "alive"], "alive": []}}
    _, fetched = simulate(sites, order=0, max_pages=2, max_pages_per_host=2)
    assert "http://h/alive" in fetched


# --- a server that tries the crawler -----------------------------------------------------------------


class _Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str, float]]

    def do_GET(self) -> None:
        host = self.headers["Host"].partition(":")[0]
        self.asked.append((host, self.path, time.monotonic()))
        status, headers, body = self.answer(host, self.path)
        self.send_response(status)
        for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer(self, host: str, path: str) -> tuple[int, dict[str, str], bytes]:
        if path == "/robots.txt":
            if host == "down.localhost":
                return 503, {}, b"try later"
            if host == "slow.localhost":
                return 200, {"Content-Type": "text/plain"}, b"User-agent: *\nCrawl-delay: 0.25\n"
            return 200, {"Content-Type": "text/plain"}, b"User-agent: TestBot\nDisallow: /private/\n"
        if host == "slow.localhost":
            return 200, {}, b'<a href="/1"></a><a href="/2"></a><a href="/3"></a>'
        if path == "/":
            links = "/private/x /moved /gone /picture.png /big /%C3%BC /nofollow?utm_source=y http://off.example/ /#top"
            page = "".join(f'<a href="{link}">x</a>' for link in links.split())
            return 200, {}, f'<a rel="nofollow" href="/unseen">x</a>{page}'.encode()
        if path == "/moved":
            return 301, {"Location": "/target"}, b""
        if path == "/gone":
            return 410, {}, b"gone"
        if path == "/picture.png":
            return 200, {"Content-Type": "image/png"}, b"\x89PNG" * 1000
        if path == "/big":
            return 200, {"Content-Length": str(2**30)}, b"x" * 1000
        if path == "/nofollow":
            return 200, {}, b'<meta name="robots" content="noindex, nofollow"><a href="/unseen2">x</a>'
        return 200, {"Content-Type": "text/html; charset=latin-1"}, "<p>f\xfcr</p>".encode("latin-1")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture
def site() -> Iterator[tuple[int, list[tuple[str, str, float]]]]:
    asked: list[tuple[str, str, float]] = []
    handler = type("Handler", (_Site,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], asked
        server.shutdown()


def assert_adds_up(report: CrawlReport) -> None:
    assert report.num_urls == report.num_pages + sum(report.dropped.values())


def test_what_is_dropped_and_why(site: tuple[int, list[tuple[str, str, float]]], tmp_path: Path) -> None:
    port, asked = site
    report = crawl([f"http://try.localhost:{port}/"], tmp_path, recipe=RECIPE)
    assert_adds_up(report)
    assert report.dropped == {
        "robots": 1, "redirect": 1, "status_4xx": 1, "content_type": 1, "too_large": 1, "off_site": 1,
    }  # fmt: skip
    assert report.pages_by_host == {f"try.localhost:{port}": 4}  # /, /ü, /nofollow, /target
    paths = {path for _, path, _ in asked}
    assert "/private/x" not in paths
    assert "/target" in paths
    assert "/nofollow" in paths  # without its tracking parameter
    assert not {"/unseen", "/unseen2"} & paths
    assert (tmp_path / "crawl.log").read_text() == ""
    (archive,) = report.archives
    by_url = {}
    with Path(archive).open("rb") as file:
        for record in ArchiveIterator(file):
            if record.rec_type == "response":
                status = record.http_headers.get_statuscode()
                by_url[record.rec_headers.get_header("WARC-Target-URI").partition(str(port))[2]] = (
                    status,
                    record.content_stream().read(),
                )
    assert by_url["/moved"] == ("301", b"")
    assert by_url["/gone"] == ("410", b"gone")
    assert by_url["/%C3%BC"][1] == "<p>f\xfcr</p>".encode("latin-1")  # bytes as they came
    assert "/picture.png" not in by_url


def test_rules_that_cannot_be_had_forbid_everything(
    site: tuple[int, list[tuple[str, str, float]]], tmp_path: Path
) -> None:
    port, asked = site
    with pytest.raises(MathwrightError, match="fetched no page from 1 start URLs \\(robots 1\\)"):
        crawl([f"http://down.localhost:{port}/"], tmp_path, recipe=RECIPE)
    assert {path for _, path, _ in asked} == {"/robots.txt"}


def test_crawl_delay_is_kept(site: tuple[int, list[tuple[str, str, float]]], tmp_path: Path) -> None:
    port, asked = site
    report = crawl([f"http://slow.localhost:{port}/"], tmp_path, recipe=RECIPE)
    assert report.num_pages == 4
    times = [at for _, path, at in asked if path != "/robots.txt"]
    assert all(later - earlier > 0.22 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("url", ["ftp://example.org/", "example.org", "http:///x"])
def test_bad_start_urls(url: str, tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match=r"not an http\(s\) URL"):
        crawl([url], tmp_path, recipe=RECIPE)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match="refused 1"):
        crawl(["http://nobody.localhost:1/"], tmp_path, recipe=RECIPE)


# --- a real package over HTTP ------------------------------------------------------------------------


def test_real_packages_into_archives_that_others_read(tmp_path: Path) -> None:
    seen = []
    recipe = dataclasses.replace(RECIPE, max_pages=80, max_pages_per_host=60)
    with DocsWeb(["http", "mpmath"], math={"mpmath": "mathml"}) as web:
        port = web.port
        start_urls = [*web.start_urls, f"http://mpmath.localhost:{port}/calculus/approximation/fourier.html"]
        report = crawl(start_urls, tmp_path / "a", recipe=recipe, progress=seen.append, max_archive_bytes=50_000)
        again = crawl(start_urls, tmp_path / "b", recipe=recipe)
    assert_adds_up(report)
    assert report.num_pages == sum(seen) == 80
    assert set(report.pages_by_host.values()) == {40}
    assert report.dropped["robots"] > 0
    assert (again.pages_by_host, again.dropped) == (report.pages_by_host, report.dropped)

    def responses(archives: tuple[str, ...]) -> dict[str, bytes]:
        pages = {}
        for archive in archives:
            with Path(archive).open("rb") as file:
                for record in FastIterator(file, record_types=WarcRecordType.response):
                    assert record.verify_payload_digest()
                    pages[record.headers["WARC-Target-URI"]] = record.reader.read()
        return pages

    pages = responses(report.archives)
    assert pages == responses(again.archives)  # the same pages, whatever the timing
    assert not any("/_sources/" in url or "/search.html" in url for url in pages)
    assert b"<msub>" in pages[start_urls[-1]]
    assert f"http://http.localhost:{port}/client/index.html" in pages

    assert len(report.archives) > 1  # a new file behind max_archive_bytes
    types: Counter[str] = Counter()
    for archive in report.archives:
        with Path(archive).open("rb") as file:
            for record in ArchiveIterator(file, check_digests=True):
                types[record.rec_type] += 1
                if record.rec_type == "response":
                    assert record.http_headers.get_header("Content-Type").endswith("charset=utf-8")
                    types[record.http_headers.statusline] += 1
                    assert record.rec_headers.get_header("WARC-Date").endswith("Z")
                elif record.rec_type == "request":
                    assert record.http_headers.get_header("Host").endswith(f"localhost:{port}")
                    assert record.http_headers.protocol == "GET"
                record.content_stream().read()
                assert record.digest_checker is not None
                assert record.digest_checker.passed
    assert types["warcinfo"] == len(report.archives)
    assert types["request"] == types["response"] == types["metadata"] == len(pages)
    assert types["200 OK"] == 82  # and two robots.txt


def test_a_killed_crawl_leaves_readable_archives_and_no_process(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom mathwright.corpus.crawl.run import crawl\n"
        "from mathwright.corpus.localweb import DocsWeb\n"
        "from tests.corpus.crawl.test_run import RECIPE\n"
        "with DocsWeb(['mpmath']) as web:\n"
        "    crawl(web.start_urls, pathlib.Path(sys.argv[1]), recipe=RECIPE, progress=lambda n: print(n, flush=True))\n"
    )
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    archive = tmp_path / "crawl-00000.warc.gz"
    size = -1
    while size != archive.stat().st_size and time.monotonic() < deadline:  # the crawler ends with its parent
        size = archive.stat().st_size
        time.sleep(0.5)
    with archive.open("rb") as file:
        num_records = sum(1 for _ in ArchiveIterator(file))
    assert num_records > 1
