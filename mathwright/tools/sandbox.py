"""Runs Python that a model wrote: isolated, limited, hundreds of programs a second.

    with Sandbox() as sandbox:
        sandbox.run("print(6 * 7)", timeout_s=5).stdout      # "42\\n"

A program is forked from a process that has sympy, numpy and scipy imported, so it starts in milliseconds and in a fresh
state, and is jailed by the kernel (see `isolation`). Its output is a function of its text, as far as it does not look
at the clock: the hash seed and the module-level random generators are the same each time.
"""

from __future__ import annotations

import contextlib
import math
import queue
import time
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

from mathwright.errors import MathwrightError
from mathwright.tools.isolation import missing_features
from mathwright.tools.processes import Keeper, LostWorkerError, Worker

_Result = TypeVar("_Result")
ExecutionStatus = Literal["ok", "error", "timeout", "memory", "forbidden"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What running a program gave."""

    status: ExecutionStatus
    """ok; error (it raised, or ended its interpreter); timeout; memory; forbidden (the sandbox refused something)."""
    stdout: str
    """What it printed, also before an error or the end of its time; the middle left out where it is too long."""
    value: str | None
    """The repr of its last expression, where the last statement is one and not None."""
    error: str | None
    """The traceback with the program's own frames only, or why the program was ended."""
    seconds: float
    """Wall-clock time of the program."""
    survived: bool
    """False where its process had to be killed or died, and its variables with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program and what is run before it in the same state, with output and errors suppressed."""

    code: str
    setup: tuple[str, ...] = ()
    setup_timeout_s: float = 0.0
    """Wall-clock time for all of `setup` together, apart from the program's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Code that tries a program, see `Sandbox.run_tested`."""

    code: str
    hide: tuple[str, ...] = ()
    """Global names of the program that the tests do not see."""
    modules: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names with attributes; a module of the standard library with that name and those attributes is what is meant."""


class Sandbox:
    """A pool of workers for programs that are not trusted. Safe to use from several threads. To be closed."""

    def __init__(
        self,
        *,
        memory_bytes: int = 512 << 20,
        num_workers: int = 2,
        max_output_bytes: int = 64 << 10,
        disk_bytes: int = 32 << 20,
        preimport: Sequence[str] = ("sympy", "numpy", "scipy"),
        on_missing: Literal["refuse", "warn"] = "refuse",
    ) -> None:
        """Start the processes; they import their packages while the caller goes on.

        `memory_bytes` and `disk_bytes` bound one program, beyond what the interpreter itself takes; `num_workers`
        programs run at a time. The packages of `preimport` that are installed are imported before the fork; programs
        can import others, at their own cost.

        Raises MathwrightError where the machine lacks a part of the isolation, unless `on_missing` is "warn".
        """
        if num_workers < 1:
            raise ValueError(f"num_workers is {num_workers}, must be at least 1")
        _check_machine(on_missing)
        self.num_workers = num_workers
        self._keeper = Keeper(
            {
                "memory_bytes": memory_bytes,
                "disk_bytes": disk_bytes,
                "max_output_bytes": max_output_bytes,
                "preimport": list(preimport),
            }
        )
        # None: a place whose worker is not there yet, or was lost. The last one used is the first one taken.
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(num_workers):
            self._idle.put(None)
        self._finalizer = weakref.finalize(self, self._keeper.close)

    def run(self, code: str | Program, *, timeout_s: float) -> Execution:
        """Run a program in a fresh state, for at most `timeout_s` of wall-clock time.

        What the program does is told by the status. Raises MathwrightError where our own processes cannot run.
        """
        program = Program(code=code) if isinstance(code, str) else code
        request = _request(program, timeout_s=timeout_s, keep=False)
        return self._on_worker(lambda worker: _execution(worker.ask(request)))

    def run_tested(self, program: str, trial: Trial, *, timeout_s: float) -> tuple[bool, Execution]:
        """Run a program, and then tests of it; whether both came to their end, and the last that ran.

        `timeout_s` is for both together. The tests run in a process that the program never was in, and call it there
        (`remote`): it sees the arguments of its functions, never the tests or what they expect. Use
        `mathwright.tools.unit_tests.passes_tests`. Raises MathwrightError where our own processes cannot run.
        """
        request = _request(Program(code=program), timeout_s=timeout_s, keep=False)
        request |= {"tests": _writable(trial.code), "hide": list(trial.hide), "modules": dict(trial.modules)}

        def run_both(worker: Worker) -> tuple[bool, Execution]:
            answer = worker.ask(request)
            return answer["passed"], _execution(answer)

        return self._on_worker(run_both)

    def run_many(self, codes: Sequence[str | Program], *, timeout_s: float) -> list[Execution]:
        """Run programs side by side, each in a fresh state; the results are in the order of the programs."""
        if len(codes) < 2 or self.num_workers == 1:
            return [self.run(code, timeout_s=timeout_s) for code in codes]
        with ThreadPoolExecutor(min(self.num_workers, len(codes))) as threads:
            return list(threads.map(lambda code: self.run(code, timeout_s=timeout_s), codes))

    def session(self) -> Session:
        """A process of its own in which variables persist from one program to the next."""
        return Session(self._keeper)

    def _on_worker(self, work: Callable[[Worker], _Result]) -> _Result:
        """Do `work` with a worker that is free, and again with another one where it was lost."""
        lost: LostWorkerError | None = None
        for attempt in range(self.num_workers + 2):  # where the keeper was killed, every worker is lost
            time.sleep(0.05 * attempt)  # a keeper that is just being killed still takes orders
            worker = self._idle.get()
            try:
                if worker is None:
                    worker = self._keeper.spawn()
                return work(worker)
            except BaseException as error:  # after a KeyboardInterrupt its answer would be the next program's
                if worker is not None:
                    worker.close()
                worker = None
                if not isinstance(error, LostWorkerError):
                    raise
                lost = error
            finally:
                self._idle.put(worker)
        raise _lost(lost, self._keeper) from lost

    def close(self) -> None:
        """End every process of the sandbox, its sessions included. What still runs in other threads raises."""
        self._finalizer()
        idle: list[Worker | None] = []
        with contextlib.suppress(queue.Empty):
            while True:
                idle.append(self._idle.get_nowait())
        for worker in idle:
            if worker is not None:
                worker.close()
            self._idle.put(None)  # a thread that waits for a worker asks for a new one, and is told that we are closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Session:
    """Programs run one after another in one jailed process, which stands still in between.

    It holds about 15 MB until it is closed.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._worker: Worker | None = None

    def run(self, code: str, *, timeout_s: float) -> Execution:
        """Run the next program. One that had to be killed takes the variables with it: the next starts afresh.

        Raises MathwrightError where our own processes cannot run.
        """
        self._worker = self._worker or self._keeper.spawn()
        try:
            return _execution(self._worker.ask(_request(Program(code=code), timeout_s=timeout_s, keep=True)))
        except BaseException as error:  # after a KeyboardInterrupt its answer would be the next program's
            self.close()
            if isinstance(error, LostWorkerError):
                raise _lost(error, self._keeper) from error
            raise

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _request(program: Program, *, timeout_s: float, keep: bool) -> dict[str, Any]:
    if not 0 < timeout_s < math.inf:
        raise ValueError(f"timeout_s is {timeout_s}, must be positive and finite")
    return {
        "code": _writable(program.code),
        "setup": [_writable(code) for code in program.setup],
        "timeout_s": timeout_s,
        "setup_timeout_s": program.setup_timeout_s,
        "keep": keep,
    }


def _writable(code: str) -> str:
    """A lone surrogate cannot be written as UTF-8; Python itself reports the "?" of a program that has one."""
    return code.encode("utf-8", "replace").decode()


def _execution(answer: dict[str, Any]) -> Execution:
    return Execution(
        status=answer["status"],
        stdout=answer["stdout"],
        value=answer["value"],
        error=answer["error"],
        seconds=answer["seconds"],
        survived=answer["alive"],
    )


def _lost(error: LostWorkerError | None, keeper: Keeper) -> MathwrightError:
    return MathwrightError(
        f"a process of the sandbox was lost ({error}): {keeper.last_words()}",
        hint="look whether the machine ran out of memory or processes",
    )


def _check_machine(on_missing: Literal["refuse", "warn"]) -> None:
    missing = missing_features()
    if not missing:
        return
    lacks = "this machine lacks " + " and ".join(missing)
    if on_missing == "refuse":
        raise MathwrightError(
            f"the sandbox cannot isolate programs: {lacks}",
            hint='use Linux 5.13 or newer; Sandbox(on_missing="warn") runs them with what there is, at your own risk',
        )
    warnings.warn(f"programs run with less isolation: {lacks}", stacklevel=3)
