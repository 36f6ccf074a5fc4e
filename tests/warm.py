"""Python commands in processes that have imported already what is slow to import.

A warm interpreter waits (`python -m tests.warm`) and forks for each command it is told. There are three, each started
when it is first needed:

- two that have torch and transformers, for `run` and `torchrun`: nine processor seconds are spared each. Two, because
  the processes of torchrun have hashes of their own: what depends on the order of a set shows.
- one that has what the package's own workers import, for every `children.LineWorker` that is one of `WORKERS`
  (tests/conftest.py puts `start_worker` in place). Its forks do the same for the workers that they start.

What `multiprocessing` would spawn is forked as well (`fork_what_is_spawned`), from a server of its own. Tests that
start a whole program (test_quickstart.py, the crawl that is killed) start everything as a user does.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import json
import multiprocessing
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import IO, Any, NoReturn

from mathwright import children

ROOT = Path(__file__).resolve().parents[1]
TRAINING = (
    "torch", "torch.distributed.checkpoint", "torch.distributed.tensor", "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2", "mathwright.chain.run", "mathwright.chain.compare",
    "mathwright.lm.load", "mathwright.lm.heads", "mathwright.pretrain.training", "mathwright.sft.training",
    "mathwright.rl.training", "pytest",
)  # fmt: skip
"""What the interpreters for commands have loaded."""
WORKERS = {
    "mathwright.corpus.crawl.focused": ("mathwright.corpus.crawl.queue", "mathwright.corpus.crawl.scrapy_parts"),
    "mathwright.corpus.crawl.breadth": ("mathwright.corpus.crawl.frontier", "scrapy.crawler"),
    "mathwright.corpus.crawl.page": ("mathwright.corpus.extract.page", "mathwright.corpus.classifier"),
    "mathwright.corpus.localweb.worker": ("mathwright.corpus.localweb.page",),
    "mathwright.answers.worker": ("mathwright.answers.symbolic",),
}
"""The modules that workers run -> what they import. They are not imported themselves: they begin in the fork."""
SPAWNED = ("pytest", "tests.warm", "mathwright.corpus.extract", "mathwright.corpus.pages.worker")
"""What processes import that `multiprocessing` starts."""
TIMEOUT_S = 300.0
"""A command that takes longer hangs."""

Done = subprocess.CompletedProcess[str]
_NUMBER = struct.Struct("q")


class Process:
    """A command in a fork, with what `children.LineWorker` uses of `subprocess.Popen`."""

    def __init__(self, status: int, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None) -> None:
        """`status`: a pipe that tells its process id when it begins, and its exit status when it ends."""
        self.stdin, self.stdout = stdin, stdout
        self.returncode: int | None = None
        self._status, self._lock = status, threading.Lock()
        [self.pid] = _NUMBER.unpack(os.read(status, _NUMBER.size))

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, that of a signal negative."""
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._status, select.POLLIN)
            if not poll.poll(None if timeout is None else 1000 * timeout):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        with self._lock:
            if self.returncode is None:
                told = os.read(self._status, _NUMBER.size)
                # the interpreter that ends tells nothing, and kills its forks
                self.returncode = int(*_NUMBER.unpack(told)) if told else -signal.SIGKILL
                os.close(self._status)
            return self.returncode

    def kill(self) -> None:
        """End the command, if it runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended, and its status is on its way
                os.kill(self.pid, signal.SIGKILL)


class Interpreter:
    """One that has loaded some modules, and forks for each command."""

    def __init__(self, requests: socket.socket, process: subprocess.Popen[bytes] | None = None) -> None:
        """`requests`: where it takes commands; `process`: its own, none where this one is a fork of it."""
        self._requests, self._process = requests, process

    @classmethod
    def with_modules(cls, modules: Sequence[str], *, forks_may_ask: bool = False) -> Interpreter:
        """A new one; `forks_may_ask`: its forks start their workers as further forks of it."""
        requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        numbers = [theirs.fileno(), requests.fileno()] if forks_may_ask else [theirs.fileno()]
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", ",".join(map(str, numbers)), *modules],
                stdin=subprocess.PIPE,  # it ends when this does
                pass_fds=numbers,
                env=_environment(),
                start_new_session=True,
            )
        return cls(requests, process)

    def start(
        self,
        command: Sequence[str],
        files: Sequence[int],
        environment: Mapping[str, str],
        *,
        pass_fds: Sequence[int] = (),
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        folder: str = "",
    ) -> Process:
        """Start what `python COMMAND` would run, a module or a program, in `folder` (the current one by default).

        `files`: its standard input, output, error.
        """
        status, theirs = os.pipe()
        job = {
            "command": list(command),
            "environment": dict(environment),
            "pass": list(pass_fds),
            "folder": folder or str(Path.cwd()),
        }
        socket.send_fds(self._requests, [json.dumps(job).encode()], [theirs, *files, *pass_fds])
        os.close(theirs)
        return Process(status, stdin, stdout)

    def close(self) -> None:
        self._requests.close()
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()


_for_commands: list[Interpreter] = []
_for_workers: list[Interpreter] = []


@atexit.register
def close_all() -> None:
    for interpreters in (_for_commands, _for_workers):
        while interpreters:
            interpreters.pop().close()


# --- workers of the package and what is spawned ----------------------------------------------------------


def start_worker(command: Sequence[str], **how: Any) -> Any:
    """In place of `subprocess.Popen` in `children.LineWorker`: a fork where it is one of `WORKERS` (-m NAME, -I -c)."""
    program, *forked = (part for part in command if part != "-I")
    if program != sys.executable or not any(
        f == name or f"from {name} import" in f for name in WORKERS for f in forked
    ):
        return subprocess.Popen(command, **how)
    if not _for_workers:
        loaded = [name for names in WORKERS.values() for name in names]
        _for_workers.append(Interpreter.with_modules(loaded, forks_may_ask=True))
    (stdin, to), (heard, stdout) = os.pipe(), os.pipe()
    with Path(os.devnull).open("wb") as nowhere:
        stderr = nowhere.fileno() if how["stderr"] == subprocess.DEVNULL else 2
        process = _for_workers[0].start(
            forked, [stdin, stdout, stderr], how["env"], pass_fds=how["pass_fds"],
            stdin=os.fdopen(to, "wb", buffering=0), stdout=os.fdopen(heard, "rb", buffering=0),
        )  # fmt: skip
    os.close(stdin)
    os.close(stdout)
    return process


class _Fork(ForkServerProcess):
    """Of a process without threads that has imported `SPAWNED`; it has the environment of who starts it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._environment = dict(os.environ)

    def run(self) -> None:
        os.environ.clear()
        os.environ.update(self._environment)
        super().run()


