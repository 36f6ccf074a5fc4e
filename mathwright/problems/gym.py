"""Problems of the package reasoning-gym: arithmetic with short numeric answers."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.records import Part, Problem, Solution

DATASETS = (
    "chain_sum",
    "basic_arithmetic",
    "gcd",
    "lcm",
    "simple_equations",
    "fraction_simplification",
    "gsm_symbolic",
)
"""Datasets used where the recipe names none: their answers are whole numbers or fractions."""

_SHORT_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,6})?(/\d{1,9})?")
_TEST_SHARE = 5

# A row's generator is seeded with seed + index, so neighbouring seeds would draw the same rows.
_SEED_STRIDE = 10_000_019


def load_gym(
    names: str, *, difficulty: int, num_train: int, num_test: int, seed: int
) -> tuple[list[Problem], list[Problem], list[Solution], Counter[str]]:
    """Training and test problems in turn from each dataset, solutions where they can be derived, and counts of drops.

    A question belongs to the test by a hash of its text, so no seed's training problems hold another's test problems.
    Only `chain_sum` has solutions (cot): its running sums. Raises MathwrightError where the package or a dataset is
    missing, or the datasets are exhausted.
    """
    datasets = [name.strip() for name in names.split(",")] if names.strip() else list(DATASETS)
    dropped: Counter[str] = Counter()
    streams = [_rows(name, difficulty, seed) for name in datasets]
    wanted, found = {"train": num_train, "test": num_test}, {"train": [], "test": []}
    seen: set[str] = set()
    solutions: list[Solution] = []
    while any(len(found[split]) < wanted[split] for split in wanted):
        if not streams:
            raise MathwrightError(
                f"reasoning_gym: only {len(found['train'])} training and {len(found['test'])} test questions found",
                hint="ask for fewer problems, name more datasets, or raise problems.difficulty",
            )
        for stream in list(streams):
            row = next(stream, None)
            if row is None:
                streams.remove(stream)
                continue
            question, answer = row["question"].strip(), row["answer"].strip()
            digest = hashlib.blake2b(question.encode(), digest_size=6).digest()
            split = "test" if digest[0] % _TEST_SHARE == 0 else "train"
            if not _SHORT_NUMBER.fullmatch(answer):
                dropped["answer is not a short number"] += 1
            elif question in seen:
                dropped["same question twice"] += 1
            elif len(found[split]) < wanted[split]:
                seen.add(question)
                name = row["metadata"]["source_dataset"]
                problem = Problem(
                    id=f"reasoning_gym-{name}-{digest.hex()}",
                    question=question,
                    answer=answer,
                    source="reasoning_gym",
                    split=split,
                    subject=name,
                    level=str(difficulty),
                )
                found[split].append(problem)
                if split == "train" and name == "chain_sum":
                    solutions.append(_running_sums(problem, row["metadata"]["expression"]))
    return found["train"], found["test"], solutions, dropped


def _do_without_pycosat() -> None:
    """Let reasoning_gym be imported without pycosat, which comes without wheels and needs a C compiler.

    Only its zebra puzzles use it; asking for one of them without pycosat fails with a message that says so.
    """
    if "pycosat" in sys.modules or importlib.util.find_spec("pycosat") is not None:
        return

    def itersolve(*_: object) -> Iterator[list[int]]:
        raise MathwrightError("this dataset of reasoning_gym needs pycosat", hint="pip install pycosat (compiles C)")

    module = types.ModuleType("pycosat")
    vars(module)["itersolve"] = itersolve
    sys.modules["pycosat"] = module


def _rows(name: str, difficulty: int, seed: int) -> Iterator[dict[str, Any]]:
    try:
        _do_without_pycosat()
        import reasoning_gym  # heavy, and needed only here
        from reasoning_gym import factory
    except ImportError as error:
        raise MathwrightError(
            "the package `reasoning-gym` is missing",
            hint="pip install 'mathwright[problems]', then pip install --no-deps reasoning-gym",
        ) from error
    if name not in factory.DATASETS:
        raise MathwrightError(
            f"reasoning_gym has no dataset {name!r}", hint=f"for example {', '.join(DATASETS)}; see its documentation"
        )
    size = 100_000  # virtual: rows are made when they are asked for
    dataset = reasoning_gym.create_dataset(name, seed=seed * _SEED_STRIDE, size=size, **_settings(name, difficulty))
    return (dataset[index] for index in range(size))


def _settings(name: str, difficulty: int) -> Mapping[str, Any]:
    """Sizes of numbers by difficulty for the datasets we know; others keep the package's own."""
    digits, top = (1, 2, 2, 3)[difficulty], (9, 20, 100, 1000)[difficulty]
    known: dict[str, dict[str, Any]] = {
        "chain_sum": {"max_terms": 2 + difficulty, "max_digits": digits},
        "basic_arithmetic": {"max_terms": 2 + difficulty, "max_digits": digits, "allow_negation": difficulty > 1},
        "gcd": {"min_value": 2, "max_value": 5 * top},
        "lcm": {"min_value": 2, "max_value": top},
        "simple_equations": {"max_terms": 2 + (difficulty > 1), "max_value": top},
        "fraction_simplification": {"max_value": top, "max_factor": max(3, top // 10), "styles": ("plain",)},
        "products": {"max_digits": digits},
    }
    return known.get(name, {})


def _running_sums(problem: Problem, expression: str) -> Solution:
    """The sum computed from left to right, a line for each step."""
    first, *rest = expression.split()
    total, lines = int(first), []
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        result = total + int(term) if sign == "+" else total - int(term)
        lines.append(f"{total} {sign} {term} = {result}")
        total = result
    text = "\n".join([*lines, f"The answer is \\boxed{{{total}}}."])
    return Solution(problem_id=problem.id, format="cot", parts=(Part(kind="text", text=text),), answer=problem.answer)
