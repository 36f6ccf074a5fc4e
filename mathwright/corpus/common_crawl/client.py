"""HTTP requests to public servers: at a steady rate, tried again after growing pauses, with errors that help."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import urllib3

import mathwright
from mathwright.errors import MathwrightError

USER_AGENT = f"mathwright/{mathwright.__version__}"
TIMEOUT = urllib3.Timeout(connect=20, read=120)
BUSY = frozenset({429, 500, 502, 503, 504})
MAX_PAUSE_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class PoliteClient:
    """Asks no more often than `requests_per_s`, over all threads that share it."""

    def __init__(
        self, *, requests_per_s: float, tries: int = 6, first_pause_s: float = 2.0, max_body_bytes: int = 64 << 20
    ) -> None:
        self._interval = 1 / requests_per_s
        self._tries = tries
        self._first_pause_s = first_pause_s
        self._max_body_bytes = max_body_bytes
        self._pool = urllib3.PoolManager(maxsize=16, block=False, headers={"User-Agent": USER_AGENT}, timeout=TIMEOUT)
        self._lock = threading.Lock()
        self._next = 0.0

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """The server's answer, whatever its status, where it answers within `tries`.

        429 and 5xx, broken connections and bodies cut short are tried again, after the pause that the server asks
        for or one that doubles. Raises MathwrightError where the last try fails too.
        """
        pause = self._first_pause_s
        trouble = ""
        for attempt in range(self._tries):
            if attempt:
                time.sleep(min(pause, MAX_PAUSE_S) * random.uniform(0.75, 1.25))
                pause *= 2
            self._wait_for_turn()
            try:
                answer = self._ask(url, headers)
            except urllib3.exceptions.HTTPError as error:
                trouble = f"{type(error).__name__}: {error}"
                continue
            if answer.status not in BUSY:
                return answer
            trouble = f"status {answer.status}"
            asked = answer.headers.get("retry-after", "")
            pause = max(pause, float(asked)) if asked.isdigit() else pause
        raise MathwrightError(
            f"{url}: {trouble}, {self._tries} times",
            hint="the server is busy or out of reach; run the same command again later; it resumes where it stopped",
        )

    def _ask(self, url: str, headers: Mapping[str, str] | None) -> Answer:
        merged = {"User-Agent": USER_AGENT, **(headers or {})}
        response = self._pool.request("GET", url, headers=merged, retries=False, redirect=True, preload_content=False)
        try:
            body = response.read(self._max_body_bytes + 1)
        finally:
            response.release_conn()
        if len(body) > self._max_body_bytes:
            response.close()
            raise MathwrightError(
                f"{url}: the answer is larger than {self._max_body_bytes >> 20} MiB", hint="ask for less at a time"
            )
        return Answer(
            status=response.status, headers={name.lower(): value for name, value in response.headers.items()}, body=body
        )

    def _wait_for_turn(self) -> None:
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._interval
        time.sleep(turn - now)
