"""What is known of finished samples from elsewhere: a reward model's scores, and which questions a corpus contains."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from mathwright.errors import MathwrightError
from mathwright.eval.collect import GREEDY
from mathwright.lines import file_lines
from mathwright.records import EvalRecord


def with_scores(
    records: Sequence[EvalRecord], reward_model: str | Path, *, dtype: str, device: str, micro_batch_tokens: int = 4096
) -> list[EvalRecord]:
    """The records with the reward model's score of each sample, for best-of-K; None where it does not fit its context.

    The greedy answers are not scored. Raises MathwrightError where the folder holds no reward model.
    """
    from mathwright.lm import heads

    model = heads.load(reward_model, dtype=dtype, device=device)
    places = [i for i, record in enumerate(records) if record.sample != GREEDY]
    scores = heads.score(
        model,
        [records[i].prompt for i in places],
        [records[i].response for i in places],
        truncated=[records[i].finish != "stop" for i in places],
        micro_batch_tokens=micro_batch_tokens,
    )
    scored = list(records)
    for place, score in zip(places, scores, strict=True):
        scored[place] = dataclasses.replace(records[place], score=score)
    return scored


def with_contamination(records: Sequence[EvalRecord], found: Path) -> list[EvalRecord]:
    """The records, marked by whether their question stands in a corpus, as `mathwright contamination` found.

    `found` is its JSONL file: objects with `task` and `problem_id`. Raises MathwrightError where it is missing or is
    none.
    """
    if not found.is_file():
        raise MathwrightError(
            f"{found}: no such file", hint="make it with `mathwright contamination CORPUS --tasks ...`"
        )
    marked: set[tuple[str, str]] = set()
    for number, line in enumerate(file_lines(found), start=1):
        try:
            row = json.loads(line)
            marked.add((row["task"], row["problem_id"]))
        except (ValueError, KeyError, TypeError) as error:
            raise MathwrightError(
                f"{found}:{number}: no task and problem_id: {error}",
                hint="is this a file of `mathwright contamination`?",
            ) from error
    return [dataclasses.replace(r, contaminated=(r.problem.source, r.problem.id) in marked) for r in records]
