"""Worked exemplars of few-shot prompts (§2.3): the sets in `fewshot/*.toml`.

They are ours, not those of the published prompts, and none stands in a benchmark.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.records import Problem, SolutionFormat

_FOLDER = files("mathwright.problems") / "fewshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    """A worked problem that is shown before the question."""

    problem: Problem
    cot: str = ""
    """The working in words, without the last sentence; "" where the answer is a program."""
    lead: str = ""
    """What the program does: the words before it in tool-integrated reasoning."""
    program: str = ""
    """Prints the answer, or is the answer; "" where there is none."""
    output: str = ""
    """What the program prints."""
    ending: str = ""
    """The last sentence, which names the answer."""


def exemplar_sets() -> tuple[str, ...]:
    """Names of the sets of exemplars."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _FOLDER.iterdir() if file.name.endswith(".toml")))


@cache
def load_exemplars(name: str) -> tuple[Exemplar, ...]:
    """The exemplars of a set, in the order in which they are shown; MathwrightError for an unknown name."""
    if name not in exemplar_sets():
        raise MathwrightError(f"no set of exemplars is called {name!r}", hint=f"one of {', '.join(exemplar_sets())}")
    table = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return tuple(_exemplar(f"{name}-{number}", table, row) for number, row in enumerate(table["exemplars"], start=1))


def shown_exemplars(name: str, shots: int, mode: SolutionFormat) -> tuple[Exemplar, ...]:
    """The first `shots` exemplars of a set; none where `shots` is 0, and `name` is not read then.

    Raises MathwrightError for an unknown set, for one with fewer exemplars, or without what `mode` needs.
    """
    if shots < 0:
        raise MathwrightError(f"{shots} exemplars were asked for", hint="--shots must be at least 0")
    if shots == 0:
        return ()
    found = load_exemplars(name)
    if shots > len(found):
        raise MathwrightError(
            f"{shots} exemplars were asked for, but {name} has {len(found)}", hint=f"--shots {len(found)} or fewer"
        )
    needed = {"cot": "cot", "pot": "program", "tool": "output"}[mode]
    if not all(getattr(exemplar, needed) for exemplar in found[:shots]):
        wording = "worked solutions in words" if mode == "cot" else "programs that print an answer"
        raise MathwrightError(
            f"the exemplars {name} have no {wording}, which mode {mode} needs", hint="--shots 0, or another --mode"
        )
    return found[:shots]


def _exemplar(name: str, table: Mapping[str, Any], row: Mapping[str, Any]) -> Exemplar:
    texts = {key: row.get(key, "").strip() for key in ("question", "cot", "lead", "program", "output", "answer")}
    answer = texts["answer"] or texts["program"]
    return Exemplar(
        problem=Problem(
            id=name,
            question=texts["question"],
            answer=answer,
            source="exemplars",
            split="train",
            language=table["language"],
            choices=tuple(row.get("choices", ())),
        ),
        cot=texts["cot"],
        lead=texts["lead"],
        program=texts["program"],
        output=texts["output"],
        # not str.format: TeX is full of braces
        ending=table.get("ending", "").replace("{answer}", answer),
    )
