"""Calling functions that are not ours (rewards, step scores): what they do wrong becomes a reason, never our exception.

A call runs in a thread of its own, which is left behind when its time is up: Python cannot end a thread.
"""

from __future__ import annotations

import asyncio
import difflib
import importlib
import importlib.util
import inspect
import math
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from mathwright import foreign
from mathwright.errors import MathwrightError
from mathwright.files import similar

MAX_CONCURRENT = 64
"""Calls of an `async def` function under way at one time."""
MAX_REASON = 300
"""Characters of a reason."""
GRACE_S = 1.0
"""What an event loop may take beyond the time of its calls before it is given up: a call that never awaits holds it."""


class Outcome(NamedTuple):
    """What a call returned, or why there is nothing."""

    value: Any
    reason: str = ""


EACH = ("problem", "completion")
TOGETHER = ("problems", "completions")
"""What a function is called with, batched."""
FOREIGN = {
    **dict.fromkeys(("queries", "labels"), "OpenRLHF"),
    **dict.fromkeys(("data_source", "solution_str", "extra_info"), "verl"),
    **dict.fromkeys(("prompts", "completions", "completion_ids", "completions_ids"), "TRL"),
    "ground_truth": "verl",
}
"""Arguments of reward functions written for other trainers."""
ADAPTED = ("verl", "TRL")
"""Trainers whose reward functions are called as they are (`foreign`)."""
WRAPPED = {
    "OpenRLHF": "def mine(problem, completion): return theirs([completion.text], [problem.question], [problem.answer])",
}


def import_function(
    path: str, what: str = "reward function", *, takes: tuple[str, ...] | None = None
) -> Callable[..., Any]:
    """The function named `module:name`, or `file.py:name`; a module may lie in the current folder.

    takes: names of the arguments it will be called with, in order. A reward function with the arguments of TRL or verl
    is one that takes them. Raises MathwrightError where there is none, or it does not take them.
    """
    module, colon, name = path.rpartition(":")
    if not colon or not module or not name:
        raise MathwrightError(
            f"{what} {path!r} is not of the form module:name", hint="for example my_rewards:f, or my_rewards.py:f"
        )
    loaded = _load_file(Path(module), what) if module.endswith(".py") else _load_module(module, path, what)
    function = getattr(loaded, name, None)
    if function is None:
        there = [
            n for n, value in vars(loaded).items() if inspect.isfunction(value) and value.__module__ == loaded.__name__
        ]
        close = difflib.get_close_matches(name, there, n=1)
        raise MathwrightError(
            f"cannot import the {what} {path}: {module} has no {name!r}",
            hint=f"did you mean {close[0]!r}?" if close else f"its functions are {', '.join(there) or 'none'}",
        )
    if not callable(function):
        raise MathwrightError(f"{path} is no function", hint="name a function of (Problem, Completion)")
    if takes is not None:
        trainer = _require_signature(function, path, what, takes)
        if trainer is not None:
            return foreign.adapted(function, trainer, batched=takes == TOGETHER)
    return function


