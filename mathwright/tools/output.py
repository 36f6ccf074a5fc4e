"""What programs print: the pipe it comes through, and the part of it that is kept."""

from __future__ import annotations

import os
import select

_PIPE_BYTES = 1 << 16  # what a pipe holds, so one read drains it


class Console:
    """The standard output that a child is given. The supervisor keeps both ends: a second child may get it too."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()

    def read(self, capture: Capture) -> None:
        """Take what is in the pipe. To be called when there is something."""
        capture.feed(os.read(self.read_end, _PIPE_BYTES))

    def drain(self, capture: Capture) -> None:
        """Take what is in the pipe already (and no more: a thread left behind may print for ever)."""
        if select.select([self.read_end], [], [], 0)[0]:
            self.read(capture)

    def close(self) -> None:
        """Close both ends."""
        os.close(self.read_end)
        os.close(self.write_end)


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
