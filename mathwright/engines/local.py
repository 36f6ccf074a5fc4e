"""Responses from our own generator, on weights in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mathwright.engines.engine import Answer, Request
from mathwright.lm.ending import require_end, stop_at
from mathwright.lm.generate import Generator
from mathwright.lm.load import LanguageModel
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.turns import end_of_own_turn
from mathwright.records import Completion
from mathwright.tools.loop import PythonTool


class LocalEngine:
    """`mathwright.lm.generate.Generator`: the prompt of several requests is computed once."""

    name = "local"

    def __init__(self, lm: LanguageModel, *, max_batch: int = 64) -> None:
        """max_batch: sequences decoded at one time. Raises MathwrightError for a model we cannot run."""
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
