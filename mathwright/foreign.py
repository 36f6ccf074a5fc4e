"""Reward functions written for TRL or verl, called as they are: their arguments out of ours.

    TRL     f(completions, prompts, COLUMN, ..., **kwargs) -> a number for each
    verl    f(data_source, solution_str, ground_truth, extra_info=None) -> a number, or {"score": number, ...}

A column of the row a problem comes from is an argument of its name; `answer`, `solution`, `ground_truth` and `target`
are the reference answer where the row has no such column.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from mathwright.records import Completion, Problem

ANSWERS = ("answer", "solution", "ground_truth", "target")


def adapted(function: Callable[..., Any], trainer: str, *, batched: bool) -> Callable[..., Any]:
    """The function as one of (Problem, Completion), or batched of lists of them."""
    if trainer == "TRL":
        together = _trl(function)
        return together if batched else lambda problem, completion: together([problem], [completion])[0]
    alone = _verl(function)
    return alone if not batched else lambda problems, completions: [*map(alone, problems, completions)]


def _trl(function: Callable[..., Any]) -> Callable[[Sequence[Problem], Sequence[Completion]], Sequence[Any]]:
    parameters = inspect.signature(function).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def call(problems: Sequence[Problem], completions: Sequence[Completion]) -> Sequence[Any]:
        given: dict[str, Any] = {
            "prompts": [_asked(problem) for problem in problems],
            "completions": [_said(p, c.text) for p, c in zip(problems, completions, strict=True)],
            "completion_ids": [list(c.tokens) for c in completions],
        }
        names = {name for problem in problems for name in problem.columns} if takes_all else set[str]()
        for name in (names | parameters.keys()) - given.keys():
            values = [_column(problem, name) for problem in problems]
            if any(value is not None for value in values):
                given[name] = values
        kept = given if takes_all else {name: value for name, value in given.items() if name in parameters}
        return function(**kept)

    return call


def _verl(function: Callable[..., Any]) -> Callable[[Problem, Completion], Any]:
    parameters = inspect.signature(function).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def call(problem: Problem, completion: Completion) -> Any:
        given = {
            "data_source": problem.source,
            "solution_str": completion.text,
            "ground_truth": problem.answer,
            "extra_info": problem.columns.get("extra_info", dict(problem.columns)),
        }
        value = function(**(given if takes_all else {name: given[name] for name in given if name in parameters}))
        return value["score"] if isinstance(value, dict) else value

    return call


def _column(problem: Problem, name: str) -> Any:
    value = problem.columns.get(name)
    return problem.answer if value is None and name in ANSWERS else value


def _asked(problem: Problem) -> Any:
    """A prompt of messages is a conversation to TRL, a question a text."""
    return [{"role": m.role, "content": m.content} for m in problem.messages] or problem.question


def _said(problem: Problem, text: str) -> Any:
    return [{"role": "assistant", "content": text}] if problem.messages else text
