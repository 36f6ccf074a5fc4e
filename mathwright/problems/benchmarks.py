"""The benchmarks of the paper and its neighbours: where their problems are, and how they are read.

`load_benchmark("gsm8k", "data")` reads local files; `load_benchmark("gsm8k")` asks the Hugging Face hub. None of the
data is part of this package. `docs/benchmarks.md` lists them with their licences and layouts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.problems import layouts
from mathwright.problems.catalogue import BENCHMARKS, Benchmark
from mathwright.problems.containers import is_data
from mathwright.problems.fields import LayoutError
from mathwright.problems.layouts import Draft, Dropped, unusable
from mathwright.problems.own import load_own, source_name
from mathwright.problems.prompts import question_with_choices
from mathwright.problems.tables import HubSource, file_rows, hub_rows
from mathwright.records import Problem
from mathwright.unpack import packed, without_ending

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "HubSource",
    "LoadedBenchmark",
    "benchmark_rows",
    "find_benchmark",
    "load_benchmark",
    "problem_id",
]

SUBFOLDERS = ("", "problems", "chinese")
"""Where a benchmark's file is looked for in a data folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedBenchmark:
    """The problems of a benchmark, as they were found."""

    benchmark: Benchmark
    problems: tuple[Problem, ...]
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows left out, by reason."""
    repeated: int = 0
    """Problems that ask word for word what an earlier one asks; they are kept, as published scores count them."""
    where: str
    """File or hub split that was read."""


def load_benchmark(
    name_or_path: str, data: str | Path | None = None, *, fields: Sequence[tuple[str, str]] = ()
) -> LoadedBenchmark:
    """All test problems of a benchmark, in the order of its file.

    Args:
        name_or_path: a name of `BENCHMARKS`, or rows of one's own (`problems.own`; `data` is not read).
        data: the benchmark's file, or a folder in which it is looked for; None for the Hugging Face hub.
        fields: of rows of one's own, pairs (our name, the file's name).

    Raises MathwrightError, naming file and line, for an unknown name, a missing or malformed file, a file of another
    benchmark, an id that occurs twice, or where no row can be asked.
    """
    if is_data(name_or_path):
        return _load_own(name_or_path, fields)
    benchmark = find_benchmark(name_or_path)
    return _load(benchmark, *benchmark_rows(benchmark, data))


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of that name; MathwrightError for one that is unknown."""
    if name not in BENCHMARKS:
        raise MathwrightError(
            f"no benchmark is called {name!r}", hint=f"one of {', '.join(BENCHMARKS)}, or a .jsonl file of problems"
        )
    return BENCHMARKS[name]


def benchmark_rows(benchmark: Benchmark, data: str | Path | None) -> tuple[Iterable[tuple[str, dict[str, Any]]], str]:
    """The rows of a benchmark as published, each with its place, and what they are read from.

    `data` is its file or a folder in which it is looked for, None the Hugging Face hub. Raises MathwrightError where it
    is not there.
    """
    if data is not None:
        files = _find_files(benchmark, Path(data).expanduser())
        return chain.from_iterable(map(file_rows, files)), ", ".join(map(str, files))
    if benchmark.hub is None:
        raise MathwrightError(
            f"{benchmark.name}: no copy on the Hugging Face hub is known",
            hint=f"give a data folder with {' or '.join(benchmark.files)}",
        )
    return hub_rows(benchmark.hub), str(benchmark.hub)


# --- reading --------------------------------------------------------------------------------------


def _find_files(benchmark: Benchmark, data: Path) -> list[Path]:
    if data.is_file():
        owners = [known.name for known in BENCHMARKS.values() if _is_file_of(data, known)]
        if owners and benchmark.name not in owners:
            raise MathwrightError(
                f"{data} is the file of {owners[0]}, but {benchmark.name} is asked for",
                hint="give the folder of the data, or the right file",
            )
        if "train" in data.name and "test" not in data.name:
            raise MathwrightError(
                f"{data} holds training problems by its name", hint="give the file of the test problems"
            )
        return [data]
    if not data.is_dir():
        raise MathwrightError(f"{data}: no such file or folder", hint="check the path of the benchmark data")
    for name in benchmark.files:
        for folder in (data / subfolder for subfolder in SUBFOLDERS):
            for pattern in packed(name):
                if found := sorted(path for path in folder.glob(pattern) if path.is_file()):
                    return found
    raise MathwrightError(
        f"{data}: no file of {benchmark.name}",
        hint=f"looked there, and in its folders {' and '.join(filter(None, SUBFOLDERS))}, for "
        f"{', '.join(benchmark.files)}, each packed (.gz, .zst, ...) or not",
    )


