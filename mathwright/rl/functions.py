"""Calling functions that are not ours (rewards, step scores): what they do wrong becomes a reason, never our exception.

A call runs in a thread of its own, which is left behind when its time is up: Python cannot end a thread.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import math
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from mathwright.errors import MathwrightError

MAX_CONCURRENT = 64
"""Calls of an `async def` function under way at one time."""
GRACE_S = 1.0
"""What an event loop may take beyond the time of its calls before it is given up: a call that never awaits holds it."""


class Outcome(NamedTuple):
    """What a call returned, or why there is nothing."""

    value: Any
    reason: str = ""


def import_function(path: str, what: str = "reward function") -> Callable[..., Any]:
    """The function named `module:name`. Raises MathwrightError where there is none."""
    module, colon, name = path.partition(":")
    if not colon or not module or not name:
        raise MathwrightError(f"{what} {path!r} is not of the form module:name", hint="for example my_rewards:f")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise MathwrightError(
            f"cannot import the {what} {path}: {error}",
            hint="check the name, and that its folder is on PYTHONPATH",
        ) from error
    if not callable(function):
        raise MathwrightError(f"{path} is no function", hint="name a function of (Problem, Completion)")
    return function


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
    return Outcome(None, f"{name} raised {type(error).__name__}: {error}")
