"""A jailed process, seen from its supervisor, and its first steps."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mathwright.tools import execute, wire
from mathwright.tools.isolation import Jail, KernelError

if TYPE_CHECKING:
    from mathwright.tools.supervisor import Capture

BEGIN = {"begin": True}
"""Earlier blocks are replayed; the program itself begins now."""

# Known before the fork: to look at every name then would touch, and so copy, 500 pages (2 ms).
_OWN_MODULES = [name for name in (*sys.modules, __name__) if name.split(".")[0] == "mathwright"]
_MAX_MESSAGE_BYTES = 16 * execute.MAX_TEXT  # value and error, JSON-escaped
_PIPE_BYTES = 1 << 16  # what a pipe holds, so one read drains it
_CHANNEL_ABUSED = "the program wrote into, or closed, the sandbox's own channel"


def ended(status: str, error: str) -> dict[str, Any]:
    """The outcome of a program whose process is not to be used again."""
    return {"alive": False, "status": status, "value": None, "error": error, "token": None}


def _encodable(text: str | None) -> str | None:
    """JSON can spell lone surrogates, which the caller could not write to a file."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()


class Child:
    """A jailed process and the three pipes to it. What comes out of them may be written by its program."""

    def __init__(self, jail: Jail, folder: Path, *, cpu_s: int | None) -> None:
        """Fork it; returns when its jail is closed.

        Raises KernelError where it could not be closed: no program has run then.
        """
        command, self._command_w = os.pipe()
        os.set_blocking(self._command_w, False)  # a program of the session may have broken what reads the next one
        self._stdout_r, stdout = os.pipe()
        self._result_r, result = os.pipe()
        supervisor, self._pid = os.getpid(), os.fork()
        if self._pid == 0:
            _run_child(jail, folder, (command, stdout, result), supervisor=supervisor, cpu_s=cpu_s)
        for descriptor in (command, stdout, result):
            os.close(descriptor)
        self._outgoing = b""
        self._buffer = bytearray()
        self._begun = False
        self._stopped = False
        self._death: dict[str, Any] | None = None
        first = wire.receive(lambda size: os.read(self._result_r, size))
        if first != {"ready": True}:
            raise KernelError((first or {}).get("broken", "the child died before its jail was closed"))

    def send(self, request: dict[str, Any]) -> None:
        """Give it the next program."""
        self._begun = not request["setup"]
        self._outgoing = wire.pack({name: request[name] for name in ("code", "setup", "token", "guard", "hide")})

    def wait(self, seconds: float, control: socket.socket, capture: Capture) -> None:
        """Sleep until it reads, prints, answers or ends, or the time is over."""
        poller = select.poll()
        poller.register(control, 0)  # hang-ups only
        poller.register(self._result_r, select.POLLIN)
        if self._stdout_r >= 0:
            poller.register(self._stdout_r, select.POLLIN)
        if self._outgoing:
            poller.register(self._command_w, select.POLLOUT)
        for descriptor, _ in poller.poll(max(1.0, seconds * 1000)):
            if descriptor == control.fileno():
                self.kill()
                os._exit(0)  # the caller is gone
            elif descriptor == self._stdout_r:
                self._read_output(capture)
            elif descriptor == self._command_w:
                self._write_command()
            elif data := os.read(self._result_r, _PIPE_BYTES):
                self._buffer += data
            else:
                self._death = self._describe_death()

    def _write_command(self) -> None:
        try:
            written = os.write(self._command_w, self._outgoing)
        except BrokenPipeError:  # dead, as its result channel will tell; or it closed its end, and its time runs out
            self._outgoing = b""
        else:
            self._outgoing = self._outgoing[written:]

    def take(self) -> dict[str, Any] | None:
        """The next thing known of it: BEGIN, the outcome of the program, or None for nothing yet."""
        try:
            message = wire.take(self._buffer, limit_bytes=_MAX_MESSAGE_BYTES)
        except ValueError:
            return ended("error", _CHANNEL_ABUSED)
        if message is None:
            return self._death
        if message == BEGIN and not self._begun:
            self._begun = True
            return BEGIN
        status, value, error = message.get("status"), message.get("value"), message.get("error")
        known = isinstance(status, str) and status in ("ok", "error", "memory", "forbidden")
        if not known or not isinstance(value, str | None) or not isinstance(error, str | None):
            return ended("error", _CHANNEL_ABUSED)
        told = {"value": _encodable(value), "error": _encodable(error), "token": message.get("token")}
        return {"alive": True, "status": status, **told}

    def drain(self, capture: Capture) -> None:
        """Read the output that is already in the pipe (and no more: a thread left behind may print for ever)."""
        if self._stdout_r >= 0 and select.select([self._stdout_r], [], [], 0)[0]:
            self._read_output(capture)

    def _read_output(self, capture: Capture) -> None:
        data = os.read(self._stdout_r, _PIPE_BYTES)
        capture.feed(data)
        if not data:
            os.close(self._stdout_r)
            self._stdout_r = -1

    def _describe_death(self) -> dict[str, Any]:
        """How a child ended that closed its channel without an outcome."""
        for _ in range(20):  # its pipes close a moment before it can be waited for
            pid, wait_status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.005)
        else:
            return ended("error", _CHANNEL_ABUSED)
        self._pid = 0
        code = os.waitstatus_to_exitcode(wait_status)
        if code >= 0:
            return ended("error", f"SystemExit: the program ended the interpreter with code {code}")
        name = signal.Signals(-code).name
        # SIGKILL is not ours here: the kernel ran out of memory and chose this process, as it was told to.
        status = {"SIGSYS": "forbidden", "SIGKILL": "memory", "SIGXCPU": "timeout"}.get(name, "error")
        return ended(status, f"the interpreter was ended by {name}")

    def stop(self) -> None:
        """Between two blocks nothing of the program runs, whatever threads it left."""
        os.kill(self._pid, signal.SIGSTOP)
        self._stopped = True

    def resume(self) -> None:
        """Let it run again."""
        if self._stopped:
            os.kill(self._pid, signal.SIGCONT)
            self._stopped = False

    def kill(self) -> None:
        """End the process and its group, and close the pipes."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0
        for descriptor in (self._command_w, self._stdout_r, self._result_r):
            if descriptor >= 0:
                os.close(descriptor)


def _run_child(
    jail: Jail, folder: Path, pipes: tuple[int, int, int], *, supervisor: int, cpu_s: int | None
) -> NoReturn:
    status = 1
    try:
        os.setsid()
        _arrange_descriptors(pipes)
        os.chdir(folder)
        with contextlib.suppress(OSError):
            _put_first_for_the_oom_killer()
        jail.enter(parent=supervisor, cpu_s=cpu_s)
        os.closerange(execute.RESULT_FD + 1, 1 << 20)
        execute.send({"ready": True})
        gc.enable()
        for name in _OWN_MODULES:
            sys.modules.pop(name, None)  # a program sees what is installed, not what runs it
        execute.serve(jail.limits.memory_bytes)
        status = 0
    except KernelError as error:
        execute.send({"broken": str(error)})
    except BaseException:  # of our own making before "ready"; after it the program may have broken anything
        traceback.print_exc()
    finally:
        os._exit(status)  # never back into the supervisor's frames


def _put_first_for_the_oom_killer() -> None:
    """Where the machine's memory runs out, the program goes before anything else."""
    score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    try:
        os.write(score, b"1000")
    finally:
        os.close(score)


def _arrange_descriptors(pipes: tuple[int, int, int]) -> None:
    """Standard input and error to nowhere, standard output and our two channels to their fixed numbers."""
    command, stdout, result = (fcntl.fcntl(pipe, fcntl.F_DUPFD, 16) for pipe in pipes)
    null = fcntl.fcntl(os.open("/dev/null", os.O_RDWR), fcntl.F_DUPFD, 16)
    targets = ((null, 0), (stdout, 1), (null, 2), (command, execute.COMMAND_FD), (result, execute.RESULT_FD))
    for descriptor, number in targets:
        os.dup2(descriptor, number)
