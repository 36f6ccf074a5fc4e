"""Prompts as tokens, and their responses: those alone that were told they may write programs have them run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mathwright.engines.engine import TokenEngine
from mathwright.lm.recipe import SamplingRecipe
from mathwright.problems.templates import Prompt
from mathwright.records import Completion
from mathwright.tools.loop import PythonTool
from mathwright.tools.sandbox import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompt:
    """A prompt as the model reads it."""

    prompt: Prompt
    tokens: tuple[int, ...]


def respond(
    generator: TokenEngine,
    prompts: Sequence[EncodedPrompt],
    sampling: SamplingRecipe,
    *,
    seeds: Sequence[Sequence[int]],
    sandbox: Sandbox | None,
    max_tool_rounds: int,
    **options: Any,
) -> list[list[Completion]]:
    """Sample len(seeds[i]) responses to each prompt i; those to prompts of mode tool may run Python in the sandbox.

    options: what the engine takes besides.
    """
    completions: dict[int, list[Completion]] = {}
    for with_tool in (False, True):
        asked = [i for i, p in enumerate(prompts) if (p.prompt.mode == "tool") is with_tool]
        if not asked:
            continue
        found = generator.generate(
            [prompts[i].tokens for i in asked],
            sampling,
            seeds=[seeds[i] for i in asked],
            tool=PythonTool(sandbox) if with_tool and sandbox is not None else None,
            max_tool_rounds=max_tool_rounds if with_tool else 0,
            **options,
        )
        completions.update(zip(asked, found, strict=True))
    return [completions[i] for i in range(len(prompts))]
