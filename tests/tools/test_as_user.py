"""The sandbox of an ordinary user: no capability removes what a program closed, no other user is there to become."""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from mathwright.tools.isolation import missing_features

ROOT = Path(__file__).resolve().parents[2]
USER = 12345


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: those are closed to other users whenever a pytest starts."""
    path = Path(tempfile.mkdtemp())
    yield path
    shutil.rmtree(path)


CLOSED = """
import os
os.umask(0)
os.mkdir('a'), os.mkdir('a/b', 0o300), os.mkdir('a/b/c', 0), os.mkdir('a/b/d', 0o700)
open('a/b/d/f', 'w').close()
os.mkdir('e', 0o100), os.open('g', os.O_CREAT | os.O_WRONLY, 0)
"""


def run_as_user(script: str, folder: Path) -> str:
    """Output of a script run by an ordinary user: as we are, or as another one where the tests are root's."""
    if missing_features():
        pytest.skip("this machine lacks " + ", ".join(missing_features()))
    script = f"import sys, tempfile\nsys.path.insert(0, {str(ROOT)!r})\n" + textwrap.dedent(script)
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder)}
    if os.getuid() != 0:
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    folder.chmod(0o777)
    ordinary = {"env": environment, "user": USER, "group": USER, "extra_groups": [], "cwd": "/"}
    look = f"import sys, pathlib; assert sys.version_info >= (3, 11); pathlib.Path({str(ROOT)!r}, 'mathwright').stat()"
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            subprocess.run([python, "-c", look], **ordinary, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue  # beneath root's home, or too old
        done = subprocess.run([python, "-c", script], **ordinary, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    pytest.skip("no Python that an ordinary user may run")


def test_folders_that_a_program_closed_are_removed(folder):
    script = f"""
        from mathwright.tools.sandbox import Sandbox
        with Sandbox(num_workers=1, preimport=()) as sandbox:
            for _ in range(3):
                sandbox.run({CLOSED!r}, timeout_s=10)
                print(sandbox.run("import os; print(os.getpid() > 0, os.listdir('.'))", timeout_s=10).stdout, end="")
            sandbox.run({CLOSED!r}, timeout_s=10)
    """
    assert run_as_user(script, folder) == "True []\n" * 3
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "leaving",
    [
        "os.mkdir('d', 0o300); os.mkdir('d/e', 0); os.chdir('d'); os.mkdir('f', 0o400)",
        "os.umask(0o777); os.mkdir('d'); open('f', 'w').close()",
        "os.umask(0o477); [(os.mkdir('d' * 200), os.chdir('d' * 200)) for _ in range(30)]",
        "[os.mkdir(f'd{i}', 0o700) or os.mkdir(f'd{i}/x', 0o200) for i in range(300)]",
        "[os.open(f'f{i}', os.O_CREAT, 0) and os.close(3 + 2) for i in range(20)]",
    ],
)
def test_nothing_of_a_program_stays_whatever_its_mode(folder, leaving):
    script = f"""
        from mathwright.tools.sandbox import Sandbox
        with Sandbox(num_workers=1, preimport=()) as sandbox:
            sandbox.run("import os; " + {leaving!r}, timeout_s=10)
            print(sandbox.run("import os; os.listdir('.')", timeout_s=10).value)
            with sandbox.session() as session:
                session.run("import os; " + {leaving!r}, timeout_s=10)
    """
    assert run_as_user(script, folder) == "[]\n"
    assert list(folder.iterdir()) == []


def test_programs_are_jailed_and_their_threads_bounded(folder):
    bomb = "import threading as t, time\nt.stack_size(1 << 16)\nwhile 1: t.Thread(target=time.sleep, args=[60]).start()"
    few = "import concurrent.futures as c\nwith c.ThreadPoolExecutor(20) as p: print(sum(p.map(abs, range(100))))"
    script = f"""
        from mathwright.tools.sandbox import Sandbox
        with Sandbox(num_workers=1, preimport=()) as sandbox:
            for code in ("open('/etc/passwd')", "open('/tmp/x', 'w')", "import os; os.kill(os.getppid(), 0)"):
                print(sandbox.run(code, timeout_s=10).status)
            print(sandbox.run({few!r}, timeout_s=10).stdout, end="")
            print(sandbox.run({bomb!r}, timeout_s=10).error.splitlines()[-1])
            print(sandbox.run("1", timeout_s=10).value)
    """
    lines = run_as_user(script, folder).splitlines()
    assert lines == ["forbidden"] * 3 + ["4950", "RuntimeError: a program may have 64 threads", "1"]