def _load_module(module: str, path: str, what: str) -> ModuleType:
    """A module by its name, of the current folder too, as `python` alone would find it."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            raise MathwrightError(
                f"cannot import the {what} {path}: {error}",
                hint=f"name its file: {module.replace('.', '/')}.py:{path.rpartition(':')[2]}; or set PYTHONPATH",
            ) from error
        raise _broken(module, what, error) from error
    except (Exception, SystemExit) as error:  # code that is not ours
        raise _broken(module, what, error) from error


def _load_file(file: Path, what: str) -> ModuleType:
    file = file.expanduser()
    if not file.is_file():
        there = [path.name for path in file.parent.glob("*.py")]
        raise MathwrightError(f"{file}: no such file for the {what}", hint=similar(file.name, there))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent.absolute()))  # what lies beside it may be imported by it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # code that is not ours
        raise _broken(str(file), what, error) from error
    finally:
        sys.path.remove(str(file.parent.absolute()))
    return module


def _broken(where: str, what: str, error: BaseException) -> MathwrightError:
    line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
    words = " ".join(str(error).split())
    return MathwrightError(
        f"the {what}'s file {where} cannot be run: {type(error).__name__}: {words}"[:MAX_REASON] + line,
        hint=f"python {where} shows where" if where.endswith(".py") else f"python -c 'import {where}' shows where",
    )


def _require_signature(function: Callable[..., Any], path: str, what: str, takes: tuple[str, ...]) -> str | None:
    """The trainer whose arguments a reward function has, if one whose functions we can call.

    Raises MathwrightError where a call with those arguments would fail, or mean something else to the function.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C: nothing is known before the call
        return None
    parameters = list(signature.parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL and p.name not in takes]
    names = {p.name for p in needed} | {p.name for p, mine in zip(positional, takes, strict=False) if p.name != mine}
    trainer = next((FOREIGN[name] for name in FOREIGN if name in names), None)
    own_words = {"problem", "problems"} & signature.parameters.keys()
    try:
        signature.bind(*takes)
        fits = trainer is None
    except TypeError:
        fits = False
    if fits:
        return None
    if trainer in ADAPTED and not own_words and takes in (EACH, TOGETHER) and what == "reward function":
        return trainer
    like = f", as {trainer} calls it" if trainer is not None else ""
    batched = " (batched=true: lists of Problem and of Completion)" if takes == TOGETHER else ""
    raise MathwrightError(
        f"the {what} {path} takes {signature}{like}; here it is called with ({', '.join(takes)}){batched}",
        hint=f"wrap it: {WRAPPED[trainer]}" if trainer in WRAPPED else f"write it as def f({', '.join(takes)})",
    )


def call_each(
    function: Callable[..., Any], name: str, arguments: Sequence[tuple[Any, ...]], timeout_s: float
) -> list[Outcome]:
    """function(*a) for each a: one after another, or up to `MAX_CONCURRENT` at once where it is an `async def`.

    timeout_s: of each call.
    """
    if not (inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)):
        return [_in_thread(lambda a=a: function(*a), name, timeout_s) for a in arguments]
    outcomes: list[Outcome | None] = [None] * len(arguments)

    async def one(index: int, gate: asyncio.Semaphore) -> None:
        async with gate:
            clock = asyncio.timeout(timeout_s)
            try:
                async with clock:
                    outcomes[index] = Outcome(await function(*arguments[index]))
            except (Exception, SystemExit) as error:  # code that is not ours
                outcomes[index] = _late(name, timeout_s) if clock.expired() else _raised(name, error)

    async def everything() -> None:
        gate = asyncio.Semaphore(MAX_CONCURRENT)
        await asyncio.gather(*(one(index, gate) for index in range(len(arguments))))

    num_rounds = math.ceil(len(arguments) / MAX_CONCURRENT)
    whole = _in_thread(lambda: asyncio.run(everything()), name, num_rounds * timeout_s + GRACE_S)
    return [outcome or whole for outcome in outcomes]  # none: the event loop was given up


def call_batched(
    function: Callable[..., Any], name: str, columns: Sequence[Sequence[Any]], timeout_s: float
) -> list[Outcome]:
    """function(*columns), sync or async, which returns one value for each row of the columns."""
    num_rows = len(columns[0])

    async def awaited(result: Awaitable[Any]) -> Any:
        return await result

    def call() -> list[Any]:
        result = function(*columns)
        return list(asyncio.run(awaited(result)) if inspect.isawaitable(result) else result)

    outcome = _in_thread(call, name, timeout_s)
    if outcome.reason:
        return [outcome] * num_rows
    if len(outcome.value) != num_rows:
        reason = f"{name} returned {len(outcome.value)} values for {num_rows} responses"
        return [Outcome(None, reason)] * num_rows
    return [Outcome(value) for value in outcome.value]


def _in_thread(call: Callable[[], Any], name: str, timeout_s: float) -> Outcome:
    outcomes: list[Outcome] = []

    def work() -> None:
        try:
            outcomes.append(Outcome(call()))
        except (Exception, SystemExit) as error:  # code that is not ours: a status, not the run's end
            outcomes.append(_raised(name, error))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(timeout_s)
    return outcomes[0] if outcomes else _late(name, timeout_s)


def _late(name: str, timeout_s: float) -> Outcome:
    return Outcome(None, f"{name} took more than {timeout_s:g} s")


def _raised(name: str, error: BaseException) -> Outcome:
    words = " ".join(str(error).split())  # it stands in one line of the console
    return Outcome(None, f"{name} raised {type(error).__name__}: {words}"[:MAX_REASON])
