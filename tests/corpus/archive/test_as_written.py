"""HTTP as servers and tools really write it into archives."""

import gzip
from collections import Counter
from pathlib import Path

import pytest

from mathwright.corpus.archive import read_pages
from mathwright.corpus.archive.http_body import MAX_MEMBERS, decode_body
from mathwright.records import Page

BODY = b"<p>body"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=koi8-r\r\n\r\n"


def archive(path: Path, http: bytes) -> Path:
    record = (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://e.org/\r\nWARC-Record-ID: <urn:uuid:1>\r\n"
        b"WARC-Date: 2026-01-01T00:00:00Z\r\nContent-Type: application/http; msgtype=response\r\n"
        b"Content-Length: %d\r\n\r\n%b\r\n\r\n" % (len(http), http)
    )
    path.write_bytes(record)
    return path


@pytest.mark.parametrize(
    ("http", "charset"),
    [
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + BODY, "koi8-r", id="an interim response"),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK + BODY,
            "koi8-r",
            id="two of them",
        ),
        pytest.param(
            b"HTTP/1.1 200 Connection established\r\nVia: proxy\r\n\r\n" + OK + BODY, "koi8-r", id="a proxy's"
        ),
        pytest.param(b"\r\n\n" + OK + BODY, "koi8-r", id="empty lines before"),
        pytest.param(OK.replace(b"text/html", b'"text/html"') + BODY, "koi8-r", id="a type in quotes"),
        pytest.param(OK.replace(b"HTTP/1.1", b"http/1.1") + BODY, "koi8-r", id="lower case"),
        pytest.param(
            OK.replace(b"text/html;", b"text/html, text/html;") + BODY, "koi8-r", id="the content type twice in a field"
        ),
        pytest.param(OK.replace(b"; charset=koi8-r", b';Charset = "UTF-8";') + BODY, "utf-8", id="odd charset"),
        pytest.param(OK.replace(b"; charset=koi8-r", b"; mycharset=x") + BODY, None, id="another parameter"),
    ],
)
def test_a_page_comes_out_with_its_charset(http: bytes, charset: str | None, tmp_path: Path) -> None:
    [page] = read_pages(archive(tmp_path / "a.warc", http))
    assert isinstance(page, Page)
    assert (page.html, page.charset) == (BODY, charset)


@pytest.mark.parametrize("content_type", [None, "", "*/*", "unknown/unknown"])
def test_without_a_type_a_page_is_what_begins_as_one(content_type: str | None, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nServer: x\r\n"
    if content_type is not None:
        head += f"Content-Type: {content_type}\r\n".encode()
    html = b"\xef\xbb\xbf\n<!DOCTYPE html>\n<p>text"
    [page] = read_pages(archive(tmp_path / "a.warc", head + b"\r\n" + html))
    assert isinstance(page, Page) and page.html == html
    counts: Counter[str] = Counter()
    assert not list(read_pages(archive(tmp_path / "a.warc", head + b'\r\n{"a": "<html>"}'), counts=counts))
    assert counts == {f"type:{content_type or ''}": 1}


def test_a_page_that_shows_a_response_is_not_cut(tmp_path: Path) -> None:
    shown = b"HTTP/1.1 404 Not Found\r\n\r\n<p>is what a server says"
    [page] = read_pages(archive(tmp_path / "a.warc", OK + shown))
    assert isinstance(page, Page) and page.html == shown


def test_an_interim_response_alone_is_no_page(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    assert list(read_pages(archive(tmp_path / "a.warc", b"HTTP/1.1 100 Continue\r\n\r\n"), counts=counts)) == []
    assert counts == {"status:100": 1}


def test_members_of_gzip_are_one_body() -> None:
    members = b"".join(gzip.compress(part) for part in (b"one ", b"", b"two"))
    assert decode_body(members, "", "gzip") == (b"one two", True)
    assert decode_body(members + b"trailing", "", "gzip") == (b"one two", True)
    assert decode_body(members[:-9], "", "gzip")[1] is False


def test_more_members_than_are_read_count_as_cut() -> None:
    body, whole = decode_body(gzip.compress(b"x") * (MAX_MEMBERS + 1), "", "gzip")
    assert (body, whole) == (b"x" * MAX_MEMBERS, False)
