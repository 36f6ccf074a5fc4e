"""Programs that attack: what they reach for stays out of reach, and the next program does not notice."""

import os
import socket
import textwrap
import time
from pathlib import Path

import pytest

PROJECT_FILE = Path(__file__).resolve()
PARENT = os.getpid()
NO_SPACE = "OSError: no space left: a program may write 32 MiB in 1000 files"


@pytest.fixture(autouse=True)
def _still_works(sandbox):
    """After each attack both workers run programs as before, in an empty folder."""
    yield
    look = "import os, time\ntime.sleep(0.02)\nprint(sum(range(10)), os.listdir('.'))"
    for execution in sandbox.run_many([look] * 4, timeout_s=10):
        assert (execution.status, execution.stdout) == ("ok", "45 []\n")


def attack(sandbox, code, *, timeout_s=10.0):
    return sandbox.run(textwrap.dedent(code), timeout_s=timeout_s)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/hostname",
        str(PROJECT_FILE),
        "../../../../../../../../etc/passwd",
        "/proc/self/environ",
        "/proc/self/mem",
        "/proc/self/maps",
        "/proc/PARENT/environ",
        "/proc/PARENT/mem",
        "/proc/PARENT/cmdline",
        "/proc/1/cmdline",
        "/proc/meminfo",
        "/dev/mem",
        "/dev/tty",
    ],
)
def test_reads_nothing_that_is_not_python(sandbox, path):
    path = path.replace("PARENT", str(PARENT))  # not in the test's name, which is the same in every process
    execution = attack(sandbox, f"print(open({path!r}, 'rb').read(10))")
    assert execution.status in ("forbidden", "error")
    assert ("PermissionError" if Path(path).exists() else "FileNotFoundError") in execution.error
    assert execution.stdout == ""


@pytest.mark.parametrize(
    "folder", ["/", "/tmp", "..", "/etc", "/root", "/home", "/proc", "/dev", str(PROJECT_FILE.parent)]
)
def test_lists_no_folder_but_its_own(sandbox, folder):
    assert attack(sandbox, f"import os; print(os.listdir({folder!r}))").status == "forbidden"


def test_reads_the_file_of_no_link(sandbox):
    for way in ("symlink", "link"):
        assert attack(sandbox, f"import os; os.{way}('/etc/passwd', 'p'); open('p')").status == "forbidden"


def test_writes_only_in_its_own_folder(sandbox, tmp_path):
    tmp_path.chmod(0o777)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o666)
    for code in (
        f"open({str(tmp_path / 'new')!r}, 'w')",
        f"open({str(victim)!r}, 'w')",
        f"open({str(victim)!r}, 'a')",
        f"import os; os.truncate({str(victim)!r}, 0)",
        f"import os; os.rename({str(victim)!r}, 'mine')",
        f"import os; os.chmod({str(victim)!r}, 0)",
        f"import os; os.utime({str(victim)!r})",
        f"import os; os.mkdir({str(tmp_path / 'd')!r})",
        "import sys; open(sys.prefix + '/x', 'w')",
        "import os; open(os.__file__, 'a')",
        "open('/dev/shm/x', 'w')",
        f"open('/tmp/{tmp_path.parent.name}-{tmp_path.name}', 'w')",
    ):
        assert attack(sandbox, code).status == "forbidden", code
    assert [path.name for path in tmp_path.iterdir()] == ["victim"]
    assert victim.read_text() == "precious"
    own = "import os\nos.mkdir('d')\nfor text in ('longer', 'abc'): open('d/b', 'w').write(text)\nopen('d/b').read()"
    assert attack(sandbox, own).value == "'abc'"


