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
    **dict.fromkeys(("data_source", "solution_str", "ground_truth", "extra_info"), "verl"),
    **dict.fromkeys(("prompts", "completions", "completion_ids", "completions_ids"), "TRL"),
    **dict.fromkeys(("queries", "labels"), "OpenRLHF"),
}
"""Arguments of reward functions written for other trainers."""
WRAPPED = {
    "verl": "def mine(problem, completion): return theirs(problem.source, completion.text, problem.answer)",
    "TRL": "def mine(problem, completion): return theirs(prompts=[problem.question], completions=[completion.text], "
    "answer=[problem.answer])[0]",
    "OpenRLHF": "def mine(problem, completion): return theirs([completion.text], [problem.question], [problem.answer])",
}


def import_function(
    path: str, what: str = "reward function", *, takes: tuple[str, ...] | None = None
) -> Callable[..., Any]:
    """The function named `module:name`.

    takes: names of the arguments it will be called with, in order. Raises MathwrightError where there is none, or it
    does not take them.
    """
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
    if takes is not None:
        _require_signature(function, path, what, takes)
    return function


def _require_signature(function: Callable[..., Any], path: str, what: str, takes: tuple[str, ...]) -> None:
    """Raise MathwrightError where a call with those arguments would fail, or mean something else to the function."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C: nothing is known before the call
        return
    parameters = list(signature.parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL and p.name not in takes]
    names = {p.name for p in needed} | {p.name for p, mine in zip(positional, takes, strict=False) if p.name != mine}
    trainer = next((FOREIGN[name] for name in FOREIGN if name in names), None)
    try:
        signature.bind(*takes)
        fits = trainer is None
    except TypeError:
        fits = False
    if fits:
        return
    like = f", as {trainer} calls it" if trainer is not None else ""
    batched = " (batched=true: lists of Problem and of Completion)" if takes == TOGETHER else ""
    raise MathwrightError(
        f"the {what} {path} takes {signature}{like}; here it is called with ({', '.join(takes)}){batched}",
        hint=f"wrap it: {WRAPPED[trainer]}" if trainer else f"write it as def f({', '.join(takes)})",
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
