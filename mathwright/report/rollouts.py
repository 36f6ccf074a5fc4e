"""A page to look through what a policy wrote while it was trained: responses, their rewards and verdicts.

It is the page of samples (`samples.py`) with a slider over the steps. Of a training whose responses would make it
larger than PAGE_CHARS, steps are left out evenly, the first and the last kept; the page says so.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mathwright.lines import file_lines
from mathwright.report.samples import (
    FINISHES,
    MAX_FORMULAS,
    STATUSES,
    Packer,
    clean,
    snippet,
    write_browser,
)
from mathwright.report.tex import trees_of

PAGE_CHARS = 1_600_000
"""Of packed texts in a page."""
READ_CHARS = 60_000_000
"""Of rollouts.jsonl that are looked at: tokens and their log-probabilities are nine tenths of it."""
_STEP = re.compile(r'^\{"step": (\d+)')
UNSCORED = STATUSES.index("unparsable_reference")


def write_rollouts_page(source: Path, path: Path, *, mode: str, home: str) -> dict[str, Any] | None:
    """Write the page of a `rollouts.jsonl`; returns how many questions and steps it holds, None where there are none.

    Args:
        source: lines {"step": ..., "group": a RolloutGroup}.
        path: of the page.
        mode: cot, tool or pot.
        home: address of the page that it belongs to.
    """
    sizes = _sizes(source) if source.is_file() else {}
    if not sizes:
        return None
    steps = sorted(sizes)
    most = len(steps)
    while sum(sizes[step] for step in _evenly(steps, most)) > READ_CHARS and most > 2:
        most //= 2
    while True:
        kept = _evenly(steps, most)
        entries, chunks = _packed(source, set(kept), mode)
        size = sum(map(len, chunks))
        if size <= PAGE_CHARS or most <= 2:
            break
        most = max(2, min(most - 1, int(most * PAGE_CHARS / size)))
    note = "" if len(kept) == len(steps) else f"{len(kept):,} of {len(steps):,} steps, to keep the page small."
    write_browser(
        path,
        page_title="Responses of the training",
        title="Responses of the training",
        note=note,
        home=home,
        num_problems=len(entries),
        num_samples=sum(len(entry["samples"]) for entry in entries),
        index={
            "kind": "rollouts",
            "statuses": STATUSES,
            "finishes": FINISHES,
            "steps": kept,
            "problems": entries,
            "num_chunks": len(chunks),
        },
        chunks=chunks,
    )
    return {"num_questions": len(entries), "first_step": kept[0], "last_step": kept[-1]}


def _sizes(source: Path) -> dict[int, int]:
    """Characters of the lines of each step."""
    sizes: dict[int, int] = {}
    for line in file_lines(source):
        if match := _STEP.match(line):
            step = int(match[1])
            sizes[step] = sizes.get(step, 0) + len(line)
    return sizes


def _evenly(steps: Sequence[int], most: int) -> list[int]:
    """At most so many of them, the first and the last among them."""
    if most >= len(steps):
        return list(steps)
    return [steps[round(k * (len(steps) - 1) / (most - 1))] for k in range(most)] if most > 1 else [steps[-1]]


def _packed(source: Path, steps: set[int], mode: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The list's entries of the questions of some steps, and the long texts in packs."""
    entries, packer = [], Packer()
    for line in file_lines(source):
        match = _STEP.match(line)
        if match is None or int(match[1]) not in steps:
            continue
        row = json.loads(line)
        entry = _entry(row, mode)
        entry["chunk"], entry["place"] = packer.add(_texts(row["group"]))
        entries.append(entry)
    return entries, packer.chunks()


def _entry(row: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """What the list needs of a question; a sample is [number, status, finish, tokens, tool calls, reward]."""
    problem = row["group"]["problem"]
    return {
        "step": row["step"],
        "model": "",
        "task": clean(problem["source"]),
        "mode": mode,
        "id": clean(problem["id"]),
        "subject": clean(problem.get("subject", "")),
        "level": clean(problem.get("level", "")),
        "answer": snippet(problem["answer"]),
        "question": snippet(problem["question"]),
        "contaminated": None,
        "disagrees": len({_status(r) for r in row["group"]["rollouts"]}) > 1,
        "samples": [
            [
                k, _status(r), FINISHES.index(r["completion"]["finish"]), len(r["completion"]["tokens"]),
                r["completion"].get("num_tool_calls", 0), _finite(r["reward"]),
            ]
            for k, r in enumerate(row["group"]["rollouts"])
        ],
    }  # fmt: skip


def _status(rollout: Mapping[str, Any]) -> int:
    verdict = rollout["verdict"]
    return STATUSES.index(verdict["status"]) if verdict else UNSCORED


def _texts(group: Mapping[str, Any]) -> dict[str, Any]:
    """What the detail needs; a sample is [response, answer, method, left out, its own prompt, its rewards]."""
    problem = group["problem"]
    responses = [r["completion"]["text"] for r in group["rollouts"]]
    return {
        "question": problem["question"],
        "choices": problem.get("choices", []),
        "answer": problem["answer"],
        "tests": problem.get("tests", ""),
        "prompt": group["prompt"],
        "samples": [
            [
                text,
                r["verdict"]["prediction"] if r["verdict"] else "",
                r["verdict"].get("method", "") if r["verdict"] else "",
                0,
                "",
                _rewards(r, text),
            ]
            for r, text in zip(group["rollouts"], responses, strict=True)
        ],
        "formulas": trees_of([problem["question"], *responses], MAX_FORMULAS),
    }


def _rewards(rollout: Mapping[str, Any], text: str) -> list[Any]:
    """Its rewards by name; and those of its steps, each with its line where the steps are lines."""
    names = [[clean(name), _finite(value)] for name, value in (rollout.get("rewards_by_name") or {}).items()]
    rewards = rollout.get("step_rewards") or []
    lines = [line for line in text.split("\n") if line.strip()]
    said = lines if len(lines) == len(rewards) else [f"step {k + 1}" for k in range(len(rewards))]
    return [names, [[line, _finite(reward)] for line, reward in zip(said, rewards, strict=True)]]


def _finite(value: float | None) -> float | str | None:
    """As JSON can hold it."""
    return value if value is None or math.isfinite(value) else str(value)
