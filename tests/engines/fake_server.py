"""A small OpenAI-compatible server whose model is a function, and which can fail in every way that servers do."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Writer = Callable[[str, int], str]
"""(prompt, seed) -> everything the model would write up to its end token, were it never interrupted."""
Fault = Literal["drop", "half", "hang"] | int | tuple[int, Any] | bytes
"""drop: closes without a reply; half: in the middle of one; hang: is silent; an int or (int, body): that status;
bytes: status 200 with that body."""


class FakeServer:
    """Serves `write`. A character is a token, the end token one more."""

    def __init__(self, write: Writer, *, faults: Callable[[int, dict[str, Any]], Fault | None]) -> None:
        self.write, self.faults = write, faults
        self.says_what_stopped = True
        self.counts = True
        self.context: int | None = None
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.most_at_once = 0
        self.at_once = 0
        self.lock = threading.Lock()
        self.released = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server.lock:
                    number = len(server.requests)
                    server.requests.append({**body, "path": self.path})
                    server.keys.append(self.headers.get("Authorization"))
                    server.at_once += 1
                    server.most_at_once = max(server.most_at_once, server.at_once)
                try:
                    self.answer(number, body)
                finally:
                    with server.lock:
                        server.at_once -= 1

            def answer(self, number: int, body: dict[str, Any]) -> None:
                fault = server.faults(number, body)
                if fault == "hang":
                    server.released.wait(30)
                if fault in ("hang", "drop"):
                    self.close_connection = True
                    return
                status, content = (200, fault) if isinstance(fault, bytes) else server.reply(self.path, body)
                if isinstance(fault, int):
                    status, content = fault, {"error": {"message": f"the fault {fault}"}}
                elif isinstance(fault, tuple):
                    status, content = fault
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if fault == "half":
                    self.close_connection = True
                    data = data[: len(data) // 2]
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler

    def reply(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and body of a well-behaved reply."""
        chat = path == "/v1/chat/completions"
        if not chat and path != "/v1/completions":
            return 404, {"error": {"message": f"no such path: {path}"}}
        prompt = "".join(f"<{m['role']}>{m['content']}" for m in body["messages"]) if chat else body["prompt"]
        if self.context is not None and len(prompt) + body["max_tokens"] > self.context:
            message = f"This model's maximum context length is {self.context} tokens."
            return 400, {"error": {"message": message, "code": 400}}
        text, finish, stopped_by, count = self.limited(self.write(prompt, body["seed"]), body)
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        if self.says_what_stopped:
            choice["stop_reason"] = stopped_by
        usage = {"prompt_tokens": len(prompt), "completion_tokens": count}
        return 200, {"choices": [choice], **({"usage": usage} if self.counts else {})}

    def limited(self, text: str, body: dict[str, Any]) -> tuple[str, str, str | None, int]:
        """Text up to a stop string or max_tokens, why it ended there, and its tokens."""
        ends = [(text.find(mark), mark) for mark in body.get("stop") or [] if mark in text]
        if ends and min(ends)[0] + len(min(ends)[1]) <= body["max_tokens"]:
            place, mark = min(ends)
            return text[:place], "stop", mark, place + len(mark)
        if len(text) + 1 > body["max_tokens"]:
            return text[: body["max_tokens"]], "length", None, body["max_tokens"]
        return text, "stop", None, len(text) + 1


@contextmanager
def serving(
    write: Writer, *, faults: Callable[[int, dict[str, Any]], Fault | None] = lambda number, body: None
) -> Iterator[FakeServer]:
    """A server on the loopback; `faults` says what goes wrong with a request, by its number and body."""
    server = FakeServer(write, faults=faults)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join()
