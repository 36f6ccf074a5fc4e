"""Prompts and their templates: how a question is laid out for a model. `problems.prompts` puts the question in.

Three layouts. `deepseekmath` is the paper's (§4, from the authors' evaluation code): `User: {question}{suffix}`, a
blank line, `Assistant:`, and a response that begins with a space and ends with the end token; no system prompt.
`tokenizer` puts the same words into the model's own chat template. `short` is ours: no suffix, a few tokens instead of
thirty, for runs in which every prompt token costs time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.records import Problem, SolutionFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A problem as a model is asked it (`problems.prompts.build_prompt`), and where the response begins and ends."""

    problem: Problem
    mode: SolutionFormat
    """The format that is asked for: pot for a problem with tests, whatever was wanted."""
    text: str
    stop: tuple[str, ...] = ()
    """Strings that end the response; they are no part of it."""
    response_prefix: str = ""
    """End of `text` that belongs to the response: the opening fence of a program."""
    messages: tuple[Mapping[str, str], ...] | None = None
    """The same as chat messages, for servers with a chat endpoint; None where the layout is no chat."""


DEEPSEEKMATH = "User: {request}\n\nAssistant:"

SUFFIXES: Mapping[tuple[str, SolutionFormat], str] = {
    ("en", "cot"): "\nPlease reason step by step, and put your final answer within \\boxed{}.",
    ("zh", "cot"): "\n请通过逐步推理来解答问题，并把最终答案放置于\\boxed{}中。",
    ("en", "tool"): "\nPlease integrate natural language reasoning with programs to solve the problem above, "
    "and put your final answer within \\boxed{}.",
    ("zh", "tool"): "\n请结合自然语言和Python程序语言来解答问题，并把最终答案放置于\\boxed{}中。",
    # paper silent: it names program-of-thought data (§3.1) but gives no prompt for it
    ("en", "pot"): "\nPlease write a Python program that solves the problem above and prints the final answer.",
    ("zh", "pot"): "\n请编写一个Python程序来解答问题，并打印最终答案。",
}
"""What follows the question, by language and format."""

SHORT: Mapping[SolutionFormat, str] = {
    "cot": "Question: {question}\nAnswer:",
    "pot": "Question: {question}\nProgram:",
    "tool": "Question: {question}\nAnswer with Python:",
}

TEMPLATES = ("deepseekmath", "tokenizer", "short")


def response_prefix(template: str) -> str:
    """What a response begins with under `template`: a space after `Assistant:`, nothing in a model's own template.

    What a model's own template writes there itself is found by `problems.turns`. Raises MathwrightError for an unknown
    template.
    """
    if template not in TEMPLATES:
        raise unknown_template(template)
    return "" if template == "tokenizer" else " "


TEMPLATE_FILE = "mathwright.json"
"""Next to the weights of a model we trained: how it expects to be asked."""


def write_template(folder: Path, template: str) -> None:
    """Say in a model's folder which template it was trained with."""
    (folder / TEMPLATE_FILE).write_text(json.dumps({"template": template}) + "\n", encoding="utf-8")


def usual_template(source: str | Path, tokenizer: Any, *, has_chat: bool | None = None) -> str:
    """The template a model expects: the one it was trained with, else its own chat template, else the paper's.

    `source` is where the model came from; `tokenizer` may be None (a server knows its model's own template). `has_chat`
    says whether there is a chat template, where that is known without the tokenizer.
    """
    path = Path(source) / TEMPLATE_FILE
    if path.is_file():
        named = json.loads(path.read_text(encoding="utf-8")).get("template")
        if named not in TEMPLATES:
            raise MathwrightError(f"{path}: unknown template {named!r}", hint=f"use one of {', '.join(TEMPLATES)}")
        return named
    if has_chat is None:
        has_chat = tokenizer is None or bool(getattr(tokenizer, "chat_template", None))
    return "tokenizer" if has_chat else "deepseekmath"


def has_chat_template(folder: Path) -> bool:
    """Whether the tokenizer in a model folder has a chat template, by its files alone."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    try:
        return bool(json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template"))
    except (OSError, ValueError, AttributeError):
        return False  # whoever loads the tokenizer says what is wrong with it


class TemplateRefusesError(MathwrightError):
    """A chat template that cannot be used, or not with a conversation such as this (Gemma's refuses system turns)."""


def render(tokenizer: Any, messages: Sequence[Mapping[str, str]], *, ask: bool) -> str:
    """A conversation in the model's own chat template; ask: up to where the next response begins.

    Raises TemplateRefusesError where the template refuses it.
    """
    from jinja2 import TemplateError  # transformers renders with it

    try:
        return tokenizer.apply_chat_template([*map(dict, messages)], tokenize=False, add_generation_prompt=ask)
    except TemplateError as error:  # also what a template raises by itself, such as "roles must alternate"
        raise TemplateRefusesError(
            f"the model's chat template cannot be used: {error}",
            hint='correct it, or use template "deepseekmath", which needs none',
        ) from error


def unknown_template(template: str) -> MathwrightError:
    """What is said of a template that there is not."""
    return MathwrightError(f"unknown prompt template {template!r}", hint=f"use one of {', '.join(TEMPLATES)}")
