"""CUDA graphs of decoding: the hundreds of kernels of a step are started by one call.

A graph repeats recorded kernels on fixed memory and fixed shapes. So a step is filled up to a size at which one is
recorded: further slots decode a token nobody reads, and keys after the end of a sequence are masked as in any step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mathwright.lm.cache import SlotCache, Step
from mathwright.lm.fused import FusedDecoder

SHORTEST = 256
"""Keys of the smallest graphs; the next have twice as many."""
FEWEST = 8
"""Sequences of the smallest graphs, where the cache has as many slots; the next have twice as many."""

Recorder = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]
"""Takes what is to be recorded; returns what does it again, and the memory its result is then in."""


@dataclass(frozen=True, slots=True)
class _Graph:
    tokens: Tensor
    written: Tensor
    replay: Callable[[], None]
    output: Tensor


class GraphDecoder:
    """A decoder whose steps are recorded once for each size, and replayed.

    Graphs are made as sizes come up, on the memory of one cache; another cache begins with none. Where recording fails,
    a warning says why and steps run one kernel at a time.
    """

    shares_prompts = False

    def __init__(self, decoder: FusedDecoder, record: Recorder | None = None) -> None:
        """record: CUDA's graphs unless given."""
        self.decoder = decoder
        self._record = record
        self._cache: SlotCache | None = None
        self._recording_fails = False
        self._graphs: dict[tuple[int, int], _Graph] = {}

    def hidden(self, step: Step, cache: SlotCache) -> Tensor:
        if self._recording_fails:
            return self.decoder.hidden(step, cache)
        if cache is not self._cache:
            self._cache, self._graphs = cache, {}
            self._record = self._record or cuda_recorder()
        size = (_rounded(len(step.tokens), FEWEST, cache.num_slots), _rounded(step.length, SHORTEST, cache.capacity))
        graph = self._graphs.get(size)
        if graph is None:
            try:
                graph = self._graphs[size] = self._new_graph(step, cache, *size)
            except RuntimeError as error:
                warnings.warn(f"decoding without CUDA graphs: {error}", stacklevel=2)
                self._recording_fails = True
                return self.decoder.hidden(step, cache)
        _fill(graph.tokens, graph.written, step, cache)
        graph.replay()
        return graph.output[: len(step.tokens)]

    def logits(self, hidden: Tensor) -> Tensor:
        return self.decoder.logits(hidden)

    def _new_graph(self, step: Step, cache: SlotCache, num_sequences: int, length: int) -> _Graph:
        tokens = step.tokens.new_zeros(num_sequences)
        written = step.positions.new_zeros(num_sequences)
        _fill(tokens, written, step, cache)  # what runs before the recording writes what this step is to write
        assert self._record is not None
        replay, output = self._record(lambda: self.decoder.hidden(cache.step_at(tokens, written, length), cache))
        return _Graph(tokens, written, replay, output)


def _fill(tokens: Tensor, written: Tensor, step: Step, cache: SlotCache) -> None:
    """Put a step's sequences first; the slots after them write where their own next token will.

    They may have been filled for the next step already.
    """
    num_sequences = len(step.tokens)
    tokens.zero_()[:num_sequences] = step.tokens
    written[:num_sequences] = step.positions
    written[num_sequences:] = cache.lengths[num_sequences : len(written)].to(written.device)


def _rounded(number: int, smallest: int, largest: int) -> int:
    """The next of smallest, twice smallest and so on that is not below `number`; at most `largest`, which is not."""
    rounded = smallest
    while rounded < number:
        rounded *= 2
    return min(rounded, largest)


def graphable(decoder: FusedDecoder) -> bool:
    """Whether a step does the same for any positions; some rotary embeddings look at how long sequences have become."""
    kind = getattr(decoder.model.rotary_emb, "rope_type", "default")
    return "dynamic" not in kind and kind != "longrope"


def cuda_recorder() -> Recorder:
    """Records CUDA graphs that share their working memory, as they run one after the other."""
    pool = torch.cuda.graph_pool_handle()

    def record(compute: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            compute()  # libraries take what memory they need before it is recorded
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            output = compute()
        return graph.replay, output

    return record
