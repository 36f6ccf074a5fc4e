"""Nothing goes from one program to another, and nothing is left: processes, folders, memory, locks, output."""

import os
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

from mathwright.errors import MathwrightError
from mathwright.tools import processes
from mathwright.tools.sandbox import Sandbox


def run(sandbox, code, *, timeout_s=10.0):
    return sandbox.run(textwrap.dedent(code), timeout_s=timeout_s)


@pytest.mark.parametrize(
    "way",
    [
        "open('/tmp/left', 'w')",
        "open('/dev/shm/left', 'w')",
        "import multiprocessing.shared_memory as s; s.SharedMemory(name='left', create=True, size=8)",
        "import multiprocessing; multiprocessing.Lock()",  # a semaphore with a name
        "import os; os.memfd_create('left')",
        "import os; os.mkfifo('left')",
        "import socket; socket.socket(socket.AF_UNIX).bind('\\0left')",
        "import fcntl, os; fcntl.flock(open(os.__file__), fcntl.LOCK_EX)",
        "import fcntl; fcntl.fcntl(open('f', 'w'), 1024, 1)",  # F_SETLEASE
        "import fcntl, os; fcntl.fcntl(os.open('.', 0), 1026, 1)",  # F_NOTIFY
        "import os; open('../left', 'w')",
    ],
)
def test_no_way_to_leave_something(sandbox, way):
    assert run(sandbox, way).status == "forbidden"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
def test_no_system_call_to_leave_something(sandbox):
    calls = {
        "mq_open": (240, "b'left', 0o102, 0o600, 0"),
        "msgget": (68, "1, 0o1600"),
        "semget": (64, "1, 1, 0o1600"),
        "add_key": (248, "b'user', b'left', b'x', 1, -4"),
        "inotify_init1": (294, "0"),
        "fanotify_init": (300, "0, 0"),
        "pidfd_send_signal": (424, "0, 0, 0, 0"),
        "landlock_restrict_self": (446, "0, 0"),
        "seccomp": (317, "1, 0, buffer"),
        "memfd_secret": (447, "0"),
        "splice": (275, "0, 0, 1, 0, 1, 0"),
        "kcmp": (312, "0, 0, 0, 0, 0"),
        "mlockall": (151, "3"),
    }
    lines = ["import ctypes", "libc, buffer = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(4096)"]
    for name, (number, arguments) in calls.items():
        lines.append(f"print({name!r}, libc.syscall({number}, {arguments}), ctypes.get_errno())")
    assert run(sandbox, "\n".join(lines)).stdout.splitlines() == [f"{name} -1 1" for name in calls]


def test_files_of_one_run_are_not_there_in_the_next():
    with Sandbox(num_workers=1, preimport=()) as sandbox:
        assert run(sandbox, "import os; os.makedirs('a/b'); open('a/b/c', 'w').write('secret')").status == "ok"
        assert run(sandbox, "import os; os.listdir('.')").value == "[]"


def test_nothing_printed_later_reaches_the_next_run():
    late = """
        import threading, time
        def babble():
            while True:
                print('late')
        for _ in range(3):
            threading.Thread(target=babble, daemon=True).start()
        print('done')
    """
    with Sandbox(num_workers=1, preimport=()) as sandbox:
        for _ in range(5):
            assert run(sandbox, late).status == "ok"
            assert run(sandbox, "print('mine')").stdout == "mine\n"


def test_what_the_program_finds_of_ours_names_no_path_of_the_project(sandbox):
    seen = run(
        sandbox, "import sys\nprint(sys.argv, sys.orig_argv[1:], [m for m in sys.modules if m[:10] == 'mathwright'])"
    )
    assert seen.stdout == "['-c'] [] []\n"


def test_eight_threads_get_their_own_output(sandbox):
    mixed: list[str] = []

    def work(index: int) -> None:
        for i in range(12):
            expected = f"{index}:{i}:" + "x" * 5000 + "\n"
            stdout = sandbox.run(f"print('{index}:{i}:' + 'x' * 5000)", timeout_s=20).stdout
            if stdout != expected:
                mixed.append(stdout)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mixed == []


@pytest.mark.parametrize("kept", [False, True])
def test_an_interrupted_caller_does_not_get_the_answer_later(monkeypatch, kept):
    def interrupt(read):
        raise KeyboardInterrupt

    with Sandbox(num_workers=1, preimport=()) as sandbox, sandbox.session() as session:
        runner = session if kept else sandbox
        runner.run("1", timeout_s=5)
        with monkeypatch.context() as patched:
            patched.setattr(processes.wire, "receive", interrupt)
            with pytest.raises(KeyboardInterrupt):
                runner.run("'first'", timeout_s=5)
        assert runner.run("'second'", timeout_s=5).value == "'second'"


def test_close_while_running_raises_in_the_other_threads():
    sandbox = Sandbox(num_workers=2, preimport=())
    sandbox.run("1", timeout_s=5)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            sandbox.run("while True: pass", timeout_s=60)
        except (MathwrightError, RuntimeError) as error:
            raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]  # one of them waits for a worker
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    sandbox.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert len(raised) == 3


def _processes() -> set[int]:
    """Processes below this one."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue

    def is_ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and is_ours(parents[pid]))

    return {pid for pid, parent in parents.items() if is_ours(parent)}


def test_many_runs_leave_no_process_no_folder_and_no_descriptor():
    codes = ["open('f', 'w').write('x')", "1 / 0", "import os; os._exit(3)", "print(1)"] * 75
    before = _processes()
    with Sandbox(num_workers=2, preimport=()) as sandbox:
        sandbox.run_many(codes[:8], timeout_s=20)
        [folder] = [path for path in Path(tempfile.gettempdir()).glob("mathwright-*") if _holds(path, sandbox)]
        num_descriptors = []
        for part in (codes[:20], codes):
            sandbox.run_many(part, timeout_s=20)
            assert _settles(before, folder)
            num_descriptors.append(len(list(Path("/proc/self/fd").iterdir())))
        assert num_descriptors[0] == num_descriptors[1]
    assert _processes() <= before
    assert not folder.exists()


def _settles(others: set[int], folder: Path) -> bool:
    """Whether only what serves two workers is left, a moment after the last run: six processes, two folders, a log."""
    for _ in range(100):  # the answer comes before its process is removed
        if len(_processes() - others) == 6 and len(list(folder.rglob("*"))) == 3:
            return True
        time.sleep(0.05)
    return False


def _holds(folder: Path, sandbox: Sandbox) -> bool:
    return sandbox.run("import os; print(os.getcwd())", timeout_s=20).stdout.startswith(f"{folder}/")
