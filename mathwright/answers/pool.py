"""A pool of worker processes that can be killed.

Workers are started when first needed; one that does not answer in time is killed and replaced.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from pathlib import Path
from typing import Any

from mathwright.children import LineWorker, WorkerDiedError, WorkerTimeoutError

MEMORY_BYTES = 2 * 2**30
START_TIMEOUT_S = 120.0
JOBS_PER_WORKER = 5000
"""A worker is replaced after so many jobs, so that the caches of sympy do not grow for ever."""

_BOOTSTRAP = "import sys; sys.path.append({root!r}); from mathwright.answers.worker import serve; serve({memory})"


class Worker(LineWorker):
    """One process that compares answers."""

    def __init__(self, memory_bytes: int) -> None:
        """Raises WorkerDiedError where it does not start."""
        root = str(Path(__file__).resolve().parents[2])
        self.jobs_done = 0
        super().__init__(
            "the worker for answers",
            [sys.executable, "-I", "-c", _BOOTSTRAP.format(root=root, memory=memory_bytes)],
            environment={"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"},
            quiet=True,
        )
        try:
            self.read_line(START_TIMEOUT_S)
        except (WorkerDiedError, WorkerTimeoutError) as error:
            self.kill()
            raise WorkerDiedError("the worker for answers did not start") from error


class Pool:
    """Workers handed out to threads; at most `num_workers` at a time."""

    def __init__(self, num_workers: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self.num_workers = num_workers
        self._memory_bytes = memory_bytes
        self._free = threading.BoundedSemaphore(num_workers)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()

    def ask(self, job: dict[str, Any], timeout_s: float) -> dict[str, str]:
        """The reply of some worker to a job; the time to start a worker or wait for one is not counted.

        Raises WorkerTimeoutError or WorkerDiedError.
        """
        with self._free:
            worker = self._take()
            worker.jobs_done += 1
            try:
                reply = worker.ask(job, timeout_s)
            except BaseException:
                with self._lock:
                    self._all.discard(worker)
                raise
            self._give_back(worker, spent=reply["method"] == "memory")
            return reply

    def _take(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
                # Killed from outside while it waited: no fault of the next job.
                self._all.discard(worker)
                worker.kill()
        worker = Worker(self._memory_bytes)
        with self._lock:
            self._all.add(worker)
        return worker

    def _give_back(self, worker: Worker, *, spent: bool) -> None:
        if spent or worker.jobs_done >= JOBS_PER_WORKER:
            with self._lock:
                self._all.discard(worker)
            worker.kill()
            return
        with self._lock:
            self._idle.append(worker)

    def close(self) -> None:
        """Kill all workers; a pool may be used again afterwards."""
        with self._lock:
            workers, self._all, self._idle = self._all, set(), []
        for worker in workers:
            worker.kill()

    def forget(self) -> None:
        """Let go of the workers without touching them: after a fork they belong to the parent."""
        for worker in self._all:
            worker.close_pipes()


_pool: Pool | None = None
_pool_lock = threading.Lock()


def shared_pool() -> Pool:
    """The pool of this process, as many workers as cores (at most eight), none of them started yet."""
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = Pool(max(1, min(8, len(os.sched_getaffinity(0)))))
        return _pool


def _close() -> None:
    if _pool is not None:
        _pool.close()


def _after_fork_in_child() -> None:
    global _pool, _pool_lock
    _pool_lock = threading.Lock()
    if _pool is not None:
        _pool.forget()
        _pool = None


atexit.register(_close)
os.register_at_fork(after_in_child=_after_fork_in_child)
