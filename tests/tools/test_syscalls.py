"""The seccomp filter, interpreted here for both architectures (only one of them can be tried on this machine)."""

import platform
import struct

import pytest

from mathwright.tools import syscalls

ALLOW, PRETEND, EPERM, ENOSYS, EOPNOTSUPP, KILL = 0x7FFF0000, 0x50000, 0x50001, 0x50026, 0x5005F, 0x80000000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
THREAD_FLAGS = 0x3D0F00  # what glibc's pthread_create passes
PTHREAD = (THREAD_FLAGS, 0, 0, 0, 0, 0)

# name, number on x86-64, number on aarch64 (from the kernel's tables), arguments, verdict
CASES = [
    ("read", 0, 63, (), ALLOW),
    ("openat", 257, 56, (), ALLOW),
    ("mmap", 9, 222, (), ALLOW),
    ("mmap of a file, shared", 9, 222, (0, 0, 3, 0x1, 3, 0), ALLOW),
    ("mmap of memory, private", 9, 222, (0, 0, 3, 0x22, 0, 0), ALLOW),
    ("mmap of memory, shared", 9, 222, (0, 0, 3, 0x21, 0, 0), EPERM),
    ("mmap of memory, shared and validated", 9, 222, (0, 0, 3, 0x23, 0, 0), EPERM),
    ("mmap of the reserve of huge pages", 9, 222, (0, 0, 3, 0x40022, 0, 0), EPERM),
    ("mremap MREMAP_MAYMOVE", 25, 216, (0, 0, 0, 1), ALLOW),
    ("mremap MREMAP_DONTUNMAP", 25, 216, (0, 0, 0, 5), EPERM),
    ("madvise MADV_DONTNEED", 28, 233, (0, 0, 4), ALLOW),
    ("madvise MADV_MERGEABLE", 28, 233, (0, 0, 12), EPERM),
    ("madvise MADV_REMOVE", 28, 233, (0, 0, 9), EPERM),
    ("fcntl F_SETLK, which is only said to be done", 72, 25, (0, 6), PRETEND),
    ("fcntl F_SETLKW, which is only said to be done", 72, 25, (0, 7), PRETEND),
    ("fcntl F_GETLK", 72, 25, (0, 5), ALLOW),
    ("fcntl F_SETPIPE_SZ", 72, 25, (0, 1031), EPERM),
    ("futex", 202, 98, (), ALLOW),
    ("exit_group", 231, 94, (), ALLOW),
    ("clone of a thread", 56, 220, PTHREAD, ALLOW),
    ("clone of a process", 56, 220, (17,), EPERM),
    ("clone sharing memory, as vfork", 56, 220, (0x4111,), EPERM),
    ("clone into a user namespace", 56, 220, (THREAD_FLAGS | 0x10000000,), EPERM),
    ("clone3", 435, 435, (), ENOSYS),
    ("execve", 59, 221, (), EPERM),
    ("socket", 41, 198, (), EPERM),
    ("connect", 42, 203, (), EPERM),
    ("kill", 62, 129, (), EPERM),
    ("tgkill", 234, 131, (), EPERM),
    ("ptrace", 101, 117, (), EPERM),
    ("process_vm_readv", 310, 270, (), EPERM),
    ("mount", 165, 40, (), EPERM),
    ("unshare", 272, 97, (), EPERM),
    ("setns", 308, 268, (), EPERM),
    ("bpf", 321, 280, (), EPERM),
    ("keyctl", 250, 219, (), EPERM),
    ("io_uring_setup", 425, 425, (), EPERM),
    ("fchmodat", 268, 53, (), EPERM),
    ("memfd_create", 319, 279, (), EPERM),
    ("fallocate", 285, 47, (), EPERM),
    ("a call of tomorrow", 600, 600, (), EPERM),
    ("flock", 73, 32, (), EPERM),
    ("unlinkat, which is only said to be done", 263, 35, (), PRETEND),
    ("openat O_TMPFILE", 257, 56, (0, 0, 0o20200002), EOPNOTSUPP),
    ("openat O_CREAT", 257, 56, (0, 0, 0o100 | 0o1), ALLOW),
    ("fcntl F_OFD_SETLK", 72, 25, (0, 37), EPERM),
    ("fcntl F_GETFL", 72, 25, (0, 3), ALLOW),
    ("fcntl F_SETOWN", 72, 25, (0, 8), EPERM),
    ("fcntl F_SETSIG", 72, 25, (0, 10), EPERM),
    ("ioctl TCGETS", 16, 29, (0, 0x5401), ALLOW),
    ("ioctl TIOCSTI", 16, 29, (0, 0x5412), EPERM),
    ("prctl PR_SET_NAME", 157, 167, (15,), ALLOW),
    ("prctl PR_SET_PDEATHSIG", 157, 167, (1,), EPERM),
    ("reading a limit", 302, 261, (0, 7, 0, 0x1000), ALLOW),
    ("setting a limit", 302, 261, (0, 7, 0x1000, 0), EPERM),
    ("setting a limit, pointer above 4 GiB", 302, 261, (0, 7, 1 << 40, 0), EPERM),
]


def verdict(program: bytes, arch: int, number: int, arguments: tuple[int, ...]) -> int:
    """Run the filter as the kernel does, on a `struct seccomp_data`."""
    data = struct.pack("<IIQ6Q", number, arch, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    instructions = list(struct.iter_unpack("HBBI", program))
    accumulator = position = 0
    while True:
        code, if_true, if_false, operand = instructions[position]
        position += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif code == 0x54:
            accumulator &= operand
        else:
            holds = {0x15: accumulator == operand, 0x35: accumulator >= operand, 0x45: bool(accumulator & operand)}[
                code
            ]
            position += if_true if holds else if_false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_verdicts(monkeypatch, machine, case):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    number = case[1] if machine == "x86_64" else case[2]
    assert verdict(syscalls.seccomp_program(), ARCH[machine], number, case[3]) == case[4]


def test_calls_of_other_architectures_kill(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    program = syscalls.seccomp_program()
    assert verdict(program, 0x40000003, 20, ()) == KILL  # 32-bit
    assert verdict(program, ARCH["x86_64"], 0x40000000 | 39, ()) == KILL  # x32


def test_unknown_architectures_are_unsupported(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not syscalls.supported()
