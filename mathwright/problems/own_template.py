"""The chat template of a model that we trained: every other tool then asks it as it was trained to be asked.

`deepseekmath` and `short` are layouts of ours, so a model trained under them gets them as its chat template. What comes
after the question, such as the suffix of §3.2, is part of the user's turn. A recipe's system prompt goes into the
template too: a conversation that brings one of its own keeps it. So does
`enable_thinking`, which Qwen3 and its like read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.problems.templates import SHORT, write_template
from mathwright.records import SolutionFormat

FILE = "chat_template.jinja"
"""Where transformers keeps the template of a tokenizer, in the folder of the model."""

_DEEPSEEKMATH = """\
{{- BEGIN -}}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}{{- 'User: ' + message['content'] + '\\n\\n' -}}
{%- elif message['role'] == 'assistant' -%}{{- 'Assistant: ' + message['content'] + eos_token -}}
{%- elif message['role'] == 'system' -%}{{- message['content'] + '\\n\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}
"""
_SHORT = """\
{{- BEGIN -}}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}{{- 'OPENING' + message['content'] + 'CLOSING' -}}
{%- elif message['role'] == 'assistant' -%}{{- ' ' + message['content'] + eos_token -}}
{%- endif -%}
{%- endfor -%}
"""


def keep_template(folder: Path, template: str, tokenizer: Any, mode: SolutionFormat = "cot") -> None:
    """Say in a trained model's folder how it is asked: for us by name, for other tools as its chat template.

    mode: that of the training; `short` asks for programs in other words than for text.
    """
    write_template(folder, template)
    if (text := chat_template(template, tokenizer, mode)) is not None:
        (folder / FILE).write_text(text, encoding="utf-8")


def chat_template(template: str, tokenizer: Any, mode: SolutionFormat = "cot") -> str | None:
    """A layout of ours as a chat template; None for `tokenizer`, which is the model's own already."""
    layouts: Mapping[str, str] = {"deepseekmath": _DEEPSEEKMATH, "short": _short(mode)}
    if template not in layouts:
        return None
    # a begin token stands before a prompt where the tokenizer puts one there by itself
    begin = tokenizer.bos_token_id
    begins = begin is not None and tokenizer.encode("")[:1] == [begin]
    return layouts[template].replace("BEGIN", "bos_token" if begins else "''").rstrip("\n")


def _short(mode: SolutionFormat) -> str:
    opening, _, closing = SHORT[mode].partition("{question}")
    return _SHORT.replace("OPENING", opening).replace("CLOSING", closing.replace("\n", "\\n"))


# --- what a template is told ---------------------------------------------------------------------------------


def set_system(tokenizer: Any, system: str) -> None:
    """Put a system prompt into a tokenizer's chat template. Raises MathwrightError where it has none."""
    if not getattr(tokenizer, "chat_template", None):
        raise MathwrightError(
            "the model has no chat template, in which alone a system prompt has a place",
            hint="leave the system prompt out, or take a model that was tuned to chat",
        )
    if not says_system(tokenizer.chat_template, system):
        tokenizer.chat_template = _opening(system) + tokenizer.chat_template


def says_system(template: str, system: str) -> bool:
    """Whether `set_system` has put this system prompt into a chat template."""
    return _opening(system) in template


def _opening(system: str) -> str:
    escaped = system.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    turn = f"{{'role': 'system', 'content': '{escaped}'}}"
    return f"{{%- if messages[0]['role'] != 'system' %}}{{% set messages = [{turn}] + messages %}}{{% endif -%}}"


def set_thinking(tokenizer: Any, enabled: bool) -> None:
    """Have a tokenizer's chat template take `enable_thinking` for `enabled` where the call does not say it.

    Raises MathwrightError for a template that does not read it.
    """
    template = getattr(tokenizer, "chat_template", None) or ""
    if "enable_thinking" not in template:
        raise MathwrightError(
            "the model's chat template does not read enable_thinking",
            hint="leave it out: it is for models that think or do not, as Qwen3",
        )
    if not says_thinking(template, enabled):
        tokenizer.chat_template = _thinking(enabled) + template


def says_thinking(template: str, enabled: bool) -> bool:
    """Whether a chat template has been told so by `set_thinking`."""
    return _thinking(enabled) in template


def _thinking(enabled: bool) -> str:
    value = "true" if enabled else "false"
    return f"{{%- if enable_thinking is not defined %}}{{% set enable_thinking = {value} %}}{{% endif -%}}"
