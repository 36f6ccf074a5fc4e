"""The trusted process of a worker: it feeds programs in, and watches clock, disk, threads and output."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from mathwright.tools import landlock, wire
from mathwright.tools.child import BEGIN, CallerGoneError, Child, Template, abused, ended
from mathwright.tools.folders import exceeds, purge
from mathwright.tools.isolation import Limits
from mathwright.tools.output import Capture, Console

_LOOK_S = 0.05  # between looks at the disk: at 2 GB/s a program writes 100 MB in that time


class Supervisor:
    """Runs one program at a time, each in a child of its own unless the request says to keep it."""

    def __init__(self, control: socket.socket, template: socket.socket, options: dict[str, Any]) -> None:
        """Make the private folder and the rules around it."""
        self.control = control
        self.template = Template(template)
        self.limits = Limits(memory_bytes=options["memory_bytes"], disk_bytes=options["disk_bytes"])
        self.max_output_bytes: int = options["max_output_bytes"]
        self.parent_folder = Path(options["folder"])
        self.readable: list[str] = options["readable"]
        self._new_folder()
        self.child: Child | None = None

    def _new_folder(self) -> None:
        self.folder = self.parent_folder / uuid.uuid4().hex
        self.folder.mkdir()
        self.folder.chmod(0o777)  # the child may be another user; the folder above is closed to everyone else
        self.folder_descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        self.rules = landlock.ruleset(self.readable, str(self.folder))

    def serve(self) -> None:
        """Answer requests until the caller closes the socket."""
        try:
            with contextlib.suppress(CallerGoneError):
                while (request := wire.receive(self.control.recv)) is not None:
                    self._answer(request)
        finally:
            self._discard()
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def _answer(self, request: dict[str, Any]) -> None:
        if self.child is None:
            cpu_s = 0 if request["keep"] else int(request["setup_timeout_s"] + request["timeout_s"]) + 2
            self.child = self._fork(Console(), cpu_s=cpu_s)
        answer = self._try(self.child, request) if "tests" in request else self._run(self.child, request)
        self.control.sendall(wire.pack(answer))
        if request["keep"] and answer["alive"]:
            self.child.stop()
        else:
            self._discard()

    def _fork(self, console: Console, *, cpu_s: int, calls: tuple[int, int] | None = None) -> Child:
        descriptors = {"rules": self.rules, "folder": self.folder_descriptor}
        return Child(self.template, console, **descriptors, cpu_s=cpu_s, calls=calls)

    def _discard(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.console.close()
            self.child = None
        if not purge(self.folder):  # as nobody's fault can be seen by the next program, it gets another folder
            os.close(self.folder_descriptor)
            if self.rules is not None:
                os.close(self.rules)
            self._new_folder()

    def _run(self, child: Child, request: dict[str, Any]) -> dict[str, Any]:
        child.send({"code": request["code"], "setup": request["setup"]})
        child.resume()
        setup_timeout_s = request["setup_timeout_s"] if request["setup"] else None
        return self._watch(child, timeout_s=request["timeout_s"], setup_timeout_s=setup_timeout_s)

    def _try(self, child: Child, request: dict[str, Any]) -> dict[str, Any]:
        """Run a program, and tests of it in a second child, which has never seen the program.

        The tests call what the program defined, through the pipes of its process: see `remote`.
        """
        start = time.monotonic()
        answer = {**self._run(child, request), "passed": False}
        if not (answer["alive"] and answer["status"] == "ok" and answer["finished"]):
            return answer
        child.hand_over()
        left_s = max(request["timeout_s"] - (time.monotonic() - start), 0.01)
        judge = self._fork(child.console, cpu_s=int(left_s) + 2, calls=(child.command_w, child.result_r))
        try:
            judge.send({name: request[name] for name in ("tests", "hide", "modules")})
            answer = self._watch(judge, timeout_s=left_s, program=child)
            if answer["status"] == "timeout":
                answer["error"] = _out_of_time(request["timeout_s"])
        finally:
            judge.kill()
        answer["seconds"] = time.monotonic() - start
        return {**answer, "passed": answer["alive"] and answer["status"] == "ok" and answer["finished"]}

    def _watch(
        self, child: Child, *, timeout_s: float, setup_timeout_s: float | None = None, program: Child | None = None
    ) -> dict[str, Any]:
        """Let the child run what it was sent until it is done, dead, out of time, disk or threads.

        `setup_timeout_s` is the time for blocks before the program, of which it tells when they are done; `program`
        is the child that this one tests.
        """
        capture = Capture(self.max_output_bytes)
        start = time.monotonic()
        deadline = start + (setup_timeout_s or 0.0) + timeout_s
        look = start + _LOOK_S
        has_begun = setup_timeout_s is None
        while True:
            message = child.take()
            now = time.monotonic()
            if message is BEGIN and not has_begun:
                has_begun, start, deadline = True, now, now + timeout_s
            elif message is not None:
                message = abused() if message is BEGIN else message
                break
            elif now >= deadline:
                message = ended("timeout", _out_of_time(timeout_s))
                break
            elif now >= look:
                look = now + _LOOK_S
                if (message := self._over_a_limit(program or child)) is not None:
                    break
            else:
                child.wait(min(deadline, look) - now, self.control, capture)
        seconds = time.monotonic() - start
        child.console.drain(capture)
        return {**message, "stdout": capture.text(), "seconds": seconds}

    def _over_a_limit(self, child: Child) -> dict[str, Any] | None:
        if exceeds(self.folder, self.limits):
            return ended("error", f"OSError: no space left: {self.limits.disk_words()}")
        if child.has_too_many_threads(self.limits):
            return ended("error", f"RuntimeError: a program may have {self.limits.num_threads} threads")
        return None


def _out_of_time(timeout_s: float) -> str:
    return f"TimeoutError: the program ran longer than {timeout_s:g} s"
