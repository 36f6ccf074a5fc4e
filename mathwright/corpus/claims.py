"""Who works on what, among processes that share a folder: a claim is a lock on a file, and dies with its holder.

The lock is flock(2): the kernel frees it when the process ends, kill -9 included, so that no claim outlives its work
and none has to be broken by age. Machines that share the folder over NFS see each other's locks where the mount has
locking on (NFSv4 always; NFSv3 with lockd and without `nolock`). A folder without shared locks (`nolock`, an object
store behind FUSE) serves one machine only.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

_DONE = b"done\n"


class Claim:
    """A claim that this process holds until `release`, the end of a `with`, or its own end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Claim | None:
        """Claim what the file stands for, made where it is not there; None where another process holds it.

        Raises OSError where the folder cannot be written.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return None
            raise
        return cls(descriptor)

    # The mark that the work is done stands in the lock's own file: of all files on NFS, only this one is sure to be
    # seen as it is by the process that has just got the lock.

    @property
    def done(self) -> bool:
        """Whether this claim, or one on the same file before it, was marked as done."""
        return os.pread(self._descriptor, len(_DONE), 0) == _DONE

    def mark_done(self) -> None:
        os.pwrite(self._descriptor, _DONE, 0)
        os.fsync(self._descriptor)

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def is_done(path: Path) -> bool:
    """Whether the claim of this file was marked as done, by whomever."""
    try:
        return path.read_bytes() == _DONE
    except FileNotFoundError:
        return False
