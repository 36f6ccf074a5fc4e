"""Worker processes that take the jobs of an import until none is left."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mathwright.children import LineWorker, WorkerDiedError, run_module
from mathwright.errors import MathwrightError

WORKER = "mathwright.corpus.importing.worker"


class Crew:
    """Worker processes that take jobs until none is left."""

    def __init__(self, out: Path, num: int, jobs: list[dict[str, Any]], advance: Callable[[int], None]) -> None:
        self.out, self.num, self.advance = out, num, advance
        self._jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        for job in jobs:
            self._jobs.put(job)
        self._workers: set[LineWorker] = set()
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    def work(self) -> None:
        """Until all jobs are done. Raises what a worker met; the others are ended then."""
        threads = [threading.Thread(target=self._one) for _ in range(self.num)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:
            self._fail(error)
            raise
        if self._error is not None:
            raise self._error

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
            for worker in self._workers:
                worker.stop()

    def _one(self) -> None:
        worker: LineWorker | None = None
        try:
            while self._error is None:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                worker = self._do(worker, job)
        except BaseException as error:  # given to the thread that waits
            self._fail(error)
        finally:
            if worker is not None:
                with self._lock:
                    self._workers.discard(worker)
                worker.kill()

    def _do(self, worker: LineWorker | None, job: dict[str, Any]) -> LineWorker:
        """One job, by another worker where the first one dies of it; returns the one that lives."""
        for attempt in (1, 2):
            if worker is None:
                worker = LineWorker("a worker of the import", run_module(WORKER, str(self.out)))
                with self._lock:
                    self._workers.add(worker)
            try:
                worker.tell(job)
                while not (message := worker.hear()).get("done"):
                    self.advance(message.get("rows", 0))
                return worker
            except WorkerDiedError as error:
                with self._lock:
                    self._workers.discard(worker)
                worker.kill()
                worker = None
                if self._error is not None:
                    raise
                if attempt == 2:
                    raise MathwrightError(
                        f"job {job['number']} ended two workers: {error}",
                        hint=f"its files are in {self.out / 'work' / 'plan.json'}; is there memory enough?",
                    ) from error
        raise AssertionError("a job is done or fails")