def test_removes_nothing_before_it_ends(sandbox, tmp_path):
    """Removals are only said to be done: a removed file that is mapped would take space unseen."""
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "empty").mkdir()
    code = f"""
        import os
        os.remove({str(tmp_path / "victim")!r}), os.rmdir({str(tmp_path / "empty")!r}), os.rmdir(os.getcwd())
        open('own', 'w').write('x')
        os.unlink('own')
        print(os.listdir('.'))
    """
    assert attack(sandbox, code).stdout == "['own']\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "victim"]
    assert attack(sandbox, "import os; open('a', 'w').close(); os.rename('a', 'b')").status == "forbidden"
    assert attack(sandbox, "import os; open('a', 'w').close(); os.replace('a', 'b')").status == "forbidden"
    tidy = "import tempfile\nwith tempfile.TemporaryDirectory() as d, tempfile.TemporaryFile(dir=d) as f: f.write(b'x')"
    assert attack(sandbox, tidy).status == "ok"


def test_the_disk_is_not_filled_with_files_that_have_no_name(sandbox):
    mapped = """
        import itertools, mmap, os
        maps = []
        for i in itertools.count():
            with open(str(i), 'w+b') as f:
                f.write(bytes(2**22))
                f.flush()
                maps.append(mmap.mmap(f.fileno(), 4096))
            os.unlink(str(i))
    """
    assert attack(sandbox, mapped).error == NO_SPACE
    assert "Operation not supported" in attack(sandbox, "import os; os.open('.', os.O_TMPFILE | os.O_RDWR)").error


def test_the_disk_is_not_filled(sandbox):
    many_files = attack(
        sandbox,
        """
        import itertools
        for i in itertools.count():
            with open(str(i), 'wb') as f: f.write(bytes(2**20))
        """,
    )
    assert (many_files.status, many_files.error) == ("error", NO_SPACE)
    one_file = attack(sandbox, "with open('f', 'wb') as f:\n  while True: f.write(bytes(2**20))")
    assert "File too large" in one_file.error
    empty_files = attack(sandbox, "import itertools\nfor i in itertools.count(): open(str(i), 'w').close()")
    assert (empty_files.status, empty_files.error) == ("error", NO_SPACE)
    reserve = (
        "import ctypes\nf = open('f', 'wb')\nprint(ctypes.CDLL(None, use_errno=True).fallocate(f.fileno(), 1, 0, {}))"
    )
    assert attack(sandbox, reserve.format("ctypes.c_long(2**40)")).stdout == "-1\n"


def test_the_disk_is_not_filled_out_of_sight(sandbox):
    for hide in (
        "os.umask(0o777); os.mkdir('d', 0o300); os.chdir('d')",
        "for _ in range(40): os.mkdir('d' * 200); os.chdir('d' * 200)",
    ):
        code = f"import os, itertools\n{hide}\nfor i in itertools.count(): open('f%d' % i, 'wb').write(bytes(2**20))"
        execution = attack(sandbox, code)
        assert execution.status in ("error", "forbidden")


def test_what_it_leaves_is_removed_however_deep(sandbox):
    deep = attack(
        sandbox,
        """
        import os
        for i in range(300):
            os.mkdir('d' * 200)
            os.chdir('d' * 200)
        open('leaf', 'w').write('x')
        os.chdir(os.environ['HOME'])
        os.mkdir('closed', 0)
        open('c', 'w').close()
        """,
    )
    assert deep.status in (
        "ok",
        "error",
    )  # error: a look at the disk came in between; that all is gone, the fixture sees


# --- other processes ------------------------------------------------------------------------------


def test_signals_reach_nobody(sandbox):
    for target in ("os.getppid()", "-1", "0", str(PARENT), "1"):
        assert attack(sandbox, f"import os; os.kill({target}, 9)").status == "forbidden", target
    assert attack(sandbox, f"import os; os.killpg(os.getpgid({PARENT}), 9)").status == "forbidden"
    # A file descriptor's owner is sent SIGIO: a signal without kill.
    owner = f"import fcntl, os\nr, w = os.pipe()\nfcntl.fcntl(r, fcntl.F_SETOWN, {PARENT})"
    assert attack(sandbox, owner).status == "forbidden"


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.fork()",
        "import os\nwhile True:\n    try: os.fork()\n    except PermissionError: raise",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.posix_spawn('/bin/true', ['true'], {})",
        "import multiprocessing as m\np = m.get_context('fork').Process(target=print)\np.start()",
        "import concurrent.futures as c\nwith c.ProcessPoolExecutor() as p: p.submit(print).result()",
    ],
)
def test_starts_no_process(sandbox, code):
    assert attack(sandbox, code).status == "forbidden"


