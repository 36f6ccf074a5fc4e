"""Small archives and extractors for the tests of pages.py; worker processes import this module."""

from __future__ import annotations

import ctypes
import gzip
import os
import time
from pathlib import Path

from mathwright.records import Document


def response(url: str, html: str, *, status: str = "200 OK", content_type: str = "text/html; charset=utf-8") -> bytes:
    """A WARC record of an exchange."""
    http = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n\r\n{html}".encode()
    return record("response", url, http)


def record(kind: str, url: str, block: bytes) -> bytes:
    header = (
        f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
        f"Content-Type: application/http; msgtype={kind}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return header.encode() + block + b"\r\n\r\n"


def page_html(number: int, words: int = 30) -> str:
    text = " ".join(f"word{number}x{i}" for i in range(words))
    return f"<html><head><title>Page {number}</title></head><body><p>{text}</p></body></html>"


def write_members(path: Path, members: list[list[bytes]], *, compress: bool = True) -> Path:
    """An archive of gzip members that hold these records (or of the bare records)."""
    data = (b"".join(records) for records in members)
    path.write_bytes(b"".join(gzip.compress(m, mtime=0) if compress else m for m in data))
    return path


# --- extractors ---------------------------------------------------------------------------------------


def quick(html: bytes, url: str, *, charset: str | None = None) -> Document:
    """A stand-in for `extract` whose text is the HTML's; every call is written down in $EXTRACTED."""
    with Path(os.environ["EXTRACTED"]).open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {url}\n")
    return Document(url=url, title="", text=html.decode("utf-8"))


def partial(html: bytes, url: str, *, charset: str | None = None) -> Document:
    """A stand-in for `extract` that reads page 1 in part."""
    return Document(url=url, title="", text=html.decode("utf-8"), problem="cut short" if url.endswith("/1") else "")


def unparsed(html: bytes, url: str, *, charset: str | None = None) -> Document:
    """A stand-in for `extract` that cannot parse page 1."""
    if url.endswith("/1"):
        return Document(url=url, title="", text="", problem="not parsed: odd")
    return Document(url=url, title="", text=html.decode("utf-8"))


def slow(html: bytes, url: str, *, charset: str | None = None) -> Document:
    time.sleep(0.002)
    return quick(html, url, charset=charset)


def hostile(html: bytes, url: str, *, charset: str | None = None) -> Document:
    """Does what the page's name says."""
    deed = url.rsplit("/", 1)[-1]
    if deed == "exit":
        os._exit(3)
    if deed == "segfault":
        ctypes.string_at(0)
    if deed == "hang":
        time.sleep(1000)
    if deed == "memory":
        bytearray(64 << 30)
    if deed == "raise":
        raise KeyError("no")
    return quick(html, url, charset=charset)


def run_extraction(archives: list[str], folder: str, num_workers: int) -> None:
    """What a process does that shares an extraction."""
    from mathwright.corpus.pages.run import extract_archives
    from mathwright.run import SilentStage

    stage = SilentStage("corpus", Path(folder), "test")
    extract_archives(archives, Path(folder), stage, min_words=20, num_workers=num_workers, extract=slow)
