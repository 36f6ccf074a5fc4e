"""Folders of programs: whether they hold too much, and how they are emptied."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from pathlib import Path

from mathwright.tools.isolation import Limits


def exceeds(folder: Path, limits: Limits) -> bool:
    """Whether more files, or bytes in them, lie in a folder than is allowed. It may change meanwhile.

    A folder that cannot be looked into, for its mode or the length of its path, counts as too much.
    """
    size_bytes = num_files = 0
    folders: list[str] = [str(folder)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    num_files += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        status = entry.stat(follow_symlinks=False)
                        size_bytes += max(status.st_size, 512 * status.st_blocks)
                    if num_files > limits.num_files or size_bytes > limits.disk_bytes:
                        return True
        except (FileNotFoundError, NotADirectoryError):
            continue  # removed or renamed by the program while we looked
        except OSError:
            return True
    return False


def purge(folder: Path) -> bool:
    """Empty a folder, however deep, long-named or closed what a dead program left in it is; whether all is gone.

    Each level is moved up to the top before it is removed: no recursion, and no path longer than two names. Folders
    are opened for their owner first, those that are moved as well: to move one is to write into it. What cannot be
    removed stays, for a folder left behind is no reason to end its worker.
    """
    stuck: set[str] = set()
    with contextlib.suppress(OSError):
        folder.chmod(stat.S_IMODE(folder.lstat().st_mode) | stat.S_IRWXU)
    while entries := [name for name in _names(folder) if name not in stuck]:
        for name in entries:
            path = folder / name
            try:
                if not _open_up(path):
                    path.unlink()
                    continue
                for inner in _names(path):
                    _open_up(path / inner)
                    (path / inner).rename(folder / uuid.uuid4().hex)
                path.rmdir()
            except OSError:
                stuck.add(name)
    return not stuck


def _open_up(path: Path) -> bool:
    """Whether a path is a folder (and no link to one), which its owner may then read, write and enter."""
    if not stat.S_ISDIR(path.lstat().st_mode):
        return False
    path.chmod(0o700)
    return True


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []
