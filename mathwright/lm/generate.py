"""Generation on the training weights: each prompt computed once for its group, slots refilled as sequences finish.

One loop does three things in turn: it fills free slots (with the responses of the next prompts, or with sequences
whose tool output has come), runs one token of all running sequences, and draws the next token of each. Which sequences
run together is decided by counts alone, never by the clock, so a run repeats to the bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from mathwright.lm.cache import Computed, Prefix, SlotCache, beginnings, extend
from mathwright.lm.decode import ModuleDecoder, decoder
from mathwright.lm.growing import GrowingText, decoded_by
from mathwright.lm.model import LanguageModel, attention_window, require_embedded, sequence_limits
from mathwright.lm.probe import logit_transform, require_supported
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.sample import draw, uniforms
from mathwright.lm.tokenise import encode
from mathwright.records import Completion, FinishReason, ToolCall

PREFILL_TOKENS = 2048
"""Most tokens, padding included, of one forward pass over prompts."""
SHARED_BYTES = 3 * 2**20
"""Prompts are kept apart from the slots where that saves so many bytes of keys and values a layer and token: reading
them once for a group then takes less time than bringing the two parts of attention together."""
PARKED_SHARE = 4
"""Tool calls run once a quarter of the slots' worth of sequences wait for them, or nothing else can run."""


class Tool(Protocol):
    """Something a model may call in the middle of its response."""

    def pending(self, text: str) -> str | None:
        """The program to run if the response so far ends in a finished call."""
        ...

    def run(self, calls: Sequence[ToolCall]) -> list[str]:
        """Run programs of different sequences; returns the text to insert after each."""
        ...

    def close(self, key: int) -> None:
        """The sequence is finished."""
        ...


@dataclass(slots=True)
class _Sequence:
    """A response in the making."""

    key: int
    prompt: int
    """Index of its prompt."""
    seed: int
    limit: int
    """Tokens it may have, inserted ones included."""
    text: GrowingText
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    sampled: list[bool] = field(default_factory=list)
    num_tool_calls: int = 0

    def append(self, token: int, logprob: float, sampled: bool) -> None:
        self.tokens.append(token)
        self.logprobs.append(logprob)
        self.sampled.append(sampled)


@dataclass(slots=True)
class _Ready:
    """A sequence that waits for a slot: what it has computed, and the hidden state its next token is drawn from."""

    sequence: _Sequence
    prefix: Prefix
    hidden: Tensor


@dataclass(slots=True)
class _Parked:
    """A sequence that waits for its tool; its last token is not in the prefix yet."""

    sequence: _Sequence
    prefix: Prefix
    code: str


class Generator:
    """Samples responses from a language model. An updated model is used at once: between calls it holds no weights."""

    def __init__(self, lm: LanguageModel, *, max_batch: int = 32, whole_logprobs: bool = False) -> None:
        """max_batch: sequences decoded at one time. whole_logprobs: log-probabilities are those over the whole
        vocabulary, which a training computes, also where top_k or top_p cut it.

        Raises MathwrightError for a model whose attention our caches do not cover.
        """
        if max_batch < 1:
            raise ValueError(f"max_batch is {max_batch}; at least one sequence must run")
        require_supported(lm.model)
        self.lm = lm
        self.max_batch = max_batch
        self.whole_logprobs = whole_logprobs

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: SamplingRecipe,
        *,
        seeds: Sequence[Sequence[int]],
        stop: Sequence[str] = (),
        tool: Tool | None = None,
        max_tool_rounds: int = 0,
        on_finished: Callable[[int], None] | None = None,
        on_completion: Callable[[int, int, Completion], None] | None = None,
        computed: Sequence[Computed] | None = None,
    ) -> list[list[Completion]]:
        """Sample len(seeds[i]) responses to each prompt i.

        Args:
            prompts: token sequences, none empty.
            sampling: temperature, top_p, top_k, and max_new_tokens, which counts inserted tokens too.
            seeds: one a response. Given equal logits, the tokens of a response depend on its seed alone.
            stop: strings that end a response. Its tokens stay as drawn, its text ends before the string.
            tool: what the model may call; its output is inserted after the call and generation goes on.
            max_tool_rounds: calls a response may make; one more ends it with "tool_limit".
            on_finished: called with the number of responses finished since the last call.
            on_completion: called with i, j and the completion as the j-th response to prompt i is finished.
            computed: what has been computed of each prompt (`beginnings`); none of them is computed again.

        Returns the completions in the order of prompts and seeds. A prompt that leaves no room in the context gets
        empty completions with finish "length".
        """
        check_prompts(prompts, seeds)
        require_embedded(self.lm.model, max((max(prompt) for prompt in prompts), default=0))
        training = self.lm.model.training
        self.lm.model.eval()
        call = _GenerateCall(
            prompts=prompts,
            sampling=sampling,
            seeds=seeds,
            stop=tuple(stop),
            tool=tool,
            max_tool_rounds=max_tool_rounds,
            on_finished=on_finished,
            on_completion=on_completion,
            computed=computed,
        )
        try:
            return _Run(self.lm, call, max_batch=self.max_batch, whole_logprobs=self.whole_logprobs).complete()
        finally:
            self.lm.model.train(training)

    @torch.inference_mode()
    def beginnings(self, sequences: Sequence[Sequence[int]], lengths: Sequence[Sequence[int]]) -> list[list[Computed]]:
        """What each sequence has computed after its first n tokens, for each n of its row of `lengths`.

        For `generate`: a response is read once, and goes on from any place of it. All of it is kept in memory: keys
        and values of every token of the sequences.
        """
        training = self.lm.model.training
        self.lm.model.eval()
        try:
            found: list[list[Computed]] = []
            for rows in _batches(sequences):
                found += beginnings(self.lm.model, sequences[rows], lengths[rows])
            return found
        finally:
            self.lm.model.train(training)


def _batches(sequences: Sequence[Sequence[int]]) -> Iterator[slice]:
    """Sequences next to each other, of at most PREFILL_TOKENS together, padding included."""
    start, width = 0, 0
    for i, sequence in enumerate(sequences):
        width = max(width, len(sequence))
        if i > start and width * (i + 1 - start) > PREFILL_TOKENS:
            yield slice(start, i)
            start, width = i, len(sequence)
    if sequences:
        yield slice(start, len(sequences))


def check_prompts(prompts: Sequence[Sequence[int]], seeds: Sequence[Sequence[int]]) -> None:
    """Raise ValueError where there is not a row of seeds for each prompt, or a prompt is empty."""
    if len(prompts) != len(seeds):
        raise ValueError(f"{len(prompts)} prompts but {len(seeds)} rows of seeds")
    if empty := [i for i, prompt in enumerate(prompts) if not len(prompt)]:
        raise ValueError(f"prompt {empty[0]} is empty; put a begin token there")


@dataclass(frozen=True, slots=True, kw_only=True)
class _GenerateCall:
    """What `Generator.generate` was asked; its docstring says what each is."""

    prompts: Sequence[Sequence[int]]
    sampling: SamplingRecipe
    seeds: Sequence[Sequence[int]]
    stop: tuple[str, ...]
    tool: Tool | None
    max_tool_rounds: int
    on_finished: Callable[[int], None] | None
    on_completion: Callable[[int, int, Completion], None] | None
    computed: Sequence[Computed] | None


