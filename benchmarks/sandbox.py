"""Short programs a second: the sandbox, a fresh interpreter for each, and `exec` in a pool of processes.

    python benchmarks/sandbox.py [--num 400] [--workers 2] [--programs FILE.jsonl.gz]

The pool isolates nothing and leaves what one program breaks to the next: it is the roof, not a rival. All three run on
as many workers. `--programs` takes transcripts with ```python and ```output blocks (a `trajectory` a line) and counts
the programs whose output is the recorded one.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mathwright.tools.loop import tool_output
from mathwright.tools.sandbox import Sandbox

KINDS = {
    "arithmetic": "eggs = 16 - 3 - {i} % 5\nprice = 2\ndef income():\n    return eggs * price\nprint(income())",
    "sympy": "from sympy import symbols, solve\nx = symbols('x')\nprint(solve(x**2 - {i} - 1, x))",
}
TIMEOUT_S = 30
NUM_WARM_UP = 8

RunAll = Callable[[Sequence[str]], list[str]]
Pool = Callable[[int], AbstractContextManager[RunAll]]


@contextmanager
def sandbox(num_workers: int) -> Iterator[RunAll]:
    """Ours."""
    with Sandbox(num_workers=num_workers) as pool:
        yield lambda codes: [execution.stdout for execution in pool.run_many(codes, timeout_s=TIMEOUT_S)]


@contextmanager
def fresh_interpreters(num_workers: int) -> Iterator[RunAll]:
    """`python -c` for each program: a fresh state, no isolation."""

    def run(code: str) -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True).stdout

    with ThreadPoolExecutor(num_workers) as threads:
        yield lambda codes: list(threads.map(run, codes))


@contextmanager
def exec_in_pool(num_workers: int) -> Iterator[RunAll]:
    """`exec` in processes that live on: no fresh state, no isolation."""
    with ProcessPoolExecutor(num_workers) as processes:
        yield lambda codes: list(processes.map(run_exec, codes))


def run_exec(code: str) -> str:
    """The program in this very process."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {"__name__": "__main__"})
    return output.getvalue()


def measure(pool: Pool, codes: Sequence[str], num_workers: int) -> tuple[float, float, list[str]]:
    """Programs a second after a warm-up, milliseconds of processor time a program, and what they printed."""
    start_up_s = _cpu_s()
    with pool(num_workers) as run_all:
        run_all(codes[:NUM_WARM_UP])
    start_up_s = _cpu_s() - start_up_s  # known only now: the time of a process counts when it has ended
    cpu_s = _cpu_s()
    with pool(num_workers) as run_all:
        run_all(codes[:NUM_WARM_UP])
        start = time.perf_counter()
        outputs = run_all(codes)
        seconds = time.perf_counter() - start
    cpu_s = _cpu_s() - cpu_s - start_up_s
    return len(codes) / seconds, 1000 * cpu_s / len(codes), outputs


def _cpu_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def compare(kind: str, num: int, num_workers: int) -> None:
    """Print a row for each way to run programs of one kind."""
    codes = [KINDS[kind].format(i=i) for i in range(num)]
    expected = [run_exec(code) for code in codes]
    for pool in (sandbox, fresh_interpreters, exec_in_pool):
        some = codes[: max(2 * NUM_WARM_UP, num // 20)] if pool is fresh_interpreters else codes
        per_second, cpu_ms, outputs = measure(pool, some, num_workers)
        assert outputs == expected[: len(some)], pool.__name__
        print(f"{kind:<12}{pool.__name__:<22}{per_second:>10.1f}{cpu_ms:>14.2f}")


def replay(path: Path, num_workers: int) -> None:
    """Run recorded programs and count the outputs that agree."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        trajectories = [json.loads(line)["trajectory"] for line in file]
    pattern = re.compile(r"```python\n(.*?)```\s*```output\n(.*?)```", re.DOTALL)
    pairs = [match.groups() for text in trajectories for match in pattern.finditer(text)]
    with Sandbox(num_workers=num_workers) as pool:
        executions = pool.run_many([code for code, _ in pairs], timeout_s=5)
    differing = [
        (code, output.strip(), tool_output(execution))
        for execution, (code, output) in zip(executions, pairs, strict=True)
        if tool_output(execution) != output.strip()
    ]
    agree = len(pairs) - len(differing)
    print(f"{path.name}: {agree:,} of {len(pairs):,} programs give the recorded output")
    print("  " + ", ".join(f"{status} {count:,}" for status, count in Counter(e.status for e in executions).items()))
    for code, output, ours in differing:
        print(f"  recorded {output!r}, here {ours!r}, of a program that ends in {code.strip().splitlines()[-1]!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Short programs a second.")
    parser.add_argument("--num", type=int, default=400, help="programs of each kind")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--programs", type=Path, help="transcripts to replay (JSONL, gzip)")
    arguments = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, Linux {platform.release()}, "
        f"{arguments.workers} workers, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before"
    )
    print(f"{'programs':<12}{'run by':<22}{'a second':>10}{'CPU ms each':>14}")
    for kind in KINDS:
        compare(kind, arguments.num, arguments.workers)
    if arguments.programs:
        replay(arguments.programs, arguments.workers)


if __name__ == "__main__":
    main()
