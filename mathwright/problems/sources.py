"""The problems of a run, gathered from all sources of its recipe."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mathwright.errors import MathwrightError
from mathwright.problems.containers import SUFFIXES
from mathwright.problems.fields import letters
from mathwright.problems.gym import load_gym
from mathwright.problems.own import load_own
from mathwright.problems.prompts import question_with_choices
from mathwright.problems.published import Published, load_published
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.problems.rows import read_records
from mathwright.records import Problem, Solution

T = TypeVar("T")
MADE = ("procedural", "reasoning_gym")
"""Sources that make as many problems as they are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSet:
    """What is trained on and what is tested."""

    train: list[Problem]
    test: list[Problem]
    solutions: list[Solution]
    """Worked solutions of training problems only."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many problems or solutions were left out, by `source: reason`."""


def load_problems(
    recipe: ProblemsRecipe, *, run_programs: Callable[[Sequence[str]], list[str]] | None = None
) -> ProblemSet:
    """All problems of a recipe, in the order of its sources; the same recipe gives the same problems.

    No question of the test, with its options, is a training question, and none occurs twice. `run_programs` runs the
    programs of the procedural solutions and returns what each printed; the sandbox is the default.

    Raises MathwrightError for an unknown source, a missing or malformed file, or an id that occurs twice.
    """
    dropped: Counter[str] = Counter()
    parts = [_load_source(source, recipe, run_programs, dropped) for source in recipe.sources]
    test = _distinct([p for part in parts for p in part.test], set(), "test question twice", dropped)
    asked = {_normalised(problem) for problem in test}
    train = _distinct([p for part in parts for p in part.train], asked, "training question asked before", dropped)
    _check_ids([*test, *train])
    kept = {problem.id for problem in train}
    solutions = [s for part in parts for s in part.solutions if s.problem_id in kept]
    return ProblemSet(train=train, test=test, solutions=solutions, dropped=dict(+dropped))


def _load_source(
    source: ProblemSourceRecipe,
    recipe: ProblemsRecipe,
    run_programs: Callable[[Sequence[str]], list[str]] | None,
    dropped: Counter[str],
) -> ProblemSet:
    if source.source in MADE:
        for name in ("num_train", "num_test"):
            if getattr(source, name) is None:
                raise MathwrightError(
                    f"problem source {source.source}: {name} is not set, and there is no end to its problems",
                    hint=f"say how many: {name}=1000",
                )
    if source.source == "procedural":
        return _procedural(source, recipe, run_programs)
    if source.source == "reasoning_gym":
        train, test, solutions, reasons = load_gym(
            source.path,
            difficulty=recipe.difficulty,
            num_train=source.num_train or 0,
            num_test=source.num_test or 0,
            seed=recipe.seed,
        )
        dropped.update({f"reasoning_gym: {reason}": count for reason, count in reasons.items()})
        return ProblemSet(train=train, test=test, solutions=solutions)
    if source.source in ("gsm8k", "math"):
        return _published(source, recipe.seed, dropped)
    if source.is_file:
        return _record_file(source, recipe.seed, dropped)
    raise MathwrightError(
        f"unknown problem source {source.source!r}",
        hint=f"use procedural, reasoning_gym, gsm8k, math, or a file that ends in {', '.join(SUFFIXES)}",
    )


def _procedural(
    source: ProblemSourceRecipe,
    recipe: ProblemsRecipe,
    run_programs: Callable[[Sequence[str]], list[str]] | None,
) -> ProblemSet:
    from mathwright.problems import procedural

    train, test = procedural.generate(
        procedural.find_templates(source.path, recipe.difficulty),
        difficulty=recipe.difficulty,
        num_train=source.num_train or 0,
        num_test=source.num_test or 0,
        seed=recipe.seed,
    )
    return ProblemSet(
        train=[item.problem for item in train],
        test=[item.problem for item in test],
        solutions=procedural.solutions(train, run_programs) if train else [],
    )


def _published(source: ProblemSourceRecipe, seed: int, dropped: Counter[str]) -> ProblemSet:
    chosen: dict[str, list[Published]] = {"train": [], "test": []}
    for split, wanted in (("train", source.num_train), ("test", source.num_test)):
        if wanted != 0:
            rows = load_published(source.source, source.path, split)
            answered = [row for row in rows if row.problem.answer]
            left_out = Counter({f"{source.source}: empty reference": len(rows) - len(answered)})
            dropped.update(left_out)
            what = f"{source.source} ({source.path or 'hub'})"
            chosen[split] = _pick(answered, wanted, seed, what, split, left_out)
    return ProblemSet(
        train=[row.problem for row in chosen["train"]],
        test=[row.problem for row in chosen["test"]],
        solutions=[row.solution for row in chosen["train"] if row.solution],
    )


def _record_file(source: ProblemSourceRecipe, seed: int, dropped: Counter[str]) -> ProblemSet:
    """Rows of one's own, and in `path`, where given, a file of Solution records for them."""
    name = Path(source.source).name
    own = load_own(source.source, fields=source.fields, seed=seed, heldout=source.num_test != 0, answers=source.answers)
    left_out = Counter({f"{name}: {reason}": count for reason, count in own.dropped.items()})
    dropped.update(left_out)
    train = _pick(own.train, source.num_train, seed, source.source, "train", left_out)
    test = _pick(own.test, source.num_test, seed, source.source, "test", left_out)
    kept = {problem.id: problem for problem in train}
    solutions = [solution for solution in own.solutions if solution.problem_id in kept]
    for _, solution in read_records(Path(source.path).expanduser(), Solution) if source.path else ():
        if (problem := kept.get(solution.problem_id)) is None:
            dropped[f"{name}: solution of no chosen training problem"] += 1
        elif problem.choices and letters(solution.answer) != letters(problem.answer):
            dropped[f"{name}: solution that does not answer with the right letter"] += 1
        else:
            solutions.append(solution)
    return ProblemSet(train=train, test=test, solutions=solutions)


def _pick(rows: list[T], wanted: int | None, seed: int, what: str, split: str, left_out: Counter[str]) -> list[T]:
    """`wanted` rows drawn without replacement; all of them, in an order of their own, where there are fewer.

    Raises MathwrightError where there is none, with what was left out before.
    """
    if not rows and (wanted or (wanted is None and split == "train")):
        reasons = ", ".join(f"{reason.partition(': ')[2]} {count:,}" for reason, count in left_out.items() if count)
        raise MathwrightError(
            f"{what}: no {split} problem" + (f" (dropped: {reasons})" if reasons else ""),
            hint=f"set num_{split} to 0 or check the file",
        )
    return random.Random(f"{seed}:{split}").sample(rows, len(rows) if wanted is None else min(wanted, len(rows)))


def _distinct(problems: list[Problem], asked: set[str], reason: str, dropped: Counter[str]) -> list[Problem]:
    """The problems whose question has not been asked yet; `asked` grows."""
    kept: list[Problem] = []
    for problem in problems:
        question = _normalised(problem)
        if question in asked:
            dropped[f"{problem.source}: {reason}"] += 1
        else:
            asked.add(question)
            kept.append(problem)
    return kept


def _normalised(problem: Problem) -> str:
    return " ".join(question_with_choices(problem).split()).casefold()


def _check_ids(problems: list[Problem]) -> None:
    counts = Counter(problem.id for problem in problems)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise MathwrightError(
            f"the problem id {twice[0]!r} occurs {counts[twice[0]]} times", hint="ids must differ between sources"
        )
