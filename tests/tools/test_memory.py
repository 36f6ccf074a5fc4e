"""The limit on memory holds: whatever RLIMIT_AS does not count is not to be had, and there is no thread beyond the limit."""

# ruff: noqa: E501  # programs, a line each

import textwrap
import threading
import time
from pathlib import Path

import pytest

from mathwright.tools.sandbox import Sandbox

SHARED = "mmap.MAP_SHARED | mmap.MAP_ANONYMOUS"
RAW = "import ctypes, mmap\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.mmap.restype = ctypes.c_void_p\n"


def run(sandbox, code, *, timeout_s=20.0):
    return sandbox.run(textwrap.dedent(code), timeout_s=timeout_s)


@pytest.fixture(scope="module")
def small():
    with Sandbox(num_workers=2, preimport=(), memory_bytes=64 << 20) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    "code",
    [
        "import mmap; mmap.mmap(-1, 4096)",
        "import mmap\nwhile True:\n  m = mmap.mmap(-1, 64 << 20); m.write(bytes(1 << 20)); m.resize(4096)",
        f"import mmap; mmap.mmap(-1, 4096, flags={SHARED})",
        f"import mmap; mmap.mmap(-1, 4096, flags={SHARED}, prot=mmap.PROT_READ)",
        f"import mmap; mmap.mmap(-1, 4096, flags={SHARED} | 2)",  # MAP_SHARED_VALIDATE
        f"import mmap; mmap.mmap(-1, 4096, flags={SHARED} | 0x4000)",  # MAP_NORESERVE
        "import mmap; mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)",  # MAP_HUGETLB
        "import mmap; mmap.mmap(open('/dev/zero', 'r+b').fileno(), 4096)",
        "import mmap; mmap.mmap(open('/dev/zero', 'rb').fileno(), 4096, prot=mmap.PROT_READ)",
        "import os; os.memfd_create('x')",
        "open('/dev/shm/x', 'w')",
        "from multiprocessing.shared_memory import SharedMemory; SharedMemory(create=True, size=4096)",
        "import multiprocessing; multiprocessing.Process(target=print).start()",
        RAW + "if libc.shmget(0, 4096, 0o1600) < 0: raise PermissionError(ctypes.get_errno())",
        RAW + "m = mmap.mmap(-1, 8192, flags=34)\nm.madvise(12)",  # MADV_MERGEABLE
        RAW + "if libc.mlockall(3) < 0: raise PermissionError(ctypes.get_errno())",
        RAW + "if libc.remap_file_pages(0, 4096, 0, 0, 0) < 0: raise PermissionError(ctypes.get_errno())",
    ],
)
def test_memory_that_is_not_counted_is_refused(small, code):
    assert run(small, code).status == "forbidden"


GROW = """
held = []
def megabytes():
    return sum(len(part) for part in held) >> 20
try:
    while True:
        {grow}
except (MemoryError, OSError, BlockingIOError, RuntimeError):
    pass
print(megabytes())
"""


@pytest.mark.parametrize(
    "grow",
    [
        "held.append(bytearray(1 << 20))",
        "import mmap; m = mmap.mmap(-1, 1 << 20, flags=34); m.write(bytes(1 << 20)); held.append(m)",
        # Grown, touched and shrunk: what is cut off is given back.
        "import mmap; m = mmap.mmap(-1, 8 << 20, flags=34); m.write(bytes(8 << 20)); m.resize(1 << 20); held.append(m)",
        "import ctypes; held.append(ctypes.create_string_buffer(1 << 20))",
        # One address mapped again as something else, from pipes that are full, and from threads with large stacks.
        "import os; r, w = os.pipe(); os.set_blocking(w, False); held.append(bytes(os.write(w, bytes(1 << 16))))",
        "import threading, time; threading.stack_size(4 << 20); threading.Thread(target=time.sleep, args=(9,)).start(); "
        "held.append(bytearray(1))",
    ],
)
def test_what_a_program_can_hold_is_bounded(small, grow):
    with small.session() as session:  # it stands still afterwards, to be looked at
        execution = session.run(GROW.format(grow=grow), timeout_s=30)
        assert execution.status == "ok", execution
        assert int(execution.stdout) <= 64


