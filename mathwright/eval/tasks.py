"""How each benchmark is prompted and scored; what it asks, and where its file is, `problems.benchmarks` knows.

Shots are those of the paper's evaluation of base models (§2.3, Tables 1-3, and the authors' released evaluation). The
exemplars are ours. A fine-tuned model is asked without exemplars (§3.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mathwright.errors import MathwrightError
from mathwright.problems.benchmarks import BENCHMARKS
from mathwright.problems.containers import is_data
from mathwright.problems.own import source_name
from mathwright.records import Problem, SolutionFormat

_DECIMAL = re.compile(r"[-+]?\d*(?:\.\d*(?:[eE][-+]?\d+)?|\d[eE][-+]?\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A benchmark as it is evaluated."""

    name: str
    source: str = ""
    """Path of a file of problems; "" where `name` is a benchmark."""
    exemplars: str
    """Set of exemplars of its few-shot prompts (`prompts.exemplar_sets`)."""
    cot_shots: int
    """Exemplars of a base model's chain-of-thought prompt, unless the caller asks for another number."""
    pot_shots: int = 0
    """Likewise for programs; 0 where the paper has none and we have no set."""
    rel_tolerance: float = 0.0
    """Relative tolerance of the benchmark's own published scorer for references that are decimals; 0.0 is exact."""


def _task(name: str, exemplars: str, cot_shots: int, pot_shots: int = 0, rel_tolerance: float = 0.0) -> Task:
    return Task(name=name, exemplars=exemplars, cot_shots=cot_shots, pot_shots=pot_shots, rel_tolerance=rel_tolerance)


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        _task("gsm8k", "word_en", 8, 8),
        _task("math", "math_en", 4, 4),
        _task("math500", "math_en", 4, 4),
        # In effect 1e-5: the released scorer's 1% holds only next to zero.
        _task("ocw", "science_en", 4, 4, rel_tolerance=1e-5),
        _task("sat", "choice_en", 4),
        _task("mmlu_stem", "choice_en", 4),
        _task("cmath", "word_zh", 6, 6),
        _task("gaokao_mathcloze", "cloze_zh", 5),
        _task("gaokao_mathqa", "choice_zh", 5),
        _task("mgsm_zh", "word_zh", 8, 8),
        _task("mmlu", "knowledge_en", 5),
        _task("bbh", "reasoning_en", 3),
        _task("minif2f", "proof_isabelle", 3),
        # Not in the paper from here on; shots by analogy.
        _task("svamp", "word_en", 8, 8),
        _task("asdiv", "word_en", 8, 8),
        _task("mawps", "word_en", 8, 8),
        # its floats came out of programs, and its scorer takes differences below 1e-3
        _task("gsm_hard", "word_en", 8, 8, rel_tolerance=1e-6),
        _task("aqua", "choice_en", 4),
        _task("mathqa", "choice_en", 4),
        _task("theoremqa", "science_en", 4, 4, rel_tolerance=0.04),  # its scorer: 4% for floats, exact for integers
        _task("math23k", "word_zh", 6, 6),
        _task("gaokao_bench_cloze", "cloze_zh", 5),
        _task("gaokao_bench_choice", "choice_zh", 5),
        _task("tal_scq5k_en", "choice_en", 4),
        _task("tal_scq5k_zh", "choice_zh", 5),
        _task("humaneval", "code_en", 0),
        _task("mbpp", "code_en", 3, 3),
    )
}


def find_task(name: str) -> Task:
    """The task of that name; a path of a .jsonl(.gz) file of Problem records is a task, too.

    Raises MathwrightError for an unknown name, listing those there are.
    """
    if name in TASKS:
        return TASKS[name]
    if is_data(name):
        return Task(name=source_name(name), source=name, exemplars="word_en", cot_shots=8, pot_shots=8)
    if name in BENCHMARKS:
        return Task(name=name, exemplars="word_zh" if BENCHMARKS[name].language == "zh" else "word_en", cot_shots=4)
    raise MathwrightError(
        f"no task is called {name!r}", hint=f"one of {', '.join(TASKS)}, or a .jsonl file of problems"
    )


def shots_of(task: Task, mode: SolutionFormat, shots: int | None) -> int:
    """Exemplars in the prompt: those asked for, or else the paper's number."""
    if shots is not None:
        return shots
    return task.pot_shots if mode in ("pot", "tool") else task.cot_shots


def tolerance_of(task: Task, problem: Problem) -> float:
    """The relative tolerance for one reference: an integer or a formula is exact in every benchmark."""
    return task.rel_tolerance if _DECIMAL.fullmatch(problem.answer.strip()) else 0.0
