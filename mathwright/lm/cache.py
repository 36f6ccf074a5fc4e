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

from mathwright.errors import MathwrightError
from mathwright.lm.attention import ATTENTION, Seen


@dataclass(frozen=True, slots=True)
class Prefix:
    """Keys and values of one sequence in every layer; the head counts and widths are the model's."""

    keys: Tensor  # [layers, heads, length, key width]
    values: Tensor  # [layers, heads, length, value width]

    @property
    def length(self) -> int:
        return self.keys.shape[2]


@dataclass(frozen=True, slots=True)
class Computed:
    """What has been computed of a sequence, and the hidden state its next token is drawn from."""

    prefix: Prefix
    hidden: Tensor  # [D]


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where the boolean mask is True, -inf elsewhere.

    Made once here: from a boolean mask the attention of every layer makes it again, a third of its time in decoding.
    """
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, float("-inf"))


class _Recorder(Cache):
    """Hands each layer the given past with the new keys and values after it, and records the new ones."""

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
    """Run `tokens` of each row after its prefix (None is the empty one), all rows in one forward pass.

    Returns the prefixes with the tokens in them, and [rows, D] hidden states of the last token of each row.
    """
    result, hidden = _run(model, prefixes, tokens)
    last = torch.tensor([len(row) - 1 for row in tokens], device=hidden.device)
    return result, hidden[torch.arange(len(tokens), device=hidden.device), last]


def beginnings(
    model: Any, sequences: Sequence[Sequence[int]], lengths: Sequence[Sequence[int]]
) -> list[list[Computed]]:
    """What each sequence has computed after its first n tokens, for each n of its row of `lengths`.

    One forward pass over a sequence has it all: the keys and values of a beginning are the first ones of the whole,
    since a token sees none that follows. They are not copied.
    """
    whole, hidden = _run(model, [None] * len(sequences), sequences)
    return [
        [Computed(Prefix(prefix.keys[:, :, :n], prefix.values[:, :, :n]), states[n - 1]) for n in row]
        for prefix, states, row in zip(whole, hidden, lengths, strict=True)
    ]


def _run(model: Any, prefixes: Sequence[Prefix | None], tokens: Sequence[Sequence[int]]) -> tuple[list[Prefix], Tensor]:
    """`extend`, with the hidden states of all tokens: [rows, tokens of the longest row, D]."""
    device, rows = model.device, len(tokens)
    lengths = torch.tensor([len(row) for row in tokens])
    past_lengths = torch.tensor([p.length if p is not None else 0 for p in prefixes])
    width = int(lengths.max())
    padded = torch.zeros(rows, width, dtype=torch.long)
    for row, ids in enumerate(tokens):
        padded[row, : len(ids)] = torch.as_tensor(ids)
    positions = past_lengths[:, None] + torch.arange(width)
    # Padding stands on the right, where causal attention keeps it from being seen: prompts need no mask at all.
    past, mask, key_positions = None, None, torch.arange(width).expand(rows, -1)
    if int(past_lengths.max()):
        past = _stack([p for p in prefixes if p is not None])
        seen = torch.arange(past[0].shape[3]) < past_lengths[:, None]
        causal = torch.ones(width, width, dtype=torch.bool).tril()
        mask = torch.cat([seen[:, None].expand(-1, width, -1), causal.expand(rows, -1, -1)], dim=2)[:, None]
        mask = additive(mask.to(device), model.dtype)
        key_positions = torch.cat([torch.arange(past[0].shape[3]).expand(rows, -1), positions], dim=1)
    recorder = _Recorder(past)
    hidden = model.base_model(
        input_ids=padded.to(device),
        position_ids=positions.to(device),
        attention_mask=mask,
        past_key_values=recorder,
        use_cache=True,
        **seen_through(model, mask, positions, key_positions),
    ).last_hidden_state
    if len({(key.shape, value.shape) for key, value in recorder.new}) != 1:
        raise MathwrightError(
            f"the layers of {type(model).__name__} keep keys and values of different shapes, or none",
            hint="our caches hold layers that are alike: docs/engines.md has the list of architectures",
        )
    keys, values = (torch.stack([layer[i] for layer in recorder.new]) for i in (0, 1))
    result: list[Prefix] = []
    for row, (prefix, length) in enumerate(zip(prefixes, lengths.tolist(), strict=True)):
        new_keys, new_values = keys[:, row, :, :length], values[:, row, :, :length]
        if prefix is not None:
            new_keys = torch.cat([prefix.keys, new_keys], dim=2)
            new_values = torch.cat([prefix.values, new_values], dim=2)
        result.append(Prefix(new_keys, new_values))
    return result, hidden


def seen_through(model: Any, mask: Tensor | None, query_positions: Tensor, key_positions: Tensor) -> dict[str, Seen]:
    """What our attention is told besides the mask, as arguments of a model: nothing where it is another attention."""
    if model.config._attn_implementation != ATTENTION:
        return {}
    return {"seen": Seen(mask, query_positions.to(model.device), key_positions.to(model.device))}


def _stack(prefixes: Sequence[Prefix]) -> tuple[Tensor, Tensor]:
    """Prefixes as [layers, rows, heads, longest, width], zeros after the shorter ones."""
    longest = max(p.length for p in prefixes)
    pad = torch.nn.functional.pad
    keys = torch.stack([pad(p.keys, (0, 0, 0, longest - p.length)) for p in prefixes], dim=1)
    values = torch.stack([pad(p.values, (0, 0, 0, longest - p.length)) for p in prefixes], dim=1)
    return keys, values


@dataclass(frozen=True, slots=True)
class SharedPrompts:
    """The prompts of the running sequences, and which sequence has which.

    G is the size of the largest group; smaller ones are filled up with sequence 0.
    """

    members: Tensor  # [prompts, G] the sequences of each prompt
    places: Tensor  # [sequences] where each stands in `members` laid flat
    mask: Tensor | None  # [prompts, 1, 1, longest prompt], additive; None where all are equally long
    length: int
    """Tokens of the longest."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a forward pass over one more token of each running sequence needs to know."""

    tokens: Tensor  # [sequences]
    positions: Tensor  # [sequences] place of the token in its sequence
    rows: Tensor  # [sequences] where its keys and values go in a layer of the cache, slots and tokens laid flat
    mask: Tensor  # [sequences, 1, 1, length], additive, over what is in the slots
    length: int
    """Tokens of the longest slot, the new one included."""
    prompts: SharedPrompts | None
    """What every sequence sees in addition to its slot, where prompts are kept apart."""


