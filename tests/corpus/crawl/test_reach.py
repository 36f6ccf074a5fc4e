"""Where a crawl may connect to, and what a hostile server can make it do: decided on addresses, bounded by bytes."""

from __future__ import annotations

import dataclasses
import http.server
import ipaddress
import itertools
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.archive import http_body, read_pages
from mathwright.corpus.archive.http_body import MAX_BODY_BYTES, MAX_CODINGS, decode_body
from mathwright.corpus.crawl.page import read_links
from mathwright.corpus.crawl.reach import PrivateAddressError, Reach
from mathwright.corpus.crawl.run import crawl
from mathwright.corpus.urls import is_private, is_public, parse_address
from mathwright.records import Page
from tests.corpus.archives import response
from tests.corpus.crawl.test_run import RECIPE

# --- addresses ------------------------------------------------------------------------------------------

LOOPBACK_SPELLINGS = ["127.1", "127.0.1", "0x7f.0.0.1", "0177.1", "2130706433", "0x7f000001", "017700000001"]
PRIVATE = [
    *LOOPBACK_SPELLINGS, "10.1", "169.254.43518", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0", "192.168.1.1",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "192.0.2.1",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1",
    "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1",
    "100::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "134744072", "1.1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]


@pytest.mark.parametrize("host", PRIVATE)
def test_private_in_every_spelling(host: str) -> None:
    address = parse_address(host)
    assert address is not None and not is_public(address)
    assert is_private(host)
    with pytest.raises(PrivateAddressError):
        Reach().check(host, 80)
    with pytest.raises(PrivateAddressError):
        Reach().check_url(f"http://{f'[{host}]' if ':' in host else host}/")


@pytest.mark.parametrize("host", PUBLIC)
def test_public_in_every_spelling(host: str) -> None:
    address = parse_address(host)
    assert address is not None and is_public(address)
    assert not is_private(host)
    Reach().check(host, 80)


@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST.", "a.localhost", "printer.local", "nas.lan", "router.home.arpa", "wiki"]
)
def test_names_of_local_networks(name: str) -> None:
    assert parse_address(name) is None and is_private(name)


@pytest.mark.parametrize("name", ["example.org", "127.0.0.1.example.org", "0x7f.example.org", "1.2.3.4.5", "256.1.1.1"])
def test_other_names_say_nothing_until_they_are_looked_up(name: str) -> None:
    assert parse_address(name) is None and not is_private(name)
    with pytest.raises(PrivateAddressError, match="name"):
        Reach().check(name, 80)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_the_same_inside_ipv6(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    inside = [
        str(ipaddress.IPv6Address((0xFFFF << 32) | number)),
        str(ipaddress.IPv6Address((0x64FF9B << 96) | number)),
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))),
    ]
    for spelling in [*inside, str(number), hex(number)]:
        found = parse_address(spelling)
        assert found is not None and is_public(found) == is_public(address), spelling


@given(st.ip_addresses(v=6))
def test_no_ipv6_address_is_public_that_python_knows_as_private(address: ipaddress.IPv6Address) -> None:
    if not address.is_global or address.is_link_local or address.is_site_local or address.is_loopback:
        assert address in ipaddress.IPv6Network("64:ff9b::/96") or not is_public(address)


def resolve(monkeypatch: pytest.MonkeyPatch, table: dict[str, list[str]]) -> None:
    def getaddrinfo(name: str, *_: Any, **__: Any) -> list[Any]:
        if name not in table:
            raise socket.gaierror(name)
        return [(0, 0, 0, "", (address, 0)) for address in table[name]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_start_url_opens_its_own_private_address_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {"wiki.example.edu": ["10.0.0.5"], "example.org": ["93.184.215.14", "10.0.0.9"]})
    reach = Reach.of(["https://wiki.example.edu:8443/", "http://example.org/", "http://gone.example/"])
    for port in (8443, 443, 80):
        reach.check("10.0.0.5", port)
    for host, port in (("10.0.0.5", 22), ("10.0.0.6", 8443), ("127.0.0.1", 80), ("10.0.0.9", 80)):
        with pytest.raises(PrivateAddressError):
            reach.check(host, port)
    reach.check("93.184.215.14", 80)


