"""Short programs a second: the sandbox, a fresh interpreter for each, and `exec` in a pool of processes.

    python benchmarks/sandbox.py [--num 400] [--workers 2] [--programs FILE.jsonl.gz ... [--every 1] [--show 3]]

The pool isolates nothing and leaves what one program breaks to the next: it is the roof, not a rival. All three run on
as many workers. `--programs` replays transcripts of models with the output another interpreter recorded (in the layouts
of ToRA, MathCoder and PoT), counts the programs with the same output, and sorts the differences.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import gzip
import io
import itertools
import json
import math
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.tools.execute import clip
from mathwright.tools.loop import program_answer, tool_output
from mathwright.tools.sandbox import Execution, ExecutionStatus, Program, Sandbox

KINDS = {
    "arithmetic": "eggs = 16 - 3 - {i} % 5\nprice = 2\ndef income():\n    return eggs * price\nprint(income())",
    "sympy": "from sympy import symbols, solve\nx = symbols('x')\nprint(solve(x**2 - {i} - 1, x))",
}
TIMEOUT_S = 30
NUM_WARM_UP = 8
REPLAY_TIMEOUT_S = 5
SHOWN_CHARS = 100

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A program of a transcript and what came out of it then."""

    code: str
    recorded: str
    is_number: bool = False
    """The recorder kept the answer as a float, and None for a program without one (or with 0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A program whose output is not the recorded one."""

    kind: str
    block: Block
    shown: str
    status: ExecutionStatus


