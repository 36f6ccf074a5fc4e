"""One command at a time on a run: the lock of its folder, and how others may help with a part that can be shared.

The locks are flock(2): the kernel frees them when a process ends, kill -9 included, so none has to be broken by hand.

    RUN/run.lock      held by the command that runs; says who that is and what it is at
    RUN/helpers.lock  held together by those that help it with the extraction of archives
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError

LOCK, HELPERS = "run.lock", "helpers.lock"
PATIENCE_S = 1.5
"""A command that was killed a moment ago may have children that still hold its lock."""


class InUseError(MathwrightError):
    """Another command works on the run."""


@contextmanager
def hold(folder: Path) -> Iterator[RunLock]:
    """Hold the lock of a run whose folder is there. Raises InUseError where another command holds it, naming that."""
    descriptor = _open(folder / LOCK)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (_locked(descriptor, fcntl.LOCK_EX) and helpers_gone(folder)):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            if time.monotonic() > deadline:
                raise in_use(folder)
            time.sleep(0.05)
        lock = RunLock(descriptor)
        lock.say()
        yield lock
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


class RunLock:
    """The lock of a run while this process holds it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "command": " ".join(["mathwright", *sys.argv[1:]])[:200],
        }

    def say(self, **what: str) -> None:
        """Write down who holds it and what it is at, for those who find it held."""
        text = json.dumps({**self._holder, **what}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)


def holder(folder: Path) -> Mapping[str, Any]:
    """What the holder of a run's lock wrote; empty where nobody did."""
    try:
        return json.loads((folder / LOCK).read_bytes())
    except (FileNotFoundError, json.JSONDecodeError):  # it is being written
        return {}


def is_held(folder: Path) -> bool:
    """Whether a command holds the lock of a run now. Nothing is written: the folder may be another's to read."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


@contextmanager
def help_with(folder: Path) -> Iterator[None]:
    """Be one of the helpers of a run: while there are any, no other command takes the run or moves a part of it."""
    descriptor = _open(folder / HELPERS)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def helpers_gone(folder: Path) -> bool:
    """Whether nobody helps with a run now."""
    if not (folder / HELPERS).is_file():
        return True
    descriptor = _open(folder / HELPERS)
    try:
        return _locked(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)


def in_use(folder: Path) -> InUseError:
    """The error of a command that finds the run in use."""
    found = holder(folder)
    who = "another command"
    if found:
        where = "" if found["host"] == socket.gethostname() else f" on {found['host']}"
        who = f"process {found['pid']}{where} ({found['command']}) since {found['since']}"
    return InUseError(f"{folder} is in use by {who}", hint="wait until it has ended, or choose another --out")


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise MathwrightError(
            f"this file system has no locks ({error.strerror})", hint="put the run on another one with --out"
        ) from error
    return True
