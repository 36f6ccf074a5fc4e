"""Messages between the processes of the sandbox: a length and JSON; never pickle, for a program may write them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

_LENGTH = struct.Struct(">I")


def pack(message: dict[str, Any]) -> bytes:
    """A message as bytes."""
    body = json.dumps(message).encode()
    return _LENGTH.pack(len(body)) + body


def take(buffer: bytearray, *, limit_bytes: int) -> dict[str, Any] | None:
    """The first message in `buffer`, taken out of it; None while it is incomplete.

    Raises ValueError for a message that is longer than the limit or is not a JSON object.
    """
    if len(buffer) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack_from(buffer)
    if length > limit_bytes:
        raise ValueError(f"message of {length} bytes, the limit is {limit_bytes}")
    end = _LENGTH.size + length
    if len(buffer) < end:
        return None
    body = bytes(buffer[_LENGTH.size : end])
    del buffer[:end]
    return _parse(body)


def receive(read: Callable[[int], bytes]) -> dict[str, Any] | None:
    """The next message from a blocking stream; None where the stream ended between or within messages."""
    header = _read_exactly(read, _LENGTH.size)
    body = _read_exactly(read, _LENGTH.unpack(header)[0]) if header is not None else None
    return None if body is None else _parse(body)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except RecursionError as error:  # brackets nested by the thousand
        raise ValueError("message nested too deep") from error
    if not isinstance(message, dict):
        raise ValueError("message is not an object")
    return message


def _read_exactly(read: Callable[[int], bytes], size: int) -> bytes | None:
    parts: list[bytes] = []
    while size > 0:
        part = read(size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
