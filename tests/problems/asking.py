"""Problems and prompts, in as few words as tests like."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from mathwright.problems.prompts import build_prompt
from mathwright.problems.templates import Prompt
from mathwright.records import Problem, SolutionFormat


def ask(question: str = "What is 1 + 1?", **fields: Any) -> Problem:
    return Problem(**{"id": "p", "question": question, "answer": "2", "source": "s", "split": "test", **fields})


def build(problem: Problem, mode: SolutionFormat = "cot", **options: Any) -> Prompt:
    defaults = {"template": "plain", "shots": 0, "exemplars": "word_en", "tokenizer": None}
    return build_prompt(problem, mode, **{**defaults, **options})


def cut(text: str, stop: Sequence[str]) -> str:
    """What a generator with these stop strings keeps."""
    return text[: min([len(text), *(text.index(s) for s in stop if s in text)])]


def render(messages: Sequence[Mapping[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
    """The chat template of `CHAT`."""
    turns = "".join(f"<{message['role']}>{message['content']}</>" for message in messages)
    return turns + ("<assistant>" if add_generation_prompt and not tokenize else "")


CHAT = SimpleNamespace(chat_template="has one", apply_chat_template=render)
"""A tokenizer with a chat template."""
