"""GSM8K and MATH in their published layouts, from local JSONL files or from the Hugging Face hub.

gsm8k  {"question", "answer"}: the answer is the worked solution with calculator notes <<48/2=24>>, then "#### 72"
math   {"problem", "solution", "level", "type"}: the final answer stands in the last \\boxed{} of the solution
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.problems import layouts
from mathwright.problems.catalogue import BENCHMARKS
from mathwright.problems.fields import LayoutError, last_boxed
from mathwright.problems.layouts import Draft
from mathwright.problems.rows import read_rows
from mathwright.problems.tables import HubSource, hub_rows
from mathwright.records import Part, Problem, Solution
from mathwright.unpack import ENDINGS

__all__ = ["Published", "last_boxed", "load_published"]

_CALCULATOR_NOTE = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A problem with its published solution, or with None where the solution must not be used (the test split)."""

    problem: Problem
    solution: Solution | None


def load_published(source: str, path: str, split: str) -> list[Published]:
    """The `train` or `test` split of `gsm8k` or `math`; an empty reference answer stays "" for the caller to count.

    `path` is a JSONL file of that split, a folder of such files (`gsm8k_train.jsonl.gz`, `train.jsonl`, ...), a hub id,
    or "" for the usual one. Raises MathwrightError for a missing file, a malformed line or a missing field.
    """
    file = _local_file(source, path, split)
    if file is None:
        rows = ((place, number, row) for number, (place, row) in enumerate(hub_rows(_hub_source(source, path, split))))
    else:
        rows = ((f"{file}:{number}", number - 1, row) for number, row in read_rows(file))
    read = _read_gsm8k if source == "gsm8k" else _read_math
    published: list[Published] = []
    for place, index, row in rows:
        try:
            published.append(read(row, f"{source}-{split}-{index}", split))
        except LayoutError as error:
            raise MathwrightError(f"{place}: {error}", hint=f"is this the right layout for {source}?") from error
    return published


def _local_file(source: str, path: str, split: str) -> Path | None:
    """The local file of a split, or None where `path` means a hub id."""
    if not path:
        return None
    given = Path(path).expanduser()
    if given.is_dir():
        names = [f"{stem}.jsonl{end}" for stem in (f"{source}_{split}", split) for end in ENDINGS]
        for name in names:
            if (given / name).is_file():
                return given / name
        raise MathwrightError(
            f"{path}: no {split} file of {source}",
            hint=f"it would be called {names[0]} or {split}.jsonl, packed or not",
        )
    if given.is_file():
        other = {"train": "test", "test": "train"}[split]
        if other in given.name and split not in given.name:
            raise MathwrightError(
                f"{path} is the {other} split, but {split} problems are asked for",
                hint=f"give the folder with both files, or set num_{split} to 0",
            )
        return given
    if re.fullmatch(r"[\w.-]+/[\w.-]+", path) and not given.parent.exists():
        return None
    raise MathwrightError(f"{path}: no such file or folder", hint=f"the path of problem source {source!r}")


def _hub_source(source: str, path: str, split: str) -> HubSource:
    """The usual data set of a source, or another one on the hub, which has its rows in one configuration."""
    usual = BENCHMARKS[source].hub
    if usual is not None and path in ("", usual.id):
        return dataclasses.replace(usual, split=split)
    return HubSource(id=path, split=split)


def _published(source: str, draft: Draft, identity: str, split: str, working: str) -> Published:
    """The published solution is kept only where it may be trained on and has an answer."""
    problem = Problem(
        id=f"{source}-{draft.id}" if draft.id else identity,
        question=draft.question,
        answer=draft.answer,
        source=source,
        split=split,
        subject=draft.subject,
        level=draft.level,
    )
    usable = split == "train" and draft.answer
    part = Part(kind="text", text=working)
    solution = Solution(problem_id=problem.id, format="cot", parts=(part,), answer=problem.answer) if usable else None
    return Published(problem=problem, solution=solution)


def _read_gsm8k(row: Mapping[str, Any], identity: str, split: str) -> Published:
    draft = layouts.gsm8k(row)
    working = row["answer"].rpartition("####")[0]
    lines = [" ".join(line.split()) for line in _CALCULATOR_NOTE.sub("", working).splitlines()]
    text = "\n".join([line for line in lines if line] + [f"The answer is \\boxed{{{draft.answer}}}."])
    return _published("gsm8k", draft, identity, split, text)


def _read_math(row: Mapping[str, Any], identity: str, split: str) -> Published:
    return _published("math", layouts.math(row), identity, split, row["solution"].strip())
