"""A folder of worked solutions: what `sft import` and `sft annotate` write, and `sft.solutions` and `sft build` read.

problems.jsonl     records Problem
solutions.jsonl    records Solution, by the ids of the problems
rejected/          what was set aside, with the reason
manifest.json      counts by reason; written last
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mathwright.errors import MathwrightError
from mathwright.files import content_mark
from mathwright.problems.prompts import question_with_choices
from mathwright.problems.rows import read_records
from mathwright.records import Problem, Solution
from mathwright.sft.sources.worked import normalised_question

PROBLEMS, SOLUTIONS, CONTAMINATION = "problems.jsonl", "solutions.jsonl", "contamination.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The problems and solutions of several folders as one set."""

    problems: list[Problem]
    solutions: list[Solution]
    source_of: dict[str, str] = field(default_factory=dict)
    """By the id of a problem, the folder it was first found in."""
    dropped: Counter[str] = field(default_factory=Counter)
    """What was left out, by reason."""


def question_key(problem: Problem) -> str:
    """What is equal for equal questions of different sources."""
    return normalised_question(question_with_choices(problem))


def require_folder(folder: Path) -> None:
    """Raise MathwrightError where a folder has no problems and solutions."""
    for name in (PROBLEMS, SOLUTIONS):
        if not (folder / name).is_file():
            raise MathwrightError(
                f"{folder} has no {name}",
                hint="name a folder that `mathwright sft import` or `sft annotate` has written",
            )


def folder_mark(folder: Path) -> str:
    """What tells the content of a folder from others (`files.content_mark`); "" where it is none."""
    files = [folder / name for name in (PROBLEMS, SOLUTIONS)]
    return content_mark(files) if all(file.is_file() for file in files) else ""


def gather(
    folders: Sequence[Path],
    *,
    test: Iterable[Problem] = (),
    first: tuple[Sequence[Problem], Sequence[Solution]] = ((), ()),
) -> Gathered:
    """The training problems of folders and their solutions, each question and each solution once.

    A question that several folders ask is the first one's problem, and has the solutions of all that give it the same
    answer. What is asked in `test`, or is no training problem in one of the folders, is left out everywhere. `first`
    are problems and solutions that stand before the folders.

    Raises MathwrightError where a folder is none, or two of its problems have one id.
    """
    asked = {question_key(problem) for problem in test}
    dropped: Counter[str] = Counter()
    read = [("the problem sources", {problem.id: problem for problem in first[0]}, list(first[1]))]
    read += [(str(folder), *_read(folder)) for folder in folders]
    for _, problems, _ in read:
        asked |= {question_key(problem) for problem in problems.values() if problem.split != "train"}
    by_question: dict[str, Problem] = {}
    source_of: dict[str, str] = {}
    solutions: dict[tuple[str, str, tuple[str, ...]], Solution] = {}
    for folder, problems, given in read:
        standing: dict[str, Problem] = {}
        for problem in problems.values():
            key = question_key(problem)
            if key in asked:
                dropped["asked in a test"] += 1
                continue
            known = by_question.setdefault(key, problem)
            if known is problem:
                if problem.id in source_of:
                    raise MathwrightError(
                        f"{folder}: another folder has the problem id {problem.id!r} for another question",
                        hint="import the data again under another --name",
                    )
                source_of[problem.id] = folder
            elif known.answer.strip() != problem.answer.strip():
                dropped["same question, another answer"] += 1
                continue
            else:
                dropped["question of an earlier folder"] += 1
            standing[problem.id] = known
        for solution in given:
            if (problem := standing.get(solution.problem_id)) is None:
                dropped["solution of no training problem"] += 1
                continue
            text = (problem.id, solution.format, tuple(part.text for part in solution.parts))
            if text in solutions:
                dropped["same solution twice"] += 1
            else:
                solutions[text] = _moved(solution, problem.id)
    return Gathered(
        problems=list(by_question.values()), solutions=list(solutions.values()), source_of=source_of, dropped=dropped
    )


def _read(folder: Path) -> tuple[dict[str, Problem], list[Solution]]:
    require_folder(folder)
    problems: dict[str, Problem] = {}
    for number, problem in read_records(folder / PROBLEMS, Problem):
        if problem.id in problems:
            raise MathwrightError(
                f"{folder / PROBLEMS}:{number}: the id {problem.id!r} stands there already",
                hint="give each problem an id of its own",
            )
        problems[problem.id] = problem
    return problems, [solution for _, solution in read_records(folder / SOLUTIONS, Solution)]


def _moved(solution: Solution, problem_id: str) -> Solution:
    if solution.problem_id == problem_id:
        return solution
    return Solution(problem_id=problem_id, format=solution.format, parts=solution.parts, answer=solution.answer)
