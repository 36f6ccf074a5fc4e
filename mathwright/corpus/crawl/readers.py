"""Workers that read pages for a crawl, each a process that is killed and replaced when a page is too much."""

from __future__ import annotations

import asyncio
import os
import queue
from concurrent.futures import ThreadPoolExecutor

from mathwright.children import LineWorker, WorkerDiedError, WorkerTimeoutError, python_path, run_module
from mathwright.corpus.crawl.page import PageReport, from_json

TIMEOUT_S = 60.0
"""For one page of at most 8 MiB; ordinary pages take some milliseconds."""
START_TIMEOUT_S = 120.0


class PageReaders:
    """A few workers, and a thread each that waits for it; used from one asyncio loop."""

    def __init__(self, num_workers: int, classifier: str, *, follow_all: bool, timeout_s: float = TIMEOUT_S) -> None:
        self._classifier = classifier
        self._follow_all = follow_all
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(num_workers, thread_name_prefix="reader")
        self._idle: queue.SimpleQueue[LineWorker] = queue.SimpleQueue()
        self._all: set[LineWorker] = set()

    async def read(self, html: bytes, url: str, charset: str | None) -> PageReport | None:
        """The report on a page; None where the worker did not come back with one in time."""
        return await self._in_thread(html, url, charset, links_only=False)

    async def links(self, html: bytes, url: str, charset: str | None) -> PageReport | None:
        """As `read`, but its text is neither extracted nor scored."""
        return await self._in_thread(html, url, charset, links_only=True)

    async def close(self) -> None:
        """End all workers, busy or not."""
        for worker in list(self._all):
            worker.stop()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._all:
            worker.kill()

    async def _in_thread(self, html: bytes, url: str, charset: str | None, *, links_only: bool) -> PageReport | None:
        job = {
            "url": url, "charset": charset, "follow_all": self._follow_all, "links_only": links_only, "size": len(html),
        }  # fmt: skip
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, job, html)

    def _ask(self, job: dict[str, object], html: bytes) -> PageReport | None:
        worker = self._take()
        try:
            report = from_json(worker.ask(job, self._timeout_s, body=html))
        except (WorkerTimeoutError, WorkerDiedError, ValueError):  # too slow; died; died within a line
            self._all.discard(worker)
            return None
        self._idle.put(worker)
        return report

    def _take(self) -> LineWorker:
        """A worker that waits for a page: one that is there, or a new one."""
        while not self._idle.empty():
            worker = self._idle.get()
            if worker.alive:
                return worker
            self._all.discard(worker)
            worker.kill()
        worker = LineWorker(
            "a worker that reads pages",
            run_module("mathwright.corpus.crawl.page", self._classifier),
            environment={**os.environ, "PYTHONPATH": python_path(), "OMP_NUM_THREADS": "1"},
        )
        self._all.add(worker)
        worker.read_line(START_TIMEOUT_S)
        return worker
