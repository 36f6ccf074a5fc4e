"""The system calls a sandboxed program may make, and the seccomp filter that denies it every other.

An allow list: a system call that is not named, sockets, execve, kill, ptrace, mount, bpf, io_uring, new files modes and
owners, and whatever a later kernel adds, gives EPERM, which Python raises as PermissionError.
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Callable, Mapping

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Name, number on x86-64, number on aarch64 ("-": the architecture has no such call).
# Not named with a purpose: chmod, chown, utimensat, setxattr, truncate (Landlock does not, or not always, guard them),
# symlink, link, mknod, memfd_create and shmget (memory no limit counts), fallocate (it reserves disk that RLIMIT_FSIZE
# does not count), setrlimit, tgkill, timer_create (signals), flock (it would lock the files of libraries for others).
_ALLOWED = """
    read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69,
    pwritev 296 70, lseek 8 62,
    open 2 -, openat 257 56, close 3 57, close_range 436 436, dup 32 23, dup2 33 -, dup3 292 24, fcntl 72 25,
    ioctl 16 29,
    stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79, statx 332 291, access 21 -, faccessat 269 48,
    faccessat2 439 439, readlink 89 -, readlinkat 267 78, getdents64 217 61, statfs 137 43, fstatfs 138 44,
    getcwd 79 17, chdir 80 49, fchdir 81 50, umask 95 166, mkdir 83 -, mkdirat 258 34,
    rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276,
    ftruncate 77 46, fsync 74 82, fdatasync 75 83, fadvise64 221 223, sendfile 40 71,
    copy_file_range 326 285,
    pipe 22 -, pipe2 293 59, poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create 213 -,
    epoll_create1 291 20, epoll_ctl 233 21, epoll_wait 232 -, epoll_pwait 281 22, epoll_pwait2 441 441,
    eventfd2 290 19,
    mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, madvise 28 233, brk 12 214, msync 26 227,
    mincore 27 232, membarrier 324 283,
    rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
    rt_sigtimedwait 128 137, rt_sigsuspend 130 133, sigaltstack 131 132, pause 34 -,
    alarm 37 -, setitimer 38 103, getitimer 36 102, nanosleep 35 101, clock_gettime 228 113,
    clock_getres 229 114, clock_nanosleep 230 115, gettimeofday 96 169, time 201 -, times 100 153,
    clone 56 220, futex 202 98, set_robust_list 273 99, set_tid_address 218 96, rseq 334 293,
    restart_syscall 219 128, sched_yield 24 124, sched_getaffinity 204 123, getcpu 309 168,
    exit 60 93, exit_group 231 94, getpid 39 172, gettid 186 178, getppid 110 173, getuid 102 174,
    geteuid 107 175, getgid 104 176, getegid 108 177, getresuid 118 148, getresgid 120 150, getgroups 115 158,
    getpgrp 111 -, getpgid 121 155, getsid 124 156,
    getrusage 98 165, getrlimit 97 163, prlimit64 302 261, uname 63 160, sysinfo 99 179, getrandom 318 278,
    prctl 157 167, capget 125 90
"""
_CLONE3 = 435  # on both: glibc falls back on clone where it is missing

_EPERM, _ENOSYS, _EOPNOTSUPP = 1, 38, 95
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000  # SECCOMP_RET_*
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06  # BPF_LD|W|ABS, BPF_ALU|AND|K, BPF_RET|K
_JEQ, _JGE, _JSET = 0x15, 0x35, 0x45  # BPF_JMP|{JEQ,JGE,JSET}|K
_X32_BIT = 0x40000000
_THREAD = 0x00000100 | 0x00000800 | 0x00010000  # CLONE_VM | CLONE_SIGHAND | CLONE_THREAD: a thread, not a process
_NAMESPACES = 0x7E020080  # every CLONE_NEW*
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 1030, 1032)  # no F_SETOWN, F_SETSIG: they send signals
_O_TMPFILE = 0x400000  # a file without a name, which a look at the folder does not count
_FCNTL_LOCKS = (6, 7)  # F_SETLK, F_SETLKW
_IOCTL_COMMANDS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # isatty, window size, FION*: no TIOCSTI
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_HUGETLB = 0x01, 0x20, 0x40000  # MAP_SHARED_VALIDATE has the bit of MAP_SHARED
_MREMAP_DONTUNMAP = 4
# Normal to dontneed, free, (no) huge pages, (no) dump, wipe or keep on fork, cold to populate; not the merging of equal
# pages of different processes, by which one sees what the other holds, nor holes in files.
_MADVICE = (0, 1, 2, 3, 4, 8, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)
_PRCTL_OPTIONS = (15, 16)  # the name of a thread; not PR_SET_PDEATHSIG

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, operand"""


def supported() -> bool:
    """Whether the numbers of this machine's architecture are known."""
    return platform.machine() in _AUDIT_ARCH


