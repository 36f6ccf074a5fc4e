"""Folders of solutions as one set: each question and solution once, nothing that a test asks."""

from pathlib import Path

import pytest

from mathwright.errors import MathwrightError
from mathwright.records import Part, Problem, Solution, write_jsonl
from mathwright.sft.folder import folder_mark, gather


def problem(name: str, question: str, answer: str = "1", split: str = "train") -> Problem:
    return Problem(id=name, question=question, answer=answer, source="toy", split=split)


def solution(name: str, text: str) -> Solution:
    return Solution(problem_id=name, format="cot", parts=(Part(kind="text", text=text),), answer="1")


def folder(path: Path, problems: list[Problem], solutions: list[Solution]) -> Path:
    path.mkdir()
    write_jsonl(path / "problems.jsonl", problems)
    write_jsonl(path / "solutions.jsonl", solutions)
    return path


def test_a_question_of_several_folders_has_the_solutions_of_all(tmp_path: Path) -> None:
    one = folder(tmp_path / "1", [problem("a", "What is $x$?")], [solution("a", "first"), solution("a", "first")])
    two = folder(
        tmp_path / "2",
        [problem("b", "what is x"), problem("c", "New?"), problem("d", "What is  x ?", answer="2")],
        [solution("b", "second"), solution("b", "first"), solution("c", "third"), solution("d", "wrong")],
    )
    found = gather([one, two])
    assert [p.id for p in found.problems] == ["a", "c"]
    assert [(s.problem_id, s.parts[0].text) for s in found.solutions] == [
        ("a", "first"),
        ("a", "second"),
        ("c", "third"),
    ]
    assert found.source_of == {"a": str(one), "c": str(two)}
    assert found.dropped == {
        "same solution twice": 2, "question of an earlier folder": 1, "same question, another answer": 1,
        "solution of no training problem": 1,
    }  # fmt: skip


def test_what_a_test_asks_is_left_out_everywhere(tmp_path: Path) -> None:
    """The run's test, and the test part of any of the folders, whichever comes first."""
    one = folder(tmp_path / "1", [problem("a", "One?"), problem("b", "Two?")], [solution("a", "x"), solution("b", "y")])
    two = folder(tmp_path / "2", [problem("c", "two", split="test")], [solution("c", "z")])
    assert gather([one, two], test=[problem("t", "ONE", split="test")]).solutions == []


def test_ids_of_other_questions_and_folders_that_are_none(tmp_path: Path) -> None:
    one = folder(tmp_path / "1", [problem("a", "One?")], [])
    two = folder(tmp_path / "2", [problem("a", "Two?")], [])
    with pytest.raises(MathwrightError, match="problem id 'a' for another question"):
        gather([one, two])
    with pytest.raises(MathwrightError, match=r"has no problems\.jsonl"):
        gather([tmp_path])


def test_a_mark_tells_contents_apart(tmp_path: Path) -> None:
    one = folder(tmp_path / "1", [problem("a", "One?")], [solution("a", "x")])
    mark = folder_mark(one)
    write_jsonl(one / "solutions.jsonl", [solution("a", "y")])
    assert mark and folder_mark(one) != mark and folder_mark(tmp_path) == ""
