"""Files that a kill cannot spoil: written whole or not at all, or a line at a time with a torn end that is mended.

with atomic(path) as partial:       # a file of any kind
    torch.save(content, partial)
write_json(path, value)             # a JSON value, indented
write_lines(path, lines)            # many lines, one after the other

append_line(path, line)             # a log that grows
for line in whole_lines(path): ...  # what of it is complete
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mathwright.errors import MathwrightError
from mathwright.lines import json_text

PARTIAL = ".partial"
"""Ending of a file that is being written. One that a kill left behind is written over by the next attempt."""
BLOCK_BYTES = 65_536
WHOLE_BYTES = 256 * 2**20
"""Files up to this size are told apart by all of their content, larger ones by 16 stretches."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Replace a file in one step: write to the yielded neighbour, which takes the name `path` when the block ends.

    So whoever reads `path`, also after a kill or a power failure, finds the old file or the whole new one. Where the
    block raises, the old one stays and the neighbour is removed. Missing folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + PARTIAL)
    try:
        yield partial
        _to_disk(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _to_disk(path: Path) -> None:
    """Wait until a file's content is on the disk: a renamed file may otherwise be empty after a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_glob(where: str | Path) -> bool:
    """Whether a path is a pattern of several."""
    return any(sign in str(where) for sign in "*?[")


def files_that_fit(pattern: str | Path) -> list[Path]:
    """The files of a glob, in order. Raises MathwrightError where there is none."""
    path = Path(pattern).expanduser()
    root = Path(path.anchor) if path.is_absolute() else Path()
    found = sorted(file for file in root.glob(str(path.relative_to(root))) if file.is_file())
    if not found:
        raise MathwrightError(f"{pattern}: no file fits", hint="quote the pattern, and check it with ls")
    return found


def content_mark(paths: Iterable[Path]) -> str:
    """What tells the content of some files from others, with their names and their order."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path.name}:{status.st_size}".encode())
        digest.update(_content_digest(path.absolute(), status.st_size, status.st_mtime_ns))
    return digest.hexdigest()[:16]


@functools.lru_cache(maxsize=256)
def _content_digest(path: Path, size: int, changed: int) -> bytes:
    """Of the file as it was when it had this size and this time of change (ns)."""
    with path.open("rb") as file:
        if size <= WHOLE_BYTES:
            return hashlib.file_digest(file, "sha256").digest()
        digest = hashlib.sha256()
        for part in range(16):
            file.seek(size * part // 16)
            digest.update(file.read(BLOCK_BYTES))
    return digest.digest()


def similar(name: str, there: Iterable[str]) -> str:
    """The end of a hint about a file that is not there: what its name may have been meant for, or what there is."""
    names = sorted(there)
    if close := difflib.get_close_matches(name, names, n=1, cutoff=0.7):
        return f"did you mean {close[0]}?"
    return f"there are {', '.join(names[:8])}" if names else "there is no such file in its folder: check the path"


def write_text(path: Path, text: str) -> None:
    """Replace a file by one with this text, its line ends as they are."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Replace a file by one with these lines, which come without their line feeds. Returns how many."""
    count = 0
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(line + "\n")
            count += 1
    return count


def write_json(path: Path, value: Any) -> None:
    """Replace a file by one with this value as indented JSON. Records become objects and paths strings."""
    write_text(path, json_text(value, indent=2, default=jsonable) + "\n")


def jsonable(value: Any) -> Any:
    """A record as a dictionary, a path as a string. Raises TypeError for what else JSON does not know."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


# --- files that grow a line at a time ---------------------------------------------------------------


def append_line(path: Path, line: str) -> None:
    """Append a line, given without its line feed. What a kill left of the line before is cut off first.

    For files with one writer at a time.
    """
    with path.open("a+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size and _byte_before(file, size) != b"\n":
            file.truncate(_line_start(file, size))
        file.write(line.encode() + b"\n")


def whole_lines(path: Path) -> Iterator[str]:
    """The complete lines of a file, without their line feeds; none where there is no file.

    A last line without its end is left out: a kill cut it short, or another process is writing it. The file stays as
    it is.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:  # a line that was cut may end in the middle of a character
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1].decode()


def last_line(path: Path) -> str | None:
    """The last complete line of a file, without its line feed; None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        end = _line_start(file, file.seek(0, os.SEEK_END))
        if end == 0:
            return None
        start = _line_start(file, end - 1)
        file.seek(start)
        return file.read(end - 1 - start).decode()


def last_lines(path: Path, size_bytes: int) -> list[str]:
    """The complete lines among the last so many bytes of a file; none where there is no file."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        begin = max(0, file.seek(0, os.SEEK_END) - size_bytes)
        file.seek(begin)
        lines = file.read(size_bytes).split(b"\n")
    return [line.decode() for line in lines[1 if begin else 0 : -1]]


def mend_tail(path: Path) -> None:
    """Cut off what a killed process left of a last line."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if (whole := _line_start(file, size)) < size:
            file.truncate(whole)


def _byte_before(file: BinaryIO, position: int) -> bytes:
    file.seek(position - 1)
    return file.read(1)


def _line_start(file: BinaryIO, end: int) -> int:
    """Where the line begins that ends at a position: after the last line feed before it."""
    while end > 0:
        start = max(0, end - BLOCK_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def files_below(folder: Path, *, leave_out: Path | None = None) -> Iterator[Path]:
    """The files below a folder in the order of their names, through links, each real file and folder once.

    Of a data set in the cache of the Hugging Face hub (`blobs`, `refs`, `snapshots`) those of the snapshot that `main`
    stands for. `leave_out`: a folder below, such as the one that is written. Raises MathwrightError for a link that
    leads nowhere: a part of the data would be missing.
    """
    folder = _snapshot(folder)
    seen = {leave_out.resolve()} if leave_out is not None and leave_out.resolve() != folder.resolve() else set[Path]()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = Path(root).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(names):
            file = Path(root, name)
            if file.is_symlink() and not file.exists():
                raise MathwrightError(
                    f"{file}: its link leads nowhere", hint="fetch the data again, or remove the link"
                )
            if (real := file.resolve()) not in seen and file.is_file():
                seen.add(real)
                yield file


def _snapshot(folder: Path) -> Path:
    snapshots = folder / "snapshots"
    if not (folder / "blobs").is_dir() or not snapshots.is_dir():
        return folder
    main = folder / "refs" / "main"
    if main.is_file() and (chosen := snapshots / main.read_text(encoding="utf-8").strip()).is_dir():
        return chosen
    return max(snapshots.iterdir(), key=lambda path: path.stat().st_mtime_ns, default=folder)
