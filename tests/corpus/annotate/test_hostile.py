"""Requests that are none: each gets an answer that says why, the connection of nobody else is touched, no file is."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from mathwright.corpus.annotate.session import check_name
from mathwright.corpus.rules.rules import check_glob
from mathwright.errors import MathwrightError
from tests.corpus.annotate.test_page import ask, decide, run, serve  # noqa: F401 (fixtures)


def raw(server: Any, head: str, body: bytes = b"") -> tuple[int, str]:
    """Status and reason that a request written by hand gets."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        lines = [head, f"Host: 127.0.0.1:{server.server_port}", f"X-Token: {server.token}", "Connection: close"]
        connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n" + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, json.loads(answer.read())["error"]


def post(body: bytes, path: str = "/api/name") -> tuple[str, bytes]:
    return f"POST {path} HTTP/1.1", f"Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    "length", ["²", "٣", "9" * 5000, "-1", "+2", "1e3", "0x10", "1_0", "2, 2", "NaN"], ids=lambda v: v[:8]
)
def test_a_length_that_is_no_number(run: Path, serve: Any, length: str) -> None:  # noqa: F811
    server = serve(run)
    header = b"Content-Length: " + length.encode("latin-1" if length == "²" else "utf-8") + b"\r\n\r\n{}"
    status, error = raw(server, "POST /api/undo HTTP/1.1", header)
    assert (status, error) == (400, "Content-Length is no number of bytes")
    assert ask(server, "/api/progress")["by"] == "Ada"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"by":' * 9_000 + b"1" + b"}" * 9_000,
        b'{"by": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b"{",
        b"\xff\xfe",
        b'{"by": ' + b"9" * 5000 + b"}",
        b'{"by": "\\ud800"}',
        b'{"by": "Ada \\udfff"}',
        b'{"\\ud800": 1}',
    ],
    ids=lambda b: repr(b[:16]),
)
def test_json_that_cannot_be_taken(run: Path, serve: Any, body: bytes, capfd: Any) -> None:  # noqa: F811
    server = serve(run)
    status, error = raw(server, *post(body))
    assert status == 400 and error.startswith("wrong JSON: ")
    assert "Traceback" not in capfd.readouterr().err
    assert ask(server, "/api/progress")["by"] == "Ada"
    decide(server, ["qa.org/*"], "accept")
    assert 'by = "Ada"' in (run / "rules.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["http://[x/", "/api/page?row=" + "9" * 400, "/api/domains?offset=-" + "9" * 4400])
def test_addresses_that_cannot_be_read(run: Path, serve: Any, path: str) -> None:  # noqa: F811
    server = serve(run)
    status, error = raw(server, f"GET {path} HTTP/1.1", b"\r\n")
    assert status == 400 and error
    assert ask(server, "/api/progress")["by"] == "Ada"


def test_half_a_pair_is_refused_wherever_it_would_reach_the_rules(run: Path, serve: Any) -> None:  # noqa: F811
    server = serve(run)
    for globs, path in ((["a.org/\ud800*"], "/api/decide"), (["\udfff.org/*"], "/api/decide")):
        body = json.dumps({"globs": globs, "decision": "accept", "seen": dict.fromkeys(globs)}).encode()
        assert raw(server, *post(body, path))[0] == 400
    for name in ("\ud800", "Ada \udc00"):
        with pytest.raises(MathwrightError, match="no name"):
            check_name(name)
    with pytest.raises(MathwrightError, match="half of a surrogate pair"):
        check_glob("a.org/\ud800/*", "rule 1")
    assert not (run / "rules.toml").exists()