class _Context(ForkServerContext):
    Process = _Fork


def fork_what_is_spawned() -> None:
    """From now on `multiprocessing.get_context("spawn")` gives what starts faster."""
    multiprocessing.set_forkserver_preload(list(SPAWNED))
    get, forking = multiprocessing.get_context, _Context()
    multiprocessing.get_context = lambda method=None: forking if method == "spawn" else get(method)


# --- commands -------------------------------------------------------------------------------------------


def run(*command: str, stdin: str = "") -> Done:
    """`python COMMAND`, a module or a program."""
    [done] = _run([command], [{}], stdin=stdin)
    return done


def start(*command: str) -> Process:
    """The same, and do not wait for it; what it says is not kept."""
    [interpreter, *_] = _take(1)
    with Path(os.devnull).open("r+b") as nowhere:
        return interpreter.start(command, [nowhere.fileno()] * 3, _environment())


def start_on(files: Sequence[int], *command: str, folder: str) -> Process:
    """The same with a standard input, output and error of one's own, in a folder of one's own."""
    [interpreter, *_] = _take(1)
    return interpreter.start(command, files, _environment(), folder=folder)


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
    environments: Sequence[dict[str, str]],
    *,
    stdin: str = "",
    one_fails_all_end: bool = False,
) -> list[Done]:
    processes: list[Process] = []

    def wait(process: Process) -> int:
        try:
            code = process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code and one_fails_all_end:
            for other in processes:
                other.kill()
        return code

    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(len(commands)) as pool:
        said = [
            [Path(name) / f"{number}-{stream}" for stream in ("stdout", "stderr")] for number in range(len(commands))
        ]
        asked = Path(name) / "stdin"
        asked.write_text(stdin)
        taken = _take(len(commands))
        for interpreter, command, environment, paths in zip(taken, commands, environments, said, strict=True):
            with asked.open() as read, paths[0].open("w") as out, paths[1].open("w") as error:
                files = [file.fileno() for file in (read, out, error)]
                processes.append(interpreter.start(command, files, _environment() | environment))
        codes = list(pool.map(wait, processes))
        texts = [[path.read_text() for path in paths] for paths in said]
    return [Done(command, code, *text) for command, code, text in zip(commands, codes, texts, strict=True)]


