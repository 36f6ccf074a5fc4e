"""Twenty tokens at load: a model is computed here as transformers computes it, or refused.

Training lays sequences end to end with an attention of ours, generation keeps keys and values in a cache of ours, and
log-probabilities are made from hidden states without the model's last step. An architecture that does not pass the
layout on, or does something else in its attention, would go through all three without an error and train on something
else. So a model that is loaded runs a few tokens packed, decoded, and alone through its own forward pass with
transformers' eager attention; no list of architectures is kept.

It takes about six forward passes over at most 32 tokens, once a process for each configuration.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributed.fsdp import FSDPModule

from mathwright.errors import MathwrightError
from mathwright.lm.cache import SlotCache, extend
from mathwright.lm.decode import ModuleDecoder, decoder
from mathwright.lm.graphs import GraphDecoder
from mathwright.lm.logit_transform import IDENTITY, LogitTransform, find_transform
from mathwright.lm.model import attention_window
from mathwright.lm.pack import TokenGroup, pack_groups, packed_states

LENGTH = 8
"""Tokens of a sequence; four of them are computed."""
SHORT_WINDOW = 3
"""What a sliding window is made for a moment, so that sequences of a few tokens reach beyond it."""
SMALLEST = {torch.float64: 1e-6, torch.float32: 3e-5}
"""Differences in nats that are never held against a model; narrower types 0.02."""
NOISE = 32
"""How many times the effect of rounding the embeddings a difference may be: every layer rounds again."""
HINT = "use another model, such as Llama, Qwen, Mistral or Gemma: docs/engines.md has the list of architectures"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a probe has found out about a model."""

    transform: LogitTransform = IDENTITY
    windows: bool = False
    """Whether layers with a sliding window are computed for sequences longer than it."""


_known: dict[str, Findings] = {}
"""Of the configurations probed in this process."""


def findings(model: Any) -> Findings:
    """What was found out about a model; it is probed where that has not happened.

    Raises MathwrightError for a model that would be computed wrongly, with the difference in nats.
    """
    known = getattr(model, "probed", None)
    if known is None:
        known = probe(model)
    return known


def logit_transform(model: Any) -> LogitTransform:
    """What the model does to its logits after the output layer."""
    return findings(model).transform


def mark(model: Any, found: Findings) -> None:
    """Have a model known as probed. What is found holds for its class and configuration, whatever its weights."""
    model.probed = found


def probe(model: Any) -> Findings:
    """Compare packed, generated and alone on a few tokens, and keep what was found with the model.

    Raises MathwrightError where they differ, or where the model takes no part in one of them; ValueError for a model
    whose weights are sharded already.
    """
    if isinstance(model, FSDPModule):
        raise ValueError("the model was sharded before it was probed: load it with lm.load, or call findings before")
    key = _key(model)
    if key not in _known:
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                _known[key] = _Probe(model).run()
        finally:
            model.train(training)
    mark(model, _known[key])
    return _known[key]


def _key(model: Any) -> str:
    config = {**model.config.to_dict(), "_name_or_path": None}
    adapted = any("lora_" in name for name, _ in model.named_modules())
    cls = type(model)
    how = (cls.__module__, cls.__qualname__, id(cls), str(model.dtype), model.device.type, adapted)
    return json.dumps([*how, model.config._attn_implementation, config], sort_keys=True, default=str)


def require_supported(model: Any) -> None:
    """Raise MathwrightError for a model whose attention or output layer this package does not compute rightly.

    What can be told from the configuration is said at once; the rest a few tokens tell (`lm.probe`), once for a model.
    """
    config, name = model.config, type(model).__name__
    hint = "use a Llama-like model, or another of the list of architectures in docs/engines.md"
    if getattr(config, "is_encoder_decoder", False):
        raise MathwrightError(f"{name} is an encoder-decoder model", hint=hint)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not kinds <= {"full_attention", "sliding_attention"}:
        raise MathwrightError(f"{name} has layers of kind {', '.join(sorted(kinds))}", hint=hint)
    if not isinstance(model.get_output_embeddings(), torch.nn.Linear) or model.base_model is model:
        raise MathwrightError(f"{name} has no linear output layer on top of a decoder", hint=hint)
    if not isinstance(getattr(config, "max_position_embeddings", None), int):
        raise MathwrightError(f"{name} does not say how long its context is (max_position_embeddings)", hint=hint)
    findings(model)


