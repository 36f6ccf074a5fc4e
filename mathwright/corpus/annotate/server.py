"""The annotation page on the loopback: `mathwright corpus annotate RUN`.

Only who knows the token in the address is answered, and only under the names of this machine (another site whose name
is made to point here sends its own name as Host). The page runs no code but ours, and shows pages of the web as text.
"""

from __future__ import annotations

import getpass
import hmac
import json
import os
import re
import secrets
import sys
import threading
import traceback
import webbrowser
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rich.text import Text

from mathwright.corpus.annotate.session import Session, check_name
from mathwright.corpus.rules.file import Conflict
from mathwright.errors import MathwrightError
from mathwright.lines import is_text
from mathwright.terminal import console, put

MAX_BODY_BYTES = 1 << 16
_LENGTH = re.compile(r"[0-9]{1,9}")
ASSETS = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the token is in the address, and samples link to the web
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Server(ThreadingHTTPServer):
    """Answers the page of one session."""

    daemon_threads = True

    def __init__(self, session: Session, *, port: int = 0) -> None:
        """`port` 0 is any that is free. Raises MathwrightError for one that is taken."""
        self.session = session
        self.token = secrets.token_urlsafe(24)
        self.lock = threading.Lock()
        """Held while the session is used: it is for one thread at a time."""
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            hint = "choose another --port, or none"
            raise MathwrightError(f"cannot listen on port {port}: {error.strerror}", hint=hint) from error

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/?token={self.token}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server  # type: ignore[assignment]  # narrower than the base class says
    timeout = 60

    def do_GET(self) -> None:
        self._answer(QUERIES)

    def do_POST(self) -> None:
        self._answer(ACTIONS)

    def _answer(self, calls: Mapping[str, Callable[[Session, dict[str, Any]], Any]]) -> None:
        body = self._read_body()
        if body is None:
            return
        try:
            parts = urlsplit(self.path)
        except ValueError as error:
            self._send_error(HTTPStatus.BAD_REQUEST, f"wrong address: {error}")
            return
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if self.headers.get("Host") not in {f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")}:
            self._send_error(HTTPStatus.MISDIRECTED_REQUEST, "this server answers on 127.0.0.1 only")
        elif self.headers.get("Origin") not in {None, f"http://{self.headers['Host']}"}:
            self._send_error(HTTPStatus.FORBIDDEN, "another site may not ask this server")
        elif parts.path in ASSETS and self.command == "GET":
            if self._knows(query.get("token")):
                self._send_asset(parts.path)
            else:
                self._send_error(HTTPStatus.FORBIDDEN, "open the address, with its token, that the command printed")
        elif not self._knows(self.headers.get("X-Token")):  # a header that no other site can send
            self._send_error(HTTPStatus.FORBIDDEN, "wrong token: the server was started again; open its new address")
        elif parts.path not in calls:
            self._send_error(HTTPStatus.NOT_FOUND, f"nothing at {parts.path}")
        else:
            self._call(calls[parts.path], body, query)

    def _read_body(self) -> bytes | None:
        """The body of the request, or None where it has been refused."""
        length = self.headers.get("Content-Length") or "0"
        if _LENGTH.fullmatch(length) is None:
            problem = HTTPStatus.BAD_REQUEST, "Content-Length is no number of bytes"
        elif self.headers.get("Transfer-Encoding") or int(length) > MAX_BODY_BYTES:
            problem = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too much is sent"
        else:
            return self.rfile.read(int(length))
        self.close_connection = True  # what follows in it is not read
        self._send_error(*problem)
        return None

    def _knows(self, token: str | None) -> bool:
        return token is not None and hmac.compare_digest(token.encode(), self.server.token.encode())

    def _call(self, function: Callable[[Session, dict[str, Any]], Any], body: bytes, query: dict[str, Any]) -> None:
        try:
            values = _read_json(body) if body else query
        except (ValueError, RecursionError) as error:
            self._send_error(HTTPStatus.BAD_REQUEST, f"wrong JSON: {error}")
            return
        try:
            with self.server.lock:
                value = function(self.server.session, values)
        except Conflict as conflict:
            self._send_json({"error": f"{conflict}; nothing was changed", "hint": ""}, HTTPStatus.CONFLICT)
        except MathwrightError as error:
            self._send_json({"error": error.message, "hint": error.hint}, HTTPStatus.BAD_REQUEST)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            traceback.print_exc()  # a request that our own page does not send, or a bug of ours
            self._send_error(HTTPStatus.BAD_REQUEST, f"wrong request: {type(error).__name__}: {error}")
        else:
            self._send_json(value, HTTPStatus.OK)

    def _send_error(self, status: HTTPStatus, message: str) -> None:
        self._send_json({"error": message, "hint": ""}, status)

    def _send_json(self, value: Any, status: HTTPStatus) -> None:
        self._send(json.dumps(value).encode(), "application/json", status)

    def _send_asset(self, path: str) -> None:
        name, kind = ASSETS[path]
        text = (files("mathwright.corpus.annotate") / "page" / name).read_text(encoding="utf-8")
        self._send(text.replace("{{token}}", self.server.token).encode(), kind, HTTPStatus.OK)

    def _send(self, content: bytes, kind: str, status: HTTPStatus) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name of the base class
        """Requests are not worth a line each."""


def _read_json(body: bytes) -> Any:
    """The value of a body. Raises ValueError or RecursionError for what is none, or could not be written to a file."""
    value = json.loads(body)
    if not is_text(json.dumps(value, ensure_ascii=False)):
        raise ValueError("half of a surrogate pair, which is no text")
    return value


def _decide(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    if values["decision"] not in ("accept", "reject", None):
        raise ValueError(f"decision {values['decision']!r}")
    session.decide(values["globs"], values["decision"], values["seen"])
    return session.progress()


def _undo(session: Session, _: dict[str, Any]) -> dict[str, Any]:
    return {"undone": session.undo(), **session.progress()}


def _rename(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    session.by = check_name(values["by"])
    return session.progress()


QUERIES: dict[str, Callable[[Session, dict[str, Any]], Any]] = {
    "/api/progress": lambda session, _: session.progress(),
    "/api/domains": lambda session, q: session.domains(
        show=q.get("show", "candidates"), query=q.get("query", ""), offset=int(q.get("offset", 0))
    ),
    "/api/children": lambda session, q: session.children(q["node"], offset=int(q.get("offset", 0))),
    "/api/detail": lambda session, q: session.detail(q["node"]),
    "/api/match": lambda session, q: session.match(q.get("glob", "")),
    "/api/samples": lambda session, q: session.pages.samples(q["node"], q["kind"], turn=int(q.get("turn", 0))),
    "/api/page": lambda session, q: session.pages.page(int(q["row"])),
}
ACTIONS: dict[str, Callable[[Session, dict[str, Any]], Any]] = {
    "/api/rows": lambda session, values: [session.row(node) for node in values["nodes"]],
    "/api/decide": _decide,
    "/api/undo": _undo,
    "/api/name": _rename,
}


def annotate(
    run: Path, *, by: str = "", iteration: int | None = None, auto: bool = False, port: int = 0, browser: bool = True
) -> None:
    """Serve the page until Ctrl-C, or with `auto` write the automatic rules and return.

    `by` is who decides; "" is the user of this machine. Raises MathwrightError for a run without a finished iteration,
    a wrong rules file or a port that is taken.
    """
    with console.status("reading the pages"):
        session = Session(run, by=by or _user(), iteration=iteration)
    if auto:
        num_new = session.write_proposals()
        console.print(f"{num_new} automatic rules added")
        _say_end(session)
        return
    with Server(session, port=port) as server:
        progress = session.progress()
        console.print(
            f"iteration {progress['iteration']}: {progress['domains']:,} candidate domains, "
            f"{progress['collected']:,} of {progress['pages']:,} pages collected; Ctrl-C ends, every decision is saved"
        )
        try:
            put(server.url)
            if browser and _has_display():
                webbrowser.open(server.url)
            server.serve_forever()
        except KeyboardInterrupt:
            console.print("")
            _say_end(session)


def _say_end(session: Session) -> None:
    progress = session.progress()
    share = (progress["accepted"] + progress["rejected"]) / max(1, progress["collected"])
    console.print(
        Text.assemble(
            (str(session.file.path), "bold green"),
            f": {progress['rules']:,} rules; {progress['decided']:,} of "
            f"{progress['domains']:,} domains decided, {share:.0%} of the collected pages covered",
        ),
        soft_wrap=True,
    )
    console.print(f"give the command that made {session.run} again: it continues with them", soft_wrap=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return "someone"


def _has_display() -> bool:
    """Without one a text browser would take over this terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
