"""A jailed process, seen from its supervisor. What comes out of it may be written by its program."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.tools import execute, wire, zygote
from mathwright.tools.isolation import KernelError, Limits
from mathwright.tools.output import Capture, Console

BEGIN = {"begin": True}
"""Earlier blocks are replayed; the program itself begins now."""

_MAX_MESSAGE_BYTES = 16 * execute.MAX_TEXT  # value and error, JSON-escaped
_MAX_CHARS = 2 * execute.MAX_TEXT  # of a value or an error, with the notice of what was left out
_PIPE_BYTES = 1 << 16  # what a pipe holds, so one read drains it
_FORK_TRIES_S = 5.0
_STATUSES = ("ok", "error", "memory", "forbidden")
_CHANNEL_ABUSED = "the program wrote into, or closed, the sandbox's own channel"


class CallerGoneError(Exception):
    """The caller of the sandbox has closed its socket: nobody waits for an outcome."""


def ended(status: str, error: str) -> dict[str, Any]:
    """The outcome of a program whose process is not to be used again."""
    return {"alive": False, "status": status, "value": None, "error": error, "finished": False}


def abused() -> dict[str, Any]:
    """The outcome of a program that meddled with the sandbox's own channel."""
    return ended("error", _CHANNEL_ABUSED)


def outcome_in(buffer: bytearray, nonce: str) -> dict[str, Any] | None:
    """The first message in `buffer`, taken out of it: BEGIN, or the outcome of the program sent with `nonce`.

    None while it is incomplete; an outcome of status error for anything else, whatever the bytes are. Its values are
    flat, of known types and bounded, so that it can be packed and sent on.
    """
    try:
        message = wire.take(buffer, limit_bytes=_MAX_MESSAGE_BYTES)
    except ValueError:
        return abused()
    if message is None:
        return None
    if message == {**BEGIN, "nonce": nonce}:
        return BEGIN
    status, value, error = message.get("status"), message.get("value"), message.get("error")
    ours = message.get("nonce") == nonce and isinstance(status, str) and status in _STATUSES
    if not ours or not isinstance(value, str | None) or not isinstance(error, str | None):
        return abused()
    finished = message.get("finished") is True
    return {"alive": True, "status": status, "value": _text(value), "error": _text(error), "finished": finished}


def _text(text: str | None) -> str | None:
    """JSON can spell lone surrogates, which the caller could not write to a file."""
    return None if text is None else text[:_MAX_CHARS].encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended."""

    wait_status: int
    cpu_s: float


class Template:
    """The process that forks children (`zygote`): it is told numbers and handed descriptors, nothing else."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def fork(self, pipes: Sequence[int], *, rules: int | None, folder: int, cpu_s: int) -> int:
        """The pid of a new child. Raises KernelError where there are no processes left for a while."""
        descriptors = [*pipes, *([] if rules is None else [rules]), folder]
        tries_end = time.monotonic() + _FORK_TRIES_S
        while True:
            socket.send_fds(self._control, [zygote.ORDER.pack(zygote.FORK, cpu_s, rules is not None)], descriptors)
            pid = self._answer()[0]
            if pid > 0:
                return pid
            if time.monotonic() > tries_end:
                raise KernelError(-pid, f"no process can be started: {os.strerror(-pid)}")
            time.sleep(0.05)

    def end(self, pid: int) -> End:
        """Kill a child and its group."""
        self._control.sendall(zygote.ORDER.pack(zygote.END, pid, 0))
        return End(*self._answer()[1:])

    def reap(self, pid: int) -> End | None:
        """How a child ended that closed its pipes; None where it lives on."""
        self._control.sendall(zygote.ORDER.pack(zygote.REAP, pid, 0))
        has_ended, wait_status, cpu_s = self._answer()
        return End(wait_status, cpu_s) if has_ended else None

    def _answer(self) -> tuple[int, int, float]:
        data = b""
        while len(data) < zygote.ANSWER.size:
            part = self._control.recv(zygote.ANSWER.size - len(data))
            if not part:
                raise ConnectionError("the process that forks programs has ended")
            data += part
        return zygote.ANSWER.unpack(data)


