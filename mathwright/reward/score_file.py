"""`mathwright reward score MODEL FILE --out FILE`: a reward model's score of every response of a file.

A row has a "prompt" and a "response" (a "score" is added), or a "prompt" and "responses" ("scores"). Whether a response
was cut is read from "truncated" (one, or a list of them) or "finish" (anything but "stop"), where the row has one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.files import append_line, mend_tail, whole_lines
from mathwright.lines import json_text
from mathwright.lm import heads
from mathwright.lm.model import RewardModel
from mathwright.problems.rows import read_rows
from mathwright.run.progress import counting
from mathwright.run.status import Work
from mathwright.terminal import console

ROWS = 64
"""Scored together: what a kill costs at most."""


def score_file(
    model: str | Path, file: Path, out: Path, *, dtype: str, device: str, micro_batch_tokens: int = 8192
) -> None:
    """Write the rows of `file` to `out`, each with its score; a response that cannot be scored has null.

    Called again after an interruption it goes on behind the last whole line of `out`.

    Raises MathwrightError for a file that is damaged or has other columns (before anything is scored), for an `out`
    that holds rows of another file, and where `model` is no reward model.
    """
    total = sum(1 for _ in _rows(file))  # all of it is read and found right before the first response is scored
    if not total:
        raise MathwrightError(f"{file} holds no rows", hint='write lines of {"prompt": ..., "response": ...}')
    if out.resolve() == file.resolve():
        raise MathwrightError(f"--out is {out}, the file that is read", hint="name another file")
    out.parent.mkdir(parents=True, exist_ok=True)
    mend_tail(out)
    done = _done(file, out)
    if done == total:
        console.print(f"{out}: all {total:,} rows are scored")
        return
    if done:
        console.print(f"resuming after row {done:,} of {total:,}")
    reward_model = heads.load(model, dtype=dtype, device=device)
    unscored = 0
    rows = itertools.islice(_rows(file), done, None)
    with counting(Work(description="rows scored", total=total, done=done)) as advance:
        while batch := list(itertools.islice(rows, ROWS)):
            for row, scores in zip(batch, _scores(reward_model, batch, micro_batch_tokens), strict=True):
                unscored += sum(score is None for score in scores)
                added = {"scores": scores} if "responses" in row else {"score": scores[0]}
                append_line(out, json_text({**row, **added}))
            advance(len(batch))
    console.print(f"{out}: {total:,} rows" + (f", {unscored:,} responses without a score" if unscored else ""))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    for number, row in read_rows(file):
        if problem := _problem(row):
            raise MathwrightError(
                f"{file}:{number}: {problem}",
                hint='a row is {"prompt": text, "response": text}, or "responses": [text]',
            )
        yield row


def _problem(row: Mapping[str, Any]) -> str:
    """What is wrong with the columns of a row, or ""."""
    if not isinstance(row.get("prompt"), str) or not row["prompt"]:
        return "no text in the column 'prompt'"
    responses = row.get("responses", [row.get("response")])
    if not isinstance(responses, list) or not all(isinstance(response, str) for response in responses):
        return "no text in the column 'response', nor texts in 'responses'"
    cut = row.get("truncated")
    if isinstance(cut, list) and len(cut) != len(responses):
        return f"{len(responses)} responses but {len(cut)} marks in 'truncated'"
    return ""


def _responses(row: Mapping[str, Any]) -> list[str]:
    return row["responses"] if "responses" in row else [row["response"]]


def _cut(row: Mapping[str, Any]) -> list[bool]:
    cut = row.get("truncated", row.get("finish", "stop") != "stop")
    return [bool(mark) for mark in cut] if isinstance(cut, list) else [bool(cut)] * len(_responses(row))


def _scores(
    reward_model: RewardModel, rows: Sequence[Mapping[str, Any]], micro_batch_tokens: int
) -> list[list[float | None]]:
    asked = [
        (row["prompt"], response, cut) for row in rows for response, cut in zip(_responses(row), _cut(row), strict=True)
    ]
    prompts, responses, truncated = zip(*asked, strict=True) if asked else ((), (), ())
    values = iter(
        heads.score(reward_model, prompts, responses, truncated=truncated, micro_batch_tokens=micro_batch_tokens)
    )
    found = [[next(values) for _ in _responses(row)] for row in rows]
    return [[None if score is None or not math.isfinite(score) else score for score in scores] for scores in found]


def _done(file: Path, out: Path) -> int:
    """Rows of `out`, which must be the first ones of `file` with their scores."""
    done = 0
    rows = _rows(file)
    for number, line in enumerate(whole_lines(out), start=1):
        row = next(rows, None)
        if row is None or not line.startswith(json_text(row)[:-1]):
            raise MathwrightError(
                f"{out}:{number} is not row {number} of {file} with a score",
                hint="--out holds something else: name another file, or remove it",
            )
        done = number
    return done
