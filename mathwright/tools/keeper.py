"""The processes behind a sandbox, and the one that keeps them.

    Sandbox (the caller's process)
      keeper           a fresh interpreter without environment; starts the zygote, forks supervisors on request
        supervisor     one for each worker and session; trusted; feeds programs in, watches clock, disk and output
        zygote         a fresh interpreter that imports sympy, numpy and scipy once and never sees a request
          template     one for each supervisor: forks its children, and sees no request either
            child      jailed; runs one program (or the blocks of one session), then is killed

All die with the process above them. Only light modules are imported here: a fork copies the page tables of all memory.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from mathwright.tools import wire
from mathwright.tools.folders import purge
from mathwright.tools.isolation import die_with_parent
from mathwright.tools.landlock import readable_paths
from mathwright.tools.supervisor import Supervisor

_IN_THE_ZYGOTE = ("wire", "syscalls", "isolation", "huge_pages", "values", "proxies", "remote", "execute", "zygote")
# Our modules come as text: read from their files, their path, the project's, would be in every code object. `site`
# is left out (-S) because it reads the paths of editable installations; what it does for programs is done here.
_BOOT = """
import importlib.abc, importlib.util, json, site, socket, sys
control = socket.socket(fileno=int(sys.argv.pop()))
def read(size):
    data = b""
    while len(data) < size:
        part = control.recv(size - len(data))
        if not part:
            raise SystemExit("no options came")
        data += part
    return data
options = json.loads(read(int.from_bytes(read(4), "big")))
del sys.orig_argv[1:]
class Texts(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path, target=None):
        if name in options["modules"]:
            return importlib.util.spec_from_loader(name, self, is_package=self.is_package(name))
    def is_package(self, name):
        return any(other.startswith(name + ".") for other in options["modules"])
    def get_source(self, name):
        return options["modules"][name]
    @staticmethod
    def source_to_code(source, path="<sandbox>"):
        return compile(source, "<sandbox>", "exec", dont_inherit=True)
sys.path[:] = options["path"]
sys.prefix, sys.exec_prefix = options["prefixes"]
site.setquit(), site.setcopyright(), site.sethelper()
sys.meta_path.insert(0, Texts())
from mathwright.tools.zygote import main
del sys.meta_path[0], Texts, read, options["modules"]
main(control, options)
"""


def main() -> None:
    """Entry of the keeper: options as JSON in the last argument, a socket to the caller among them."""
    options = json.loads(sys.argv.pop())
    parent = os.getppid()
    control = socket.socket(fileno=options["control"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    readable = readable_paths()
    zygote, process = _start_zygote(options, readable)
    supervisors: set[int] = set()
    try:
        if (ready := wire.receive(zygote.recv)) is not None:
            control.sendall(wire.pack(ready))
            _fork_on_request(control, parent, zygote, supervisors, {**options, "readable": readable})
    finally:
        for pid in supervisors:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        zygote.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()  # its templates and their children die with it
            process.wait()
        folder = Path(options["folder"])
        purge(folder)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _start_zygote(options: dict[str, Any], readable: list[str]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-S", "-s", "-P", "-c", _BOOT, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            cwd="/",
            pass_fds=[theirs.fileno()],
        )
    # Programs import what is installed: nothing beside us, and no editable installations, which they may not read.
    path = [path for path in sys.path if any(Path(path).is_relative_to(folder) for folder in readable)]
    modules = {"mathwright": "", "mathwright.tools": ""}
    for name in _IN_THE_ZYGOTE:
        spec = importlib.util.find_spec(f"mathwright.tools.{name}")
        assert spec is not None and spec.origin is not None
        modules[f"mathwright.tools.{name}"] = Path(spec.origin).read_text(encoding="utf-8")
    told = {name: options[name] for name in ("preimport", "memory_bytes", "disk_bytes")}
    told |= {"modules": modules, "path": path, "prefixes": [sys.prefix, sys.exec_prefix]}
    with contextlib.suppress(BrokenPipeError):  # it could not start: seen when its answer does not come
        ours.sendall(wire.pack(told))
    return ours, process


def _fork_on_request(
    control: socket.socket, parent: int, zygote: socket.socket, supervisors: set[int], options: dict[str, Any]
) -> None:
    """Fork a supervisor for every socket that arrives, until the caller closes its end or dies, or the zygote dies."""
    keeper = os.getpid()
    while os.getppid() == parent:
        ready = select.select([control, zygote], [], [], 1.0)[0]
        for pid in list(supervisors):
            if os.waitpid(pid, os.WNOHANG)[0]:
                supervisors.discard(pid)
        if zygote in ready:
            return
        if control not in ready:
            continue
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not descriptors:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(zygote, [b"+"], [theirs.fileno()])
        pid = os.fork()
        if pid == 0:
            control.close()
            zygote.close()
            _run_supervisor(socket.socket(fileno=descriptors[0]), ours, keeper, options)
        ours.close()
        os.close(descriptors[0])
        supervisors.add(pid)


def _run_supervisor(control: socket.socket, template: socket.socket, keeper: int, options: dict[str, Any]) -> NoReturn:
    status = 1
    try:
        die_with_parent(keeper)
        Supervisor(control, template, options).serve()
        status = 0
    except BaseException:
        traceback.print_exc()  # into the worker's log, which the caller quotes
    finally:
        os._exit(status)  # never back into the keeper's frames: they remove the folders of all