class Child:
    """A jailed process and the pipes to it."""

    def __init__(
        self,
        template: Template,
        console: Console,
        *,
        rules: int | None,
        folder: int,
        cpu_s: int,
        calls: tuple[int, int] | None = None,
    ) -> None:
        """Fork it; returns when its jail is closed. `calls` are pipes it writes and reads, to another child.

        Raises KernelError where it could not be closed: no program has run then.
        """
        self.console = console
        self._template = template
        self._cpu_limit_s = cpu_s
        command, self.command_w = os.pipe()
        os.set_blocking(self.command_w, False)  # a program of the session may have broken what reads the next one
        self.result_r, result = os.pipe()
        try:
            pipes = (console.write_end, command, result, *(calls or ()))
            self.pid = template.fork(pipes, rules=rules, folder=folder, cpu_s=cpu_s)
        finally:
            os.close(command)
            os.close(result)
        self._outgoing = b""
        self._buffer = bytearray()
        self._nonce = ""
        self._stopped = False
        self._death: dict[str, Any] | None = None
        first = wire.receive(lambda size: os.read(self.result_r, size))
        if first != {"ready": True}:
            raise KernelError((first or {}).get("broken", "the child died before its jail was closed"))

    def send(self, request: dict[str, Any]) -> None:
        """Give it the next program. What it has said until now is not an answer to it, and is forgotten."""
        self._nonce = secrets.token_hex(16)
        if select.select([self.result_r], [], [], 0)[0] and not os.read(self.result_r, _PIPE_BYTES):
            self._death = self._describe_death()
        self._buffer.clear()
        self._outgoing = wire.pack({**request, "nonce": self._nonce})

    def hand_over(self) -> None:
        """Have it answer calls from now on, of whom has the other ends of its pipes."""
        with contextlib.suppress(BrokenPipeError, BlockingIOError):  # a program that broke its reader fails the tests
            os.write(self.command_w, wire.pack({"answer_calls": True}))
        os.set_blocking(self.command_w, True)

    def wait(self, seconds: float, control: socket.socket, capture: Capture) -> None:
        """Sleep until it reads, prints, answers or ends, or the time is over. Raises CallerGoneError."""
        poller = select.poll()
        poller.register(control, 0)  # hang-ups only
        poller.register(self.result_r, select.POLLIN)
        poller.register(self.console.read_end, select.POLLIN)
        if self._outgoing:
            poller.register(self.command_w, select.POLLOUT)
        for descriptor, _ in poller.poll(max(1.0, seconds * 1000)):
            if descriptor == control.fileno():
                raise CallerGoneError
            if descriptor == self.console.read_end:
                self.console.read(capture)
            elif descriptor == self.command_w:
                self._write_command()
            elif data := os.read(self.result_r, _PIPE_BYTES):
                self._buffer += data
            elif self._death is None:
                self._death = self._describe_death()

    def _write_command(self) -> None:
        try:
            written = os.write(self.command_w, self._outgoing)
        except BrokenPipeError:  # dead, as its result channel will tell; or it closed its end, and its time runs out
            self._outgoing = b""
        else:
            self._outgoing = self._outgoing[written:]

    def take(self) -> dict[str, Any] | None:
        """The next thing known of it: BEGIN, the outcome of the program, or None for nothing yet."""
        return outcome_in(self._buffer, self._nonce) or self._death

    def has_too_many_threads(self, limits: Limits) -> bool:
        """Whether it has more threads than it may: where it runs as the user of the caller no limit counts them."""
        try:
            return Path(f"/proc/{self.pid}/task").stat().st_nlink - 2 > limits.num_threads
        except OSError:  # it has just ended, or there is no /proc
            return False

    def _describe_death(self) -> dict[str, Any]:
        """How a child ended that closed its channel without an outcome."""
        end = self._template.reap(self.pid)
        if end is None:
            return abused()
        self.pid = 0
        code = os.waitstatus_to_exitcode(end.wait_status)
        if code >= 0:
            return ended("error", f"SystemExit: the program ended the interpreter with code {code}")
        if -code in (signal.SIGKILL, signal.SIGXCPU) and 0 < self._cpu_limit_s <= end.cpu_s + 0.5:
            return ended("timeout", f"TimeoutError: the program took more than {self._cpu_limit_s} s of processor time")
        try:
            name = signal.Signals(-code).name
        except ValueError:  # a real-time signal
            name = f"signal {-code}"
        # SIGKILL is not ours here: the kernel ran out of memory and chose this process, as it was told to.
        status = {"SIGSYS": "forbidden", "SIGKILL": "memory", "SIGXCPU": "timeout"}.get(name, "error")
        return ended(status, f"the interpreter was ended by {name}")

    def stop(self) -> None:
        """Between two blocks nothing of the program runs, whatever threads it left."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGSTOP)
            self._stopped = True

    def resume(self) -> None:
        """Let it run again."""
        if self._stopped:
            os.kill(self.pid, signal.SIGCONT)
            self._stopped = False

    def kill(self) -> None:
        """End the process and its group, and close its pipes."""
        if self.pid:
            self._template.end(self.pid)
            self.pid = 0
        for descriptor in (self.command_w, self.result_r):
            os.close(descriptor)
