"""Fetching single pages out of archives that lie elsewhere, into WARC files here.

    FOLDER/
      lookup.json            what was looked up, and why captures were left out
      captures.jsonl         what is fetched, in this order
      fetched-00000.warc.gz  the records as the archives hold them, byte for byte
      fetched.jsonl          a line a capture: where its record ends here, or why there is none

A fetch that was killed resumes after the last line of fetched.jsonl.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from mathwright.corpus.archive.remote import MissingArchiveError, fetch_range
from mathwright.corpus.claims import Claim
from mathwright.corpus.common_crawl.client import PoliteClient
from mathwright.corpus.common_crawl.index import COMMON_CRAWL, Capture, Wanted, find_captures
from mathwright.corpus.urls import bare_url
from mathwright.errors import MathwrightError
from mathwright.files import mend_tail, whole_lines, write_json
from mathwright.records import read_jsonl, write_jsonl
from mathwright.run import Log

MAX_GAP_BYTES = 64 << 10
"""Captures nearer than this in an archive are fetched by one request: the bytes between cost less than a request."""
MAX_REQUEST_BYTES = 16 << 20
MAX_RECORD_BYTES = 256 << 20
MAX_FILE_BYTES = 1 << 30


def fetch(
    indexes: Sequence[str],
    wanted: Wanted,
    folder: Path,
    *,
    archives: str = COMMON_CRAWL,
    limit: int | None = None,
    index_client: PoliteClient | None = None,
    data_client: PoliteClient | None = None,
    num_threads: int = 4,
) -> int:
    """Look the wanted pages up and fetch their records into WARC files in `folder`; returns how many it has.

    archives: where the archives named by the indexes lie (https://, s3:// or a folder). limit: fetch this many at
    most. The funnels of both steps are printed, and kept in lookup.json and fetch.json; records that could not be had
    are set aside in rejected/.

    Raises MathwrightError where an index cannot be read, the folder holds another fetch or another process is at it,
    or a server keeps refusing.
    """
    if not indexes:
        raise MathwrightError("no index to look pages up in", hint="name one with --index")
    folder.mkdir(parents=True, exist_ok=True)
    log = Log("fetch", folder)
    claim = Claim.take(folder / "fetch.lock")
    if claim is None:
        raise MathwrightError(f"{folder}: another process is fetching into it", hint="wait, or choose another --out")
    with claim:
        captures = _look_up(indexes, wanted, folder, log, archives, limit, index_client)
        client = data_client or PoliteClient(requests_per_s=10)
        with (
            _Output(folder, captures) as output,
            ThreadPoolExecutor(num_threads) as pool,
            log.progress("fetch records", len(captures)) as advance,
        ):
            advance(output.num_done)
            groups = in_requests(captures[output.num_done :])
            for group, results in _in_order(pool, groups, lambda g: _fetch_group(g, archives, client), 2 * num_threads):
                for capture, (data, reason) in zip(group, results, strict=True):
                    output.add(capture, data, reason)
                    advance(1)
        return _report(captures, folder, log)


# --- what is fetched ----------------------------------------------------------------------------------


def _look_up(
    indexes: Sequence[str],
    wanted: Wanted,
    folder: Path,
    log: Log,
    archives: str,
    limit: int | None,
    client: PoliteClient | None,
) -> list[Capture]:
    """The captures to fetch; looked up once and kept."""
    path = folder / "lookup.json"
    asked = {"indexes": list(indexes), "wanted": asdict(wanted), "archives": archives, "limit": limit}
    asked = json.loads(json.dumps(asked))
    if path.is_file():
        lookup = json.loads(path.read_text(encoding="utf-8"))
        if lookup["asked"] != asked:
            changed = [name for name in asked if lookup["asked"].get(name) != asked[name]]
            raise MathwrightError(
                f"{folder} holds a fetch with other {', '.join(changed)}",
                hint="repeat the same command to resume it, or choose another --out",
            )
        captures = list(read_jsonl(folder / "captures.jsonl", Capture))
    else:
        if found := sorted(folder.glob("fetched*")):
            raise MathwrightError(
                f"{found[0]} is there, but not the lookup.json of the fetch that made it; it would be overwritten",
                hint="choose another --out, or move what is there",
            )
        captures, dropped, num_in = find_captures(indexes, wanted, client=client)
        if limit is not None and len(captures) > limit:
            dropped["over the limit"] = len(captures) - limit
            captures = captures[:limit]
        write_jsonl(folder / "captures.jsonl", captures)
        lookup = {"asked": asked, "num_in": num_in, "dropped": dict(dropped)}
        write_json(path, lookup)
    log.funnel("look up", unit="captures", num_in=lookup["num_in"], num_out=len(captures), dropped=lookup["dropped"])
    if not captures:
        raise MathwrightError(
            "the indexes hold no such page", hint="check --url-prefix and --domain, or ask the index of another crawl"
        )
    return captures


def in_requests(captures: Iterable[Capture]) -> Iterator[list[Capture]]:
    """Captures, sorted by archive and offset, in groups that one request fetches: near each other in one archive."""
    group: list[Capture] = []
    end = 0
    for capture in captures:
        own_end = capture.offset + capture.length
        if group and (
            capture.archive != group[0].archive
            or capture.offset < group[0].offset
            or capture.offset - end > MAX_GAP_BYTES
            or own_end - group[0].offset > MAX_REQUEST_BYTES
        ):
            yield group
            group, end = [], 0
        group.append(capture)
        end = max(end, own_end)
    if group:
        yield group


# --- bytes from elsewhere -----------------------------------------------------------------------------

Fetched = tuple[bytes, str]
"""The record's bytes, or why there are none."""


def _fetch_group(group: Sequence[Capture], archives: str, client: PoliteClient) -> list[Fetched]:
    """The record of each capture of a group."""
    start = group[0].offset
    end = max(capture.offset + capture.length for capture in group)
    if end - start > MAX_RECORD_BYTES:
        return [(b"", "the record is too large")] * len(group)
    data, reason = _read_range(archives.rstrip("/") + "/" + group[0].archive.lstrip("/"), start, end, client)
    if reason:
        return [(b"", reason)] * len(group)
    results = []
    for capture in group:
        record = data[capture.offset - start : capture.offset - start + capture.length]
        reason = check_record(record, capture)
        results.append((b"" if reason else record, reason))
    return results


def _read_range(address: str, start: int, end: int, client: PoliteClient) -> Fetched:
    """The bytes of a file from `start` to `end`, fewer where it ends before; or why there are none."""
    if address.startswith(("http://", "https://")):
        return _read_http_range(address, start, end, client)
    try:
        return fetch_range(address, start, end - start), ""
    except MissingArchiveError:
        return b"", "no such archive"


def _read_http_range(address: str, start: int, end: int, client: PoliteClient) -> Fetched:
    answer = client.get(address, headers={"Range": f"bytes={start}-{end - 1}"})
    match answer.status:
        case 206:
            begins = answer.headers.get("content-range", "").removeprefix("bytes ").split("-")[0]
            if begins != str(start):
                raise MathwrightError(
                    f"{address}: asked for bytes from {start}, got {answer.headers.get('content-range')!r}",
                    hint="the server answers Range requests wrongly; use another copy of the archives",
                )
            return answer.body, ""
        case 404 | 410:
            return b"", "no such archive"
        case 416:
            return b"", "the archive ends before the record"
        case 200:
            raise MathwrightError(
                f"{address}: the server sends whole files only", hint="use a server that answers Range requests"
            )
        case 401 | 403:
            raise MathwrightError(
                f"{address}: status {answer.status}, the server refuses you",
                hint="usually for asking too fast: wait an hour, lower --requests-per-s, run the same command again",
            )
        case other:
            raise MathwrightError(f"{address}: status {other}", hint="check --archives")


def check_record(data: bytes, capture: Capture) -> str:
    """Why these bytes are not the whole record of a capture; "" where they are."""
    if len(data) < capture.length:
        return "the archive ends before the record"
    if data.startswith(b"\x1f\x8b"):
        inflate = zlib.decompressobj(wbits=31)
        try:
            size = 0
            rest = data
            while rest and not inflate.eof:
                size += len(inflate.decompress(rest, 1 << 20))
                rest = inflate.unconsumed_tail
                if size > MAX_RECORD_BYTES:
                    return "the record is too large"
        except zlib.error:
            return "the record is damaged"
        if not inflate.eof:
            return "the record is longer than the index says"
    elif not data.startswith(b"WARC/"):
        return "no record begins there"
    try:
        record = next(iter(ArchiveIterator(io.BytesIO(data), parse_http=False)), None)
    except (OSError, ValueError):
        return "the record is damaged"
    if record is None:
        return "no record begins there"
    url = (record.headers.get("WARC-Target-URI") or "").strip("<> ")
    if record.record_type != WarcRecordType.response or bare_url(url) != bare_url(capture.url):
        return "another record lies there"
    if record.reader.consume() != record.content_length:
        return "the record is longer than the index says"
    return ""


def _in_order(
    pool: ThreadPoolExecutor,
    items: Iterable[Any],
    work: Callable[[Any], Any],
    num_ahead: int,
) -> Iterator[tuple[Any, Any]]:
    """(item, work(item)) in the order of the items, a few being worked on at a time."""
    under_way: deque[tuple[Any, Future[Any]]] = deque()
    try:
        for item in items:
            under_way.append((item, pool.submit(work, item)))
            if len(under_way) >= num_ahead:
                first, future = under_way.popleft()
                yield first, future.result()
        while under_way:
            first, future = under_way.popleft()
            yield first, future.result()
    finally:
        for _, future in under_way:
            future.cancel()


# --- what is written ----------------------------------------------------------------------------------


class _Output:
    """The WARC files and the log of a fetch. Opening it undoes what a kill left half done."""

    def __init__(self, folder: Path, captures: Sequence[Capture]) -> None:
        self._folder = folder
        self._log_path = folder / "fetched.jsonl"
        mend_tail(self._log_path)
        lines = [json.loads(line) for line in whole_lines(self._log_path)]
        for line, capture in zip(lines, captures, strict=False):
            if line["url"] != capture.url:
                raise MathwrightError(
                    f"{self._log_path}: {line['url']} where {capture.url} was to be fetched",
                    hint="the files of this folder do not belong together; choose another --out",
                )
        self.num_done = len(lines)
        self._file_number = lines[-1]["file"] if lines else 0
        self._end = lines[-1]["end"] if lines else 0

    def __enter__(self) -> _Output:
        self._log = self._log_path.open("a", encoding="utf-8")
        self._open_file()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._log.close()

    def _open_file(self) -> None:
        path = self._folder / f"fetched-{self._file_number:05d}.warc.gz"
        path.touch()
        self._file = path.open("r+b")
        self._file.truncate(self._end)
        self._file.seek(self._end)

    def add(self, capture: Capture, data: bytes, reason: str) -> None:
        """Write a record, then the line that says it is there (or why it is not)."""
        if data and self._end > MAX_FILE_BYTES:
            self._file.close()
            self._file_number, self._end = self._file_number + 1, 0
            self._open_file()
        if data:
            self._file.write(data if data.startswith(b"\x1f\x8b") else gzip.compress(data, mtime=0))
            self._file.flush()
            self._end = self._file.tell()
        line = {"url": capture.url, "reason": reason, "file": self._file_number, "end": self._end}
        self._log.write(json.dumps(line) + "\n")
        self._log.flush()


def _report(captures: Sequence[Capture], folder: Path, log: Log) -> int:
    """Print and keep the funnel; set aside what was not fetched."""
    dropped: Counter[str] = Counter()
    (folder / "rejected" / "fetch.jsonl").unlink(missing_ok=True)
    for capture, line in zip(captures, map(json.loads, whole_lines(folder / "fetched.jsonl")), strict=True):
        if line["reason"]:
            dropped[line["reason"]] += 1
            log.reject("fetch", asdict(capture), line["reason"])
    num_out = len(captures) - dropped.total()
    log.funnel("fetch", unit="captures", num_in=len(captures), num_out=num_out, dropped=dropped)
    write_json(folder / "fetch.json", {"num_captures": len(captures), "num_fetched": num_out, "dropped": dict(dropped)})
    return num_out
