"""Workers that read pages for a crawl, each a process that is killed and replaced when a page is too much."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mathwright
from mathwright.corpus.crawl.page import PageReport, from_json

TIMEOUT_S = 60.0
"""For one page of at most 8 MiB; ordinary pages take some milliseconds."""
START_TIMEOUT_S = 120.0
_LINE_BYTES = 64 * 2**20
"""Longest answer; one with 5,000 links has about 2 MB."""


class PageReaders:
    """A few workers; used from one asyncio loop."""

    def __init__(self, num_workers: int, classifier: str, *, follow_all: bool, timeout_s: float = TIMEOUT_S) -> None:
        self._classifier = classifier
        self._follow_all = follow_all
        self._timeout_s = timeout_s
        self._idle: asyncio.Queue[asyncio.subprocess.Process | None] = asyncio.Queue()
        for _ in range(num_workers):
            self._idle.put_nowait(None)  # started when first needed
        self._all: set[asyncio.subprocess.Process] = set()

    async def read(self, html: bytes, url: str, charset: str | None) -> PageReport | None:
        """The report on a page; None where the worker did not come back with one in time."""
        return await self._read(html, url, charset, links_only=False)

    async def links(self, html: bytes, url: str, charset: str | None) -> PageReport | None:
        """As `read`, but its text is neither extracted nor scored."""
        return await self._read(html, url, charset, links_only=True)

    async def _read(self, html: bytes, url: str, charset: str | None, *, links_only: bool) -> PageReport | None:
        job = {"url": url, "charset": charset, "follow_all": self._follow_all, "links_only": links_only}
        worker = await self._idle.get()
        try:
            if worker is None or worker.returncode is not None:
                self._kill(worker)
                worker = await self._start()
            return await asyncio.wait_for(self._ask(worker, html, job), self._timeout_s)
        except (TimeoutError, OSError, EOFError, ValueError):  # too slow; died; died within a line
            self._kill(worker)
            worker = None
            return None
        finally:
            self._idle.put_nowait(worker)

    async def close(self) -> None:
        workers = list(self._all)
        for worker in workers:
            self._kill(worker)
        for worker in workers:
            await worker.wait()

    async def _start(self) -> asyncio.subprocess.Process:
        root = str(Path(mathwright.__file__).resolve().parents[1])
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mathwright.corpus.crawl.page", self._classifier,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            env={**os.environ, "OMP_NUM_THREADS": "1",
                 "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH", "")])])},
        )  # fmt: skip
        self._all.add(worker)
        assert worker.stdout is not None
        if await asyncio.wait_for(worker.stdout.readline(), START_TIMEOUT_S) != b"ready\n":
            raise RuntimeError("a worker that reads pages did not start; see stderr")
        return worker

    async def _ask(self, worker: asyncio.subprocess.Process, html: bytes, job: Mapping[str, Any]) -> PageReport:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(json.dumps({**job, "size": len(html)}).encode() + b"\n" + html)
        await worker.stdin.drain()
        line = await worker.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return from_json(line.decode())

    def _kill(self, worker: asyncio.subprocess.Process | None) -> None:
        if worker is not None:
            self._all.discard(worker)
            if worker.returncode is None:
                worker.kill()
