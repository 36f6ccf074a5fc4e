"""Python commands in processes that have imported torch and transformers already: nine processor seconds spared each.

A warm interpreter waits (`python -m tests.warm`) and forks for each command it is told, one at a time. `torchrun` has
two of them, each with hashes of its own, as torchrun's processes have: what depends on the order of a set shows.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from mathwright.children import LineWorker, WorkerTimeoutError, run_module, say

ROOT = Path(__file__).resolve().parents[1]
LOADED = (
    "torch", "torch.distributed.checkpoint", "torch.distributed.tensor", "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2", "mathwright.chain.run", "mathwright.chain.compare",
    "mathwright.lm.load", "mathwright.lm.heads", "mathwright.pretrain.training", "mathwright.sft.training",
    "mathwright.rl.training", "pytest",
)  # fmt: skip
TIMEOUT_S = 300.0
"""A command that takes longer hangs."""

Done = subprocess.CompletedProcess[str]


class WarmPython:
    """One interpreter that has loaded what is slow to load, and runs one command at a time in a fork of itself."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._worker = LineWorker("a warm Python", run_module("tests.warm"), environment=environment)
        self.pid: int | None = None
        """Of the command that runs."""

    def start(self, command: Sequence[str], files: Path, environment: Mapping[str, str]) -> None:
        """Start what `python COMMAND` would run, a module or a program; `files` has its `stdin`, `stdout`, `stderr`."""
        self._worker.tell({"command": list(command), "files": str(files), "environment": dict(environment)})
        self.pid = self._worker.hear()["pid"]

    def wait(self) -> int:
        """Its exit status, that of a signal negative. A command that hangs is killed."""
        try:
            code = self._worker.hear(TIMEOUT_S)["code"]
        except WorkerTimeoutError:
            self.kill()
            code = self._worker.hear()["code"]
        self.pid = None
        return code

    def kill(self) -> None:
        """End the command, if it runs."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self._worker.close(wait_s=10)


_warm: list[WarmPython] = []


def take(count: int) -> list[WarmPython]:
    """The first `count` interpreters of this process, started when they are first needed."""
    while len(_warm) < count:
        _warm.append(WarmPython())
    return _warm[:count]


@atexit.register
def close_all() -> None:
    while _warm:
        _warm.pop().close()


def run(*command: str, stdin: str = "") -> Done:
    """`python COMMAND`, a module or a program."""
    [done] = _run([command], [{}], stdin=stdin)
    return done


def run_together(*commands: Sequence[str]) -> list[Done]:
    """Several at the same time, started one after the other."""
    return _run(commands, [{}] * len(commands))


def torchrun(*command: str) -> Done:
    """`torchrun --nproc-per-node 2 COMMAND`: where one process fails the other is killed; no GPU is seen."""
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0", "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    ranks = [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    first, second = _run([command, command], ranks, one_fails_all_end=True)
    code = first.returncode or second.returncode
    return Done(command, code, first.stdout + second.stdout, first.stderr + second.stderr)


def _run(
    commands: Sequence[Sequence[str]],
    environments: Sequence[Mapping[str, str]],
    *,
    stdin: str = "",
    one_fails_all_end: bool = False,
) -> list[Done]:
    processes = take(len(commands))

    def wait(process: WarmPython) -> int:
        code = process.wait()
        if code and one_fails_all_end:
            for other in processes:
                other.kill()
        return code

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(processes)) as pool:
        all_files = [Path(folder) / str(number) for number in range(len(processes))]
        for process, command, files, environment in zip(processes, commands, all_files, environments, strict=True):
            files.mkdir()
            (files / "stdin").write_text(stdin)
            process.start(command, files, environment)
        codes = list(pool.map(wait, processes))
        said = [[(files / name).read_text() for name in ("stdout", "stderr")] for files in all_files]
    return [Done(command, code, *texts) for command, code, texts in zip(commands, codes, said, strict=True)]


# --- in the interpreter that waits ----------------------------------------------------------------------


def serve() -> None:
    """Run the commands that come in, one after the other, until no more can come."""
    for name in LOADED:
        __import__(name)
    [_] = Path("/proc/self/task").iterdir()  # one thread: a fork has no other, but whatever locks it held
    gc.collect()
    gc.freeze()
    jobs = os.fdopen(0, "rb", buffering=0)  # what is buffered would not be seen by `poll`
    while line := jobs.readline():
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(job)
        say(pid=pid)
        say(code=_wait(pid))


def _wait(pid: int) -> int:
    """The exit status of the command; it ends with this process, and this one when its standard input does."""
    ended = os.pidfd_open(pid)
    poll = select.poll()
    for descriptor in (ended, 0):
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
    if ended not in dict(poll.poll()):
        os.kill(pid, signal.SIGKILL)
    os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


_FILES = {"stdin": os.O_RDONLY, "stdout": os.O_WRONLY | os.O_CREAT, "stderr": os.O_WRONLY | os.O_CREAT}
"""In the order of their numbers."""


def _become(job: dict[str, Any]) -> NoReturn:
    """Run the command in this fork as Python would, and end."""
    code = 1
    try:
        for number, (name, flags) in enumerate(_FILES.items()):
            os.dup2(os.open(Path(job["files"]) / name, flags), number)
        os.chdir(ROOT)
        os.environ.update(job["environment"])
        code = _exit_status(job["command"])
        threading._shutdown()  # waits for its threads  # pyright: ignore[reportAttributeAccessIssue]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _exit_status(command: Sequence[str]) -> int:
    try:
        if command[0] == "-m":
            sys.argv = list(command[1:])
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(command)
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve()
