"""What the kernel takes from a process before it runs a program it does not trust.

Four layers, each enough against most attacks, put on in a forked child and never to be taken off:
privileges (no capabilities but reading, an unprivileged user where we are root), resource limits, Landlock
(which files exist for it), seccomp (which system calls exist for it).

What is left to a program: the time, the version of the kernel, the metadata (not the contents) of files whose path it
guesses, and one core's time until its clock runs out.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from dataclasses import dataclass

from mathwright.tools import syscalls

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 8, 22, 38
_SECCOMP_MODE_FILTER = 2
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446  # the same everywhere
_LANDLOCK_VERSION_FLAG = 1
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1 << 1, 1 << 2
_CAPS_TO_CHANGE_USER = 1 << 5 | 1 << 6 | 1 << 7  # KILL (the supervisor must still reach it), SETGID, SETUID
_CAPABILITY_HEADER = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
_NOBODY = 65534
# Set aside for users that exist as long as a service runs (systemd.exec, DynamicUser), and there in containers too.
_FIRST_USER, _NUM_USERS = 61184, 4336


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one program, beyond what the interpreter itself holds."""

    memory_bytes: int
    """Address space the program may add to that of the interpreter with its imported packages."""
    disk_bytes: int
    """Size of all its files; of one file a quarter of it."""
    num_files: int = 1000
    """Files and folders it may make."""
    num_threads: int = 64
    """Threads it may have at a time, its first one included."""

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
    return max(0, libc().syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION_FLAG))


def _has_seccomp() -> bool:
    # A null filter is refused with EFAULT (14) where filters exist and with EINVAL where they do not.
    libc().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_void_p(None), 0, 0)
    return ctypes.get_errno() == 14


_LIBC: ctypes.CDLL | None = None


def libc() -> ctypes.CDLL:
    """The C library, whose calls leave their errno to `checked`."""
    global _LIBC
    if _LIBC is None:
        _LIBC = ctypes.CDLL(None, use_errno=True)
    return _LIBC


def checked(result: int, what: str) -> int:
    """The result of a system call. Raises KernelError where it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise KernelError(number, f"{what}: {os.strerror(number)}")
    return result


class Jail:
    """The layers prepared once, so that entering costs a child a few system calls."""

    def __init__(self, limits: Limits) -> None:
        """Prepare. A feature the kernel lacks is left out: who must not go without asks `missing_features` first."""
        self.limits = limits
        self._become_another, self._capabilities = (
            _lower_privileges() if sys.platform.startswith("linux") else (False, b"")
        )
        self._filter = None
        if sys.platform.startswith("linux") and syscalls.supported() and _has_seccomp():
            program = syscalls.seccomp_program()
            self._instructions = ctypes.create_string_buffer(program, len(program))
            address = ctypes.addressof(self._instructions)
            self._filter = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, address))

    def enter(self, *, parent: int, ruleset: int | None, cpu_s: int) -> None:
        """Put on every layer for good. `parent` is the process whose death shall be this one's.

        `ruleset` is a descriptor of Landlock's rules (`landlock.ruleset`), None where the kernel has none; `cpu_s`
        bounds the processor time (of all threads), 0 leaves it to the clock of the supervisor.

        Raises KernelError where the kernel refuses one: the caller must not go on then.
        """
        limits = self.limits
        _set_limit(resource.RLIMIT_CORE, 0)
        _set_limit(resource.RLIMIT_FSIZE, limits.disk_bytes // 4)
        _set_limit(resource.RLIMIT_NOFILE, 32)
        if cpu_s:
            _set_limit(resource.RLIMIT_CPU, cpu_s)
        _set_limit(resource.RLIMIT_AS, _address_space_bytes() + limits.memory_bytes)
        if not sys.platform.startswith("linux"):
            return
        prctl = libc().prctl
        self._drop_privileges(parent)
        if self._become_another:
            # Counted by user: with a real person's user the limit would count the programs on the desktop too, and
            # the supervisor's look at the number of threads has to do.
            _set_limit(resource.RLIMIT_NPROC, limits.num_threads)
        checked(prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
        if os.getppid() != parent:  # it died before it could be watched
            os._exit(1)
        checked(prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE")
        checked(prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
        if ruleset is not None:
            checked(libc().syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
            os.close(ruleset)
        if self._filter is not None:
            checked(prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._filter, 0, 0), "PR_SET_SECCOMP")

    def _drop_privileges(self, parent: int) -> None:
        if self._become_another:
            checked(libc().prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS")
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            # A user for each worker: limits by user bind its own program alone, and starve no other.
            user = _FIRST_USER + parent % _NUM_USERS
            try:
                os.setresuid(user, user, user)
            except OSError:  # not among the users of this container
                os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        checked(libc().capset(_CAPABILITY_HEADER, self._capabilities), "capset")


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that forked it is gone."""
    if sys.platform.startswith("linux"):
        checked(libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
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
    """Whether to become another user, and the capabilities to keep (as `capset` takes them): at most that of reading.

    Reading stays, within what Landlock shows: Python often lies beneath root's home, where no other may look. Root
    of a container that may not change its user stays what it is, without any capability.
    """
    current = ctypes.create_string_buffer(24)
    checked(libc().capget(_CAPABILITY_HEADER, current), "capget")
    effective = struct.unpack("6I", current.raw)[0]
    reading = effective & _CAP_DAC_READ_SEARCH or effective & _CAP_DAC_OVERRIDE  # Docker grants the second only
    become_another = os.geteuid() == 0 and reading and effective & _CAPS_TO_CHANGE_USER == _CAPS_TO_CHANGE_USER
    keep = reading if become_another else 0
    return bool(become_another), struct.pack("6I", keep, keep, 0, 0, 0, 0)
