"""Worked solutions and benchmarks: the corpus stage's decontamination, put to the questions of solution sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mathwright.records import to_json


def benchmark_finder(
    benchmarks: Sequence[str], data: str | None
) -> Callable[[Sequence[tuple[str, str]]], list[list[Mapping[str, Any]]]]:
    """A function of (id, text) of questions to what of the benchmarks stands in each, by the rule of §2.1.

    `data` is the folder with the benchmarks' files; None is the Hugging Face hub. Raises MathwrightError for an unknown
    benchmark, or one whose file is missing.
    """
    from mathwright.corpus.decontaminate.contamination import QuestionIndex
    from mathwright.problems.benchmarks import load_benchmark

    index = QuestionIndex([problem for name in benchmarks for problem in load_benchmark(name, data).problems])

    def find(texts: Sequence[tuple[str, str]]) -> list[list[Mapping[str, Any]]]:
        return [[to_json(found) for found in findings] for findings in index.find_in(texts)]

    return find
