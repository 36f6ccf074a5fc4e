"""What benchmarks share that time our training beside another: a process a measurement, turns, medians, a table.

A script of two sides calls itself: `SCRIPT --side NAME --job FILE` measures one side and prints a line of JSON with
"seconds", "cpu" (of each step) and "peak_mb".
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MEASURES = ("s/step", "processor s", "tokens/s", "tokens/processor s", "peak MB")
DIGITS = (2, 2, 0, 0, 0)
OURS = "ours"

Side = tuple[str, str, dict[str, Any]]
"""Its name, its python, and what it is told beside the job."""


def measure(script: str, python: str, side: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """Run one side in its own process, so that its peak of memory is its own; {} for `prepare`."""
    path = Path(job["folder"]) / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": str(job["threads"]), "HF_HUB_OFFLINE": "1"}
    command = [python, str(Path(script).absolute()), "--side", side, "--job", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-4000:]}")
    return {} if side == "prepare" else json.loads(done.stdout.splitlines()[-1])


def take_turns(
    script: str, sides: Mapping[str, Side], job: Mapping[str, Any], *, case: str, rounds: int
) -> dict[str, list[dict[str, Any]]]:
    """The results of each side, measured one after the other in each round, so that a busy machine disturbs all."""
    found: dict[str, list[dict[str, Any]]] = {label: [] for label in sides}
    for _ in range(rounds):
        for label, (side, python, told) in sides.items():
            result = measure(script, python, side, {**job, **told})
            found[label].append(result)
            print(json.dumps({"case": case, "side": label, **result}), file=sys.stderr, flush=True)
    return found


def summary(results: Mapping[str, Sequence[Mapping[str, Any]]], num_tokens: float) -> dict[str, dict[str, float]]:
    """Medians of each side over all measured steps, of `num_tokens` each."""
    rows: dict[str, dict[str, float]] = {}
    for label, own in results.items():
        seconds, cpu = (statistics.median(s for r in own for s in r[key]) for key in ("seconds", "cpu"))
        values = [seconds, cpu, num_tokens / seconds, num_tokens / cpu, max(r["peak_mb"] for r in own)]
        rows[label] = dict(zip(MEASURES, values, strict=True))
    return rows


def table(rows: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """A row a case and side, then ours over each of the others."""
    lines = [f"| case | side | {' | '.join(MEASURES)} |", "|---" * (len(MEASURES) + 2) + "|"]
    for name, found in rows.items():
        for label, values in found.items():
            cells = [f"{values[key]:,.{d}f}" for key, d in zip(MEASURES, DIGITS, strict=True)]
            lines.append(f"| {name} | {label} | {' | '.join(cells)} |")
        for label in found:
            if label != OURS:
                cells = [f"**{found[OURS][key] / found[label][key]:.2f}**" for key in MEASURES]
                lines.append(f"| | {OURS} / {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def report(
    head: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Mapping[str, float]]],
    runs: Mapping[str, Any],
    out: Path | None,
) -> None:
    """Print the table below what it was measured with; all that was measured goes to `out`."""
    whole = {
        "date": str(datetime.date.today()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        **head,
    }
    print(", ".join(f"{key} {value}" for key, value in whole.items()))
    print(f"\n{table(rows)}")
    if out:
        out.write_text(json.dumps({**whole, "cases": rows, "runs": runs}, indent=2) + "\n", encoding="utf-8")
