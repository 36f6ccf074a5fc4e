"""Packing: many sequences in one row without padding, and a group's prompt once for all its responses.

Both kinds of batch say which tokens see which through two numbers a token: its segment, and the segment of the prompt
it continues. A token sees the earlier tokens of these two. Examples are segments without a prompt (block-diagonal
attention); the responses of a group are segments that share one (a tree of depth two). Positions restart at each
example and continue from the prompt in each response, so every sequence is computed as if it stood alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mathwright.lm.attention import ATTENTION, NO_MASK, Layout, layout
from mathwright.lm.cache import additive

PADDING = -1


@dataclass(frozen=True, slots=True)
class Example:
    """A token sequence and which of its tokens are trained; the first token has no context and never is."""

    tokens: Sequence[int]
    trained: Sequence[bool]

    def __post_init__(self) -> None:
        if len(self.tokens) != len(self.trained):
            raise ValueError(f"{len(self.tokens)} tokens but {len(self.trained)} marks of what is trained")


@dataclass(frozen=True, slots=True)
class TokenGroup:
    """A prompt and the G responses to it."""

    prompt: Sequence[int]
    responses: Sequence[Sequence[int]]
    trained: Sequence[Sequence[bool]] | None = None
    """Which response tokens the model wrote itself (`Completion.sampled`); None is all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRows:
    """Rows of examples laid end to end; one micro-batch."""

    tokens: Int[Tensor, "R L"]
    positions: Int[Tensor, "R L"]
    segments: Int[Tensor, "R L"]
    """Which example a token belongs to; -1 is padding."""
    source_index: Int[Tensor, " N"]
    """Index into the R*L hidden states of the token before each trained token."""
    targets: Int[Tensor, " N"]
    """The trained tokens."""

    @property
    def num_tokens(self) -> int:
        """Tokens computed, padding left out."""
        return int((self.segments != PADDING).sum())

    @property
    def num_targets(self) -> int:
        return self.targets.numel()

    def layout(self, device: torch.device) -> Layout:
        return layout(self.segments, self.segments, device)

    def attention_mask(self) -> Bool[Tensor, "R 1 L L"]:
        """The same as a dense mask, for models with another attention than ours."""
        return _mask(self.segments, self.segments)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBatch:
    """One micro-batch of responses, each prompt laid down once: a single row of L tokens that holds B responses."""

    tokens: Int[Tensor, "1 L"]
    positions: Int[Tensor, "1 L"]
    segments: Int[Tensor, "1 L"]
    """Which prompt or response a token belongs to."""
    prompts: Int[Tensor, "1 L"]
    """Segment of the prompt a token continues; its own segment for prompt tokens."""
    rows: tuple[tuple[int, int], ...]
    """(group, rollout) of each of the B responses, as indices into what was packed."""
    response_tokens: Int[Tensor, "B T"]
    """0 after the end of a response."""
    response_mask: Bool[Tensor, "B T"]
    """True where a token is trained: inside the response, and written by the model."""
    source_index: Int[Tensor, "B T"]
    """Index into the L hidden states of the token before each response token (0 after the end)."""
    token_index: Int[Tensor, "B T"]
    """Index into the L hidden states of each response token itself (0 after the end)."""
    last_index: Int[Tensor, " B"]
    """Index of the last token of each response, of the prompt where the response is empty."""

    @property
    def num_tokens(self) -> int:
        return self.tokens.numel()

    def training(self, chosen: Bool[Tensor, " B"]) -> GroupBatch:
        """The same batch with no tokens trained but those of the chosen responses: logits are made for no others."""
        return replace(self, response_mask=self.response_mask & chosen[:, None])

    def layout(self, device: torch.device) -> Layout:
        return layout(self.segments, self.prompts, device)

    def attention_mask(self) -> Bool[Tensor, "1 1 L L"]:
        """The same as a dense mask, for models with another attention than ours."""
        return _mask(self.segments, self.prompts)


class Shuffler(Protocol):
    """What `random.Random` and `numpy.random.Generator` have in common."""

    def shuffle(self, x: Any, /) -> None: ...