class SlotCache:
    """Room for `num_slots` sequences of up to `capacity` tokens; the first slots are decoded together.

    A token's keys and values lie side by side, so that one copy a layer writes them. With `prompt_capacity` the prompts
    are kept apart, each once for all its sequences, and slots hold only what follows.
    """

    def __init__(self, like: Prefix, num_slots: int, capacity: int, *, prompt_capacity: int = 0) -> None:
        """capacity, prompt_capacity: in tokens; 0 keeps the prompt of each sequence in its slot."""
        self.layers, self.key_heads, _, self.key_width = like.keys.shape
        self.value_heads, self.value_width = like.values.shape[1], like.values.shape[3]
        self._num_keys = self.key_heads * self.key_width
        width = self._num_keys + self.value_heads * self.value_width
        # zeros, not empty: masked positions are multiplied by a weight of 0, and 0 x NaN would be NaN
        self.states = like.keys.new_zeros(self.layers, num_slots, capacity, width)
        self.lengths = torch.zeros(num_slots, dtype=torch.long)
        self.shares_prompts = prompt_capacity > 0
        self.prompt_states = like.keys.new_zeros(
            self.layers, num_slots if self.shares_prompts else 0, prompt_capacity, width
        )
        self.prompt_of_slot = torch.zeros(num_slots, dtype=torch.long)  # its row in `prompt_states`
        self.prompt_lengths = torch.zeros(num_slots, dtype=torch.long)
        self._prompts: list[int] = []  # what is in each row
        self._users: list[int] = []  # slots a row

    @property
    def num_slots(self) -> int:
        return self.states.shape[1]

    @property
    def capacity(self) -> int:
        return self.states.shape[2]

    def put(self, slot: int, prefix: Prefix, *, prompt: int = 0, prompt_length: int = 0) -> None:
        """Copy a prefix, whose first `prompt_length` tokens are the prompt of that number, into a free slot."""
        start = 0
        if self.shares_prompts:
            start = prompt_length
            self.prompt_of_slot[slot] = self._use(prompt, prefix, prompt_length)
        self._write(self.states, slot, prefix, start)
        self.lengths[slot] = prefix.length - start

    def take(self, slot: int) -> Prefix:
        """A copy of what a slot holds, its prompt included."""
        states = self.states[:, slot, : int(self.lengths[slot])]
        if self.shares_prompts:
            row = int(self.prompt_of_slot[slot])
            states = torch.cat([self.prompt_states[:, row, : int(self.prompt_lengths[row])], states], dim=1)
        keys, values = states.split([self._num_keys, states.shape[2] - self._num_keys], dim=2)
        return Prefix(
            keys.unflatten(2, (self.key_heads, -1)).transpose(1, 2).contiguous(),
            values.unflatten(2, (self.value_heads, -1)).transpose(1, 2).contiguous(),
        )

    def free(self, slot: int, last: int) -> None:
        """Give up what a slot holds; the last slot in use takes its place."""
        if self.shares_prompts:
            self._release(int(self.prompt_of_slot[slot]))
        if slot != last:
            length = int(self.lengths[last])
            self.states[:, slot, :length] = self.states[:, last, :length]
            self.lengths[slot] = length
            self.prompt_of_slot[slot] = self.prompt_of_slot[last]

    def step(self, last_tokens: Sequence[int]) -> Step:
        """Make room for one more token in each of the first len(last_tokens) slots."""
        device, num_sequences = self.states.device, len(last_tokens)
        lengths = self.lengths[:num_sequences]
        tokens, written = torch.tensor(last_tokens, device=device), lengths.to(device, copy=True)
        longest = int(lengths.max()) + 1
        lengths += 1
        if not self.shares_prompts:
            return self.step_at(tokens, written, longest)
        before = self.prompt_lengths[self.prompt_of_slot[:num_sequences]].to(device)
        return self.step_at(tokens, written, longest, before, self._shared_prompts(num_sequences))

    def step_at(
        self,
        tokens: Tensor,
        written: Tensor,
        length: int,
        before: Tensor | int = 0,
        prompts: SharedPrompts | None = None,
    ) -> Step:
        """The step that writes `tokens` after the first `written` of the slots and looks at `length` of each.

        before: tokens of a sequence that are not in its slot.
        """
        mask = torch.arange(length, device=written.device) <= written[:, None]
        return Step(
            tokens=tokens,
            positions=written + before,
            rows=torch.arange(len(written), device=written.device) * self.capacity + written,
            mask=additive(mask, self.states.dtype)[:, None, None],
            length=length,
            prompts=prompts,
        )

    def append(self, layer: int, states: Tensor, rows: Tensor) -> None:
        """Write the keys and values of the new tokens, side by side: states is [sequences, width]."""
        self.states[layer].flatten(0, 1).index_copy_(0, rows, states)

    def seen(self, layer: int, num_sequences: int, length: int) -> tuple[Tensor, Tensor]:
        """Keys and values in the first slots: [sequences, heads, length, width] each."""
        return self._heads(self.states[layer, :num_sequences, :length])

    def prompt(self, layer: int, num_prompts: int, length: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the prompts: [prompts, heads, length, width] each."""
        return self._heads(self.prompt_states[layer, :num_prompts, :length])

    def _heads(self, states: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = states[..., : self._num_keys], states[..., self._num_keys :]
        return (
            keys.unflatten(2, (self.key_heads, self.key_width)).transpose(1, 2),
            values.unflatten(2, (self.value_heads, self.value_width)).transpose(1, 2),
        )

    def _write(self, target: Tensor, row: int, prefix: Prefix, start: int, stop: int | None = None) -> None:
        """Write tokens start to stop of a prefix to the beginning of a row."""
        keys, values = prefix.keys[:, :, start:stop], prefix.values[:, :, start:stop]
        length = keys.shape[2]
        target[:, row, :length, : self._num_keys] = keys.transpose(1, 2).flatten(2)
        target[:, row, :length, self._num_keys :] = values.transpose(1, 2).flatten(2)

    # -- prompts kept apart: row i holds the prompt self._prompts[i] --

    def _use(self, prompt: int, prefix: Prefix, length: int) -> int:
        if prompt in self._prompts:
            row = self._prompts.index(prompt)
            self._users[row] += 1
            return row
        row = len(self._prompts)
        self._write(self.prompt_states, row, prefix, 0, length)
        self.prompt_lengths[row] = length
        self._prompts.append(prompt)
        self._users.append(1)
        return row

    def _release(self, row: int) -> None:
        self._users[row] -= 1
        if self._users[row]:
            return
        last = len(self._prompts) - 1
        if row != last:
            length = int(self.prompt_lengths[last])
            self.prompt_states[:, row, :length] = self.prompt_states[:, last, :length]
            self.prompt_lengths[row] = length
            self.prompt_of_slot[self.prompt_of_slot == last] = row
            self._prompts[row], self._users[row] = self._prompts[last], self._users[last]
        self._prompts.pop()
        self._users.pop()

    def _shared_prompts(self, num_sequences: int) -> SharedPrompts:
        device = self.states.device
        num_prompts = len(self._prompts)
        prompt = self.prompt_of_slot[:num_sequences]
        counts = torch.bincount(prompt, minlength=num_prompts)
        order = prompt.argsort(stable=True)
        within = torch.empty_like(prompt)
        within[order] = torch.arange(num_sequences) - (counts.cumsum(0) - counts)[prompt[order]]
        largest = int(counts.max())
        members = torch.zeros(num_prompts, largest, dtype=torch.long)
        members[prompt, within] = torch.arange(num_sequences)
        lengths = self.prompt_lengths[:num_prompts]
        longest = int(lengths.max())
        mask = None
        if int(lengths.min()) < longest:
            mask = additive((torch.arange(longest) < lengths[:, None]).to(device), self.states.dtype)[:, None, None]
        return SharedPrompts(members.to(device), (prompt * largest + within).to(device), mask, longest)
