"""Contamination of the arms of a comparison: which of the problems they are measured by their text holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mathwright.corpus.decontaminate import build_index, find_contamination_in
from mathwright.corpus.decontaminate.index import BenchmarkText, ContaminationIndex
from mathwright.lm.load import load_tokenizer
from mathwright.lm.shards import TokenShards
from mathwright.pretrain.measures import Questions
from mathwright.problems.prompts import question_with_choices
from mathwright.records import Problem
from mathwright.run import Stage


def index_of(questions: Questions, tasks: Mapping[str, Iterable[Problem]]) -> ContaminationIndex:
    """The index of all problems and solutions that arms are measured by, by measure; §2.1's rules: ten grams that
    match exactly, a shorter text as a whole."""
    texts: dict[str, list[BenchmarkText]] = {}
    for name, targets in questions.targets.items():
        for number, target in enumerate(targets):
            texts.setdefault(name, []).extend(_texts(str(number), target.problem, target.solution))
    for name, choices in questions.choices.items():
        for number, choice in enumerate(choices):
            texts.setdefault(name, []).extend(_texts(str(number), "\n".join([choice.question, *choice.options])))
    for name, problems in tasks.items():
        for problem in problems:
            texts.setdefault(name, []).extend(_texts(problem.id, question_with_choices(problem)))
    return build_index(texts)


def _texts(problem: str, *texts: str) -> Iterator[BenchmarkText]:
    for text in texts:
        yield BenchmarkText(text=text, problem=problem)


def find(stage: Stage, index: ContaminationIndex, corpora: Mapping[str, Path], model: str) -> dict[str, dict[str, Any]]:
    """Of each corpus, by measure: documents that hold a part of its problems, and how many problems are in them.

    Documents are read from the token shards, so what is searched is what is trained on. A corpus is searched once.
    """
    tokenizer = load_tokenizer(model)
    return {
        name: stage.once(f"contamination-{name}", lambda _, path=path: _search(TokenShards(path), tokenizer, index))
        for name, path in corpora.items()
    }


def _search(shards: TokenShards, tokenizer: Any, index: ContaminationIndex) -> dict[str, Any]:
    documents: dict[str, int] = {}
    problems: dict[str, set[str]] = {}
    texts = (tokenizer.decode(shards.read(d.start, d.num_tokens - 1).tolist()) for d in shards.documents())
    for spans in find_contamination_in(texts, index):
        for measure in {span.benchmark for span in spans}:
            documents[measure] = documents.get(measure, 0) + 1
        for span in spans:
            problems.setdefault(span.benchmark, set()).add(span.problem)
    return {
        measure: {"documents": documents.get(measure, 0), "problems": len(problems.get(measure, ()))}
        for measure in index.num_texts
    }


def of_arm(found: Mapping[str, Mapping[str, Mapping[str, int]]], corpora: Iterable[str]) -> dict[str, dict[str, int]]:
    """What was found in the corpora of an arm; a problem in two of them counts twice."""
    sums: dict[str, dict[str, int]] = {}
    for corpus in corpora:
        for measure, counts in found[corpus].items():
            own = sums.setdefault(measure, {"documents": 0, "problems": 0})
            for what, count in counts.items():
                own[what] += count
    return sums
