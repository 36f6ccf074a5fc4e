"""Workers: time-outs, memory, threads, asyncio, fork, no zombies."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mathwright.answers import check_answer, check_answer_async, check_responses
from mathwright.answers import worker as worker_module
from mathwright.answers.pool import Pool, Worker
from mathwright.children import WorkerDiedError, WorkerTimeoutError
from mathwright.records import Verdict

PAIR = (r"\sqrt{8}", r"2\sqrt{2}")
"""A pair that needs a worker."""
HANG = r"\sum_{k=1}^{10^9}\frac{1}{k}"
"""A sum that sympy adds up as a fraction, term by term."""


@pytest.mark.parametrize(
    "bomb",
    [
        HANG,
        "9^{9^{9^9}}",
        "10000000!",
        "9**9**9**9",
        "factorial(10**9)",
        r"\binom{10^{50}}{10^{49}}",
        r"\binom{10^9}{10^8}",
        r"2^{10^{12}}+1",
        r"x^{9^{9^9}}",
    ],
)
def test_a_bomb_costs_its_timeout_and_nothing_else(bomb: str):
    check_answer(*PAIR)  # a warm worker
    start = time.monotonic()
    verdict = check_answer(bomb, r"\sqrt{7}+1", timeout_s=0.5)
    assert time.monotonic() - start < 60  # a deadline for one that never ends, which a busy machine does not miss
    assert verdict.status in ("timeout", "incorrect")
    assert check_answer(*PAIR).correct


def test_timeout_is_reported_and_symmetric():
    assert check_answer(HANG, "7", timeout_s=0.5).status == "timeout"
    assert check_answer("7", HANG, timeout_s=0.5).status == "timeout"


def test_a_worker_may_neither_take_much_memory_nor_write_files(tmp_path: Path):
    code = (
        "from mathwright.answers.worker import _limit\n"
        "_limit(2**28)\n"
        "try: bytearray(2**29)\n"
        "except MemoryError: print('refused')\n"
        f"try: open({str(tmp_path / 'written')!r}, 'w').write('x' * 10**6)\n"
        "except OSError: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["refused", "refused"], done


def test_running_out_of_memory_is_a_status(monkeypatch: pytest.MonkeyPatch):
    def exhausted(*_: object) -> bool:
        raise MemoryError

    monkeypatch.setattr(worker_module, "compare", exhausted)
    assert worker_module.judge("x", "y") == ("timeout", "memory")


def test_a_killed_worker_is_replaced_and_reaped():
    pool = Pool(1)
    job = {"prediction": PAIR[0], "reference": PAIR[1], "timeout_s": 5}
    try:
        assert pool.ask(job, 10)["status"] == "correct"
        first = pool._idle[0]._process
        with pytest.raises(WorkerTimeoutError):
            pool.ask({"prediction": HANG, "reference": "7", "timeout_s": 1}, 0.3)
        assert first.returncode is not None
        assert pool.ask(job, 10)["status"] == "correct"
        pool._idle[0]._process.kill()
        pool._idle[0]._process.wait()
        assert pool.ask(job, 10)["status"] == "correct"
    finally:
        pool.close()
    assert not pool._all


def test_the_kernel_ends_a_job_whose_parent_does_not():
    worker = Worker(2**30)
    try:
        with pytest.raises((WorkerDiedError, WorkerTimeoutError)) as caught:
            worker.ask({"prediction": HANG, "reference": "7", "timeout_s": 0}, 30)
        assert caught.type is WorkerDiedError
    finally:
        worker.kill()


def test_from_threads_and_asyncio():
    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(lambda n: check_answer(rf"\sqrt{{{n * n * 2}}}", rf"{n}\sqrt{{2}}"), range(2, 26)))
    assert all(verdict.correct for verdict in verdicts)

    async def gather() -> list[str]:
        found = await asyncio.gather(*(asyncio.to_thread(check_answer, *PAIR) for _ in range(8)))
        return [verdict.status for verdict in found]

    assert asyncio.run(gather()) == ["correct"] * 8


def test_a_hang_in_one_thread_does_not_delay_another():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two workers")
    check_responses([(f"\\boxed{{{PAIR[0]}}}", PAIR[1]), ("\\boxed{\\sqrt{12}}", "2\\sqrt{3}")])
    hanging = threading.Thread(target=check_answer, args=(HANG, "7"), kwargs={"timeout_s": 4})
    hanging.start()
    start = time.monotonic()
    assert check_answer(*PAIR).correct
    waited = time.monotonic() - start
    hanging.join()
    assert waited < 3.5


def test_after_fork_parent_and_child_have_workers_of_their_own():
    assert check_answer(*PAIR).correct
    child = os.fork()
    if child == 0:
        os._exit(0 if check_answer(*PAIR).correct and check_answer("5", "5").correct else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert check_answer(*PAIR).correct


def test_import_is_light_and_exit_leaves_no_process_behind():
    code = (
        "import sys, mathwright.answers as a\n"
        "assert 'sympy' not in sys.modules and 'torch' not in sys.modules\n"
        "assert a.check_answer('0.5', '1/2').correct\n"
        "from mathwright.answers import pool\n"
        "assert pool._pool is None, 'the exact path starts no worker'\n"
        "assert a.check_answer('\\\\sqrt{8}', '2\\\\sqrt{2}').correct\n"
        "assert 'sympy' not in sys.modules\n"
        "print(*(w._process.pid for w in pool._pool._all))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_coroutines_wait_for_a_hang_in_none_but_its_own():
    """Fifty checks at once, one of which hangs: the loop goes on, and each of the others gets its verdict."""

    async def gather() -> tuple[list[Verdict], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        pairs = [(rf"\sqrt{{{2 * n * n}}}", rf"{n}\sqrt{{2}}") for n in range(2, 51)]
        checks = [check_answer_async(*pair, timeout_s=30) for pair in pairs]
        found = await asyncio.gather(check_answer_async(HANG, "7", timeout_s=1), *checks)
        ticking.cancel()
        return found, ticks

    (hung, *others), ticks = asyncio.run(gather())
    assert hung.status == "timeout"
    assert [verdict.status for verdict in others] == ["correct"] * 49
    assert ticks > 10, "the loop stood still"


def test_coroutines_see_errors_of_the_caller():
    with pytest.raises(ValueError, match="rel_tolerance"):
        asyncio.run(check_answer_async("1", "1", rel_tolerance=-1))
    assert asyncio.run(check_answer_async("3.1", "3", rel_tolerance=0.05)).correct