def test_a_bomb_of_threads_ends_with_it(sandbox):
    bomb = """
        import threading, time
        threading.stack_size(32768)
        while True: threading.Thread(target=time.sleep, args=(60,)).start()
    """
    start = time.monotonic()
    execution = attack(sandbox, bomb, timeout_s=5)
    assert execution.status in ("error", "memory", "timeout")
    assert time.monotonic() - start < 15


def test_threads_left_behind_are_ended(sandbox):
    code = """
        import threading
        def print_for_ever():
            while True: print('x' * 100)
        for _ in range(4): threading.Thread(target=print_for_ever).start()
        1 + 1
    """
    execution = attack(sandbox, code)
    assert (execution.status, execution.value) == ("ok", "2")


# --- the network ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "family", ["AF_INET, socket.SOCK_STREAM", "AF_INET, socket.SOCK_DGRAM", "AF_INET6", "AF_UNIX", "AF_NETLINK"]
)
def test_opens_no_socket(sandbox, family):
    assert attack(sandbox, f"import socket; socket.socket(socket.{family})").status == "forbidden"


def test_reaches_no_server(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        port = server.getsockname()[1]
        fetch = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}')"
        assert attack(sandbox, fetch).status == "forbidden"
        with pytest.raises(TimeoutError):
            server.accept()


# --- raw system calls -----------------------------------------------------------------------------

# name: number on x86-64, arguments; each of them works, or fails otherwise than with EPERM, outside of the sandbox
RAW_CALLS = {
    "socket": (41, "2, 1, 0"),
    "socketpair": (53, "1, 1, 0, buffer"),
    "kill": (62, f"{PARENT}, 0"),
    "tkill": (200, f"{PARENT}, 0"),
    "tgkill": (234, f"{PARENT}, {PARENT}, 0"),
    "rt_sigqueueinfo": (129, f"{PARENT}, 0, buffer"),
    "pidfd_open": (434, f"{PARENT}, 0"),
    "ptrace": (101, "0, 0, 0, 0"),  # PTRACE_TRACEME
    "process_vm_readv": (310, f"{PARENT}, buffer, 0, buffer, 0, 0"),
    "process_vm_writev": (311, f"{PARENT}, buffer, 0, buffer, 0, 0"),
    "fork": (57, ""),
    "vfork": (58, ""),
    "clone process": (56, "17, 0, 0, 0, 0"),  # SIGCHLD
    "clone namespace": (56, "0x10000000 | 0x10900, buffer, 0, 0, 0"),  # CLONE_NEWUSER beside the flags of a thread
    "execve": (59, "b'/bin/true', 0, 0"),
    "execveat": (322, "-100, b'/bin/true', 0, 0, 0"),
    "unshare": (272, "0x10000000"),
    "setns": (308, "0, 0"),
    "mount": (165, "b'none', b'/tmp', b'tmpfs', 0, 0"),
    "chroot": (161, "b'.'"),
    "bpf": (321, "0, buffer, 64"),
    "keyctl": (250, "0, -3, 0"),
    "io_uring_setup": (425, "1, buffer"),
    "userfaultfd": (323, "1"),
    "perf_event_open": (298, "buffer, 0, -1, -1, 0"),
    "memfd_create": (319, "b'x', 0"),
    "shmget": (29, "0, 4096, 0o1600"),
    "open_by_handle_at": (304, "-100, buffer, 0"),
    "name_to_handle_at": (303, "-100, b'.', buffer, buffer, 0"),
    "chmod": (90, "b'.', 0o777"),
    "setxattr": (188, "b'.', b'user.x', b'y', 1, 0"),
    "mknod": (133, "b'fifo', 0o10600, 0"),
    "setuid": (105, "0"),
    "capset": (126, "buffer, buffer"),
    "setrlimit": (160, "7, buffer"),
    "prlimit64": (302, "0, 7, buffer, 0"),
    "prctl PR_SET_PDEATHSIG": (157, "1, 0, 0, 0, 0"),
    "prctl PR_SET_DUMPABLE": (157, "4, 1, 0, 0, 0"),
    "ioctl TIOCSTI": (16, "0, 0x5412, b'x'"),
    "sched_setaffinity": (203, "0, 8, buffer"),
    "setpriority": (141, "0, 0, 5"),
    "personality": (135, "0x0040000"),
    "unknown to every kernel": (999, ""),
}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
def test_raw_system_calls_are_refused(sandbox):
    lines = [
        "import ctypes",
        "libc, buffer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(4096)",
        "def call(name, *arguments):",
        "    ctypes.set_errno(0)",
        "    print(name, libc.syscall(*arguments), ctypes.get_errno(), sep=':', flush=True)",
        *(f"call({name!r}, {number}, {arguments})" for name, (number, arguments) in RAW_CALLS.items()),
        "call('clone3', 435, buffer, 88)",
    ]
    execution = attack(sandbox, "\n".join(lines))
    assert execution.stdout.splitlines() == [*(f"{name}:-1:1" for name in RAW_CALLS), "clone3:-1:38"]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="machine code of x86-64")
