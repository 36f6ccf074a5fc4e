"""What the kernel takes from a process before it runs a program it does not trust.

Four layers, each enough against most attacks, put on in a forked child and never to be taken off:
privileges (no capabilities but reading, an unprivileged user where we are root), resource limits, Landlock
(which files exist for it), seccomp (which system calls exist for it).

What is left to a program: the time, the version of the kernel, the metadata (not the contents) of files whose path it
guesses, and one core's time until its clock runs out.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import site
import struct
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mathwright.tools import syscalls

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 8, 22, 38
_SECCOMP_MODE_FILTER = 2
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446  # the same everywhere
_LANDLOCK_VERSION_FLAG, _LANDLOCK_PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_MAKE_DIR, _MAKE_REGULAR, _REFER, _TRUNCATE = 1 << 7, 1 << 8, 1 << 13, 1 << 14
_FILE_RIGHTS = _WRITE_FILE | _READ_FILE | _TRUNCATE
# Not the right to remove or rename: a file that is removed while it is mapped goes on taking space that nobody can see.
_WRITABLE = _FILE_RIGHTS | _READ_DIR | _MAKE_DIR | _MAKE_REGULAR
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1 << 1, 1 << 2
_CAPS_TO_CHANGE_USER = 1 << 5 | 1 << 6 | 1 << 7  # KILL (the supervisor must still reach it), SETGID, SETUID
_CAPABILITY_HEADER = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
_NOBODY = 65534


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one program, beyond what the interpreter itself holds."""

    memory_bytes: int
    """Address space the program may add to that of the interpreter with its imported packages."""
    disk_bytes: int
    """Size of all its files; of one file a quarter of it."""
    num_files: int = 1000
    """Files and folders it may make."""
    num_threads: int = 256
    """Tasks of the user it runs as (counted over all sandboxes of that user)."""

    def disk_words(self) -> str:
        """The limits on files, for people and models."""
        return f"a program may write {self.disk_bytes >> 20} MiB in {self.num_files} files"


class KernelError(OSError):
    """A layer of the isolation could not be put on."""


def missing_features() -> list[str]:
    """What this machine lacks of the isolation, in words; empty where all is there."""
    if not sys.platform.startswith("linux"):
        return [f"Linux (this is {sys.platform})"]
    missing = []
    if landlock_version() < 1:
        missing.append("Landlock (Linux 5.13 or newer, CONFIG_SECURITY_LANDLOCK, not blocked by the container)")
    if not syscalls.supported():
        missing.append("a seccomp filter for this architecture (x86_64 or aarch64)")
    elif not _has_seccomp():
        missing.append("seccomp filters (CONFIG_SECCOMP_FILTER)")
    return missing


def landlock_version() -> int:
    """ABI version of Landlock, 0 where there is none."""
    return max(0, _libc().syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION_FLAG))


def _has_seccomp() -> bool:
    # A null filter is refused with EFAULT (14) where filters exist and with EINVAL where they do not.
    _libc().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_void_p(None), 0, 0)
    return ctypes.get_errno() == 14


_LIBC: ctypes.CDLL | None = None


def _libc() -> ctypes.CDLL:
    global _LIBC
    if _LIBC is None:
        _LIBC = ctypes.CDLL(None, use_errno=True)
    return _LIBC


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise KernelError(number, f"{what}: {os.strerror(number)}")
    return result


def readable_paths() -> list[str]:
    """The standard library, installed packages and shared libraries: what an import may need."""
    python = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    python += [*site.getsitepackages(), sysconfig.get_config_var("LIBDIR")]
    # pyvenv.cfg beside a virtual environment's interpreter is not needed any more once Python runs.
    system = ["/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"]
    files = ["/etc/ld.so.cache", "/etc/localtime", "/dev/urandom", "/dev/zero"]
    return sorted({str(path) for path in [*python, *system, *files] if path and Path(path).exists()})


