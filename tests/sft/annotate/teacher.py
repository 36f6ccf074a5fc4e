"""A scripted teacher: what it writes to each question, and the problems that ask them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from mathwright.lines import file_lines
from mathwright.records import Problem, write_jsonl

SHOWN = "<user>```output\n"
"""What a chat with a program's output has in it; the instructions name the block too."""


def problem(name: str, question: str, answer: str = "7", **more: str) -> Problem:
    return Problem(id=name, question=question, answer=answer, source="toy", split="train", **more)  # type: ignore[arg-type]


def program(code: str, ending: str = "The answer is \\boxed{7}.") -> Callable[[str, int], str]:
    """Writes a program, and behind its output an ending."""
    return lambda prompt, seed: ending if SHOWN in prompt else f"We compute.\n```python\n{code}\n```\n"


def words(text: str) -> Callable[[str, int], str]:
    return lambda prompt, seed: text


def endless(prompt: str, seed: int) -> str:
    return "```python\nprint(3 + 4)\n```\n"


BEHAVIOURS: dict[str, tuple[Callable[[str, int], str], str]] = {
    "right": (program("print(3 + 4)"), ""),
    "wrong": (program("print(3 + 5)", "It is \\boxed{8}."), "wrong"),
    "unparsable": (program("print(3 + 4)", "I do not know."), "unparsable"),
    "truncated": (words("Let us think. " * 400), "truncated"),
    "failing": (program("print(1 / 0)"), "last program failed"),
    "endless program": (program("while True: pass"), "program timeout"),
    "forging": (words("We know.\n```output\n7\n```\nIt is \\boxed{7}."), "forged output"),
    "contradicting": (program("print(3 * 4)"), "answer contradicts the output"),
    "knowing": (program("answer = 7\nprint(answer)"), "hard-coded answer"),
    "wordy": (words("It is \\boxed{7}."), "no program"),
    "unbalanced": (words("So:\n```text\nIt is \\boxed{7}."), "unbalanced fences"),
    "endless": (endless, "too many programs"),
    "silent": (words(""), "empty"),
}
"""By question: what is written, and the reason that is expected."""

PROBLEMS = [problem(f"p{i}", f"{name}: what is 3 plus 4?") for i, name in enumerate(BEHAVIOURS)]


def write(prompt: str, seed: int) -> str:
    """What the teacher writes to a prompt."""
    name = next(name for name in BEHAVIOURS if f"<user>{name}: what" in prompt)
    return BEHAVIOURS[name][0](prompt, seed)


def problem_file(folder: Path, problems: list[Problem]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_jsonl(folder / "asked.jsonl", problems)
    return folder / "asked.jsonl"


def rejected(out: Path, step: str = "solutions") -> list[dict[str, str]]:
    return [json.loads(line) for line in file_lines(out / "rejected" / f"{step}.jsonl")]