def _mask(segments: Int[Tensor, "R L"], prompts: Int[Tensor, "R L"]) -> Bool[Tensor, "R 1 L L"]:
    """mask[r, 0, query, key]: the key is not later than the query, and in its segment or its prompt.

    A padding token sees padding alone, itself at the least: a query that sees nothing would be NaN in the softmax.
    """
    length = segments.shape[1]
    keys = segments[:, None, :]
    seen = (keys == segments[:, :, None]) | (keys == prompts[:, :, None])
    earlier = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    return (seen & earlier)[:, None]


def packed_states(model: Any, batch: PackedRows | GroupBatch) -> Float[Tensor, "R L D"]:
    """Last hidden states (after the final norm) of every token of a packed batch, each sequence as if it stood alone.

    Nothing is checked: `lm.logprobs.hidden_states` does.
    """
    device = model.device
    if model.config._attn_implementation == ATTENTION:
        how = {"attention_mask": NO_MASK.to(device), "layout": batch.layout(device)}
    else:
        how = {"attention_mask": additive(batch.attention_mask().to(device), model.dtype)}
    return model.base_model(
        input_ids=batch.tokens.to(device), position_ids=batch.positions.to(device), use_cache=False, **how
    ).last_hidden_state


# --- examples -------------------------------------------------------------------------------------


def pack_examples(
    examples: Sequence[Example], row_tokens: int, rng: Shuffler | None, *, rows_per_batch: int = 1
) -> list[PackedRows]:
    """Lay examples end to end in random order into rows of at most `row_tokens` tokens (§3.2: random concatenation).

    No example is cut and none sees another. Rows are as long as what they hold, so a batch of one row has no padding.

    Args:
        examples: the sequences, each of 1 to row_tokens tokens.
        row_tokens: capacity of a row.
        rng: shuffles the examples; None keeps their order.
        rows_per_batch: rows in one micro-batch.

    Raises ValueError for an example that is empty or fits no row.
    """
    for number, example in enumerate(examples):
        if not 0 < len(example.tokens) <= row_tokens:
            raise ValueError(
                f"example {number} has {len(example.tokens)} tokens, a row holds 1 to {row_tokens}: "
                "raise row_tokens, or leave the example out and count it"
            )
    order = list(range(len(examples)))
    if rng is not None:
        rng.shuffle(order)
    rows = _first_fit([(index, len(examples[index].tokens)) for index in order], row_tokens)
    batches = [rows[start : start + rows_per_batch] for start in range(0, len(rows), rows_per_batch)]
    return [pack_rows([[examples[index] for index in row] for row in batch]) for batch in batches]


def _first_fit(sizes: Sequence[tuple[int, int]], capacity: int) -> list[list[int]]:
    """Put (item, size) in the given order each into the first bin with room; an item above capacity has its own bin."""
    bins: list[list[int]] = []
    room: list[int] = []
    first_open = 0  # bins before it are full: keeps the search short over thousands of items
    for item, size in sizes:
        target = next((b for b in range(first_open, len(bins)) if room[b] >= size), None)
        if target is None:
            bins.append([])
            room.append(capacity)
            target = len(bins) - 1
        bins[target].append(item)
        room[target] -= size
        while first_open < len(bins) and room[first_open] <= 0:
            first_open += 1
    return bins


def pack_rows(rows: Sequence[Sequence[Example]]) -> PackedRows:
    """Lay the examples of each row end to end, as given; none sees another."""
    length = max(sum(len(example.tokens) for example in row) for row in rows)
    tokens = torch.zeros(len(rows), length, dtype=torch.long)
    positions = torch.zeros_like(tokens)
    segments = torch.full_like(tokens, PADDING)
    sources: list[Tensor] = []
    for r, row in enumerate(rows):
        start = 0
        for segment, example in enumerate(row):
            stop = start + len(example.tokens)
            tokens[r, start:stop] = torch.as_tensor(example.tokens, dtype=torch.long)
            positions[r, start:stop] = torch.arange(stop - start)
            segments[r, start:stop] = segment
            trained = torch.as_tensor(example.trained, dtype=torch.bool)[1:]
            sources.append(r * length + start + trained.nonzero().squeeze(1))
            start = stop
    source_index = torch.cat(sources)
    return PackedRows(
        tokens=tokens,
        positions=positions,
        segments=segments,
        source_index=source_index,
        targets=tokens.flatten()[source_index + 1] if source_index.numel() else source_index,
    )


