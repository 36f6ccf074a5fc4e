"""The questions and answers of benchmarks to be kept out: by name, from a data folder or the hub, or by path."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mathwright.corpus.decontaminate.index import BenchmarkText
from mathwright.errors import MathwrightError
from mathwright.problems.benchmarks import BENCHMARKS, Benchmark, benchmark_rows, problem_id
from mathwright.problems.fields import LETTERS, LayoutError
from mathwright.problems.layouts import Draft
from mathwright.records import Problem
from mathwright.unpack import DamagedFileError, open_text, packed

BENCHMARK_FIELDS = (
    *("question", "problem", "input", "query", "prompt", "original_text", "informal_statement"),
    *("answer", "solution", "rationale", "informal_proof", "golden"),
)
"""Fields of a benchmark's rows that hold questions and answers."""
GROUPS: Mapping[str, Sequence[str]] = {"agieval": ("gaokao_mathcloze", "gaokao_mathqa")}
"""Names that stand for several benchmarks; of AGIEval the paper evaluates the Gaokao's mathematics."""
_FILES = packed(".jsonl", ".json")


def benchmark_texts(
    names_or_paths: Iterable[str], data: str | Path | None = None
) -> dict[str, Iterator[BenchmarkText]]:
    """The texts of benchmarks by benchmark, each read as it is iterated.

    Args:
        names_or_paths: names of `problems.BENCHMARKS` or of `GROUPS`, or files of JSON lines.
        data: the folder in which the files of named benchmarks are looked for; None or "" for the Hugging Face hub.

    Raises MathwrightError for an unknown name and a missing file at once, for what is wrong in a file when it is read.
    """
    texts: dict[str, Iterator[BenchmarkText]] = {}
    for given in names_or_paths:
        if given.endswith(_FILES):
            path = Path(given).expanduser()
            _require(path)
            name = path.name.partition(".json")[0]
            texts[name if name not in texts else str(path)] = read_benchmark_texts(path)
            continue
        for name in GROUPS.get(given, (given,)):
            if name not in BENCHMARKS:
                raise MathwrightError(
                    f"no benchmark is called {name!r}",
                    hint=f"corpus.benchmarks: {', '.join([*GROUPS, *BENCHMARKS])}, or a file of JSON lines",
                )
            texts[name] = _named_texts(BENCHMARKS[name], benchmark_rows(BENCHMARKS[name], data or None)[0])
    return texts


def problem_texts(problems: Iterable[Problem]) -> dict[str, list[BenchmarkText]]:
    """Questions and final answers of problems, by their source."""
    texts: dict[str, list[BenchmarkText]] = {}
    for problem in problems:
        texts.setdefault(problem.source, []).extend(
            BenchmarkText(text=text, problem=problem.id) for text in (problem.question, problem.answer)
        )
    return texts


def _named_texts(benchmark: Benchmark, rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[BenchmarkText]:
    """The question as it is asked, with its options, and all other texts of each row (the worked solution)."""
    for index, (place, row) in enumerate(rows):
        try:
            draft = benchmark.read(row)
        except LayoutError as error:
            if not any(name in row for name in BENCHMARK_FIELDS):
                raise MathwrightError(
                    f"{place}: {error}", hint=f"is this the right layout for {benchmark.name}? See docs/benchmarks.md"
                ) from error
            draft = None
        own = problem_id(benchmark, draft, index) if isinstance(draft, Draft) else f"{benchmark.name}, row {index + 1}"
        texts = list(_row_texts(row))
        if isinstance(draft, Draft | Problem):
            texts = [draft.question, *(text for text in texts if text != draft.question)]
            if draft.choices:
                options = (f"({letter}) {choice}" for letter, choice in zip(LETTERS, draft.choices, strict=False))
                texts[0] = "\n".join([draft.question, *options])
        yield from (BenchmarkText(text=text, problem=own) for text in texts)


def _row_texts(row: Mapping[str, Any]) -> Iterator[str]:
    """The values of the fields in BENCHMARK_FIELDS; a value that is missing or no text is "", which is counted."""
    for value in (row[name] for name in BENCHMARK_FIELDS if name in row):
        for item in value if isinstance(value, list) else [value]:
            # GSM8K writes a calculator call into its answers: 16 - 3 = <<16-3=13>>13.
            yield re.sub(r"<<[^<>]*>>", "", item) if isinstance(item, str) else ""


# --- files ----------------------------------------------------------------------------------------


def read_benchmark(path: str | Path) -> Iterator[str]:
    """Questions and answers of a JSONL file (plain or .gz): the values of the fields in BENCHMARK_FIELDS.

    Raises MathwrightError with file and line for a line that is not a JSON object or has none of these fields, and for
    a file that is missing, damaged or not UTF-8.
    """
    path = Path(path)
    _require(path)
    return (item.text for item in read_benchmark_texts(path))


def read_benchmark_texts(path: Path) -> Iterator[BenchmarkText]:
    """As `read_benchmark`, each text with file and line as its problem."""
    for number, row in _lines(path):
        if not any(name in row for name in BENCHMARK_FIELDS):
            raise MathwrightError(
                f"{path}:{number}: no question and no answer",
                hint=f"name them by one of: {', '.join(BENCHMARK_FIELDS)}",
            )
        yield from (BenchmarkText(text=text, problem=f"{path.name}:{number}") for text in _row_texts(row))


def _require(path: Path) -> None:
    if not path.is_file():
        raise MathwrightError(f"{path}: no such benchmark file", hint="check corpus.benchmarks")


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line; an item of a list in a line of its own is taken for a row without texts."""
    number = 0
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    row = json.loads(line)
                    yield number, row if isinstance(row, dict) else {}
    except json.JSONDecodeError as error:
        raise MathwrightError(
            f"{path}:{number}: not JSON: {error}", hint="each line is one JSON object; correct or remove it"
        ) from error
    except (OSError, DamagedFileError, UnicodeDecodeError) as error:
        raise MathwrightError(
            f"{path}: cannot be read after line {number}: {error}",
            hint="the file is damaged or not UTF-8; download it again",
        ) from error
