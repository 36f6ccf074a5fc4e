"""What produces the responses of an evaluation: our generator, vLLM, or a server; all behind one interface.

`LocalEngine` is here; `vllm_engine.VllmEngine` and `server_engine.ServerEngine` are in files of their own, so that
neither needs the packages of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mathwright.lm.recipe import SamplingRecipe
from mathwright.problems.prompts import Prompt
from mathwright.records import Completion, FinishReason
from mathwright.tools.loop import PythonTool

if TYPE_CHECKING:
    from mathwright.lm.model import LanguageModel


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
            tool: what a response may call; its output is inserted behind the call and generation goes on.
            max_tool_rounds: calls a response may make; one more ends it with "tool_limit".
            on_completion: called from one thread at a time, in an order of the engine's own.

        A prompt that leaves no room in the context gets an empty answer with finish "length". Raises MathwrightError
        where the engine cannot go on; answers handed over before stay good.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


class LocalEngine:
    """`mathwright.lm.generate.Generator`: the prompt of several requests is computed once."""

    name = "local"

    def __init__(self, lm: LanguageModel, *, max_batch: int = 64) -> None:
        """max_batch: sequences decoded at one time. Raises MathwrightError for a model we cannot run."""
        from mathwright.lm.ending import stop_at
        from mathwright.lm.generate import Generator
        from mathwright.problems.turns import end_of_own_turn

        # the token may stand in the chat template alone (base models whose template a chat model shares)
        if (end := end_of_own_turn(lm.tokenizer)) is not None:
            stop_at(lm, end)
        self._lm = lm
        self.tokenizer: Any | None = lm.tokenizer
        self._generator = Generator(lm, max_batch=max_batch)

    def generate(
        self,
        requests: Sequence[Request],
        *,
        tool: PythonTool | None,
        max_tool_rounds: int,
        on_completion: Callable[[int, Answer], None],
    ) -> None:
        """See `Engine.generate`. Requests that differ in sampling or stop strings run one kind after the other."""
        from mathwright.lm.ending import require_end
        from mathwright.lm.tokenise import encode_prompt

        if any(not request.prompt.stop for request in requests):
            require_end(self._lm)
        for kind in dict.fromkeys((r.sampling, r.prompt.stop) for r in requests):
            rows: dict[str, list[int]] = {}
            for index, request in enumerate(requests):
                if (request.sampling, request.prompt.stop) == kind:
                    rows.setdefault(request.prompt.text, []).append(index)
            indices = list(rows.values())

            def hand_over(prompt: int, place: int, completion: Completion, indices: list[list[int]] = indices) -> None:
                on_completion(indices[prompt][place], answer_of(completion))

            sampling, stop = kind
            self._generator.generate(
                [encode_prompt(self.tokenizer, text) for text in rows],
                sampling,
                seeds=[[requests[index].seed for index in row] for row in indices],
                stop=stop,
                tool=tool,
                max_tool_rounds=max_tool_rounds if tool is not None else 0,
                on_completion=hand_over,
            )

    def close(self) -> None:
        """Nothing to free: the model is the caller's."""


def answer_of(completion: Completion) -> Answer:
    """A completion of the generator as an answer."""
    return Answer(
        text=completion.text,
        finish=completion.finish,
        num_tokens=len(completion.tokens),
        num_tool_calls=completion.num_tool_calls,
    )