def read_transcripts(path: Path, every: int) -> list[list[Block]]:
    """Blocks of every n-th transcript: `trajectory` (ToRA), `steps` (MathCoder), `generated` with `executed` (PoT)."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for i, line in enumerate(file) if i % every == 0]
    transcripts = [_blocks(row) for row in rows]
    return [blocks for blocks in transcripts if blocks]


def _blocks(row: Mapping[str, Any]) -> list[Block]:
    if "trajectory" in row:
        found = re.findall(r"```python\n(.*?)```\s*```output\n(.*?)```", row["trajectory"], re.DOTALL)
        return [Block(code=code, recorded=output) for code, output in found]
    if "steps" in row:
        pairs = itertools.pairwise(row["steps"])
        return [
            Block(code=step["content"], recorded=following["content"])
            for step, following in pairs
            if (step["role"], following["role"]) == ("code", "execution")
        ]
    if "executed" not in row:
        return []
    code = row["generated"]
    if isinstance(code, str) and code.startswith(("['", '["')):  # the samples drawn, as Python writes a list
        code = ast.literal_eval(code)
    code = code if isinstance(code, str) else code[0]
    ending = "ans = solver()\nprint(ans)" if "def solver(" in code else "print(ans)"
    return [Block(code=f"{code}\n{ending}", recorded=str(row["executed"]), is_number=True)]


def run_transcripts(pool: Sandbox, transcripts: Sequence[Sequence[Block]]) -> Iterator[tuple[Block, Execution]]:
    """Run all first blocks, then all second blocks behind the first ones, and so on, as the tool loop does."""
    earlier: list[tuple[str, ...]] = [()] * len(transcripts)
    for number in range(max(map(len, transcripts), default=0)):
        active = [i for i, blocks in enumerate(transcripts) if len(blocks) > number]
        programs = [
            Program(code=transcripts[i][number].code, setup=earlier[i], setup_timeout_s=REPLAY_TIMEOUT_S * number)
            for i in active
        ]
        executions = pool.run_many(programs, timeout_s=REPLAY_TIMEOUT_S)
        for i, execution in zip(active, executions, strict=True):
            block = transcripts[i][number]
            if execution.survived:
                earlier[i] = (*earlier[i], block.code)
            yield block, execution


def compare_output(block: Block, execution: Execution) -> Difference | None:
    """How the output differs from the recorded one, if it does; the recorders were notebooks and plain interpreters."""
    recorded, shown = block.recorded.strip().removeprefix("<empty_execution>"), tool_output(execution).strip()
    notebook = "\n".join(part for part in (execution.stdout.rstrip(), execution.value) if part)
    if recorded in (shown, notebook.strip()) or (block.is_number and _is_number(recorded, program_answer(execution))):
        return None
    return Difference(
        kind=_kind(recorded, shown, notebook, execution), block=block, shown=shown, status=execution.status
    )


def _is_number(recorded: str, answer: str | None) -> bool:
    if recorded == "None":
        return answer in (None, "None", "0", "0.0")
    try:
        return math.isclose(float(answer or "nan"), float(recorded))
    except ValueError:
        return False


def _kind(recorded: str, shown: str, notebook: str, execution: Execution) -> str:
    plain, candidates = _plain(recorded), (_plain(shown), _plain(notebook))
    failed_then = re.findall(r"\b(\w*(?:Error|Exception|Interrupt))\b", recorded)
    failed_now = re.findall(r"\b(\w*(?:Error|Exception|Interrupt|Exit))\b", execution.error or "")
    if execution.status == "timeout" or re.search(r"\btime ?out|timed out", recorded, re.IGNORECASE):
        return "timeout, now or then"
    if "Warning" in recorded:
        return "warning text, then"
    if failed_then and failed_now:
        return "the same error, told otherwise" if set(failed_then) & set(failed_now) else "another error"
    if failed_now and failed_now[-1] == "NameError":
        return "needs a state that is not in the transcript"
    if failed_then or failed_now:
        return "error then, not now" if failed_then else "error now, not then"
    if plain in candidates:
        return "white space or quotes"
    if any(_same_but_for_digits(plain, candidate) for candidate in candidates):
        return "digits of numbers"
    return "other"


def _plain(text: str) -> str:
    return re.sub(r"[\s'\"]", "", text)


def _same_but_for_digits(one: str, other: str) -> bool:
    number = r"\d+\.?\d*(?:[eE][-+]?\d+)?"
    if re.sub(number, "#", one) != re.sub(number, "#", other):
        return False
    pairs = zip(re.findall(number, one), re.findall(number, other), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=1e-4, abs_tol=1e-9) for a, b in pairs)


def replay(path: Path, num_workers: int, *, every: int, show: int) -> None:
    """Run recorded programs, count the outputs that agree, and print `show` of each kind of difference."""
    transcripts = read_transcripts(path, every)
    with Sandbox(num_workers=num_workers) as pool:
        outcomes = list(run_transcripts(pool, transcripts))
    differing = [d for block, execution in outcomes if (d := compare_output(block, execution)) is not None]
    agree = len(outcomes) - len(differing)
    print(f"{path.name}: {agree:,} of {len(outcomes):,} programs in {len(transcripts):,} transcripts agree")
    counts = Counter(execution.status for _, execution in outcomes)
    print("  status: " + ", ".join(f"{status} {count:,}" for status, count in counts.most_common()))
    for kind, count in Counter(d.kind for d in differing).most_common():
        print(f"  {count:>6,}  {kind}")
        for difference in [d for d in differing if d.kind == kind][:show]:
            last = (difference.block.code.strip().splitlines() or [""])[-1]
            recorded = clip(difference.block.recorded.strip(), SHOWN_CHARS)
            print(
                f"          recorded {recorded!r}, here {clip(difference.shown, SHOWN_CHARS)!r}; ends in {last[:80]!r}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description="Short programs a second.")
    parser.add_argument("--num", type=int, default=400, help="programs of each kind; 0 for a replay alone")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--programs", type=Path, nargs="*", default=[], help="transcripts to replay (JSONL, gzip)")
    parser.add_argument("--every", type=int, default=1, help="replay every n-th transcript")
    parser.add_argument("--show", type=int, default=3, metavar="N", help="differences of each kind to print")
    arguments = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, Linux {platform.release()}, "
        f"{arguments.workers} workers, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before"
    )
    print(f"{'programs':<12}{'run by':<22}{'a second':>10}{'CPU ms each':>14}")
    for kind in KINDS if arguments.num else ():
        compare(kind, arguments.num, arguments.workers)
    for path in arguments.programs:
        replay(path, arguments.workers, every=arguments.every, show=arguments.show)


if __name__ == "__main__":
    main()
