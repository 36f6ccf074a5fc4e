"""Keys and values of the tokens seen so far, kept for many sequences of different lengths.

A `Prefix` is what one sequence (or one prompt, for its whole group) has computed. `extend` computes prefixes: of
prompts from nothing, of sequences into which tool output was inserted from where they stood. `SlotCache` holds the
sequences being decoded, a slot each, in memory allocated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache


@dataclass(frozen=True, slots=True)
class Prefix:
    """Keys and values of one sequence in every layer; the head counts and widths are the model's."""

    keys: Tensor  # [layers, heads, length, key width]
    values: Tensor  # [layers, heads, length, value width]

    @property
    def length(self) -> int:
        return self.keys.shape[2]


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where the boolean mask is True, -inf elsewhere.

    Made once here: from a boolean mask the attention of every layer makes it anew, a third of its time in decoding.
    """
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, float("-inf"))


class _Recorder(Cache):
    """Hands each layer the given past with the new keys and values behind it, and records the new ones."""

    def __init__(self, past: tuple[Tensor, Tensor] | None) -> None:
        super().__init__(layers=[])
        self.past = past  # [layers, rows, heads, past length, width]
        self.new: list[tuple[Tensor, Tensor]] = []

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any):
        assert layer_idx == len(self.new)
        self.new.append((key_states, value_states))
        if self.past is None:
            return key_states, value_states
        keys, values = self.past[0][layer_idx], self.past[1][layer_idx]
        return torch.cat([keys, key_states], dim=2), torch.cat([values, value_states], dim=2)


def extend(
    model: Any, prefixes: Sequence[Prefix | None], tokens: Sequence[Sequence[int]]
) -> tuple[list[Prefix], Tensor]:
    """Run `tokens` of each row behind its prefix (None is the empty one), all rows in one forward pass.

    Returns the prefixes with the tokens in them, and [rows, D] hidden states of the last token of each row.
    """
    device, rows = model.device, len(tokens)
    lengths = torch.tensor([len(row) for row in tokens])
    past_lengths = torch.tensor([p.length if p is not None else 0 for p in prefixes])
    width = int(lengths.max())
    padded = torch.zeros(rows, width, dtype=torch.long)
    for row, ids in enumerate(tokens):
        padded[row, : len(ids)] = torch.as_tensor(ids)
    positions = past_lengths[:, None] + torch.arange(width)
    # Padding stands on the right, where causal attention keeps it from being seen: prompts need no mask at all.
    past, mask = None, None
    if int(past_lengths.max()):
        past = _stack([p for p in prefixes if p is not None])
        seen = torch.arange(past[0].shape[3]) < past_lengths[:, None]
        causal = torch.ones(width, width, dtype=torch.bool).tril()
        mask = torch.cat([seen[:, None].expand(-1, width, -1), causal.expand(rows, -1, -1)], dim=2)[:, None]
    recorder = _Recorder(past)
    hidden = model.base_model(
        input_ids=padded.to(device),
        position_ids=positions.to(device),
        attention_mask=None if mask is None else additive(mask.to(device), model.dtype),
        past_key_values=recorder,
        use_cache=True,
    ).last_hidden_state
    keys, values = (torch.stack([layer[i] for layer in recorder.new]) for i in (0, 1))
    result: list[Prefix] = []
    for row, (prefix, length) in enumerate(zip(prefixes, lengths.tolist(), strict=True)):
        new_keys, new_values = keys[:, row, :, :length], values[:, row, :, :length]
        if prefix is not None:
            new_keys = torch.cat([prefix.keys, new_keys], dim=2)
            new_values = torch.cat([prefix.values, new_values], dim=2)
        result.append(Prefix(new_keys, new_values))
    return result, hidden[torch.arange(rows, device=device), (lengths - 1).to(device)]


def _stack(prefixes: Sequence[Prefix]) -> tuple[Tensor, Tensor]:
    """Prefixes as [layers, rows, heads, longest, width], zeros behind the shorter ones."""
    longest = max(p.length for p in prefixes)
    pad = torch.nn.functional.pad
    keys = torch.stack([pad(p.keys, (0, 0, 0, longest - p.length)) for p in prefixes], dim=1)
    values = torch.stack([pad(p.values, (0, 0, 0, longest - p.length)) for p in prefixes], dim=1)
    return keys, values


class SlotCache(Cache):
    """Room for `num_slots` sequences of up to `capacity` tokens; the first `num_active` slots are decoded together."""

    def __init__(self, like: Prefix, num_slots: int, capacity: int) -> None:
        super().__init__(layers=[])
        layers, heads, _, _ = like.keys.shape
        shape = (layers, num_slots, heads, capacity)
        # zeros, not empty: masked positions are multiplied by a weight of 0, and 0 x NaN would be NaN
        self.keys = like.keys.new_zeros(*shape, like.keys.shape[3])
        self.values = like.values.new_zeros(*shape, like.values.shape[3])
        self.lengths = torch.zeros(num_slots, dtype=torch.long)
        self._rows = self._write = torch.zeros(0, dtype=torch.long)
        self._num_active = self._longest = 0

    @property
    def capacity(self) -> int:
        return self.keys.shape[3]

    def put(self, slot: int, prefix: Prefix) -> None:
        """Copy a prefix into a slot."""
        self.keys[:, slot, :, : prefix.length] = prefix.keys
        self.values[:, slot, :, : prefix.length] = prefix.values
        self.lengths[slot] = prefix.length

    def take(self, slot: int) -> Prefix:
        """A copy of what a slot holds."""
        length = int(self.lengths[slot])
        return Prefix(self.keys[:, slot, :, :length].clone(), self.values[:, slot, :, :length].clone())

    def move(self, source: int, target: int) -> None:
        """Copy a slot over another."""
        length = int(self.lengths[source])
        self.keys[:, target, :, :length] = self.keys[:, source, :, :length]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]
        self.lengths[target] = length

    def decode(self, model: Any, last_tokens: Sequence[int]) -> Tensor:
        """Run one more token in each of the first len(last_tokens) slots; returns their hidden states [slots, D]."""
        device = self.keys.device
        self._num_active = len(last_tokens)
        lengths = self.lengths[: self._num_active]
        self._longest = int(lengths.max()) + 1
        self._write = lengths.to(device, copy=True)
        self._rows = torch.arange(self._num_active, device=device)
        mask = additive(torch.arange(self._longest, device=device) <= self._write[:, None], model.dtype)
        hidden = model.base_model(
            input_ids=torch.tensor(last_tokens, device=device)[:, None],
            position_ids=self._write[:, None],
            attention_mask=mask[:, None, None],
            past_key_values=self,
            use_cache=True,
        ).last_hidden_state
        lengths += 1
        return hidden[:, 0]

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any):
        keys, values = self.keys[layer_idx], self.values[layer_idx]
        keys[self._rows, :, self._write] = key_states[:, :, 0]
        values[self._rows, :, self._write] = value_states[:, :, 0]
        return keys[: self._num_active, :, : self._longest], values[: self._num_active, :, : self._longest]