class Jail:
    """The layers prepared once, so that entering costs a child a few system calls."""

    def __init__(self, limits: Limits, *, writable: str, readable: Iterable[str]) -> None:
        """Prepare for programs that may read beneath `readable` and write in the folder `writable`.

        A feature the kernel lacks is left out: who must not go without asks `missing_features` first.
        """
        self.limits = limits
        self._become_nobody, self._capabilities = (
            _lower_privileges() if sys.platform.startswith("linux") else (False, b"")
        )
        self._ruleset = _landlock_ruleset(readable, writable) if _landlock_available() else None
        self._filter = None
        if sys.platform.startswith("linux") and syscalls.supported() and _has_seccomp():
            program = syscalls.seccomp_program()
            self._instructions = ctypes.create_string_buffer(program, len(program))
            address = ctypes.addressof(self._instructions)
            self._filter = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, address))

    def enter(self, *, parent: int, cpu_s: int | None) -> None:
        """Put on every layer for good. `parent` is the process whose death shall be this one's.

        `cpu_s` bounds the processor time (of all threads); None leaves it to the clock of the supervisor.

        Raises KernelError where the kernel refuses one: the caller must not go on then.
        """
        limits = self.limits
        _set_limit(resource.RLIMIT_CORE, 0)
        _set_limit(resource.RLIMIT_FSIZE, limits.disk_bytes // 4)
        _set_limit(resource.RLIMIT_NOFILE, 32)
        if cpu_s is not None:
            _set_limit(resource.RLIMIT_CPU, cpu_s)
        _set_limit(resource.RLIMIT_AS, _address_space_bytes() + limits.memory_bytes)
        if not sys.platform.startswith("linux"):
            return
        prctl = _libc().prctl
        self._drop_privileges()
        if self._become_nobody:
            # Counted by user: with a real person's user the limit would count the programs on the desktop too.
            _set_limit(resource.RLIMIT_NPROC, limits.num_threads)
        _checked(prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
        if os.getppid() != parent:  # it died before it could be watched
            os._exit(1)
        _checked(prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE")
        _checked(prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
        if self._ruleset is not None:
            _checked(_libc().syscall(_LANDLOCK_RESTRICT_SELF, self._ruleset, 0), "landlock_restrict_self")
            os.close(self._ruleset)
        if self._filter is not None:
            _checked(prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._filter, 0, 0), "PR_SET_SECCOMP")

    def _drop_privileges(self) -> None:
        if self._become_nobody:
            _checked(_libc().prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS")
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        _checked(_libc().capset(_CAPABILITY_HEADER, self._capabilities), "capset")


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that forked it is gone."""
    if sys.platform.startswith("linux"):
        _checked(_libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        os._exit(1)


def _set_limit(which: int, value: int) -> None:
    """Lower a limit; one that is lower already stays (an unprivileged process cannot raise it)."""
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    try:
        resource.setrlimit(which, (value, value))
    except (ValueError, OSError) as error:
        if sys.platform.startswith("linux"):
            raise KernelError(f"setrlimit: {error}") from error  # macOS refuses RLIMIT_AS: seen as missing there


def _address_space_bytes() -> int:
    """Virtual size of this process; 0 where the system does not tell (macOS)."""
    try:
        statm = os.open("/proc/self/statm", os.O_RDONLY)  # pathlib would touch, and so copy, 100 pages more
    except FileNotFoundError:
        return 0
    try:
        return int(os.read(statm, 100).split()[0]) * resource.getpagesize()
    finally:
        os.close(statm)


def _lower_privileges() -> tuple[bool, bytes]:
    """Whether to become nobody, and the capabilities to keep (as `capset` takes them): at most that of reading.

    Reading stays, within what Landlock shows: Python often lies beneath root's home, where nobody may not look. Root
    of a container that may not change its user stays what it is, without any capability.
    """
    current = ctypes.create_string_buffer(24)
    _checked(_libc().capget(_CAPABILITY_HEADER, current), "capget")
    effective = struct.unpack("6I", current.raw)[0]
    reading = effective & _CAP_DAC_READ_SEARCH or effective & _CAP_DAC_OVERRIDE  # Docker grants the second only
    become_nobody = os.geteuid() == 0 and reading and effective & _CAPS_TO_CHANGE_USER == _CAPS_TO_CHANGE_USER
    keep = reading if become_nobody else 0
    return bool(become_nobody), struct.pack("6I", keep, keep, 0, 0, 0, 0)


def _landlock_available() -> bool:
    return sys.platform.startswith("linux") and landlock_version() >= 1


def _landlock_ruleset(readable: Iterable[str], writable: str) -> int:
    """A ruleset that denies every file but those named, TCP, and signals and abstract sockets across its border."""
    version = landlock_version()
    handled = (1 << 13) - 1
    if version >= 2:
        handled |= _REFER
    if version >= 3:
        handled |= _TRUNCATE
    if version >= 5:
        handled |= 1 << 15  # ioctl on devices
    network = 0b11 if version >= 4 else 0
    scoped = 0b11 if version >= 6 else 0
    attributes = struct.pack("QQQ", handled, network, scoped)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    create = _libc().syscall(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    ruleset = _checked(create, "landlock_create_ruleset")
    for path in readable:
        _allow_beneath(ruleset, path, (_READ_FILE | _READ_DIR) & handled)
    _allow_beneath(ruleset, "/dev/null", (_READ_FILE | _WRITE_FILE) & handled)
    _allow_beneath(ruleset, writable, _WRITABLE & handled)
    # Out of the way of the numbers a child gives to its pipes.
    high = fcntl.fcntl(ruleset, fcntl.F_DUPFD_CLOEXEC, 64)
    os.close(ruleset)
    return high


def _allow_beneath(ruleset: int, path: str, rights: int) -> None:
    if not Path(path).is_dir():
        rights &= _FILE_RIGHTS
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, descriptor)
        added = _libc().syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_PATH_BENEATH, rule, 0)
        _checked(added, f"landlock_add_rule {path}")
    finally:
        os.close(descriptor)
