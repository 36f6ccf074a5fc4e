"""GSM8K and MATH in their published layouts, from local JSONL files or from the Hugging Face hub.

gsm8k  {"question", "answer"}: the answer is the worked solution with calculator notes <<48/2=24>>, then "#### 72"
math   {"problem", "solution", "level", "type"}: the final answer stands in the last \\boxed{} of the solution
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.problems.rows import read_rows
from mathwright.records import Part, Problem, Solution

_CALCULATOR_NOTE = re.compile(r"<<[^<>]*>>")

HUB_IDS: Mapping[str, str] = {"gsm8k": "openai/gsm8k", "math": "EleutherAI/hendrycks_math"}
_HUB_CONFIGS: Mapping[str, tuple[str, ...]] = {
    "openai/gsm8k": ("main",),
    "EleutherAI/hendrycks_math": (
        "algebra",
        "counting_and_probability",
        "geometry",
        "intermediate_algebra",
        "number_theory",
        "prealgebra",
        "precalculus",
    ),
}


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
        hub_id = path or HUB_IDS[source]
        rows = ((f"{hub_id}, {split} row {n}", n, row) for n, row in enumerate(_hub_rows(hub_id, split)))
    else:
        rows = ((f"{file}:{number}", number - 1, row) for number, row in read_rows(file))
    read = _read_gsm8k if source == "gsm8k" else _read_math
    return [read(row, f"{source}-{split}-{index}", split, where) for where, index, row in rows]


def _local_file(source: str, path: str, split: str) -> Path | None:
    """The local file of a split, or None where `path` means a hub id."""
    if not path:
        return None
    given = Path(path).expanduser()
    if given.is_dir():
        names = [f"{stem}.jsonl{end}" for stem in (f"{source}_{split}", split) for end in ("", ".gz")]
        for name in names:
            if (given / name).is_file():
                return given / name
        raise MathwrightError(f"{path}: no {split} file of {source}", hint=f"it would be called {' or '.join(names)}")
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


def _hub_rows(hub_id: str, split: str) -> Iterable[dict[str, Any]]:
    try:
        import datasets  # heavy, and needed only here
    except ImportError as error:
        raise MathwrightError("the package `datasets` is missing", hint="pip install 'mathwright[problems]'") from error
    for config in _HUB_CONFIGS.get(hub_id, (None,)):
        try:
            yield from datasets.load_dataset(hub_id, config, split=split)  # type: ignore[misc]  # rows are dicts
        except (OSError, ValueError) as error:
            raise MathwrightError(
                f"{hub_id}: cannot be loaded from the Hugging Face hub: {error}",
                hint="check network and id, or set the source's path to a folder with the JSONL files",
            ) from error


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    if not isinstance(row.get(name), str):
        found = "lacks the field" if name not in row else "has no text in the field"
        raise MathwrightError(f"{where}: {found} {name!r}", hint="is this the right layout for this source?")
    return row[name]


def _published(problem: Problem, working: str) -> Published:
    """The published solution is kept only where it may be trained on and has an answer."""
    usable = problem.split == "train" and problem.answer
    part = Part(kind="text", text=working)
    solution = Solution(problem_id=problem.id, format="cot", parts=(part,), answer=problem.answer) if usable else None
    return Published(problem=problem, solution=solution)


def _read_gsm8k(row: Mapping[str, Any], identity: str, split: str, where: str) -> Published:
    question, worked = _text(row, "question", where), _text(row, "answer", where)
    working, mark, answer = worked.rpartition("####")
    if not mark:
        raise MathwrightError(f"{where}: no '####' before the final answer", hint="is this GSM8K's layout?")
    answer = answer.strip().replace(",", "")
    lines = [" ".join(line.split()) for line in _CALCULATOR_NOTE.sub("", working).splitlines()]
    text = "\n".join([line for line in lines if line] + [f"The answer is \\boxed{{{answer}}}."])
    problem = Problem(
        id=identity,
        question=question.strip(),
        answer=answer,
        source="gsm8k",
        split=split,
        subject="grade school",
    )
    return _published(problem, text)


def _read_math(row: Mapping[str, Any], identity: str, split: str, where: str) -> Published:
    worked = _text(row, "solution", where)
    boxed = last_boxed(worked)
    problem = Problem(
        id=f"math-{row['unique_id']}" if row.get("unique_id") else identity,
        question=_text(row, "problem", where).strip(),
        answer=(boxed or "").strip(),
        source="math",
        split=split,
        subject=str(row.get("type") or row.get("subject") or ""),
        level=str(row.get("level", "")).removeprefix("Level "),
    )
    return _published(problem, worked.strip())


def last_boxed(text: str) -> str | None:
    r"""What stands in the last complete \boxed{...} (or \fbox{...}, or `\boxed 5`) of a text, or None."""
    for match in reversed(list(re.finditer(r"\\f?boxed\s*(?![a-zA-Z])|\\fbox\s*", text))):
        rest = text[match.end() :]
        if not rest.startswith("{"):
            word = re.match(r"[^\s${}]+", rest)
            if word:
                return word.group()
            continue
        depth = 0
        for index, character in enumerate(rest):
            escaped = index > 0 and rest[index - 1] == "\\"
            depth += (character == "{") - (character == "}") if not escaped else 0
            if depth == 0:
                return rest[1:index]
    return None
