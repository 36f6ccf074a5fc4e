"""The caller's handles of the sandbox's processes (what those do is in `keeper`)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.tools import wire
from mathwright.tools.folders import purge

_ROOT = str(Path(__file__).resolve().parents[2])
_BOOT = """
import sys, json
sys.path.insert(0, json.loads(sys.argv[-1])["root"])
from mathwright.tools.keeper import main
main()
"""
_START_TIMEOUT_S = 120  # importing scipy from a cold network file system
_GRACE_S = 30  # beyond a program's own time, before its supervisor counts as lost
# BLAS would start threads, which do not survive a fork; one arena of malloc keeps the address space small.
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}


class LostWorkerError(Exception):
    """A process of ours ended or does not answer; what it was asked is not known to be done."""


class Worker:
    """A supervisor: runs one program at a time."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have it run a program and wait for the outcome. Raises LostWorkerError."""
        self._control.settimeout(request["setup_timeout_s"] + request["timeout_s"] + _GRACE_S)
        try:
            self._control.sendall(wire.pack(request))
            answer = wire.receive(self._control.recv)
        except (OSError, ValueError) as error:  # a timeout is an OSError
            raise LostWorkerError(str(error)) from error
        if answer is None:
            raise LostWorkerError("it ended")
        return answer

    def close(self) -> None:
        """Let it go: it ends when it sees the socket closed."""
        self._control.close()


class Keeper:
    """The process that forks supervisors; started at once, awaited when the first one is asked for."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mathwright-"))
        self._log = self._folder / "log"
        self._control, theirs = socket.socketpair()
        self._ready = False
        options = {**self._options, "root": _ROOT, "folder": str(self._folder), "control": theirs.fileno()}
        # Not -I: it would ignore the hash seed. -P and -s keep the current folder and the user's packages away.
        command = [sys.executable, "-s", "-P", "-c", _BOOT, json.dumps(options)]
        with theirs, self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_ENVIRONMENT,
                cwd=self._folder,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal is for the caller
            )

    def spawn(self) -> Worker:
        """A new supervisor; one that died, or whose zygote did (killed for memory, say), is started anew.

        Raises MathwrightError where it cannot start, RuntimeError after `close` and in a fork of the caller.
        """
        if os.getpid() != self._owner:
            raise RuntimeError("a sandbox cannot be used in a fork of the process that made it; make one there")
        with self._lock:
            if self._closed:
                raise RuntimeError("the sandbox is closed")
            for is_last in (False, True):
                if self._process.poll() is not None:
                    self._release()
                    self._start()
                self._await_ready()
                ours, theirs = socket.socketpair()
                with theirs:
                    try:
                        socket.send_fds(self._control, [b"+"], [theirs.fileno()])
                        return Worker(ours)
                    except OSError as error:  # it is just ending
                        ours.close()
                        if is_last:
                            raise self._failure() from error
                        self._release()
            raise AssertionError("unreachable")

    def _await_ready(self) -> None:
        if self._ready:
            return
        self._control.settimeout(_START_TIMEOUT_S)
        try:
            self._ready = wire.receive(self._control.recv) is not None
        except OSError as error:
            raise self._failure() from error
        if not self._ready:
            raise self._failure()

    def _failure(self) -> MathwrightError:
        return MathwrightError(
            f"the sandbox's process does not run: {self.last_words()}",
            hint=f"try `{sys.executable} -c 'import sympy, numpy, scipy'`, and look whether memory ran out",
        )

    def last_words(self) -> str:
        """The last line our processes wrote, mostly the error they ended with."""
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:  # removed with its folder, or the folder is closed to us
            lines = []
        return lines[-1] if lines else "it left no message"

    def close(self) -> None:
        """End every process and remove the folder. A fork of the caller leaves them alone."""
        if os.getpid() != self._owner or self._closed:
            return
        self._closed = True
        self._release()

    def _release(self) -> None:
        self._control.close()  # the keeper sees that and kills the others
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        purge(self._folder)
        with contextlib.suppress(OSError):
            self._folder.rmdir()