# --- groups ---------------------------------------------------------------------------------------


def pack_groups(groups: Sequence[TokenGroup], micro_batch_tokens: int) -> list[GroupBatch]:
    """Pack groups into micro-batches of at most `micro_batch_tokens` tokens, each prompt once a micro-batch.

    A group that does not fit is split over several, its prompt computed in each; small groups share one. A response
    that exceeds the limit alone has a micro-batch of its own. Every response is in exactly one micro-batch.

    Raises ValueError for an empty prompt: the first response token would have nothing to be predicted from.
    """
    pieces: list[tuple[int, list[int]]] = []
    for g, group in enumerate(groups):
        if not len(group.prompt):
            raise ValueError(f"group {g} has an empty prompt; put a begin token before the responses")
        room = max(1, micro_batch_tokens - len(group.prompt))
        by_size = sorted(range(len(group.responses)), key=lambda i, group=group: -len(group.responses[i]))
        # longest first: neighbours are of similar length, which is what attention computes side by side
        pieces += [(g, part) for part in _first_fit([(i, len(group.responses[i])) for i in by_size], room)]

    def size(piece: tuple[int, list[int]]) -> int:
        g, part = piece
        return len(groups[g].prompt) + sum(len(groups[g].responses[i]) for i in part)

    order = sorted(range(len(pieces)), key=lambda p: -size(pieces[p]))
    batches = _first_fit([(p, size(pieces[p])) for p in order], micro_batch_tokens)
    return [_group_batch(groups, [pieces[p] for p in sorted(batch)]) for batch in batches]


def _group_batch(groups: Sequence[TokenGroup], pieces: Sequence[tuple[int, list[int]]]) -> GroupBatch:
    tokens: list[int] = []
    positions: list[int] = []
    segments: list[int] = []
    prompts: list[int] = []

    def lay(piece: Sequence[int], first_position: int, prompt: int | None) -> int:
        """Append a segment; returns the number of the segment."""
        segment = segments[-1] + 1 if segments else 0
        tokens.extend(piece)
        positions.extend(range(first_position, first_position + len(piece)))
        segments.extend([segment] * len(piece))
        prompts.extend([segment if prompt is None else prompt] * len(piece))
        return segment

    rows = tuple((g, i) for g, part in pieces for i in part)
    width = max((len(groups[g].responses[i]) for g, i in rows), default=0)
    response_tokens = torch.zeros(len(rows), width, dtype=torch.long)
    response_mask = torch.zeros(len(rows), width, dtype=torch.bool)
    source_index, token_index = torch.zeros_like(response_tokens), torch.zeros_like(response_tokens)
    last_index = torch.zeros(len(rows), dtype=torch.long)
    b = 0
    for g, part in pieces:
        group = groups[g]
        prompt = lay(group.prompt, 0, None)
        prompt_end = len(tokens) - 1
        for i in part:
            start, length = len(tokens), len(group.responses[i])
            lay(group.responses[i], len(group.prompt), prompt)
            response_tokens[b, :length] = torch.as_tensor(group.responses[i], dtype=torch.long)
            token_index[b, :length] = torch.arange(start, start + length)
            source_index[b, :length] = token_index[b, :length] - 1
            source_index[b, :1] = prompt_end if length else 0
            last_index[b] = start + length - 1 if length else prompt_end
            response_mask[b, :length] = (
                torch.as_tensor(group.trained[i], dtype=torch.bool) if group.trained is not None else True
            )
            b += 1
    as_row = lambda values: torch.tensor([values], dtype=torch.long)  # noqa: E731
    return GroupBatch(
        tokens=as_row(tokens),
        positions=as_row(positions),
        segments=as_row(segments),
        prompts=as_row(prompts),
        rows=rows,
        response_tokens=response_tokens,
        response_mask=response_mask,
        source_index=source_index,
        token_index=token_index,
        last_index=last_index,
    )
