"""What runs inside the jail: one program after another, each with its output, value and error.

The program shares this interpreter and may break anything in it. So what is said here is only believed as far as it
tells of the program itself, and a program that breaks its own report gets the status error.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import itertools
import linecache
import os
import random
import sys
import traceback
from collections.abc import Callable, MutableMapping
from types import ModuleType, TracebackType
from typing import Any

from mathwright.tools import remote, wire

COMMAND_FD, RESULT_FD, CALLS_FD, ANSWERS_FD = 3, 4, 5, 6
MAX_TEXT = 4000
"""Characters of an error or of the value of the last expression that are reported."""
_MAX_FRAMES = 1100


def clip(text: str, max_chars: int) -> str:
    """`text`, its middle left out with a notice where it is longer than `max_chars`."""
    if len(text) <= max_chars:
        return text
    head, tail = text[: max_chars - max_chars // 2], text[len(text) - max_chars // 2 :]
    return f"{head}\n... [{len(text) - max_chars:,} characters left out] ...\n{tail}"


def serve(memory_bytes: int) -> None:
    """Do what arrives on COMMAND_FD, answer on RESULT_FD, until the stream ends.

    Programs run one after another in one namespace; tests run in a process of their own, and call the program in
    another one; that one answers calls from then on.
    """
    out_of_memory = _memory_error(memory_bytes)
    restore_builtins = _restorer(builtins.__dict__)
    reply = _sender()
    namespace = _fresh_main()
    num_blocks = 0
    random.seed(0)  # like the hash seed: a program gives the same output whenever it runs
    while (request := wire.receive(lambda size: os.read(COMMAND_FD, size))) is not None:
        if "answer_calls" in request:
            remote.answer_calls(COMMAND_FD, RESULT_FD, namespace)
            return
        nonce = request["nonce"]
        if request.get("setup"):
            with _Silence():
                for code in request["setup"]:
                    num_blocks += 1
                    run_block(code, namespace, block_name(num_blocks))
            reply(wire.pack({"begin": True, "nonce": nonce}))
        num_blocks += 1
        # Packed while there is room.
        no_memory = wire.pack({"status": "memory", "error": out_of_memory, "nonce": nonce})
        if "tests" in request:
            names = remote.names_of_program(CALLS_FD, ANSWERS_FD, hidden=request["hide"], modules=request["modules"])
            outcome = run_block(request["tests"], names, "<tests>")
        else:
            outcome = run_block(request["code"], namespace, block_name(num_blocks))
        restore_builtins()  # the program may have deleted what the report needs
        outcome["nonce"] = nonce
        try:
            _flush()
            answer = no_memory if outcome["status"] == "memory" else wire.pack(outcome)
        except MemoryError:
            answer = no_memory
        reply(answer)


def _restorer(namespace: MutableMapping[str, Any]) -> Callable[[], None]:
    """A function that puts the names of now back into a namespace."""
    # A tuple: a program could find a dict by looking at all objects, and change it.
    update, items = namespace.update, tuple(namespace.items())
    return lambda: update(items)


def block_name(number: int) -> str:
    """What tracebacks call a program."""
    return "<program>" if number == 1 else f"<block {number}>"


def run_block(code: str, namespace: dict[str, Any], filename: str) -> dict[str, Any]:
    """Run a program; its status (ok, error, memory, forbidden), the repr of its last expression, its traceback.

    `finished` is whether it came to its end: SystemExit(0) is ok as well.
    """
    outcome = _run_block(code, namespace, filename)
    return {"finished": False, "value": None, "error": None, **outcome}


def _run_block(code: str, namespace: dict[str, Any], filename: str) -> dict[str, Any]:
    try:
        lines = [line + "\n" for line in code.split("\n")]  # without the newline a traceback misplaces its marks
        linecache.cache[filename] = (len(code), None, lines, filename)
        return {"status": "ok", "value": _run(code, namespace, filename), "finished": True}
    except MemoryError:
        pass  # the report is made below, when the frames that held the memory are gone
    except SystemExit as exit_:
        if exit_.code in (None, 0):
            return {"status": "ok"}
        return {"status": "error", "error": _clean(f"SystemExit: {exit_.code}")}
    except BaseException as error:  # whatever model code raises is its result
        status = "forbidden" if _has_permission_error(error) else "error"
        try:
            return {"status": status, "error": _clean(_describe(error))}
        except MemoryError:
            pass
        except BaseException:  # an exception class that cannot even be shown
            return {"status": status, "error": type(error).__name__}
    return {"status": "memory"}


def _run(code: str, namespace: dict[str, Any], filename: str) -> str | None:
    tree = ast.parse(code, filename)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, filename, "exec", dont_inherit=True), namespace)
    if not isinstance(last, ast.Expr):
        return None
    value = eval(compile(ast.Expression(last.value), filename, "eval", dont_inherit=True), namespace)
    return None if value is None else _clean(repr(value))


def _describe(error: BaseException) -> str:
    """The traceback with the program's own frames only: the model can mend those."""
    summary = traceback.TracebackException.from_exception(error.with_traceback(_own_frames(error.__traceback__)))
    summary.__cause__ = summary.__context__ = None
    return "".join(summary.format()).rstrip("\n")


