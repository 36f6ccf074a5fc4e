"""What draws responses: our generator, vLLM, or a server, all under one interface.

`local.LocalEngine`, `vllm.VllmEngine` and `server.ServerEngine` are in files of their own, so that none needs the
packages of the others; `choose.open_engine` opens the one that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mathwright.lm.recipe import SamplingRecipe
from mathwright.problems.templates import Prompt
from mathwright.records import Completion, FinishReason
from mathwright.tools.loop import PythonTool

if TYPE_CHECKING:
    from mathwright.lm.generate import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One response to draw."""

    key: str
    """What the caller knows it by."""
    prompt: Prompt
    seed: int
    """Equal requests with equal seeds get equal responses, as far as the engine computes equal logits."""
    sampling: SamplingRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an engine gives back for a request."""

    text: str
    """The response, with the tool's output where it was inserted, without special tokens and stop strings."""
    finish: FinishReason
    num_tokens: int
    """Tokens of the response, inserted ones included; partly an estimate where a server counts (`ServerEngine`)."""
    num_tool_calls: int


class Engine(Protocol):
    """Draws responses to prompts."""

    name: str
    tokenizer: Any | None
    """The model's; None where only a server knows it."""

    def generate(
        self,
        requests: Sequence[Request],
        *,
        tool: PythonTool | None,
        max_tool_rounds: int,
        on_completion: Callable[[int, Answer], None],
    ) -> None:
        """Draw a response to each request and call on_completion(index of the request, answer) as each is finished.

        Args:
            tool: what a response may call; its output is inserted after the call and generation goes on.
            max_tool_rounds: calls a response may make; one more ends it with "tool_limit".
            on_completion: called from one thread at a time, in an order of the engine's own.

        A prompt that leaves no room in the context gets an empty answer with finish "length". Raises MathwrightError
        where the engine cannot go on; answers handed over before stay good.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


class TokenEngine(Protocol):
    """Draws responses as tokens with their log-probabilities, which reinforcement learning trains on.

    `mathwright.lm.generate.Generator` on the weights in training, or `vllm_generator.VllmGenerator`.
    """

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: SamplingRecipe,
        *,
        seeds: Sequence[Sequence[int]],
        tool: Tool | None = None,
        max_tool_rounds: int = 0,
    ) -> list[list[Completion]]:
        """len(seeds[i]) responses to each prompt i; see `mathwright.lm.generate.Generator.generate`."""
        ...