class _Probe:
    """Two prompts, the first with two responses, the second with one; the longest sequences have LENGTH tokens."""

    def __init__(self, model: Any) -> None:
        self.model, self.name = model, type(model).__name__
        self.unit = ("log-probabilities", "nats")
        self.length = min(LENGTH, int(model.config.max_position_embeddings))
        first, second = max(1, self.length // 3), max(1, self.length // 2)
        self.prompts = (first, first, second)  # tokens of the prompt in each sequence
        self.ends = (self.length, max(first + 1, self.length - 2), self.length)  # tokens of each sequence
        size = model.get_input_embeddings().weight.shape[0]
        generator = torch.Generator().manual_seed(0)
        rows = torch.randint(min(10, size - 1), size, (3, self.length), generator=generator)
        rows[1, :first] = rows[0, :first]
        self.rows = rows

    def run(self) -> Findings:
        if self.model.get_output_embeddings() is None:
            self._compare_states()
            return Findings()
        transform = self._guarded("the output layer", lambda: find_transform(self.model))
        alone, noise = self._guarded("transformers' own forward pass", self._alone_logprobs)
        if not bool(torch.isfinite(alone).all()):
            return Findings(transform)  # weights that are not finite say nothing; sampling stops on them
        largest = max(SMALLEST.get(self.model.dtype, 0.02), NOISE * noise)
        self._compare("packed", lambda: self._packed_logprobs(transform), alone, largest)
        self._compare("generated", lambda: self._generated(transform), alone, largest)
        return Findings(transform, self._windows(transform, largest))

    def _guarded(self, what: str, compute: Callable[[], Any]) -> Any:
        try:
            return compute()
        except (MathwrightError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # whatever the code of an architecture we do not know raises
            text = str(error).strip().splitlines() or [""]
            raise MathwrightError(
                f"{self.name} cannot be computed here: {what} raises {type(error).__name__}: {text[0][:200]}", hint=HINT
            ) from error

    def _compare(self, what: str, compute: Callable[[], Tensor], alone: Tensor, largest: float) -> None:
        difference = self._difference(self._guarded(what, compute), alone)
        if not difference <= largest:
            raise MathwrightError(
                f"{self.name} cannot be computed here: {what} against alone, {self.unit[0]} differ by "
                f"{difference:.2g} {self.unit[1]}, where rounding explains {largest:.1g}",
                hint=HINT,
            )

    def _compare_states(self) -> None:
        """Packed against alone of a model without an output layer, such as a reward model: its last hidden states."""
        self.unit = ("hidden states", "of their size")

        def scaled(hidden: Tensor) -> Tensor:
            return _wide(hidden) / _wide(hidden).square().mean(-1, keepdim=True).sqrt()

        def alone() -> tuple[Tensor, float]:
            return self._alone(lambda tokens: scaled(self.model.base_model(input_ids=tokens).last_hidden_state))

        expected, noise = self._guarded("transformers' own forward pass", alone)
        largest = max(SMALLEST.get(self.model.dtype, 0.02), NOISE * noise)
        self._compare("packed", lambda: self._packed(scaled), expected, largest)

    def _difference(self, found: Tensor, alone: Tensor) -> float:
        """Of log-probabilities [3, T, V]: the root mean square over the vocabulary, at the worst position.

        In narrow types the median position: rounding may send a token to another expert, which says nothing.
        """
        inside = torch.zeros(found.shape[:2], dtype=torch.bool)
        for row, (prompt, end) in enumerate(zip(self.prompts, self.ends, strict=True)):
            inside[row, prompt - 1 : end - 1] = True
        inside = inside.to(found.device) & ~found.isnan().all(-1)
        each = (found - alone)[inside].square().mean(-1).sqrt()
        if not bool(torch.isfinite(each).all()):
            return float("inf")
        return float(each.max() if self.model.dtype in SMALLEST else each.median())

    def _alone_logprobs(self) -> tuple[Float[Tensor, "3 T V"], float]:
        return self._alone(lambda tokens: _logprobs(self.model(input_ids=tokens, use_cache=False).logits))

    def _alone(self, compute: Callable[[Tensor], Tensor]) -> tuple[Float[Tensor, "3 T V"], float]:
        """Each sequence by itself, as transformers computes it, and the effect of rounding the embeddings once more.

        Sequences of one length need no mask; where one is shorter it is the beginning of one of them.
        """
        eps = torch.finfo(self.model.dtype).eps
        num_rows = len(self.rows)

        def rounded(_: Any, inputs: Any, output: Tensor) -> Tensor:
            signs = torch.randint(0, 2, output.shape, generator=torch.Generator().manual_seed(1)) * 2 - 1
            signs[:num_rows] = 0
            return output * (1 + eps * signs.to(output))

        handle = self.model.get_input_embeddings().register_forward_hook(rounded)
        try:
            with _attention(self.model, "eager"):
                tokens = torch.cat([self.rows, self.rows]).to(self.model.device)
                values = compute(tokens)
        finally:
            handle.remove()
        alone, again = values[:num_rows], values[num_rows:]
        return alone, self._difference(again, alone)

    def _packed_logprobs(self, transform: LogitTransform) -> Float[Tensor, "3 T V"]:
        head = self.model.get_output_embeddings()
        return self._packed(lambda hidden: _logprobs(transform(_wide(head(hidden)))))

    def _packed(self, read: Callable[[Tensor], Tensor]) -> Float[Tensor, "3 T V"]:
        first, _, second = self.prompts
        rows = self.rows.tolist()
        groups = [
            TokenGroup(rows[0][:first], [rows[0][first : self.ends[0]], rows[1][first : self.ends[1]]]),
            TokenGroup(rows[2][:second], [rows[2][second : self.ends[2]]]),
        ]
        (batch,) = pack_groups(groups, 10 * LENGTH)
        hidden = packed_states(self.model, batch).flatten(0, 1)
        values = read(hidden)
        found = values.new_full((3, self.length, values.shape[-1]), float("nan"))
        for place, (group, response) in enumerate(batch.rows):
            row = response if group == 0 else 2
            count = self.ends[row] - self.prompts[row]
            found[row, self.prompts[row] - 1 : self.ends[row] - 1] = values[batch.source_index[place, :count]]
        return found

    def _generated(self, transform: LogitTransform, modules: bool = False) -> Float[Tensor, "3 T V"]:
        """The tokens fed to the decoder one by one; the last ones at once, as the output of a tool is."""
        how = ModuleDecoder(self.model) if modules else decoder(self.model)
        how = how.decoder if isinstance(how, GraphDecoder) else how  # recording graphs takes longer than all of this
        rows = self.rows.tolist()
        prefixes, hidden = extend(self.model, [None] * 3, [row[:n] for row, n in zip(rows, self.prompts, strict=True)])
        cache = SlotCache(prefixes[0], 3, self.length + 1)
        for slot, prefix in enumerate(prefixes):
            cache.put(slot, prefix)
        steps: list[list[Tensor]] = [[self._read(how, transform, hidden[slot])] for slot in range(3)]
        for step in range(self.length - max(self.prompts) - 2):
            tokens = [row[n + step] for row, n in zip(rows, self.prompts, strict=True)]
            states = how.hidden(cache.step(tokens), cache)
            for slot in range(3):
                steps[slot].append(self._read(how, transform, states[slot]))
        kept = [cache.take(slot) for slot in range(3)]
        rest = [row[prefix.length : -1] for row, prefix in zip(rows, kept, strict=True)]
        found = steps[0][0].new_full((3, self.length, steps[0][0].shape[-1]), float("nan"))
        if all(rest):
            _, hidden = extend(self.model, kept, rest)
            for slot in range(3):
                found[slot, self.length - 2] = self._read(how, transform, hidden[slot])
        for slot, values in enumerate(steps):
            start = self.prompts[slot] - 1
            found[slot, start : start + len(values)] = torch.stack(values)
        return found

    def _read(self, how: Any, transform: LogitTransform, hidden: Tensor) -> Float[Tensor, " V"]:
        return _logprobs(transform(_wide(how.logits(hidden[None])[0])))

    def _windows(self, transform: LogitTransform, largest: float) -> bool:
        """Whether sliding windows are computed: everything once more with a window of a few tokens."""
        if attention_window(self.model.config) is None:
            return False
        with _window(self.model, SHORT_WINDOW):
            try:
                alone, _ = self._alone_logprobs()
                found = (self._packed_logprobs(transform), self._generated(transform, modules=True))
            except (torch.OutOfMemoryError, MemoryError):
                raise
            except Exception:  # the same code as before, with another number: such a model keeps to its window
                return False
            return all(self._difference(each, alone) <= largest for each in found)


def _wide(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _logprobs(logits: Tensor) -> Tensor:
    return _wide(logits).log_softmax(-1)


@contextmanager
def _attention(model: Any, name: str) -> Iterator[None]:
    """Within it the model computes its attention by the function of that name."""
    configs = [model.config, model.base_model.config]  # of a reward model these may be two
    before = [config._attn_implementation for config in configs]
    for config in configs:
        config._attn_implementation = name
    try:
        yield
    finally:
        for config, own in zip(configs, before, strict=True):
            config._attn_implementation = own


@contextmanager
def _window(model: Any, tokens: int) -> Iterator[None]:
    """Within it the model's sliding window has that many tokens, in its configuration and in its layers."""
    config = model.config.get_text_config()
    before = config.sliding_window
    changed = [m for m in model.modules() if m.__dict__.get("sliding_window") == before]
    holders: list[Any] = [config, *changed]
    for holder in holders:
        holder.sliding_window = tokens
    try:
        yield
    finally:
        for holder in holders:
            holder.sliding_window = before
