"""What a crawler writes: WARC files with a warcinfo record, then request, response and metadata of each exchange."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

COMPRESSION_LEVEL = 6
"""warcio compresses at 9, which costs twice the time of 6 for 1% fewer bytes on HTML."""

Headers = Sequence[tuple[str, str]]


class _Member:
    """One gzip member around one record, handed to the file in a single write."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._compressor = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS + 16)
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._parts.append(self._compressor.compress(data))

    def flush(self) -> None:
        self._file.write(b"".join([*self._parts, self._compressor.flush()]))


class ArchiveWriter:
    """Writes exchanges into `NAME-00000.warc.gz` and on, a new file when one is full.

    Each record is a gzip member of its own and reaches the operating system before the next one is begun, so that a
    killed crawl leaves at most one cut record at the end of the last file.
    """

    def __init__(self, folder: Path, *, name: str, info: dict[str, str], max_bytes: int) -> None:
        self.paths: list[Path] = []
        self._folder = folder
        self._name = name
        self._info = info
        self._max_bytes = max_bytes
        self._file: BinaryIO | None = None
        self._writer = WARCWriter(BytesIO(), gzip=False, warc_version="1.1")  # builds the records; _write frames them
        self._info_id = ""

    def exchange(
        self,
        *,
        url: str,
        date: str,
        method: str,
        request_headers: Headers,
        status_line: str,
        response_headers: Headers,
        body: bytes,
        metadata: dict[str, str],
    ) -> None:
        """Write one request, its response as it came over the wire, and what the crawler knows about them.

        `date` is ISO 8601 in UTC; `status_line` without the protocol, e.g. "200 OK".
        """
        if self._file is None or self._file.tell() > self._max_bytes:
            self._next_file()
        common = {"WARC-Date": date, "WARC-Warcinfo-ID": self._info_id}
        response = self._writer.create_warc_record(
            url,
            "response",
            payload=BytesIO(body),
            length=len(body),
            http_headers=StatusAndHeaders(status_line, list(response_headers), protocol="HTTP/1.1"),
            warc_headers_dict=common,
        )
        behind = {**common, "WARC-Concurrent-To": response.rec_headers.get_header("WARC-Record-ID")}
        path = "/" + url.split("/", 3)[3] if url.count("/") > 2 else "/"
        request = self._writer.create_warc_record(
            url,
            "request",
            http_headers=StatusAndHeaders(f"{method} {path} HTTP/1.1", list(request_headers), is_http_request=True),
            warc_headers_dict=behind,
        )
        fields = "".join(f"{key}: {value}\r\n" for key, value in metadata.items()).encode()
        notes = self._writer.create_warc_record(
            url, "metadata", payload=BytesIO(fields), length=len(fields), warc_headers_dict=behind
        )
        for record in (request, response, notes):
            self._write(record)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_file(self) -> None:
        self.close()
        path = self._folder / f"{self._name}-{len(self.paths):05d}.warc.gz"
        self.paths.append(path)
        self._file = path.open("wb", buffering=0)
        record = self._writer.create_warcinfo_record(path.name, self._info)
        self._info_id = record.rec_headers.get_header("WARC-Record-ID")
        self._write(record)

    def _write(self, record: Any) -> None:
        assert self._file is not None
        self._writer._write_warc_record(_Member(self._file), record)