def _is_file_of(path: Path, benchmark: Benchmark) -> bool:
    plain = path.with_name(without_ending(path.name))
    return any(plain.match(name) for name in benchmark.files)


def _load(benchmark: Benchmark, rows: Iterable[tuple[str, dict[str, Any]]], where: str) -> LoadedBenchmark:
    problems: list[tuple[str, Problem]] = []
    dropped: Counter[str] = Counter()
    for index, (place, row) in enumerate(rows):
        try:
            draft = benchmark.read(row)
        except LayoutError as error:
            raise MathwrightError(
                f"{place}: {error}", hint=f"is this the right layout for {benchmark.name}? See docs/benchmarks.md"
            ) from error
        if isinstance(draft, Dropped):
            dropped[draft.reason] += 1
        elif reason := unusable(draft):
            dropped[reason] += 1
        else:
            problems.append((place, _problem(benchmark, draft, index)))
    return _loaded(benchmark, problems, dropped, where)


def problem_id(benchmark: Benchmark, draft: Draft, index: int) -> str:
    """A problem's id: the file's own, or else the number of the row, which a bare number is taken for."""
    own = draft.id or str(index)
    return f"{benchmark.name}-test-{own}" if own.isdecimal() else f"{benchmark.name}-{own}"


def _problem(benchmark: Benchmark, draft: Draft | Problem, index: int) -> Problem:
    if isinstance(draft, Problem):
        return draft
    return Problem(
        id=problem_id(benchmark, draft, index),
        question=draft.question,
        answer=draft.answer,
        source=benchmark.name,
        split="test",
        subject=draft.subject,
        level=draft.level,
        language=benchmark.language,
        choices=draft.choices,
        tests=draft.tests,
        theorem=draft.theorem,
    )


def _load_own(where: str, fields: Sequence[tuple[str, str]]) -> LoadedBenchmark:
    """Rows of one's own; where some say that they are to train on, those are left out."""
    own = load_own(where, fields=fields, heldout=False)
    languages = {problem.language for problem in own.test or own.train}
    benchmark = Benchmark(
        name=source_name(where),
        title=where,
        language="zh" if languages == {"zh"} else "en",
        size=None,
        files=(Path(where).name,),
        hub=None,
        read=layouts.record,
        paper="not in the paper",
    )
    has_splits = bool(own.test)
    problems = [(where, problem) for problem in (own.test if has_splits else own.train)]
    dropped = dict(own.dropped) | ({"training problem": len(own.train)} if has_splits and own.train else {})
    return _loaded(benchmark, problems, dropped, where)


def _loaded(
    benchmark: Benchmark, problems: list[tuple[str, Problem]], dropped: Mapping[str, int], where: str
) -> LoadedBenchmark:
    places: dict[str, str] = {}
    for place, problem in problems:
        if problem.id in places:
            raise MathwrightError(
                f"{place}: the id {problem.id!r} stands already at {places[problem.id]}",
                hint="the file holds something twice; give each problem an id of its own",
            )
        places[problem.id] = place
    if not problems:
        reasons = ", ".join(f"{reason} {count}" for reason, count in dropped.items()) or "it is empty"
        raise MathwrightError(f"{where}: no problem of {benchmark.name} ({reasons})", hint="check the file")
    asked = {question_with_choices(problem) for _, problem in problems}
    return LoadedBenchmark(
        benchmark=benchmark,
        problems=tuple(problem for _, problem in problems),
        dropped=dict(dropped),
        repeated=len(problems) - len(asked),
        where=where,
    )
