"""Archives that lie elsewhere: any URL that fsspec opens, read in ranges, with patience for bad connections."""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from mathwright.errors import MathwrightError

RANGE_BYTES = 8 << 20
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Pauses before a request that failed is made again; each range has so many chances."""

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*(?:://|::)")
_PERMANENT = frozenset({400, 401, 403, 404, 405, 410, 451})

_pause = time.sleep

T = TypeVar("T")


class MissingArchiveError(MathwrightError):
    """There is nothing at the path or URL of an archive."""


class _NoRangesError(Exception):
    """The server sends whole files only."""


def is_url(path: str | Path) -> bool:
    """Whether an archive is named by a URL, not by a path."""
    return isinstance(path, str) and _URL.match(path) is not None


@contextlib.contextmanager
def open_archive(path: str | Path) -> Iterator[BinaryIO]:
    """The archive as a local file open for reading; one named by a URL is copied into a temporary file first.

    Raises MissingArchiveError where there is none, MathwrightError where it cannot be read.
    """
    if not is_url(path):
        with _open_local(Path(path)) as file:
            yield file
        return
    with tempfile.TemporaryFile(prefix="mathwright-") as copy:
        _download(str(path), copy)
        yield copy


def fetch_range(path: str | Path, offset: int, length: int) -> bytes:
    """The `length` bytes from `offset` on, or fewer where the archive ends. Raises as `open_archive`."""
    if offset < 0 or length <= 0:
        raise ValueError(f"offset {offset}, length {length}: give an offset of at least 0 and a length above 0")
    if not is_url(path):
        with _open_local(Path(path)) as file:
            file.seek(offset)
            return file.read(length)
    filesystem, name = _filesystem(str(path))
    try:
        return _patiently(str(path), lambda: _read_range(filesystem, name, offset, offset + length))
    except _NoRangesError as error:
        raise MathwrightError(f"{path}: the server sends no ranges", hint="read the whole archive instead") from error


def _open_local(path: Path) -> BinaryIO:
    if not path.is_file():
        hint = "give the path or URL of a WARC file (.warc, .warc.gz)"
        raise MissingArchiveError(f"{path}: no such archive", hint=hint)
    try:
        return path.open("rb")
    except OSError as error:
        raise MathwrightError(f"{path}: cannot be read ({error.strerror})", hint="check its permissions") from error


def _download(url: str, copy: BinaryIO) -> None:
    """Copy what lies at the URL. A lost connection costs one range, or everything where the server sends no ranges."""
    filesystem, name = _filesystem(url)
    info: dict[str, Any] = _patiently(url, lambda: filesystem.info(name))
    size = info.get("size")
    if size is not None and info.get("partial", True):
        try:
            _copy_ranges(url, filesystem, name, size, copy)
            return
        except _NoRangesError:
            pass
    _patiently(url, lambda: _copy_stream(filesystem, name, size, copy))


def _copy_ranges(url: str, filesystem: Any, name: str, size: int, copy: BinaryIO) -> None:
    done = 0

    def fetch() -> bytes:
        wanted = min(size, done + RANGE_BYTES)
        piece = _read_range(filesystem, name, done, wanted)
        if not piece or done + len(piece) > wanted:
            raise OSError(f"{len(piece)} bytes came where {wanted - done} were asked for")
        return piece

    while done < size:
        done += copy.write(_patiently(url, fetch))


def _copy_stream(filesystem: Any, name: str, size: int | None, copy: BinaryIO) -> None:
    copy.seek(0)
    copy.truncate()
    options = {"block_size": 0} if _is_http(filesystem) else {}
    with filesystem.open(name, "rb", **options) as file:
        while piece := file.read(RANGE_BYTES):
            copy.write(piece)
    if size is not None and copy.tell() != size:
        raise OSError(f"{copy.tell()} bytes came of {size}")


def _read_range(filesystem: Any, name: str, start: int, stop: int) -> bytes:
    if not _is_http(filesystem):
        return filesystem.cat_file(name, start=start, end=stop)
    # Not cat_file: it reads all that comes, and from a server without ranges that is the whole archive.
    with filesystem.open(name, "rb", block_size=stop - start, cache_type="none", size=stop) as file:
        file.seek(start)
        try:
            return file.read(stop - start)
        except ValueError as error:
            raise _NoRangesError from error


def _filesystem(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the name of the file in it."""
    import fsspec

    options: dict[str, Any] = {}
    if url.startswith(("http://", "https://")):
        import aiohttp

        # Archives are compressed themselves: no server or client shall decompress them on the way.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
        options = {
            "headers": {"Accept-Encoding": "identity"},
            "client_kwargs": {"auto_decompress": False, "timeout": timeout},
        }
    try:
        return fsspec.core.url_to_fs(url, **options)
    except ImportError as error:  # fsspec says which package is missing
        raise MathwrightError(f"{url}: {error}", hint="s3:// needs `pip install s3fs`") from error
    except ValueError as error:
        raise MathwrightError(f"{url}: {error}", hint="give a path, or a URL such as https://...") from error


def _is_http(filesystem: Any) -> bool:
    return "https" in filesystem.protocol


def _patiently(url: str, request: Callable[[], T]) -> T:
    """The result of a request, made again where it fails for a reason that may pass."""
    for pause_s in (*PAUSES_S, None):
        try:
            return request()
        except (_NoRangesError, MathwrightError):
            raise
        except Exception as error:  # every file system has errors of its own
            if pause_s is None or _is_permanent(error):
                raise _unreachable(url, error) from error
            _pause(pause_s)
    raise AssertionError("the last pause is None")


def _is_permanent(error: BaseException) -> bool:
    """Whether asking again is of no use."""
    cause = error.__cause__
    status = getattr(error, "status", getattr(cause, "status", None))
    if status is not None:
        return status in _PERMANENT
    # fsspec turns any failure of a first request to a web server into "not found", with its cause.
    return isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError)) and cause is None


def _unreachable(url: str, error: BaseException) -> MathwrightError:
    detail = error.__cause__ or error
    reason = " ".join(f"{type(detail).__name__}: {detail}".removesuffix(": ").split())
    hint = "check the URL and your connection"
    if url.startswith("s3://"):
        hint = "check your AWS credentials; Common Crawl is open without any at https://data.commoncrawl.org/"
    kind = MissingArchiveError if isinstance(detail, FileNotFoundError) else MathwrightError
    return kind(f"{url}: cannot be read ({reason})", hint=hint)
