"""Asking an engine, in as few words as tests like."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from mathwright.engines.engine import Answer, Engine, Request
from mathwright.lm.recipe import SamplingRecipe
from mathwright.problems.templates import Prompt
from mathwright.records import Problem

SAMPLED = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=12)
GREEDY = dataclasses.replace(SAMPLED, temperature=0.0)
LONG = dataclasses.replace(SAMPLED, max_new_tokens=2_000)


PROBLEM = Problem(id="p", question="", answer="", source="engines", split="test")


def prompt(text: str, **fields: Any) -> Prompt:
    """A text for an engine, whatever the problem is."""
    return Prompt(problem=PROBLEM, mode="cot", text=text, **fields)


def request(text: str, seed: int = 0, sampling: SamplingRecipe = SAMPLED, stop: tuple[str, ...] = ()) -> Request:
    messages = ({"role": "user", "content": text},)
    return Request(
        key=f"{text}/{seed}", prompt=prompt(text, stop=stop, messages=messages), seed=seed, sampling=sampling
    )


def answers(engine: Engine, requests: Sequence[Request], *, tool: Any = None, max_tool_rounds: int = 0) -> list[Answer]:
    """The answers in the order of the requests; each is handed over exactly once."""
    found: dict[int, Answer] = {}

    def keep(index: int, answer: Answer) -> None:
        assert index not in found
        found[index] = answer

    engine.generate(requests, tool=tool, max_tool_rounds=max_tool_rounds, on_completion=keep)
    return [found[i] for i in range(len(requests))]
