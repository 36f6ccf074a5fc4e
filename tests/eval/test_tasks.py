"""Every benchmark can be asked as the paper asks it, and is scored by its own rule."""

import pytest

from mathwright.errors import MathwrightError
from mathwright.eval.tasks import TASKS, find_task, shots_of, tolerance_of
from mathwright.problems.benchmarks import BENCHMARKS
from mathwright.problems.prompts import build_prompt
from mathwright.records import Problem, SolutionFormat

PAPER_SHOTS = {
    "mmlu": 5, "bbh": 3,
    "gsm8k": 8, "math": 4, "ocw": 4, "sat": 4, "mmlu_stem": 4, "cmath": 6, "gaokao_mathcloze": 5, "gaokao_mathqa": 5,
}  # fmt: skip


def problem(name: str, answer: str = "3.5") -> Problem:
    language = BENCHMARKS[name].language
    return Problem(id="p", question="Q", answer=answer, source=name, split="test", language=language)


MODES = {"humaneval": ("pot",), "mbpp": ("pot",), "minif2f": ("cot",)}


def test_every_benchmark_that_runs_is_a_task() -> None:
    assert set(TASKS) == set(BENCHMARKS)


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, mode) for name in TASKS for mode in MODES.get(name, ("cot", "pot"))],
)
def test_the_papers_shots_can_be_shown(name: str, mode: SolutionFormat) -> None:
    task = find_task(name)
    shots = shots_of(task, mode, None)
    if not shots:
        assert mode == "pot", "base models are always shown how to reason"
        return
    asked = build_prompt(problem(name), mode, template="plain", shots=shots, exemplars=task.exemplars, tokenizer=None)
    mark = "问题：" if BENCHMARKS[name].language == "zh" else "Question: "
    assert asked.text.count(mark) == shots + 1
    assert asked.stop


def test_shots_are_the_papers() -> None:
    assert {name: TASKS[name].cot_shots for name in PAPER_SHOTS} == PAPER_SHOTS
    assert (TASKS["gsm8k"].pot_shots, TASKS["math"].pot_shots) == (8, 4)
    assert shots_of(TASKS["gsm8k"], "cot", 3) == 3


@pytest.mark.parametrize(
    ("name", "answer", "tolerance"),
    [
        ("gsm8k", "3.5", 0.0),
        ("math", "3.5", 0.0),
        ("theoremqa", "3.5", 0.04),
        ("theoremqa", "11760", 0.0),
        ("theoremqa", "True", 0.0),
        ("ocw", "4.5e33", 1e-5),
        ("ocw", "\\frac{1}{2}", 0.0),
        ("gsm_hard", "1.3333333", 1e-6),
        ("gsm_hard", "9867630", 0.0),
    ],
)
def test_only_decimals_of_a_benchmark_with_a_tolerance_have_one(name: str, answer: str, tolerance: float) -> None:
    assert tolerance_of(find_task(name), problem(name, answer)) == tolerance


def test_a_file_of_problems_is_a_task() -> None:
    task = find_task("data/my_problems.jsonl.gz")
    assert (task.name, task.source) == ("my_problems", "data/my_problems.jsonl.gz")
    with pytest.raises(MathwrightError, match="gsm8kk"):
        find_task("gsm8kk")
