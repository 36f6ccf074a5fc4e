"""A pool of worker processes that can be killed.

Workers are started when first needed, by executing a fresh interpreter: they inherit neither the memory of a parent
that holds a model, nor its locks, nor its signals. No signal is used for time-outs, so any thread may wait for an
answer. A worker that does not answer in time is killed and replaced.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

MEMORY_BYTES = 2 * 2**30
START_TIMEOUT_S = 120.0
JOBS_PER_WORKER = 5000
"""A worker is replaced after so many jobs, so that the caches of sympy do not grow for ever."""

_BOOTSTRAP = "import sys; sys.path.append({root!r}); from mathwright.answers.worker import serve; serve({memory})"


class WorkerDiedError(RuntimeError):
    """The worker ended without an answer (killed by the kernel, or out of memory in C code)."""


class WorkerTimeoutError(TimeoutError):
    """The worker did not answer in time and was killed."""


class Worker:
    """One process; used by one thread at a time."""

    def __init__(self, memory_bytes: int) -> None:
        root = str(Path(__file__).resolve().parents[2])
        self.jobs_done = 0
        self._buffer = b""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _BOOTSTRAP.format(root=root, memory=memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", ""), "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"},
            start_new_session=True,  # Ctrl-C is for the parent, which then closes its workers
        )
        if self._read_line(START_TIMEOUT_S) != "ready":
            self.kill()
            raise WorkerDiedError("the worker for answers did not start")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, job: dict[str, Any], timeout_s: float) -> dict[str, str]:
        """The reply to one job.

        Raises WorkerTimeoutError after `timeout_s` seconds and WorkerDiedError if the process ends; it is dead then.
        """
        assert self._process.stdin is not None
        self.jobs_done += 1
        try:
            self._process.stdin.write((json.dumps(job) + "\n").encode())
            self._process.stdin.flush()
            return json.loads(self._read_line(timeout_s))
        except (BrokenPipeError, WorkerDiedError) as error:
            self.kill()
            raise WorkerDiedError("the worker for answers died") from error
        except BaseException:
            # A late reply must never be taken for the reply to the next job.
            self.kill()
            raise

    def _read_line(self, timeout_s: float) -> str:
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise WorkerTimeoutError(f"no answer within {timeout_s} s")
                chunk = os.read(self._process.stdout.fileno(), 65536)
                if not chunk:
                    raise WorkerDiedError("end of output")
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def kill(self) -> None:
        """End the process and reap it."""
        self._process.kill()
        self._process.wait()
        self.close_pipes()

    def close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:  # a half-written job of a killed worker
                    continue


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
