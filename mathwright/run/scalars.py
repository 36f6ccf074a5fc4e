"""The measurements of a stage as TensorBoard reads them: `tensorboard --logdir RUN`.

    events.out.tfevents.SECONDS.mathwright    in the stage's folder, a record for each measurement

A record of the file (TFRecord) is a message of protocol buffers, its length, and checksums of both. Scalars need two
small messages of it, so they are written here: TensorBoard itself, or a library that writes for it, would be a
dependency of everyone for a hundred lines.

The file holds what metrics.jsonl holds. A process begins by writing it anew under a later name, so that neither a
record cut short by a kill nor measurements that a resumed training makes again stand in it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

NAME = "events.out.tfevents.{}.mathwright"
VERSION = b"brain.Event:2"


class Scalars:
    """The event file in a stage's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Path | None = None

    def add(self, measurement: Mapping[str, Any], all_of_them: Iterable[Mapping[str, Any]]) -> None:
        """Append a measurement; the first one of this process writes all that there are, itself among them."""
        if self._file is not None and self._file.is_file():
            with self._file.open("ab") as file:
                file.write(_record(_event(measurement)))
            return
        earlier = list(self._folder.glob(NAME.format("*")))
        first = max([int(time.time()), *(int(path.name.split(".")[3]) + 1 for path in earlier)])
        self._file = self._folder / NAME.format(first)
        head = _field(1, 1, struct.pack("<d", time.time())) + _text(3, VERSION)
        self._file.write_bytes(_record(head) + b"".join(_record(_event(one)) for one in all_of_them))
        for path in earlier:
            path.unlink()

    def again(self) -> None:
        """Have the next measurement write all anew: some of the earlier ones are gone."""
        self._file = None


def tagged(measurement: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a measurement under the names by which they are drawn: train/loss, eval/heldout_loss."""
    kind = measurement.get("kind")
    for name, value in measurement.items():
        if name not in ("step", "time") and isinstance(value, int | float) and not isinstance(value, bool):
            yield (f"{kind}/{name}" if kind else name), float(value)


# --- protocol buffers -----------------------------------------------------------------------------


def _event(measurement: Mapping[str, Any]) -> bytes:
    """Event {double wall_time = 1; int64 step = 2; Summary summary = 5}, of Value {string tag = 1; float value = 2}."""
    values = (_text(1, _text(1, tag.encode()) + _field(2, 5, struct.pack("<f", _single(number))))
              for tag, number in tagged(measurement))  # fmt: skip
    return (
        _field(1, 1, struct.pack("<d", float(measurement.get("time", 0.0))))
        + _field(2, 0, _varint(int(measurement["step"])))
        + _text(5, b"".join(values))
    )


def _single(number: float) -> float:
    """A number as single precision takes it: too large ones are infinite."""
    try:
        struct.pack("<f", number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
    return number


def _field(number: int, kind: int, value: bytes) -> bytes:
    return _varint(number << 3 | kind) + value


def _text(number: int, value: bytes) -> bytes:
    return _field(number, 2, _varint(len(value)) + value)


def _varint(number: int) -> bytes:
    written = bytearray()
    number &= 2**64 - 1  # negative ones as two's complement
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


# --- records --------------------------------------------------------------------------------------


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    checksum = crc32c(data)
    return struct.pack("<I", ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum (RFC 3720, appendix B.4)."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = _TABLE[(checksum ^ byte) & 255] ^ checksum >> 8
    return checksum ^ 0xFFFFFFFF