def test_a_file_that_is_mapped_counts_as_a_file(sandbox):
    grow = """
        import itertools, mmap
        held = []
        for i in itertools.count():
            f = open(str(i), 'w+b')
            f.truncate(4 << 20)
            m = mmap.mmap(f.fileno(), 4 << 20)
            m[:] = bytes([1]) * (4 << 20)
            f.truncate(4096)
            held.append(m)
            f.close()
            if i == 20: break
        print('held')
        import time; time.sleep(30)
    """
    before = _shared_bytes()
    execution = run(sandbox, grow, timeout_s=5)
    assert execution.status in ("error", "timeout")
    assert _shared_bytes() - before < 64 << 20


def _shared_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Shmem:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no Shmem")


def test_ordinary_programs_go_on(sandbox):
    for code in (
        "import mmap; m = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); m.write(b'x'); m[:1]",
        "import mmap\nf = open('f', 'w+b'); f.write(bytes(8192)); f.flush()\nm = mmap.mmap(f.fileno(), 8192); m[0]",
        "import numpy\na = numpy.memmap('a', dtype='f8', mode='w+', shape=100); a[:] = 1; a.flush(); a.sum()",
        "import ctypes\nctypes.CFUNCTYPE(ctypes.c_int)(lambda: 3)()",
        "import fcntl\nwith open('f', 'w') as f: fcntl.lockf(f, fcntl.LOCK_EX)\n1",
        "import sqlite3\nc = sqlite3.connect(':memory:'); c.execute('create table t (x)'); c.execute('select 1').fetchone()",
        "import numpy\nfloat(numpy.linalg.inv(numpy.eye(300)).sum())",
    ):
        execution = sandbox.run(code, timeout_s=20)
        assert execution.status == "ok", (code, execution)
        assert execution.value is not None


# --- threads and processor time -------------------------------------------------------------------

HOLD = """
import threading, time
threading.stack_size(1 << 16)
num = 0
try:
    while num < 500:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        num += 1
except RuntimeError:
    pass
print(num)
"""
POOL = "import threading; threading.stack_size(1 << 16)\nimport concurrent.futures as c\nwith c.ThreadPoolExecutor(32) as p: print(sum(p.map(abs, range(100))))"


def test_threads_of_one_program_are_taken_from_no_other(small):
    """Held in one worker, in a session, and in another sandbox; the others have as many as ever."""
    with small.session() as session, Sandbox(num_workers=1, preimport=()) as other:
        held = session.run(HOLD, timeout_s=20)
        assert (held.status, int(held.stdout or 0) < 64) == ("ok", True) or "64 threads" in (held.error or "")
        bomb = threading.Thread(target=lambda: other.run(HOLD + "time.sleep(5)", timeout_s=10))
        bomb.start()
        time.sleep(1)
        assert [e.stdout for e in small.run_many([POOL] * 4, timeout_s=20)] == ["4950\n"] * 4
        bomb.join()


@pytest.mark.parametrize(
    "ignore",
    [
        "",
        "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)",
        "import signal; signal.signal(signal.SIGXCPU, lambda *a: None)",
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))",
    ],
)
def test_processor_time_that_is_used_up_is_a_timeout(small, ignore):
    """Several threads use it up before the clock on the wall is."""
    code = f"""
        import hashlib, threading
        threading.stack_size(1 << 16)
        {ignore}
        data = bytes(1 << 20)
        def burn():
            while True: hashlib.sha256(data)
        for _ in range(8): threading.Thread(target=burn).start()
        burn()
    """
    execution = run(small, code, timeout_s=2)
    assert execution.status == "timeout", execution
