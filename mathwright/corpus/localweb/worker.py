"""One server process of the small web: `python -m mathwright.corpus.localweb.worker`, started by `DocsWeb`.

Its first line on stdin is a JSON object; it builds the page lists of its share of the packages, says so on stdout, and
serves all packages from the listening socket it inherited as soon as its second line comes. It ends when stdin does,
so that it never outlives the process that started it, however that one ends.
"""

from __future__ import annotations

import http.server
import json
import pickle
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from mathwright.children import say, say_error
from mathwright.corpus.localweb.index import PackageDocs, build_index
from mathwright.corpus.localweb.source import host_of
from mathwright.errors import MathwrightError

_rendering = threading.Lock()
"""docutils keeps its roles and directives in module globals: one page at a time."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, hosts: dict[str, Any]) -> None:
        super().__init__(listening.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.hosts = hosts

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that went away is no error of ours
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        assert isinstance(self.server, _Server)
        hosts = self.server.hosts
        host = self.headers.get("Host", "").partition(":")[0].lower()
        pages = hosts.get(host)
        path = self.path.partition("?")[0].lstrip("/")
        with _rendering:
            status, kind, text = pages.get(path) if pages else (404, "text/plain", f"no host {host} here\n")
        body = text.encode("utf-8", "backslashreplace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gave it
        """Nothing: the crawler keeps the record."""


def _build(job: dict[str, Any]) -> None:
    """Build and save the page lists of this worker's packages."""
    for package in job["mine"]:
        try:
            docs = build_index(package, only=job["only"].get(package, ()), path=job["path"], max_pages=job["max_pages"])
        except MathwrightError as error:
            say_error(error)
            sys.exit(2)
        with Path(job["folder"], f"{package}.pickle").open("wb") as file:
            pickle.dump(docs, file)
        say(package=package, num_pages=len(docs.entries), damaged=docs.damaged)


def _load(job: dict[str, Any]) -> dict[str, Any]:
    """The pages of every host, from the lists that all workers saved (by us, in a private folder)."""
    from mathwright.corpus.localweb.page import PackagePages

    packages: dict[str, PackageDocs] = {}
    for package in job["math"]:
        with Path(job["folder"], f"{package}.pickle").open("rb") as file:
            packages[package] = pickle.load(file)
    return {
        host_of(package): PackagePages(docs, math=job["math"][package], hosts=packages, port=job["port"])
        for package, docs in packages.items()
    }


def main() -> None:
    job = json.loads(sys.stdin.readline())
    _build(job)
    if not sys.stdin.readline():
        return
    server = _Server(socket.socket(fileno=job["listening"]), _load(job))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(serving=True)
    sys.stdin.read()  # until the one who started us closes it, or is gone


if __name__ == "__main__":
    main()
