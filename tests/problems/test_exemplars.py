"""Exemplars: every one is right, and new."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mathwright.answers import check_answer, extract_answer
from mathwright.corpus.decontaminate import build_index, find_contamination
from mathwright.problems.exemplars import Exemplar, exemplar_sets, load_exemplars
from mathwright.problems.tables import file_rows
from mathwright.tools.loop import program_answer, tool_output
from mathwright.tools.sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


ALL_EXEMPLARS = [pytest.param(e, id=e.problem.id) for name in exemplar_sets() for e in load_exemplars(name)]


NO_ANSWER = ("code", "proof")
"""Sets whose responses are programs or proofs, and name no final answer."""


@pytest.mark.parametrize("exemplar", [p for p in ALL_EXEMPLARS if not p.values[0].problem.id.startswith(NO_ANSWER)])  # type: ignore[union-attr]
def test_what_an_exemplar_says_is_true(exemplar: Exemplar, sandbox: Sandbox) -> None:
    """Its program prints what the transcript shows, and program and words come to the answer."""
    answer = exemplar.problem.answer
    assert check_answer(extract_answer(f"{exemplar.cot} {exemplar.ending}") or "", answer).correct
    if exemplar.program:
        execution = sandbox.run(exemplar.program, timeout_s=30)
        assert tool_output(execution) == exemplar.output
        assert check_answer(program_answer(execution) or "", answer).correct
        assert exemplar.lead


@pytest.mark.parametrize("exemplar", load_exemplars("code_en"), ids=lambda e: e.problem.id)
def test_a_program_that_is_the_answer_passes_the_tests_in_its_question(exemplar: Exemplar, sandbox: Sandbox) -> None:
    asserts = [line for line in exemplar.problem.question.splitlines() if line.startswith("assert ")]
    assert len(asserts) == 3
    for line in asserts:
        assert sandbox.run(f"{exemplar.program}\n{line}", timeout_s=10).status == "ok"
        wrong = line.replace("==", "!=")
        assert sandbox.run(f"{exemplar.program}\n{wrong}", timeout_s=10).status == "error"


@pytest.mark.parametrize("name", ["choice_en", "choice_zh"])
def test_the_right_options_stand_at_different_letters(name: str) -> None:
    """A model that learns a letter from the exemplars learns nothing."""
    exemplars = load_exemplars(name)
    for exemplar in exemplars:
        assert exemplar.problem.answer in "ABCDE"[: len(exemplar.problem.choices)]
        assert len(set(exemplar.problem.choices)) == len(exemplar.problem.choices)
    assert {exemplar.problem.answer for exemplar in exemplars[:4]} == set("ABCD")


def test_no_exemplar_stands_in_a_benchmark(shared_data: Path) -> None:
    texts = {n: [t for e in load_exemplars(n) for t in (e.problem.question, e.cot) if t] for n in exemplar_sets()}
    index = build_index(texts)
    assert all(find_contamination(text, index) for group in texts.values() for text in group)
    num_read = 0
    for folder in ("problems", "chinese"):
        for path in sorted((shared_data / folder).glob("*.json*")):
            if "_train" not in path.name:
                rows = [row for _, row in file_rows(path)]
                num_read += len(rows)
                # in one piece: what stands in a string stands there too, and a hundred times as many calls take so long
                strings = list(_strings(rows))
                assert [span.matched for span in find_contamination("\n".join(strings), index)] == [], path.name
                strings.insert(len(strings) // 2, next(reversed(texts["choice_en"])))
                assert find_contamination("\n".join(strings), index), "one that stood there would be found"
    assert num_read > 20_000


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) > 10:
            yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
