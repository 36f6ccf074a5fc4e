"""The process that programs are forked from: it has the packages imported, and has never seen a request.

It is a fresh interpreter, and what it is given is the text of our modules, the paths Python looks in, the names of
packages and the limits. It forks a template for each worker. A template is told by its supervisor only when to fork
and when to end a child, in messages of numbers; what a child works with arrives as open descriptors. So there is
nothing in the memory a program begins with, from the environment down to freed pieces of the heap, that tells of
another program, its output, its tests, the project, or the options of the sandbox.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from mathwright.tools import execute, wire
from mathwright.tools.huge_pages import collapse_memory
from mathwright.tools.isolation import Jail, KernelError, Limits, die_with_parent

ORDER = struct.Struct("=ciB")
"""FORK, processor seconds (0: no limit), whether the rules of Landlock come with it; or END or REAP, pid, 0."""
ANSWER = struct.Struct("=iid")
"""pid or a negative errno, 0, 0; or whether it has ended, its wait status, its processor seconds."""
FORK, END, REAP = b"f", b"e", b"r"
MAX_DESCRIPTORS = 7

# Half of sympy is imported, and tables are made, at the first use of a function: 35 to 200 ms of every program that
# solves or simplifies something, 1 to 20 ms once it is done here. It costs half a second and 6 MB.
_SYMPY_WARM_UP = """
from sympy import *
x, y = symbols("x y")
solve(x**2 - 2, x), solve([x + y - 3, x - y - 1], [x, y]), solve(x**2 < 4, x), nsolve(x - 1, x, 1)
solveset(x**2 - 2, x)
simplify((x**2 - 1) / (x - 1)), trigsimp(sin(x)**2 + cos(x)**2), nsimplify(0.5), N(sqrt(2), 30), binomial(5, 2)
integrate(x * sin(x), x), integrate(exp(-x**2), (x, -oo, oo)), series(sin(x), x, 0, 3), limit(sin(x) / x, x, 0)
dsolve(Function("f")(x).diff(x) - 1), Matrix([[1, 2], [3, 4]]).eigenvals(), str(sqrt(8) + pi), latex(x / 2)
"""

# Known before the fork: to look at every name then would touch, and so copy, 500 pages (2 ms).
_own_modules: list[str] = []


def main(control: socket.socket, options: dict[str, Any]) -> None:
    """Import the packages, say which are absent, and fork a template for every socket that arrives."""
    parent = os.getppid()
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    absent = _preimport(options["preimport"])
    jail = Jail(Limits(memory_bytes=options["memory_bytes"], disk_bytes=options["disk_bytes"]))
    os.environ.clear()  # not before: BLAS reads there that it shall start no threads
    _own_modules[:] = [name for name in sys.modules if name.split(".")[0] == "mathwright"]
    gc.collect()
    gc.freeze()  # so that no collection in a child touches, and so copies, these pages
    gc.disable()
    collapse_memory()
    control.sendall(wire.pack({"absent": absent}))
    templates: set[int] = set()
    try:
        _fork_templates(control, parent, jail, templates)
    finally:
        for pid in templates:
            os.kill(pid, signal.SIGKILL)  # its child dies with it
            os.waitpid(pid, 0)


def _fork_templates(control: socket.socket, parent: int, jail: Jail, templates: set[int]) -> None:
    zygote = os.getpid()
    while os.getppid() == parent:
        ready = select.select([control], [], [], 1.0)[0]
        for pid in list(templates):
            if os.waitpid(pid, os.WNOHANG)[0]:
                templates.discard(pid)
        if not ready:
            continue
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not descriptors:
            return
        pid = os.fork()
        if pid == 0:
            control.close()
            _run_template(socket.socket(fileno=descriptors[0]), jail, zygote)
        os.close(descriptors[0])
        templates.add(pid)


def _preimport(names: Sequence[str]) -> list[str]:
    """Import packages; returns those that are not installed, for programs may do without them."""
    absent = []
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            absent.append(name)
    if "sympy" in names and "sympy" not in absent:
        exec(_SYMPY_WARM_UP, {})
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)  # forked as it is: a program draws the same numbers whenever it runs
    return absent


def _run_template(control: socket.socket, jail: Jail, zygote: int) -> NoReturn:
    status = 1
    try:
        die_with_parent(zygote)
        _Template(control, jail).serve()
        status = 0
    except BaseException:
        traceback.print_exc()  # into the worker's log, which the caller quotes
    finally:
        os._exit(status)  # never back into the zygote's frames


class _Template:
    """Forks children and reaps them as its supervisor says; they die with it."""

    def __init__(self, control: socket.socket, jail: Jail) -> None:
        self._control = control
        self._jail = jail

    def serve(self) -> None:
        """Obey until the supervisor closes the socket or dies."""
        while True:
            order, descriptors, _, _ = socket.recv_fds(self._control, ORDER.size, MAX_DESCRIPTORS)
            if len(order) < ORDER.size:
                return
            kind, number, has_rules = ORDER.unpack(order)
            if kind == FORK:
                answer = (self._fork(descriptors, number, bool(has_rules)), 0, 0.0)
            else:
                answer = self._reap(number, kill=kind == END)
            self._control.sendall(ANSWER.pack(*answer))

    def _fork(self, descriptors: list[int], cpu_s: int, has_rules: bool) -> int:
        template = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # no processes or memory left: the supervisor tries again
            pid = -(error.errno or 1)
        if pid == 0:
            _run_child(self._jail, descriptors, template=template, cpu_s=cpu_s, has_rules=has_rules)
        for descriptor in descriptors:
            os.close(descriptor)
        return pid

    @staticmethod
    def _reap(pid: int, *, kill: bool) -> tuple[int, int, float]:
        if kill:
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        # Otherwise its pipes are closed, which happens a moment before it can be waited for.
        for _ in range(20):
            ended, status, usage = os.wait4(pid, 0 if kill else os.WNOHANG)
            if ended:
                return 1, status, usage.ru_utime + usage.ru_stime
            time.sleep(0.005)
        return 0, 0, 0.0


def _run_child(jail: Jail, descriptors: list[int], *, template: int, cpu_s: int, has_rules: bool) -> NoReturn:
    status = 1
    try:
        os.setsid()
        *descriptors, folder = descriptors
        rules = fcntl.fcntl(descriptors.pop(), fcntl.F_DUPFD, 32) if has_rules else None
        os.fchdir(folder)
        _arrange_descriptors(descriptors)
        os.environ["HOME"] = os.environ["TMPDIR"] = os.getcwd()  # noqa: PTH109  # before pathlib's pages are copied
        with contextlib.suppress(OSError):
            _put_first_for_the_oom_killer()
        jail.enter(parent=template, ruleset=rules, cpu_s=cpu_s)
        os.closerange(execute.COMMAND_FD + len(descriptors) - 1, 1 << 20)
        execute.send({"ready": True})
        gc.enable()
        for name in _own_modules:
            sys.modules.pop(name, None)  # a program sees what is installed, not what runs it
        execute.serve(jail.limits.memory_bytes)
        status = 0
    except KernelError as error:
        execute.send({"broken": str(error)})
    except BaseException:  # of our own making before "ready"; after it the program may have broken anything
        traceback.print_exc()
    finally:
        os._exit(status)  # never back into the template's frames


def _put_first_for_the_oom_killer() -> None:
    """Where the machine's memory runs out, the program goes before anything else."""
    score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    try:
        os.write(score, b"1000")
    finally:
        os.close(score)


def _arrange_descriptors(pipes: Sequence[int]) -> None:
    """Standard input and error to nowhere, standard output and our channels to their fixed numbers."""
    stdout, *channels = (fcntl.fcntl(pipe, fcntl.F_DUPFD, 16) for pipe in pipes)
    null = fcntl.fcntl(os.open("/dev/null", os.O_RDWR), fcntl.F_DUPFD, 16)
    for descriptor, number in ((null, 0), (stdout, 1), (null, 2), *zip(channels, range(3, 10), strict=False)):
        os.dup2(descriptor, number)
