"""What a crawler writes: WARC files with a warcinfo record, then request, response and metadata of each exchange."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from mathwright.run.aside import set_aside

COMPRESSION_LEVEL = 6
"""warcio compresses at 9, which costs twice the time of 6 for 1% fewer bytes on HTML."""

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an exchange lies."""

    archive: str
    """File name."""
    offset: int
    """Of the response record."""
    end: int
    """Size of the file with this exchange."""


def cut_back(folder: Path, *, name: str, sizes: Mapping[str, int]) -> list[Path]:
    """Undo what a killed crawl wrote without having noted it: `sizes` are the noted sizes of its files.

    A file is cut at its noted size, which is the end of a record. One of which nothing was noted may be of another
    making, so it is set aside under a dated name. Returns the files that stay, in order.
    """
    kept = []
    for path in sorted(folder.glob(f"{name}-*.warc.gz")):
        if path.name not in sizes:
            set_aside(path)
            continue
        if path.stat().st_size > sizes[path.name]:
            os.truncate(path, sizes[path.name])
        kept.append(path)
    return kept


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

    def __init__(
        self, folder: Path, *, name: str, info: dict[str, str], max_bytes: int, paths: Sequence[Path] = ()
    ) -> None:
        """`paths`: files of this name that are there already; new ones are numbered after them."""
        self.paths: list[Path] = list(paths)
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
    ) -> Place:
        """Write one request, its response as it came over the wire, and what the crawler knows about them.

        `date` is ISO 8601 in UTC; `status_line` without the protocol, e.g. "200 OK". Returns where it was written.
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
        of_response = {**common, "WARC-Concurrent-To": response.rec_headers.get_header("WARC-Record-ID")}
        path = "/" + url.split("/", 3)[3] if url.count("/") > 2 else "/"
        request = self._writer.create_warc_record(
            url,
            "request",
            http_headers=StatusAndHeaders(f"{method} {path} HTTP/1.1", list(request_headers), is_http_request=True),
            warc_headers_dict=of_response,
        )
        fields = "".join(f"{key}: {value}\r\n" for key, value in metadata.items()).encode()
        notes = self._writer.create_warc_record(
            url, "metadata", payload=BytesIO(fields), length=len(fields), warc_headers_dict=of_response
        )
        self._write(request)
        assert self._file is not None
        offset = self._file.tell()
        self._write(response)
        self._write(notes)
        return Place(archive=self.paths[-1].name, offset=offset, end=self._file.tell())

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