class _Run:
    """The state of one call of `generate`."""

    def __init__(self, lm: LanguageModel, call: _GenerateCall, *, max_batch: int, whole_logprobs: bool) -> None:
        self.lm, self.call, self.whole_logprobs = lm, call, whole_logprobs
        self.prompts, self.sampling, self.seeds, self.tool = call.prompts, call.sampling, call.seeds, call.tool
        self.num_slots = min(max_batch, sum(map(len, call.seeds)))
        self.context = min(limit for _, limit in sequence_limits(lm.model))
        self.eos = lm.eos_token_ids
        self.decode = decoded_by(lm.tokenizer)
        self.results: list[list[Completion | None]] = [[None] * len(row) for row in call.seeds]
        self.first_key = [sum(len(row) for row in call.seeds[:i]) for i in range(len(call.seeds))]
        self.waiting: deque[int] = deque()
        self.ready: deque[_Ready] = deque()
        self.parked: list[_Parked] = []
        self.running: list[_Sequence] = []  # sequence i is in slot i
        self.cache: SlotCache | None = None
        self.decoder = self._decoder()
        self.transform = logit_transform(lm.model)

    def complete(self) -> list[list[Completion]]:
        for i, prompt in enumerate(self.prompts):
            if self._limit(prompt) > 0 and len(self.seeds[i]):
                self.waiting.append(i)
            else:
                for sequence in self._sequences(i):
                    self._finish(sequence, "length")
        while self.waiting or self.ready or self.parked or self.running:
            self._run_tools()
            admitted = self._admit()
            hidden = self._decode()
            self.running += [ready.sequence for ready in admitted]
            self._draw(torch.cat([hidden, *(ready.hidden[None] for ready in admitted)]))
        return [[completion for completion in row if completion is not None] for row in self.results]

    def _decoder(self) -> Any:
        """The fastest decoder, or where sequences may become longer than a sliding window the one that knows of it."""
        window = attention_window(self.lm.model.config)
        longest = max((len(prompt) + self._limit(prompt) for prompt in self.prompts), default=0)
        return decoder(self.lm.model) if window is None or longest <= window else ModuleDecoder(self.lm.model)

    def _limit(self, prompt: Sequence[int]) -> int:
        return min(self.sampling.max_new_tokens, self.context - len(prompt))

    def _sequences(self, prompt: int) -> list[_Sequence]:
        follow = bool(self.call.stop) or self.tool is not None
        limit = self._limit(self.prompts[prompt])
        return [
            _Sequence(self.first_key[prompt] + j, prompt, seed, limit, GrowingText(self.decode, follow))
            for j, seed in enumerate(self.seeds[prompt])
        ]

    # -- filling slots --

    def _admit(self) -> list[_Ready]:
        """Put waiting sequences into free slots, after the running ones."""
        admitted: list[_Ready] = []
        while len(self.running) + len(admitted) < self.num_slots:
            if not self.ready and not self._prefill(self.num_slots - len(self.running) - len(admitted)):
                break
            ready = self.ready.popleft()
            if self.cache is None:
                self.cache = self._new_cache(ready.prefix)
            prompt = ready.sequence.prompt
            self.cache.put(
                len(self.running) + len(admitted), ready.prefix, prompt=prompt, prompt_length=len(self.prompts[prompt])
            )
            admitted.append(ready)
        return admitted

    def _new_cache(self, like: Prefix) -> SlotCache:
        lengths = [len(prompt) for prompt in self.prompts]
        limits = [self._limit(prompt) for prompt in self.prompts]
        token_bytes = like.keys[0, :, 0].nbytes + like.values[0, :, 0].nbytes
        num_rows = sum(map(len, self.seeds))
        repeated = sum(length * (len(row) - 1) for length, row in zip(lengths, self.seeds, strict=True) if row)
        saves = repeated * token_bytes * self.num_slots >= SHARED_BYTES * num_rows
        if self.decoder.shares_prompts and saves:
            return SlotCache(like, self.num_slots, max(limits), prompt_capacity=max(lengths))
        return SlotCache(like, self.num_slots, max(map(sum, zip(lengths, limits, strict=True))))

    def _prefill(self, wanted: int) -> bool:
        """Compute the next prompts, each once: enough for `wanted` responses. Returns whether there were any."""
        batch: list[int] = []
        width = 0
        while self.waiting and wanted > 0:
            width = max(width, len(self.prompts[self.waiting[0]]))
            if batch and width * (len(batch) + 1) > PREFILL_TOKENS:
                break
            batch.append(self.waiting.popleft())
            wanted -= len(self.seeds[batch[-1]])
        if not batch:
            return False
        for i, computed in zip(batch, self._computed(batch), strict=True):
            self.ready.extend(_Ready(sequence, computed.prefix, computed.hidden) for sequence in self._sequences(i))
        return True

    def _computed(self, batch: Sequence[int]) -> list[Computed]:
        if self.call.computed is not None:
            return [self.call.computed[i] for i in batch]
        prefixes, hidden = extend(self.lm.model, [None] * len(batch), [self.prompts[i] for i in batch])
        return [Computed(prefix, state) for prefix, state in zip(prefixes, hidden, strict=True)]

    # -- one token --

    def _decode(self) -> Tensor:
        if not self.running:
            return torch.zeros(
                0, self.lm.model.config.get_text_config().hidden_size, dtype=self.lm.dtype, device=self.lm.device
            )
        assert self.cache is not None
        return self.decoder.hidden(self.cache.step([sequence.tokens[-1] for sequence in self.running]), self.cache)

    def _draw(self, hidden: Tensor) -> None:
        if not self.running:
            return
        logits = self.decoder.logits(hidden)
        if not self.transform.is_identity:  # in float32 at the least, as the log-probabilities of training
            logits = self.transform(logits.to(torch.promote_types(logits.dtype, torch.float32)))
        uniform = uniforms([s.seed for s in self.running], [len(s.tokens) for s in self.running])
        tokens, logprobs = draw(logits, self.sampling, uniform, whole=self.whole_logprobs)
        gone = [
            slot
            for slot, (token, logprob) in enumerate(zip(tokens.tolist(), logprobs.tolist(), strict=True))
            if self._accept(slot, token, logprob)
        ]
        for slot in reversed(gone):  # from the end, so that the slot moved into the gap is one that stays
            assert self.cache is not None
            last = len(self.running) - 1
            self.cache.free(slot, last)
            self.running[slot] = self.running[last]
            self.running.pop()

    def _accept(self, slot: int, token: int, logprob: float) -> bool:
        """Append a drawn token; returns whether its sequence leaves the slot."""
        sequence = self.running[slot]
        sequence.append(token, logprob, True)
        if token in self.eos:
            self._finish(sequence, "stop")
            return True
        grown = sequence.text.push(token)
        if grown and (end := sequence.text.find_new(self.call.stop, grown)) is not None:
            self._finish(sequence, "stop", text=sequence.text.value[:end])
            return True
        if len(sequence.tokens) >= sequence.limit:
            self._finish(sequence, "length")
            return True
        code = self.tool.pending(sequence.text.value) if grown and self.tool is not None else None
        if code is None:
            return False
        if sequence.num_tool_calls >= self.call.max_tool_rounds:
            self._finish(sequence, "tool_limit")
        else:
            assert self.cache is not None
            self.parked.append(_Parked(sequence, self.cache.take(slot), code))
        return True

    def _finish(self, sequence: _Sequence, finish: FinishReason, *, text: str | None = None) -> None:
        # an end token is no text, also where the tokenizer does not call it special
        written = sequence.tokens[:-1] if sequence.tokens[-1:] and sequence.tokens[-1] in self.eos else sequence.tokens
        completion = Completion(
            tokens=tuple(sequence.tokens),
            logprobs=tuple(sequence.logprobs),
            sampled=tuple(sequence.sampled),
            text=text if text is not None else self.lm.tokenizer.decode(written, skip_special_tokens=True),
            finish=finish,
            num_tool_calls=sequence.num_tool_calls,
        )
        index = sequence.key - self.first_key[sequence.prompt]
        self.results[sequence.prompt][index] = completion
        if self.tool is not None:
            self.tool.close(sequence.key)
        if self.call.on_finished is not None:
            self.call.on_finished(1)
        if self.call.on_completion is not None:
            self.call.on_completion(sequence.prompt, index, completion)

    # -- tools --

    def _run_tools(self) -> None:
        """Run the waiting calls together and compute what they insert, once enough wait or nothing else can run."""
        idle = not (self.running or self.ready or self.waiting)
        if not self.parked or (not idle and len(self.parked) * PARKED_SHARE < self.num_slots):
            return
        assert self.tool is not None
        parked, self.parked = self.parked, []
        outputs = self.tool.run([ToolCall(key=p.sequence.key, code=p.code) for p in parked])
        going: list[tuple[_Parked, list[int]]] = []
        for waiting, output in zip(parked, outputs, strict=True):
            sequence = waiting.sequence
            sequence.num_tool_calls += 1
            # The output is not the model's: it is tokenised alone, and cannot spell a special token.
            inserted = encode(self.lm.tokenizer, output, parse_special=False)
            room = sequence.limit - len(sequence.tokens)
            last = sequence.tokens[-1]
            for token in inserted[:room]:
                sequence.append(token, 0.0, False)
            sequence.text.insert(output)
            if len(inserted) >= room:
                self._finish(sequence, "length")
            else:
                going.append((waiting, [last, *inserted]))
        if not going:
            return
        prefixes, hidden = extend(self.lm.model, [w.prefix for w, _ in going], [tokens for _, tokens in going])
        back = [_Ready(w.sequence, p, h) for (w, _), p, h in zip(going, prefixes, hidden, strict=True)]
        self.ready.extendleft(reversed(back))