@pytest.mark.parametrize(
    ("machine_code", "entry"),
    [
        (b"\xb8\x14\x00\x00\x00\xcd\x80\xc3", "32-bit"),  # mov eax, 20 (getpid); int 0x80; ret
        (b"\xb8\x27\x00\x00\x40\x0f\x05\xc3", "x32"),  # mov eax, 39 (getpid) + 0x40000000; syscall; ret
    ],
)
def test_other_entries_into_the_kernel_are_fatal(sandbox, machine_code, entry):
    code = f"""
        import ctypes, mmap
        page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
        page.write({machine_code!r})
        print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))())
    """
    execution = attack(sandbox, code)
    assert (execution.status, execution.stdout) == ("forbidden", ""), entry
    assert execution.error.endswith("SIGSYS")


def test_has_no_privileges_and_no_environment(sandbox):
    code = "import os, resource\nprint(sorted(os.environ), os.getuid() == 0, os.getgroups())"
    assert attack(sandbox, code).stdout == "['HOME', 'TMPDIR'] False []\n" if os.getuid() == 0 else "False"
    assert attack(sandbox, "import resource as r; r.setrlimit(r.RLIMIT_AS, (-1, -1))").status in ("error", "forbidden")


# --- the sandbox's own machinery ------------------------------------------------------------------


def test_nothing_but_text_comes_back(sandbox, tmp_path):
    mark = tmp_path / "mark"
    code = f"""
        class Bomb:
            def __reduce__(self): return (open, ({str(mark)!r}, 'w'))
            def __repr__(self): return 'harmless'
        Bomb()
    """
    assert attack(sandbox, code).value == "harmless"
    assert not mark.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"garbage that is no message at all, and long enough to look like a length",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x02[]",
        b"\x00\x00\x00\x04null",
        b'\x00\x00\x00\x11{"status":"great"}'[:21],
        b'\x00\x00\x00\x0f{"status":["ok"]}'[:19],
        b'\x00\x00\x00\x1d{"status": "ok", "value": 17}',
        b"\x00\x00\xea\x60" + b"[" * 60000,
        b'\x00\x00\x00\x0f{"begin": true}' * 3,
        b"\x00\x00\x00\x02\xff\xfe",
    ],
)
def test_forged_messages_harm_only_the_forger(sandbox, payload):
    execution = attack(sandbox, f"import os, time; os.write(4, {payload!r}); time.sleep(30)", timeout_s=5)
    assert execution.status == "error"
    assert "the sandbox's own channel" in execution.error