def test_a_name_that_is_private_only_later_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, {"rebind.example": ["93.184.215.14"]})
    reach = Reach.of(["http://rebind.example/"])
    resolve(monkeypatch, {"rebind.example": ["127.0.0.1"]})
    with pytest.raises(PrivateAddressError):
        reach.check("127.0.0.1", 80)


def test_a_proxy_is_reached_wherever_it_is_and_takes_nobody_to_private_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:3128")
    reach = Reach.of(["http://example.org/"], use_proxy=True)
    reach.check("127.0.0.1", 3128)
    reach.check_url("http://example.net/")
    for url in ("http://0x7f.1/", "http://localhost/", "http://[::ffff:10.0.0.1]/", "http://127.0.0.1:80/"):
        with pytest.raises(PrivateAddressError):
            reach.check_url(url)
    with pytest.raises(PrivateAddressError):
        Reach.of(["http://example.org/"]).check("127.0.0.1", 3128)


# --- crawls ---------------------------------------------------------------------------------------------


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # type: ignore[assignment]  # narrower than the base class says

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, headers, body = self.server.pages.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in {"Content-Type": "text/html", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name of the base class
        pass


@pytest.fixture
def servers() -> Iterator[tuple[_Server, _Server]]:
    """The site that is crawled, and one on another port that nobody named."""
    both = _Server(), _Server()
    for server in both:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield both
    for server in both:
        server.shutdown()
        server.server_close()


def links(*urls: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, "".join(f'<p>theorem <a href="{url}">proof</a></p>' for url in urls).encode()


HOSTS = ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "localhost", "other.localhost", "[::ffff:127.0.0.1]"]


@pytest.mark.parametrize("order", ["breadth", "score"])
def test_nobody_leads_a_crawl_to_a_private_address_that_was_not_named(
    servers: tuple[_Server, _Server], tmp_path: Path, order: Any
) -> None:
    site, secret = servers
    secret.pages = {path: links("/more") for path in ("/", "/robots.txt", "/latest", "/more")}
    site.pages["/"] = links("/page", "/redirect", *(secret.url("/latest", host) for host in HOSTS))
    site.pages["/page"] = links()
    site.pages["/redirect"] = (302, {"Location": secret.url("/latest", "0x7f.1")}, b"")
    recipe = dataclasses.replace(RECIPE, order=order, scope="any")
    report = crawl([site.url()], tmp_path, recipe=recipe)
    assert secret.asked == []
    assert report.num_pages == 2
    assert report.num_urls == report.num_pages + sum(report.dropped.values())


@pytest.mark.parametrize(("order", "host"), [("breadth", "localhost"), ("score", "0177.1")])
def test_neither_robots_txt_nor_a_start_page_redirects_there(
    servers: tuple[_Server, _Server], tmp_path: Path, order: Any, host: str
) -> None:
    site, secret = servers
    secret.pages = {path: links("/more") for path in ("/", "/robots.txt", "/latest")}
    site.pages["/robots.txt"] = (302, {"Location": secret.url("/robots.txt", host)}, b"")
    site.pages["/"] = links("/page")
    site.pages["/page"] = links()
    site.pages["/away"] = (301, {"Location": secret.url("/latest", host)}, b"")
    recipe = dataclasses.replace(RECIPE, order=order, scope="any")
    if order == "breadth":
        report = crawl([site.url(), site.url("/away")], tmp_path, recipe=recipe)
        assert report.dropped["private_host"] == 1 and report.dropped["redirect"] == 1
    else:  # where robots.txt cannot be had, nothing is fetched
        with pytest.raises(Exception, match="robots"):
            crawl([site.url(), site.url("/away")], tmp_path, recipe=recipe)
    assert secret.asked == []


@pytest.mark.parametrize("order", ["breadth", "score"])
def test_headers_without_end_are_given_up(servers: tuple[_Server, _Server], tmp_path: Path, order: Any) -> None:
    site, _ = servers
    many = {f"X-{i}": "x" * 8000 for i in range(200)}
    site.pages = {"/": links("/flood", "/large"), "/flood": (200, many, b"<p>never read</p>")}
    site.pages["/large"] = (200, {f"X-{i}": "x" * 8000 for i in range(20)}, b"<p>160 KB of headers are read</p>")
    report = crawl([site.url()], tmp_path, recipe=dataclasses.replace(RECIPE, order=order))
    assert report.dropped == {"headers_too_large": 1}
    assert report.num_pages == 2


@pytest.mark.parametrize(("order", "coding"), [("breadth", "deflate, "), ("score", "gzip,DEFLATE,br,")])
def test_a_body_coded_without_end_is_not_decoded(
    servers: tuple[_Server, _Server], tmp_path: Path, order: Any, coding: str
) -> None:
    site, _ = servers
    site.pages = {"/": links("/coded"), "/coded": (200, {"Content-Encoding": coding * 1000}, b"<p>text</p>" * 1000)}
    report = crawl([site.url()], tmp_path, recipe=dataclasses.replace(RECIPE, order=order))
    assert report.dropped == {"too_many_codings": 1}
    assert report.num_pages == 1


def test_codings_are_counted_before_any_is_undone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    undone: list[int] = []
    monkeypatch.setitem(http_body._DECODERS, "deflate", lambda body: (undone.append(len(body)) or body, True))
    for count in range(1, MAX_CODINGS + 1):
        undone.clear()
        assert decode_body(b"text", "", "identity, " * 500 + "deflate," * count) == (b"text", True)
        assert len(undone) == count
    for count in (MAX_CODINGS + 1, 5000):
        undone.clear()
        assert decode_body(b"text", "", "deflate," * count) == (b"", False)
        assert undone == []
    archive, counts = tmp_path / "a.warc", Counter[str]()
    archive.write_bytes(
        response("http://a.org/1", b"<p>x</p>", head="Content-Type: text/html\r\nContent-Encoding: " + "br," * 9)
        + response("http://a.org/2", b"<p>x</p>")
    )
    pages = [page for page in read_pages(archive, counts=counts) if isinstance(page, Page)]
    assert [page.url for page in pages] == ["http://a.org/2"] and counts["too_many_codings"] == 1


def test_a_body_that_inflates_without_end_is_cut() -> None:
    import gzip

    bomb = gzip.compress(gzip.compress(bytes(3 * MAX_BODY_BYTES)))
    body, complete = decode_body(bomb, "", "gzip, gzip")
    assert len(body) == MAX_BODY_BYTES and not complete


# --- one reader of links ----------------------------------------------------------------------------------

HOSTILE_PAGES = {
    "attributes": lambda n: "<p " + " ".join(f"a{i}=1" for i in range(n)) + ">",
    "attributes of a link": lambda n: "<a " + " ".join(f"data-{i}='x y'" for i in range(n)) + " href=/lost>",
    "tags": lambda n: "<b>" * n,
}


@pytest.mark.parametrize("kind", HOSTILE_PAGES)
def test_a_page_of_attributes_or_tags_holds_no_crawl_up(
    servers: tuple[_Server, _Server], tmp_path: Path, kind: str
) -> None:
    """Over attributes the parser takes the square of their number: of these it would take hours."""
    site, _ = servers
    hostile = HOSTILE_PAGES[kind](400_000)
    body = f'<p><a href="/behind">before</a>{hostile}</p>'.encode()
    site.pages = {"/": links("/hostile", "/other"), "/hostile": (200, {}, body), "/behind": links(), "/other": links()}
    report = crawl([site.url()], tmp_path, recipe=RECIPE)
    assert report.num_pages == 4 and report.dropped in ({}, {"status_4xx": 1})


def test_the_crawling_process_reads_no_html_itself() -> None:
    import subprocess
    import sys

    code = "import sys, mathwright.corpus.crawl.breadth as s; print(hasattr(s, 'lxml'), hasattr(s, 'page_links'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_links_within_links_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that lies in many links is not read for each of them."""
    sizes = []
    for num in (2000, 4000):
        page = "".join(f'<a href="/{i}"><div>word' for i in itertools.islice(itertools.count(), num))
        report = read_links(page.encode(), "http://a.org/", charset="utf-8")
        sizes.append(sum(len(link.anchor) for link in report.links))
        assert all(len(link.anchor) <= 500 for link in report.links)
    assert sizes[1] <= 2.2 * sizes[0]
