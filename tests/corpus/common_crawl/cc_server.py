"""A local stand-in for Common Crawl: a CDX server with pages and errors, and archives that answer Range requests."""

from __future__ import annotations

import gzip
import http.server
import json
import threading
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

LINES_A_PAGE = 3


def cdx_fields(url: str, surt: str, archive: str, offset: int, length: int, **changes: str) -> dict[str, str]:
    """The fields of a CDX line as Common Crawl's server writes them: all of them strings."""
    return {
        "urlkey": surt,
        "timestamp": "20240302101112",
        "url": url,
        "mime": "text/html",
        "mime-detected": "text/html",
        "status": "200",
        "digest": "CH7IV3XAD3M7A42JARKRLJ3T5PGGCGXD",
        "length": str(length),
        "offset": str(offset),
        "filename": archive,
        "languages": "eng",
        "encoding": "UTF-8",
    } | changes


class CommonCrawl(http.server.ThreadingHTTPServer):
    """Serves `files` by their names under /data/ and `rows` under /CC-MAIN-2024-10-index."""

    def __init__(self, rows: list[dict[str, str]], folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows = rows
        self.folder = folder
        self.requests: list[str] = []
        self.num_bytes = 0
        self.failures: Counter[str] = Counter()
        """How often a path still answers 503."""
        self.cut: set[str] = set()
        """Ranges (as asked for) whose answer breaks off, once each."""
        self.statuses: dict[str, int] = {}
        """Paths that answer with this status."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def index(self) -> str:
        return self.root + "/CC-MAIN-2024-10-index"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: CommonCrawl  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.requests.append(self.path + " " + self.headers.get("Range", ""))
        if parts.path in self.server.statuses:
            self._send(self.server.statuses[parts.path], b"refused")
        elif self.server.failures[parts.path] > 0:
            self.server.failures[parts.path] -= 1
            self._send(503, b"Please reduce your request rate.", {"Retry-After": "0"})
        elif parts.path == "/CC-MAIN-2024-10-index":
            self._index(parse_qs(parts.query))
        elif parts.path.startswith("/data/") and (self.server.folder / parts.path[6:]).is_file():
            self._file((self.server.folder / parts.path[6:]).read_bytes())
        else:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def _index(self, query: dict[str, list[str]]) -> None:
        host, _, path = query["url"][0].partition("/")
        surt = ",".join(reversed(host.split("."))) + (")/" + path if query["matchType"] == ["prefix"] else "")
        rows = [row for row in self.server.rows if row["urlkey"].startswith(surt)]
        if query.get("showNumPages"):
            if not rows:
                self._send(404, json.dumps({"message": f"No Captures found for: {query['url'][0]}"}).encode())
                return
            pages = -(-len(rows) // LINES_A_PAGE)
            self._send(200, json.dumps({"pages": pages, "pageSize": 5, "blocks": pages}).encode())
            return
        page = int(query["page"][0])
        rows = rows[page * LINES_A_PAGE : (page + 1) * LINES_A_PAGE]
        if "=status:200" in query["filter"]:
            rows = [row for row in rows if row["status"] == "200"]
        if not rows:
            self._send(404, json.dumps({"message": f"No Captures found for: {query['url'][0]}"}).encode())
            return
        self._send(200, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def _file(self, data: bytes) -> None:
        asked = self.headers.get("Range")
        if asked is None:
            self._send(200, data, {"Accept-Ranges": "bytes"})
            return
        first, last = asked.removeprefix("bytes=").split("-")
        start, end = (int(first), min(int(last) + 1 if last else len(data), len(data))) if first else (
            max(0, len(data) - int(last)), len(data),
        )  # fmt: skip
        if start >= len(data):
            self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        headers = {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"}
        if asked in self.server.cut:
            self.server.cut.remove(asked)
            self._send(206, data[start:end], headers, cut=True)
            return
        self._send(206, data[start:end], headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.server.num_bytes += len(body)
        if cut:
            self.close_connection = True


def write_cdxj(path: Path, rows: list[dict[str, str]]) -> Path:
    """A CDXJ file as Common Crawl's cdx-00000.gz: `urlkey timestamp {the rest}`."""
    lines = []
    for row in rows:
        rest = {name: value for name, value in row.items() if name not in ("urlkey", "timestamp")}
        lines.append(f"{row['urlkey']} {row['timestamp']} {json.dumps(rest)}\n")
    text = "".join(lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path