def test_an_outcome_without_the_nonce_is_no_outcome(sandbox):
    message = b'{"status": "ok", "value": "17", "error": null}'
    execution = attack(sandbox, f"import os; os.write(4, {len(message).to_bytes(4, 'big') + message!r})")
    assert (execution.status, execution.value) == ("error", None)


def test_a_forged_outcome_is_the_programs_own(sandbox):
    """One that finds the nonce of its request gains no more than by printing."""
    forged = """
        import json, os, sys
        frame = sys._getframe()
        while "nonce" not in frame.f_locals: frame = frame.f_back
        told = {"status": "ok", "value": "17" + chr(0xD800), "error": None, "nonce": frame.f_locals["nonce"]}
        body = json.dumps(told).encode()
        os.write(4, len(body).to_bytes(4, "big") + body)
    """
    execution = attack(sandbox, forged)
    assert (execution.status, execution.value) == ("ok", "17\\ud800")


@pytest.mark.parametrize(
    ("code", "statuses"),
    [
        ("import os; os.close(4); os.close(3); os.close(1)", {"error"}),
        ("import os; os.closerange(0, 100)", {"error"}),
        ("import sys; sys.stdout.close()\nsys.stdout = None", {"ok"}),
        ("import builtins; vars(builtins).clear()", {"ok", "error"}),
        ("import builtins\nfor name in list(vars(builtins)): delattr(builtins, name)", {"ok", "error"}),
        ("import json, os, traceback\njson.dumps = os.write = traceback.TracebackException = None\n1 / 0", {"error"}),
        ("import sys\nsys.modules.clear()\n1 / 0", {"error"}),
        ("import sys\nsys.settrace(lambda *a: 1 / 0)\nsys.setrecursionlimit(5)", {"ok", "error"}),
        ("import sys\nsys.excepthook = sys.exit = None\nsys.stdout = 7", {"ok", "error"}),
        (
            "import gc\nfor o in gc.get_objects():\n  if type(o) is dict and 'RESULT_FD' in o: o['RESULT_FD'] = 99",
            {"ok", "error"},
        ),
        ("import signal\nfor s in range(1, 32):\n  try: signal.signal(s, lambda *a: None)\n  except: pass", {"ok"}),
        ("class E(Exception):\n  def __str__(self): raise self\nraise E", {"error"}),
        ("class R:\n  def __repr__(self): raise SystemExit\nR()", {"ok"}),
        (
            "class M(type):\n  __name__ = property(lambda c: 1 / 0)\nclass E(Exception, metaclass=M): pass\nraise E",
            {"error"},
        ),
        ("class E(BaseException): pass\nraise E", {"error"}),
        ("raise PermissionError('my own')", {"forbidden"}),
        ("import os; os.abort()", {"error"}),
        ("import threading, os\nthreading.Thread(target=os._exit, args=(0,)).start()\nwhile True: pass", {"error"}),
        ("import sys; sys.setrecursionlimit(30_000)\ndef f(): return [f()]\nf()", {"error"}),
        ("exec('(' * 10**5)", {"error", "memory"}),
        ("eval('-' * 10**6 + '1')", {"error", "memory"}),
        ("print('x' * 10**8)", {"ok"}),
    ],
)
def test_a_broken_interpreter_breaks_nothing_else(sandbox, code, statuses):
    execution = attack(sandbox, code)
    assert execution.status in statuses
    assert (execution.error is None) == (execution.status == "ok")


def test_a_session_that_breaks_its_reader_is_ended_in_time(sandbox):
    for sabotage in ("import os, time; os.read = lambda *a: time.sleep(60)", "import os; os.close(3)"):
        with sandbox.session() as session:
            session.run(sabotage, timeout_s=5)
            start = time.monotonic()
            outcome = session.run("x = 1\n" * 100_000, timeout_s=1)  # more than a pipe holds
            assert outcome.status in ("timeout", "error")
            assert time.monotonic() - start < 10
            assert session.run("1", timeout_s=5).value == "1"