def seccomp_program() -> bytes:
    """The filter as an array of `struct sock_filter` for this machine's architecture.

    Another architecture's calls (32-bit, x32) kill the process; a call that is not allowed returns EPERM.
    """
    machine = platform.machine()
    column = 1 if machine == "x86_64" else 2
    program: list[Instruction] = [
        (_LOAD, 0, 0, 4),
        (_JEQ, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_JGE, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _KILL),
        (_JEQ, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
    ]
    for entry in _ALLOWED.split(","):
        fields = entry.split()
        if fields[column] != "-":
            body = _ARGUMENT_RULES.get(fields[0], _allow)()
            program += [(_JEQ, 0, len(body), int(fields[column])), *body]
    program.append((_RETURN, 0, 0, _ERRNO | _EPERM))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def _allow() -> list[Instruction]:
    return [(_RETURN, 0, 0, _ALLOW)]


def _deny() -> list[Instruction]:
    return [(_RETURN, 0, 0, _ERRNO | _EPERM)]


def _pretend() -> list[Instruction]:
    """Nothing is done and success reported.

    For removals: a file that was removed while it is open or mapped takes space that nobody can see, so everything
    stays until the program ends; but `tempfile`, and with it whatever imports it, must be able to clean up.
    """
    return [(_RETURN, 0, 0, _ERRNO)]


def _load_argument(index: int, *, high: bool = False) -> Instruction:
    return (_LOAD, 0, 0, 16 + 8 * index + 4 * high)  # both architectures are little-endian


def _clone() -> list[Instruction]:
    """Threads only: RLIMIT_NPROC does not bind root, so processes are denied here."""
    return [
        _load_argument(0),
        (_JSET, 3, 0, _NAMESPACES),
        (_AND, 0, 0, _THREAD),
        (_JEQ, 0, 1, _THREAD),
        *_allow(),
        *_deny(),
    ]


def _open_named(flags_index: int) -> Callable[[], list[Instruction]]:
    """Not O_TMPFILE, for which file systems may lack support as well: `tempfile` goes another way then."""

    def rule() -> list[Instruction]:
        refuse = (_RETURN, 0, 0, _ERRNO | _EOPNOTSUPP)
        return [_load_argument(flags_index), (_JSET, 0, 1, _O_TMPFILE), refuse, *_allow()]

    return rule


def _mmap() -> list[Instruction]:
    """Not shared memory without a file: its pages stay while any part is mapped, and RLIMIT_AS counts mappings.

    Nor huge pages out of the machine's reserve.
    """
    return [
        _load_argument(3),
        (_JSET, 3, 0, _MAP_HUGETLB),
        (_JSET, 0, 1, _MAP_SHARED),
        (_JSET, 1, 0, _MAP_ANONYMOUS),
        *_allow(),
        *_deny(),
    ]


def _mremap() -> list[Instruction]:
    return [_load_argument(3), (_JSET, 1, 0, _MREMAP_DONTUNMAP), *_allow(), *_deny()]


def _fcntl() -> list[Instruction]:
    """Locks are only said to be taken: a program is alone with its files, and libraries are not its to lock."""
    return [
        _load_argument(1),
        (_JEQ, 1, 0, _FCNTL_LOCKS[0]),
        (_JEQ, 0, 1, _FCNTL_LOCKS[-1]),
        *_pretend(),
        *_one_of(1, _FCNTL_COMMANDS)()[1:],
    ]


def _one_of(index: int, values: tuple[int, ...]) -> Callable[[], list[Instruction]]:
    """Allowed where the low half of an argument (the kernel reads an int) is one of the values."""

    def rule() -> list[Instruction]:
        tests = [(_JEQ, len(values) - i, 0, value) for i, value in enumerate(values)]
        return [_load_argument(index), *tests, *_deny(), *_allow()]

    return rule


def _prlimit64() -> list[Instruction]:
    """Limits may be read (the pointer to new ones is null), not set."""
    return [
        _load_argument(2),
        (_JEQ, 0, 3, 0),
        _load_argument(2, high=True),
        (_JEQ, 0, 1, 0),
        *_allow(),
        *_deny(),
    ]


_ARGUMENT_RULES: Mapping[str, Callable[[], list[Instruction]]] = {
    "clone": _clone,
    "fcntl": _fcntl,
    "mmap": _mmap,
    "mremap": _mremap,
    "madvise": _one_of(2, _MADVICE),
    **dict.fromkeys(("rmdir", "unlink", "unlinkat"), _pretend),
    "open": _open_named(1),
    "openat": _open_named(2),
    "ioctl": _one_of(1, _IOCTL_COMMANDS),
    "prctl": _one_of(0, _PRCTL_OPTIONS),
    "prlimit64": _prlimit64,
}
