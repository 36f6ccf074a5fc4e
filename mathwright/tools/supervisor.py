"""The trusted process beside each jailed one: it feeds programs in, and watches clock, disk and output."""

from __future__ import annotations

import os
import shutil
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from mathwright.tools import wire
from mathwright.tools.child import BEGIN, Child, ended
from mathwright.tools.isolation import Jail, Limits, readable_paths

_DISK_CHECK_S = 0.05  # at 2 GB/s a program writes 100 MB between two looks


class Supervisor:
    """Runs one program at a time, each in a child of its own unless the request says to keep it."""

    def __init__(self, control: socket.socket, options: dict[str, Any]) -> None:
        """Make the private folder and prepare the jail around it."""
        self.control = control
        self.limits = Limits(memory_bytes=options["memory_bytes"], disk_bytes=options["disk_bytes"])
        self.max_output_bytes: int = options["max_output_bytes"]
        self.folder = Path(options["folder"]) / uuid.uuid4().hex
        self.folder.mkdir()
        self.folder.chmod(0o777)  # the child may be another user; the folder above is closed to everyone else
        os.environ["HOME"] = os.environ["TMPDIR"] = str(self.folder)
        self.jail = Jail(self.limits, writable=str(self.folder), readable=readable_paths())
        self.child: Child | None = None

    def serve(self) -> None:
        """Answer requests until the caller closes the socket."""
        while (request := wire.receive(self.control.recv)) is not None:
            if self.child is None:
                keep_s = request["setup_timeout_s"] + request["timeout_s"]
                self.child = Child(self.jail, self.folder, cpu_s=None if request["keep"] else int(keep_s) + 2)
            self.child.resume()
            answer = self._watch(self.child, request)
            self.control.sendall(wire.pack(answer))
            if request["keep"] and answer["alive"]:
                self.child.stop()
            else:
                self._discard()
        self._discard()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _discard(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child = None
        purge(self.folder)

    def _watch(self, child: Child, request: dict[str, Any]) -> dict[str, Any]:
        """Let the child run the program until it is done, dead, out of time or out of disk."""
        child.send(request)
        capture = Capture(self.max_output_bytes)
        start = time.monotonic()
        deadline = start + request["setup_timeout_s"] + request["timeout_s"]
        disk_check = start + _DISK_CHECK_S
        while True:
            message = child.take()
            now = time.monotonic()
            if message is BEGIN:
                start, deadline = now, now + request["timeout_s"]
            elif message is not None:
                break
            elif now >= deadline:
                message = ended("timeout", f"TimeoutError: the program ran longer than {request['timeout_s']:g} s")
                break
            elif now >= disk_check:
                disk_check = now + _DISK_CHECK_S
                if exceeds(self.folder, self.limits):
                    message = ended("error", f"OSError: no space left: {self.limits.disk_words()}")
                    break
            else:
                child.wait(min(deadline, disk_check) - now, self.control, capture)
        seconds = time.monotonic() - start
        child.drain(capture)
        return {**message, "stdout": capture.text(), "seconds": seconds}


class Capture:
    """Keeps the first and the last half of the output allowed, and counts what lay between."""

    def __init__(self, max_bytes: int) -> None:
        self._half = max_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._num_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take in the next piece of output."""
        self._num_bytes += len(data)
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 4 * self._half:
            del self._tail[: -self._half]

    def text(self) -> str:
        """The output, with a notice where some was left out."""
        tail = self._tail[-self._half :]
        left_out = self._num_bytes - len(self._head) - len(tail)
        if left_out == 0:
            return (self._head + tail).decode(errors="replace")
        notice = f"\n... [{left_out:,} bytes of output left out] ...\n"
        return self._head.decode(errors="replace") + notice + tail.decode(errors="replace")


def exceeds(folder: Path, limits: Limits) -> bool:
    """Whether more files, or bytes in them, lie in a folder than is allowed. It may change meanwhile.

    A folder that cannot be looked into, for its mode or the length of its path, counts as too much.
    """
    size_bytes = num_files = 0
    folders: list[str] = [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    num_files += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        status = entry.stat(follow_symlinks=False)
                        size_bytes += max(status.st_size, 512 * status.st_blocks)
                    if num_files > limits.num_files or size_bytes > limits.disk_bytes:
                        return True
        except (FileNotFoundError, NotADirectoryError):
            continue  # removed or renamed by the program while we looked
        except OSError:
            return True
    return False


def purge(folder: Path) -> None:
    """Empty a folder, however deep, long-named or closed what a dead program left in it is.

    Each level is moved up to the top before it is removed: no recursion, and no path longer than two names.
    """
    while entries := list(folder.iterdir()):
        for entry in entries:
            if entry.is_symlink() or not entry.is_dir():
                entry.unlink()
                continue
            entry.chmod(0o700)
            for inner in entry.iterdir():
                inner.rename(folder / uuid.uuid4().hex)
            entry.rmdir()
