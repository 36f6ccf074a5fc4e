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


HTML = b"<!DOCTYPE html>\n<p>text"


def one(path: Path, http: bytes) -> Page:
    [page] = read_pages(archive(path / "a.warc", http))
    assert isinstance(page, Page)
    return page


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        (b"text/html charset=utf-8", "utf-8"), (b"text/html\0", None), (b"text/html; charset=utf-8\0", "utf-8"),
        (b"text/htm", None), (b"html", None), (b" text/html ;\tcharset=koi8-r", "koi8-r"), (b"TEXT/HTML,x", None),
        (b"application/vnd.wap.xhtml+xml; charset=utf-8", "utf-8"), (b"text/x-html", None),
    ],
)  # fmt: skip
def test_a_type_of_html_however_it_is_written(content_type: bytes, charset: str | None, tmp_path: Path) -> None:
    page = one(tmp_path, b"HTTP/1.1 200 OK\r\nContent-Type: " + content_type + b"\r\n\r\n" + BODY)
    assert (page.html, page.charset) == (BODY, charset)


def test_what_is_no_type_leaves_it_to_the_body(tmp_path: Path) -> None:
    for content_type in (b"text", b"utf-8", b"text/", b"charset=utf-8"):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: " + content_type + b"\r\n\r\n"
        assert one(tmp_path, head + HTML).html == HTML
        assert not list(read_pages(archive(tmp_path / "a.warc", head + b"\x89PNG")))
    for content_type in (b"text/plain", b"image/x-html5", b"application/json", b"text/html+json", b"text/xml"):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: " + content_type + b"\r\n\r\n"
        assert not list(read_pages(archive(tmp_path / "a.warc", head + HTML)))


@pytest.mark.parametrize("size", [70_000, 100_000, 1_000_000])
def test_a_long_header_is_read_to_its_end(size: int, tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=" + b"x" * size + b"\r\nContent-Type: text/html; charset=koi8-r\r\n\r\n"
    page = one(tmp_path, head + HTML)
    assert (page.html, page.charset) == (HTML, "koi8-r")
    assert one(tmp_path, b"HTTP/1.1 100 Continue\r\n\r\n" + head + BODY * 50_000).html == BODY * 50_000


def test_a_header_without_end_is_counted(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    http = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=" + b"x" * 3_000_000 + b"\r\nContent-Type: text/html\r\n\r\n" + BODY
    assert not list(read_pages(archive(tmp_path / "a.warc", http), counts=counts))
    assert counts == {"long_header": 1}


def test_an_interim_response_of_any_length_is_passed_over(tmp_path: Path) -> None:
    for size in range(0, 4200, 13):
        interim = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * size + b"\r\n\r\n"
        assert one(tmp_path, interim + OK + BODY * 1000).html == BODY * 1000, size


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\r\n5\r\n<p>a \r\n3\r\nb c\r\n0\r\n\r\n", id="an empty line first"),
        pytest.param(b"0x5\r\n<p>a \r\n0X3\r\nb c\r\n0x0\r\n\r\n", id="sizes with 0x"),
        pytest.param(b"0000000000005\r\n<p>a \r\n3\r\nb c\r\n0\r\n\r\n", id="zeros before a size"),
        pytest.param(b"a\r\n5\r\n<p>a \r\n\r\nd\r\n3\r\nb c\r\n0\r\n\r\n\r\n0\r\n\r\n", id="twice"),
    ],
)
def test_no_sizes_of_chunks_stay_in_a_page(payload: bytes) -> None:
    assert decode_body(payload, "chunked", "") == (b"<p>a b c", True)
    assert decode_body(payload, "chunked, chunked", "") == (b"<p>a b c", True)
    assert decode_body(payload, "", "") == (b"<p>a b c", True)


@pytest.mark.parametrize(
    "text", [b"5\nlines of text", b"0\n", b"0\nand more", b"3\nabc", b"3\nabc\n0\nand more", b"\n\n<p>"]
)
def test_text_that_begins_with_a_number_is_not_chunks(text: bytes) -> None:
    assert decode_body(text, "", "") == (text, True)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.0 200 OK\rContent-Type: text/html; charset=koi8-r\rServer: x\r\r", id="CR alone"),
        pytest.param(b"HTTP/1.0 200 OK\r\r\nContent-Type: text/html; charset=koi8-r\r\r\n\r\r\n", id="CR twice"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Type: text/html; charset=koi8-r\r\n", id="no empty line"),
        pytest.param(
            b"HTTP/1.0 200 OK\nServer: a\r\r\r\nContent-Type: text/html; charset=koi8-r\n\n", id="CRs in a field"
        ),
    ],
)
def test_headers_whose_lines_end_otherwise(head: bytes, tmp_path: Path) -> None:
    for html in (HTML, b"<html lang=en>\r\r<p>a\n\nb"):
        page = one(tmp_path, head + html)
        assert (page.html, page.charset) == (html, "koi8-r")


def test_a_page_without_any_http_header(tmp_path: Path) -> None:
    for html in (HTML, b"\r\n<html><p>" + b"long " * 50_000):
        assert one(tmp_path, html).html == html.lstrip()
    arc = b"http://e.org/ 1.2.3.4 20010102030405 text/html %d\n%b\n" % (len(HTML), HTML)
    (tmp_path / "a.arc").write_bytes(b"filedesc://a.arc 0.0.0.0 20010102030405 text/plain 4\n1 0 \n" + arc)
    [page] = read_pages(tmp_path / "a.arc")
    assert isinstance(page, Page) and (page.html, page.url) == (HTML, "http://e.org/")
    counts: Counter[str] = Counter()
    assert not list(read_pages(archive(tmp_path / "a.warc", b"<p>no page for sure"), counts=counts))
    assert counts == {"not_http": 1}
