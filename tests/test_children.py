"""Worker processes: asked, killed, replaced, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mathwright import children
from mathwright.children import LineWorker, WorkerDiedError, WorkerTimeoutError, python_path
from mathwright.errors import MathwrightError

CHILD = """
import json, os, sys, time
for line in sys.stdin.buffer:
    job = json.loads(line)
    if "sleep" in job:
        time.sleep(job["sleep"])
    if job.get("die"):
        print('{"half', end="", flush=True)
        os._exit(3)
    body = sys.stdin.buffer.read(job.get("size", 0))
    print(json.dumps({"size": len(body), "echo": "x" * job.get("num_out", 0)}), flush=True)
"""


@pytest.fixture
def worker() -> Iterator[LineWorker]:
    made = LineWorker("a worker", [sys.executable, "-c", CHILD])
    yield made
    made.kill()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # ended, and nobody has asked yet how


def test_a_job_and_its_body_may_be_larger_than_a_pipe(worker: LineWorker) -> None:
    for size in (0, 10, 5_000_000):
        assert worker.ask({"size": size, "num_out": size}, 60, body=b"b" * size) == {"size": size, "echo": "x" * size}


def test_a_worker_that_is_too_slow_is_killed(worker: LineWorker) -> None:
    with pytest.raises(WorkerTimeoutError, match="a worker did not answer"):
        worker.ask({"sleep": 60}, 0.2)
    assert not worker.alive and not is_running(worker.pid)


def test_a_worker_that_takes_nothing_is_killed_too(worker: LineWorker) -> None:
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(WorkerTimeoutError):
        worker.ask({"size": 5_000_000}, 0.2, body=b"b" * 5_000_000)
    assert not is_running(worker.pid)


def test_a_worker_that_dies_within_a_line_gives_no_answer(worker: LineWorker) -> None:
    with pytest.raises(WorkerDiedError, match="status 3"):
        worker.ask({"die": True}, 60)
    assert not worker.alive


def test_whoever_waits_hears_that_a_worker_was_stopped(worker: LineWorker) -> None:
    threading.Timer(0.2, worker.stop).start()
    with pytest.raises(WorkerDiedError, match="status -9"):
        worker.ask({"sleep": 60}, 60)


def test_an_error_of_the_child_is_raised_here() -> None:
    code = "from mathwright.children import *; say_error(MathwrightError('no such page', hint='look again'))"
    worker = LineWorker("a worker", [sys.executable, "-c", code])
    with pytest.raises(MathwrightError, match="no such page") as caught:
        worker.hear(60)
    assert caught.value.hint == "look again"
    worker.close(wait_s=60)


def test_children_find_this_package_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    first, *rest = python_path().split(os.pathsep)
    assert Path(first, "mathwright", "children.py").samefile(children.__file__)
    assert rest == ["/elsewhere"]
    monkeypatch.delenv("PYTHONPATH")
    assert python_path() == first


def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    child = "from mathwright.children import *; end_with_parent(); say(ready=1); time.sleep(60)"
    parent = (
        "import sys, time; from mathwright.children import LineWorker\n"
        f"worker = LineWorker('a worker', [sys.executable, '-c', {child!r}])\n"
        "worker.hear(60); print(worker.pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": python_path()}
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_running(pid)
        process.kill()
    deadline = time.monotonic() + 30
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(pid)