def _own_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of libraries and of this file, and without the middle of a very deep one."""
    own = []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(("<program>", "<block ", "<tests>")):
            own.append(trace)
        trace = trace.tb_next
    if len(own) > _MAX_FRAMES:  # somebody raised the recursion limit: millions would take longer than the program
        own = own[: _MAX_FRAMES // 2] + own[-_MAX_FRAMES // 2 :]
    for frame, following in itertools.pairwise([*own, None]):
        if frame is not None:
            frame.tb_next = following
    return own[0] if own else None


def _has_permission_error(error: BaseException | None) -> bool:
    """Whether the sandbox refused something along the chain of exceptions (libraries wrap a PermissionError)."""
    for _ in range(20):
        if error is None or isinstance(error, PermissionError):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, PermissionError)


def _clean(text: str) -> str:
    """Text that can be written anywhere: no lone surrogates, not too long."""
    return clip(str(text), MAX_TEXT).encode("utf-8", "backslashreplace").decode()


def _memory_error(memory_bytes: int) -> str:
    return f"MemoryError: the program needs more than its {memory_bytes // 2**20} MiB"


def _fresh_main() -> dict[str, Any]:
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = main
    sys.stdin = io.TextIOWrapper(io.FileIO(0, "rb", closefd=False), encoding="utf-8")
    # Written line by line: what a program printed before its time ran out is not lost.
    binary = io.BufferedWriter(io.FileIO(1, "wb", closefd=False))
    sys.stdout = io.TextIOWrapper(binary, encoding="utf-8", errors="backslashreplace", line_buffering=True)
    sys.__stdin__, sys.__stdout__ = sys.stdin, sys.stdout
    return main.__dict__


class _Silence:
    """Standard output goes nowhere within, also that of C code."""

    def __enter__(self) -> None:
        self._saved = os.dup(1)
        null = os.open("/dev/null", os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)

    def __exit__(self, *_: object) -> None:
        _flush()
        os.dup2(self._saved, 1)
        os.close(self._saved)


def _flush() -> None:
    for stream in {sys.stdout, sys.__stdout__}:
        with contextlib.suppress(Exception):  # a program may close stdout, or put anything in its place
            stream.flush()  # pyright: ignore[reportOptionalMemberAccess]


def send(message: dict[str, Any]) -> None:
    """Send a message of ours up the result channel."""
    _sender()(wire.pack(message))


def _sender() -> Callable[[bytes], None]:
    write = os.write  # bound before a program may replace it

    def reply(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[write(RESULT_FD, view) :]

    return reply
