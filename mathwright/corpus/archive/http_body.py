"""HTTP bodies as they should be read: without transfer chunking and compression, however carelessly archived."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable

from fastwarc.stream_io import BrotliReader, ZstdReader

MAX_BODY_BYTES = 64 << 20
"""A body that inflates to more than this is cut off there: no page of text is so large, but bombs are."""

MAX_CODINGS = 3
"""A body coded more often is not decoded: servers use one coding, proxies may add another."""

_CHUNK_SIZE = re.compile(rb"[ \t]*(?:0[xX])?([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
_EMPTY_LINES = re.compile(rb"[\r\n]*")
_MAX_CHUNKINGS = 3
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a]")
"""Control characters of no text encoding but UTF-16, which nobody sends under a wrong Content-Encoding."""
_GZIP_MAGIC = b"\x1f\x8b\x08"
MAX_MEMBERS = 100
"""So many members of gzip are read: what is left of the body is copied once a member."""
_GZIP_OR_ZLIB = 47
"""zlib's wbits for "gzip or zlib, look at the header"."""


def codings_of(content_encoding: str) -> list[str]:
    """The codings that a Content-Encoding header names, in the order they were applied; "identity" is none."""
    codings = (coding.strip() for coding in content_encoding.lower().split(","))
    return [coding for coding in codings if coding not in ("", "identity")]


def decode_body(payload: bytes, transfer_encoding: str, content_encoding: str) -> tuple[bytes, bool]:
    """The body of an HTTP payload under the given header values, and whether it was there to its end.

    Many archives keep the headers of an encoding that they have already removed: a payload that does not even
    begin in its encoding is taken as it is. A payload that ends or breaks in the middle is decoded so far (in
    brotli, where it merely ends, that does not show); one coded more than MAX_CODINGS times is taken for empty.
    """
    body, complete = payload, True
    transfer = codings_of(transfer_encoding)
    chunkings = transfer_encoding.lower().count("chunked")
    for number in range(_MAX_CHUNKINGS):
        unchunked, whole, is_all = _dechunk(body)
        if number >= chunkings and not is_all:
            break  # else it is chunks that nothing names, or that were chunked once more: text never looks so
        body, complete = unchunked, complete and whole
    codings = codings_of(content_encoding) + [coding for coding in transfer if coding in _DECODERS]
    if not codings and body.startswith(_GZIP_MAGIC):
        codings = ["gzip"]  # no text begins so: the archive has lost the header
    if len(codings) > MAX_CODINGS:
        return b"", False
    for coding in reversed(codings):
        decode = _DECODERS.get(coding)
        if decode is not None:
            body, whole = decode(body)
            complete = complete and whole
    return body, complete


def _dechunk(payload: bytes) -> tuple[bytes, bool, bool]:
    """A body without its chunk sizes; whether it was there to its end; whether it is chunks and no more."""
    chunks: list[bytes] = []
    lines = _EMPTY_LINES.match(payload)
    position = 0 if lines is None else lines.end()
    while (size := _CHUNK_SIZE.match(payload, position)) is not None:
        length = int(size[1], 16)
        if length == 0:
            is_all = bool(chunks) and len(payload) - size.end() < 100 and not payload[size.end() :].strip()
            return b"".join(chunks), True, is_all
        chunk = payload[size.end() : size.end() + length]
        chunks.append(chunk)
        position = size.end() + length
        if len(chunk) < length:
            return b"".join(chunks), False, False
        position += 2 if payload.startswith(b"\r\n", position) else 1 if payload.startswith(b"\n", position) else 0
    if not chunks:
        return payload, True, False  # never was chunked
    # A wrong chunk size in the middle: what follows is text all the same, and better kept than lost.
    return b"".join(chunks) + payload[position:], position == len(payload), False


def _inflate(payload: bytes) -> tuple[bytes, bool]:
    body, rest, complete = bytearray(), payload, False
    for _ in range(MAX_MEMBERS):
        decompress = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
        try:
            part = decompress.decompress(rest, MAX_BODY_BYTES - len(body))
        except zlib.error:
            part = _inflate_so_far(rest, MAX_BODY_BYTES - len(body))
        body += part
        rest = decompress.unused_data
        if not decompress.eof or not rest.startswith(_GZIP_MAGIC) or len(body) >= MAX_BODY_BYTES:
            complete = decompress.eof
            break
    return (bytes(body), complete) if body else _never_coded(payload)


def _never_coded(payload: bytes) -> tuple[bytes, bool]:
    """The payload itself if it is text; nothing if it is a compressed one that does not even begin."""
    return (b"", False) if _BINARY.search(payload[:1000]) else (payload, True)


def _inflate_deflate(payload: bytes) -> tuple[bytes, bool]:
    """Deflate with its zlib header, as it should be, or bare, as some servers send it."""
    decompress = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        body = decompress.decompress(payload, MAX_BODY_BYTES)
    except zlib.error:
        body = b""
    # Text that was never compressed can look like the beginning of bare deflate, not like all of it.
    return (body, True) if body and decompress.eof else _inflate(payload)


def _inflate_so_far(payload: bytes, max_bytes: int) -> bytes:
    """What inflates before the first error; small steps, since an error takes its whole step with it."""
    decompress = zlib.decompressobj(wbits=_GZIP_OR_ZLIB)
    body = bytearray()
    try:
        for start in range(0, len(payload), 256):
            body += decompress.decompress(payload[start : start + 256], max_bytes)
            if len(body) >= max_bytes:
                break
    except zlib.error:
        pass  # the damage itself: what came before it is what was asked for
    return bytes(body)


def _read_with(reader: Callable[[io.BytesIO], BrotliReader | ZstdReader]) -> Callable[[bytes], tuple[bytes, bool]]:
    def decode(payload: bytes) -> tuple[bytes, bool]:
        body = bytearray()
        try:
            stream = reader(io.BytesIO(payload))
            while len(body) < MAX_BODY_BYTES and (piece := stream.read(64 << 10)):
                body += piece
        except (OSError, ValueError):  # what FastWARC's readers raise where the data is wrong
            return (bytes(body), False) if body else _never_coded(payload)
        return (bytes(body), True) if body else _never_coded(payload)

    return decode


_DECODERS: dict[str, Callable[[bytes], tuple[bytes, bool]]] = {
    "gzip": _inflate,
    "x-gzip": _inflate,
    "deflate": _inflate_deflate,
    "br": _read_with(BrotliReader),
    "zstd": _read_with(ZstdReader),
}
