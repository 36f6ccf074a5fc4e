"""The processes behind a sandbox: a zygote with the packages imported, supervisors, and a child a program.

    Sandbox (the caller's process)
      zygote           a fresh interpreter without environment; imports sympy, numpy, scipy once; forks on request
        supervisor     one for each worker and session; trusted; watches the clock, the disk and the output
          child        jailed; runs one program (or the blocks of one session), then is killed

All die with the process above them. Only light modules are imported here: a fork copies the page tables of all memory.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from mathwright.tools import wire
from mathwright.tools.isolation import die_with_parent, readable_paths
from mathwright.tools.pages import collapse_memory
from mathwright.tools.supervisor import Supervisor

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


def main() -> None:
    """Entry of the zygote: options as JSON in the last argument, a socket to the caller among them."""
    options = json.loads(sys.argv.pop())
    del sys.orig_argv[1:]  # paths of ours
    parent = os.getppid()
    control = socket.socket(fileno=options["control"])
    _narrow_imports()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    absent = _preimport(options["preimport"])
    os.environ.clear()  # not before: BLAS reads there that it shall start no threads
    gc.collect()
    gc.freeze()  # so that no collection in a child touches, and so copies, these pages
    gc.disable()
    collapse_memory()
    control.sendall(wire.pack({"absent": absent}))
    supervisors: set[int] = set()
    try:
        _fork_on_request(control, parent, supervisors, options)
    finally:
        for pid in supervisors:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        shutil.rmtree(options["folder"], ignore_errors=True)


def _narrow_imports() -> None:
    """Programs import what is installed: nothing beside us, and no editable installations, which they may not read."""
    readable = readable_paths()
    sys.path[:] = [path for path in sys.path if any(Path(path).is_relative_to(folder) for folder in readable)]
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [f for f in sys.meta_path if not getattr(f, "__module__", "").startswith("__editable__")]


def _preimport(names: list[str]) -> list[str]:
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


def _fork_on_request(control: socket.socket, parent: int, supervisors: set[int], options: dict[str, Any]) -> None:
    """Fork a supervisor for every socket that arrives, until the caller closes its end or dies."""
    zygote = os.getpid()
    while os.getppid() == parent:
        ready = select.select([control], [], [], 1.0)[0]
        for pid in list(supervisors):
            if os.waitpid(pid, os.WNOHANG)[0]:
                supervisors.discard(pid)
        if not ready:
            continue
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not descriptors:
            return
        pid = os.fork()
        if pid == 0:
            control.close()
            _run_supervisor(socket.socket(fileno=descriptors[0]), zygote, options)
        os.close(descriptors[0])
        supervisors.add(pid)


def _run_supervisor(control: socket.socket, zygote: int, options: dict[str, Any]) -> NoReturn:
    status = 1
    try:
        die_with_parent(zygote)
        Supervisor(control, options).serve()
        status = 0
    except BaseException:
        traceback.print_exc()  # into the worker's log, which the caller quotes
    finally:
        os._exit(status)  # never back into the zygote's frames: they remove the folders of all