def _take(count: int) -> list[Interpreter]:
    """The first `count` for commands."""
    while len(_for_commands) < count:
        _for_commands.append(Interpreter.with_modules(TRAINING))
    return _for_commands[:count]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


# --- in the interpreter that waits ----------------------------------------------------------------------


def serve(jobs: socket.socket, requests: Sequence[int], modules: Sequence[str]) -> None:
    """Fork for each command that comes in, until standard input ends; then end those that run.

    `requests`: the other end of `jobs`, if forks may ask for more of them.
    """
    for name in modules:
        __import__(name)
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    # a fork has no other thread, but whatever locks it held; pyarrow's allocator knows of forks
    assert len([name for name in names if name != "jemalloc_bg_thd"]) == 1, names
    gc.collect()
    gc.freeze()
    running: dict[int, tuple[int, int]] = {}  # an open file of the process -> its id and the pipe for its status
    poll = select.poll()
    for descriptor in (0, jobs.fileno()):
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == 0:
                for pid, _ in running.values():
                    os.kill(pid, signal.SIGKILL)
                return
            if descriptor == jobs.fileno():
                message, (status, *files), _, _ = socket.recv_fds(jobs, 1 << 20, 64)
                pid = os.fork()
                if pid == 0:
                    jobs.close()
                    os.close(status)
                    _become(json.loads(message), files, requests)
                for file in files:
                    os.close(file)
                with contextlib.suppress(BrokenPipeError):
                    os.write(status, _NUMBER.pack(pid))
                ended = os.pidfd_open(pid)
                running[ended] = (pid, status)
                poll.register(ended, select.POLLIN)
            else:
                pid, status = running.pop(descriptor)
                poll.unregister(descriptor)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(BrokenPipeError):  # whoever asked has ended
                    os.write(status, _NUMBER.pack(code))
                os.close(descriptor)
                os.close(status)


def _become(job: dict[str, Any], files: Sequence[int], requests: Sequence[int]) -> NoReturn:
    """Run the command in this fork as Python would, and end. `files`: its standard ones, and those it inherits."""
    code = 1
    try:
        os.setsid()
        numbers = [0, 1, 2, *job["pass"]]
        given = [*files, *requests]
        moved = [fcntl.fcntl(file, fcntl.F_DUPFD, 1 + max(*numbers, *given)) for file in given]
        for file in given:
            os.close(file)
        for file, number in zip(moved, numbers, strict=False):
            os.dup2(file, number)
            os.close(file)
        os.chdir(job["folder"])
        os.environ.clear()
        os.environ.update(job["environment"])
        if requests:
            _for_workers.append(Interpreter(socket.socket(fileno=moved[-1])))
            children.start_process = start_worker
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
        elif command[0] == "-c":
            sys.argv = ["-c", *command[2:]]
            exec(command[1], {"__name__": "__main__"})
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
    theirs, *ours = map(int, sys.argv[1].split(","))
    serve(socket.socket(fileno=theirs), ours, sys.argv[2:])
