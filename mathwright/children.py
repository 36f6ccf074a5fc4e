"""Python processes that work for this one and are asked over their pipes, a line at a time.

Each is a fresh interpreter: it inherits neither the memory of a parent that holds a model, nor its locks, nor its
signals. Its standard input stays open as long as its parent lives, so that it ends with it, however that one ends. No
signal is used for time-outs, so any thread may wait for an answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from mathwright.errors import MathwrightError

start_process: Callable[..., Any] = subprocess.Popen
"""What starts a worker; the tests fork interpreters that have imported already what it needs."""

_CHUNK_BYTES = 1 << 16


class WorkerDiedError(RuntimeError):
    """The worker ended without an answer (killed by the kernel, or out of memory in C code)."""


class WorkerTimeoutError(TimeoutError):
    """The worker did not answer in time."""


# --- in the parent --------------------------------------------------------------------------------------


def python_path() -> str:
    """PYTHONPATH under which a child finds this very Mathwright, installed or not."""
    root = str(Path(__file__).resolve().parents[1])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH", "")])])


def run_module(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of this package in a child."""
    return [sys.executable, "-m", module, *arguments]


class LineWorker:
    """One process, used by one thread at a time."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        quiet: bool = False,
    ) -> None:
        """`name`: what errors call it, such as "a worker that reads pages"; `environment`: in place of this process's
        own with `python_path`; `pass_fds`: open files that it inherits; `quiet`: its standard error is not shown.
        """
        self.name = name
        self._process = start_process(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            env={**os.environ, "PYTHONPATH": python_path()} if environment is None else environment,
            pass_fds=pass_fds,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends its workers
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)  # a worker that hangs takes nothing
        self._buffer = bytearray()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, job: Mapping[str, Any], timeout_s: float, *, body: bytes = b"") -> dict[str, Any]:
        """The reply to one job: a line of JSON each; `body` follows the job's line.

        Raises WorkerTimeoutError after `timeout_s` seconds, WorkerDiedError where the process ends. It is killed then,
        as on any other error: a late reply must never be taken for the reply to the next job.
        """
        try:
            self.tell(job, body=body, timeout_s=timeout_s)
            return json.loads(self.read_line(timeout_s))
        except BaseException:
            self.kill()
            raise

    def tell(self, message: Mapping[str, Any], *, body: bytes = b"", timeout_s: float | None = None) -> None:
        """Send a line of JSON, and bytes after it. Raises as `ask`."""
        data = memoryview(json.dumps(message).encode() + b"\n" + body)
        deadline = _deadline(timeout_s)
        while data:
            try:
                data = data[os.write(self._stdin.fileno(), data) :]
            except BlockingIOError:
                self._wait(self._stdin, select.POLLOUT, deadline)
            except BrokenPipeError:
                raise self._died() from None

    def hear(self, timeout_s: float | None = None) -> dict[str, Any]:
        """The next line of JSON. Raises as `ask`, and MathwrightError where the worker tells of one (`say_error`)."""
        message = json.loads(self.read_line(timeout_s))
        if "error" in message:
            raise MathwrightError(message["error"], hint=message["hint"])
        return message

    def read_line(self, timeout_s: float | None = None) -> str:
        """The next line, without its end. Raises as `ask`."""
        deadline = _deadline(timeout_s)
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            self._wait(self._stdout, select.POLLIN, deadline)
            chunk = os.read(self._stdout.fileno(), _CHUNK_BYTES)
            if not chunk:
                raise self._died()
            self._buffer += chunk
        line = self._buffer[:end].decode()
        del self._buffer[: end + 1]
        return line

    def _wait(self, pipe: IO[bytes], event: int, deadline: float | None) -> None:
        """Until the pipe can be written or read."""
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(None if deadline is None else 1000 * max(0.0, deadline - time.monotonic())):
            raise WorkerTimeoutError(f"{self.name} did not answer in time")

    def _died(self) -> WorkerDiedError:
        return WorkerDiedError(f"{self.name} ended with status {self._process.wait()}; its standard error says why")

    def end_input(self) -> None:
        """Let it know that nothing more comes."""
        self._stdin.close()

    def wait(self) -> None:
        """Until it has ended by itself."""
        self._process.wait()

    def close(self, wait_s: float) -> None:
        """End its input, and kill it where it has not ended in time."""
        self.end_input()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        self.kill()

    def kill(self) -> None:
        """End the process and reap it."""
        self.stop()
        self._process.wait()
        self.close_pipes()

    def stop(self) -> None:
        """End the process; whichever thread waits for its answer gets WorkerDiedError."""
        self._process.kill()

    def close_pipes(self) -> None:
        """Let go of a process without touching it."""
        self.end_input()
        self._stdout.close()


def _deadline(timeout_s: float | None) -> float | None:
    return None if timeout_s is None else time.monotonic() + timeout_s


# --- in the child ---------------------------------------------------------------------------------------


def say(**values: Any) -> None:
    """Send the parent a line of JSON."""
    print(json.dumps(values), flush=True)


def say_error(error: MathwrightError) -> None:
    """Let `hear` raise an error in the parent."""
    say(error=error.message, hint=error.hint)


def end_with_parent() -> None:
    """From now on this process ends when its standard input does: the parent ended it, or is gone."""

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
