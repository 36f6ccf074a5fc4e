"""Which archives are meant: paths, globs, URLs, and lists of archives such as Common Crawl's `warc.paths.gz`."""

from __future__ import annotations

import glob
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from mathwright.corpus.archive.remote import is_url
from mathwright.errors import MathwrightError
from mathwright.files import is_glob

LIST_ENDINGS = (".paths", ".paths.gz")
"""A file so named lists archives, a line each."""


def find_archives(patterns: Sequence[str], *, prefix: str = "") -> list[str]:
    """The archives that paths, globs and URLs name: local ones and those of globs sorted, without repetition.

    A file that ends in .paths or .paths.gz lists archives, a line each, and keeps its order. Relative lines are
    relative to `prefix`; without one to the root of the list's own host or bucket (as Common Crawl means them), and
    for a list on disk to its folder. Globs work on disk and on fsspec file systems that can list (s3://).

    Raises MathwrightError where a pattern names nothing, a list cannot be read, or a file system is unknown.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        for name in _expand(pattern):
            if name.endswith(LIST_ENDINGS):
                found.update(dict.fromkeys(_read_list(name, prefix)))
            else:
                found[name] = None
    if not found:
        raise MathwrightError("no archives to read", hint="name WARC files or globs in corpus.web.archives")
    return list(found)


def _expand(pattern: str) -> list[str]:
    if not is_url(pattern):
        # Path.glob takes no absolute pattern.
        names = [name for name in glob.glob(pattern, recursive=True) if Path(name).is_file()]  # noqa: PTH207
        if not names:
            raise MathwrightError(f"no archive at {pattern}", hint="check --archives, of a recipe corpus.web.archives")
        return sorted(names)
    if not is_glob(pattern):
        return [pattern]
    scheme = urlsplit(pattern).scheme
    if scheme in ("http", "https"):
        raise MathwrightError(
            f"{pattern}: a web server cannot be asked for a glob",
            hint="name a list of archives, such as .../warc.paths.gz",
        )
    import fsspec

    try:
        system = fsspec.filesystem(scheme)
        names = sorted(f"{scheme}://{name.split('://')[-1]}" for name in system.glob(pattern))
    except (ImportError, ValueError, OSError) as error:
        raise MathwrightError(f"{pattern}: {error}", hint="install what the file system needs (s3: s3fs)") from error
    if not names:
        raise MathwrightError(f"no archive at {pattern}", hint="check --archives, of a recipe corpus.web.archives")
    return names


def _read_list(name: str, prefix: str) -> Iterator[str]:
    try:
        data = _read_bytes(name)
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")
    except (OSError, EOFError, ImportError, ValueError, zlib.error) as error:
        raise MathwrightError(
            f"{name}: the list of archives cannot be read: {error}", hint="check the address, or download it first"
        ) from error
    base = prefix or _root(name)
    lines = [line.strip() for line in text.split("\n")]
    if not any(lines):
        raise MathwrightError(f"{name}: the list names no archive", hint="a line is a path or a URL")
    for line in lines:
        if line:
            yield line if is_url(line) or line.startswith("/") else base.rstrip("/") + "/" + line


def _read_bytes(name: str) -> bytes:
    if not is_url(name):
        return Path(name).read_bytes()
    import fsspec

    with fsspec.open(name, "rb") as file:
        return file.read()  # type: ignore[union-attr]


def _root(name: str) -> str:
    """Common Crawl's lists are relative to the root of the bucket; a list on disk is so to its folder."""
    if not is_url(name):
        return str(Path(name).parent)
    parts = urlsplit(name)
    return f"{parts.scheme}://{parts.netloc}"
