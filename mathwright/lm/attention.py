"""Attention of packed batches: each segment for itself, the responses of a group next to each other on their prompt.

A dense mask over a row of L tokens costs L^2, nearly all of it masked out. Here a prompt of P tokens and its n
responses of R tokens cost P^2 / 2 + n R (P + R): on a CPU a quarter of the time at P 80, R 96, n 8, and a twentieth at
P 96, R 96, n 64. Only PyTorch's own `scaled_dot_product_attention` is called, so every device has its kernels.

Only where a model caps its scores (Gemma 2) or has attention sinks (gpt_oss), which no kernel of PyTorch's computes,
the weights are written out (`_written_out`).

`mathwright.lm.model` registers the function with transformers under `ATTENTION`; without a layout it is transformers'
own SDPA attention. What a model passes to its attention and is neither computed nor known to change nothing is an
error: a model whose attention is another one must not be computed as if it were this one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from mathwright.errors import MathwrightError

ATTENTION = "mathwright"
"""Name of this attention in a model's configuration."""
NO_MASK = torch.zeros(1, 1, 1, 1)
"""Given to a model together with a layout: a mask of four dimensions keeps transformers from making one."""
IGNORED = frozenset(
    {
        # what other kernels need and is in the layout here
        *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "position_ids", "cache_position"),
        # what is to be returned, counted or kept
        *("output_attentions", "output_hidden_states", "output_router_logits", "return_dict", "use_cache"),
        *("num_items_in_batch", "past_key_values", "deterministic", "position_embeddings", "is_causal"),
    }
)
"""Keyword arguments of transformers' attention functions that do not change what is computed here."""
LONGEST_OVER_SHORTEST = 2
"""Responses computed side by side are padded to the longest, which is at most this much longer than the shortest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Responses to one prompt that lie next to each other in a row, M tokens in all, and are of similar length."""

    num_tokens: int
    index: Int[Tensor, "n T"] | None
    """Place among the M tokens of each token, any place after the end of a response; None where all are equally
    long."""
    kept: Int[Tensor, " M"] | None
    """Which of the n*T are tokens of a response, in the order of the row; None where all are."""
    num_responses: int

    def gather(self, states: Tensor) -> Tensor:
        """[H, M, d] of the bucket's tokens to [n, H, T, d]."""
        heads, _, width = states.shape
        if self.index is None:
            return states.reshape(heads, self.num_responses, -1, width).transpose(0, 1)
        picked = states.index_select(1, self.index.flatten())
        return picked.view(heads, *self.index.shape, width).transpose(0, 1)

    def scatter(self, states: Tensor) -> Tensor:
        """[n, H, T, d] back to [H, M, d]."""
        flat = states.transpose(0, 1).flatten(1, 2)
        return flat if self.kept is None else flat.index_select(1, self.kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A segment that sees itself alone, and the responses after it that see it too."""

    num_tokens: int
    """Of the segment itself."""
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What stands where in each row of a packed batch; the pieces of a row follow one another without gaps."""

    rows: tuple[tuple[Piece, ...], ...]

    def split(self, states: Tensor) -> list[Iterator[Tensor]]:
        """[R, H, L, d] to the states [H, M, d] of each segment and bucket of each row, in their order.

        A slice for each would cost the backward pass a whole row of zeros for each; of a split it makes one row.
        """
        sizes = [
            [size for p in row for size in (p.num_tokens, *(b.num_tokens for b in p.buckets))] for row in self.rows
        ]
        return [iter(row.split(s, dim=1)) for row, s in zip(states.unbind(), sizes, strict=True)]


def layout(segments: Int[Tensor, "R L"], prompts: Int[Tensor, "R L"], device: torch.device) -> Layout:
    """The layout of a batch as `mathwright.lm.pack` describes it: the segment of each token, and that of its prompt."""
    return Layout(rows=tuple(_row(s, p, device) for s, p in zip(segments, prompts, strict=True)))


def _row(segments: Tensor, prompts: Tensor, device: torch.device) -> tuple[Piece, ...]:
    names, counts = segments.unique_consecutive(return_counts=True)
    ends = counts.cumsum(0).tolist()
    starts = [0, *ends[:-1]]
    own = (prompts[torch.tensor(starts)] == names).tolist()  # a segment that continues no other
    heads = [i for i, is_head in enumerate(own) if is_head]
    return tuple(
        Piece(
            num_tokens=ends[head] - starts[head],
            buckets=_buckets(starts[head + 1 : following], ends[head + 1 : following], device),
        )
        for head, following in pairwise([*heads, len(starts)])
    )


def _buckets(starts: list[int], ends: list[int], device: torch.device) -> tuple[Bucket, ...]:
    buckets: list[Bucket] = []
    first = 0
    while first < len(starts):
        shortest = longest = ends[first] - starts[first]
        last = first
        while last + 1 < len(starts):
            length = ends[last + 1] - starts[last + 1]
            shortest, longest = min(shortest, length), max(longest, length)
            if longest > LONGEST_OVER_SHORTEST * shortest:
                break
            last += 1
        buckets.append(_bucket(starts[first : last + 1], ends[first : last + 1], device))
        first = last + 1
    return tuple(buckets)


def _bucket(starts: list[int], ends: list[int], device: torch.device) -> Bucket:
    lengths = torch.tensor(ends) - torch.tensor(starts)
    index = kept = None
    if len(set(lengths.tolist())) > 1:
        places = torch.arange(int(lengths.max()))
        inside = places < lengths[:, None]
        index = torch.where(inside, torch.tensor(starts)[:, None] - starts[0] + places, 0).to(device)
        kept = inside.flatten().nonzero().squeeze(1).to(device)
    return Bucket(num_tokens=ends[-1] - starts[0], index=index, kept=kept, num_responses=len(starts))


@dataclass(frozen=True, slots=True)
class Seen:
    """Which keys queries see without a layout, from a cache, and how far apart they stand."""

    mask: Tensor | None  # [R, 1, T, L], additive; None where query i sees keys 0 to i
    query_positions: Int[Tensor, "R T"]
    key_positions: Int[Tensor, "R L"]
    _masks: dict[int, Tensor] = field(default_factory=dict)

    def within(self, window: int | None) -> Tensor | None:
        """The mask of layers that look back `window` tokens, the token itself included; made once for all of them."""
        if window is None or window >= self.key_positions.shape[1]:
            return self.mask
        if window not in self._masks:
            distance = self.query_positions[:, None, :, None] - self.key_positions[:, None, None, :]
            near = (distance >= 0) & (distance < window)
            base = torch.zeros(()) if self.mask is None else self.mask
            self._masks[window] = base.to(near.device).masked_fill(~near, float("-inf"))
        return self._masks[window]


@dataclass(frozen=True, slots=True)
class _How:
    """What a layer computes besides softmax(q k scaling) v."""

    scaling: float | None
    dropout: float
    window: int | None
    """Tokens a query looks back, itself included."""
    softcap: float | None
    """Scores s become softcap * tanh(s / softcap)."""
    sinks: Tensor | None
    """[H] scores of a key without value that every query sees."""

    @property
    def is_plain(self) -> bool:
        """Whether PyTorch's kernels compute it, given the mask."""
        return self.softcap is None and self.sinks is None


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    layout: Layout | None = None,
    seen: Seen | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer as transformers calls it: query [R, H, L, d], key and value [R, K, L, d].

    Args:
        layout: of a packed batch; the mask is not looked at.
        seen: in decoding, in the place of the mask. Without either this is transformers' SDPA attention.
        sliding_window: tokens a query looks back, itself included; without layout and seen it is in the mask.
        softcap: scores s become softcap * tanh(s / softcap) (Gemma 2, arXiv 2408.00118, §2).
        s_aux: [H] scores of attention sinks, keys without a value (gpt_oss).

    Returns [R, L, H, d]. Raises MathwrightError for any other argument that could change the result.
    """
    unknown = [name for name, given in kwargs.items() if given is not None and name not in IGNORED]
    if unknown:
        raise MathwrightError(
            f"{type(module).__name__} gives its attention {unknown[0]}, which this package does not compute",
            hint="use another model: docs/engines.md has the list of architectures",
        )
    how = _How(scaling, dropout, sliding_window, softcap, s_aux)
    if layout is not None:
        parts = zip(layout.rows, layout.split(query), layout.split(key), layout.split(value), strict=True)
        rows = [
            torch.cat([part for piece in pieces for part in _piece(piece, queries, keys, values, how)], dim=1)
            for pieces, queries, keys, values in parts
        ]
        return torch.stack(rows).transpose(1, 2).contiguous(), None
    if seen is not None:
        attention_mask = seen.within(sliding_window)
    if not how.is_plain:
        return _written_out(query, key, value, _additive_mask(attention_mask, query, key), how).transpose(
            1, 2
        ).contiguous(), None
    if query.shape[2] == 1 and attention_mask is not None and query.device.type == "cpu":
        # decoding; transformers lays the heads that share keys end to end, which takes a third more
        output = F.scaled_dot_product_attention(
            query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
        )
        return output.transpose(1, 2).contiguous(), None
    is_causal = kwargs.get("is_causal")
    return sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal
    )


def _piece(
    piece: Piece, queries: Iterator[Tensor], keys: Iterator[Tensor], values: Iterator[Tensor], how: _How
) -> list[Tensor]:
    """Outputs [H, M, d] of a piece and of its buckets; the states of the row's parts are taken in turn."""
    query, key, value = next(queries), next(keys), next(values)
    outputs = [_causal(query[None], key[None], value[None], 0, how)[0]]
    for bucket in piece.buckets:
        # Behind the end of a response stand copies of other tokens: causality keeps them from being seen by it.
        seen_keys, seen_values = (
            torch.cat([prompt.expand(bucket.num_responses, *prompt.shape), bucket.gather(next(own))], dim=2)
            for prompt, own in ((key, keys), (value, values))
        )
        outputs.append(bucket.scatter(_causal(bucket.gather(next(queries)), seen_keys, seen_values, key.shape[1], how)))
    return outputs


def _causal(query: Tensor, key: Tensor, value: Tensor, num_before: int, how: _How) -> Tensor:
    """Causal attention of [n, H, T, d] on [n, K, num_before + T, d], of which the first num_before are seen by all.

    Queries of the heads that share a key head are laid end to end: repeating the keys for them takes longer.
    """
    n, heads, length, width = query.shape
    repeats = heads // key.shape[1]
    window = how.window if how.window is not None and how.window < num_before + length else None
    # Kernels that take shared key heads as they are and need no mask: of the half of the scores that it hides, most are
    # not computed then. A processor's does (half the time at 2,048 tokens), a GPU's flash kernel for 16-bit numbers.
    narrow = query.dtype in (torch.bfloat16, torch.float16)
    shares_in_kernel = query.device.type == "cpu" or (query.device.type == "cuda" and narrow)
    if not num_before and (repeats == 1 or shares_in_kernel) and window is None and how.is_plain:
        return F.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=how.scaling, dropout_p=how.dropout, enable_gqa=repeats > 1
        )
    mask = torch.zeros(length, num_before + length, dtype=query.dtype, device=query.device)
    mask[:, num_before:].masked_fill_(
        torch.ones(length, length, dtype=torch.bool, device=query.device).triu(1), float("-inf")
    )
    if window is not None:
        far = torch.ones_like(mask, dtype=torch.bool).tril(num_before - window)
        mask.masked_fill_(far, float("-inf"))
    if not how.is_plain:
        return _written_out(query, key, value, mask, how)
    folded = query.reshape(n, key.shape[1], repeats * length, width)
    output = F.scaled_dot_product_attention(
        folded, key, value, attn_mask=mask.repeat(repeats, 1), scale=how.scaling, dropout_p=how.dropout
    )
    return output.view(n, heads, length, value.shape[-1])


def _written_out(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, how: _How) -> Tensor:
    """The same for any layer, with all its weights [n, H, T, L] in memory; mask is additive, over [.., T, L].

    w = softmax(softcap tanh(q k scaling / softcap) + mask), normalised over the keys and the sink.
    """
    n, heads, length, width = query.shape
    grouped = query.reshape(n, key.shape[1], -1, length, width)
    scores = grouped @ key[:, :, None].transpose(-1, -2)  # [n, K, repeats, T, L]
    scores = scores * (width**-0.5 if how.scaling is None else how.scaling)
    if how.softcap is not None:
        scores = how.softcap * torch.tanh(scores / how.softcap)
    scores = scores + (mask[:, :, None] if mask.ndim == 4 else mask)
    wide = torch.promote_types(scores.dtype, torch.float32)
    if how.sinks is None:
        weights = scores.softmax(-1, dtype=wide)
    else:
        sinks = how.sinks.to(wide).view(1, key.shape[1], -1, 1, 1).expand(*scores.shape[:-1], 1)
        weights = torch.cat([scores.to(wide), sinks], dim=-1).softmax(-1)[..., :-1]
    weights = F.dropout(weights.to(query.dtype), how.dropout) if how.dropout else weights.to(query.dtype)
    return (weights @ value[:, :, None]).reshape(n, heads, length, value.shape[-1])


def _additive_mask(mask: Tensor | None, query: Tensor, key: Tensor) -> Tensor:
    """A mask as transformers gives it: True is seen, or additive, or None for the causal one."""
    length, num_keys = query.shape[2], key.shape[2]
    if mask is None:
        ones = torch.ones(length, num_keys, dtype=torch.bool, device=query.device)
        mask = ones.tril(num_keys - length)
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=query.dtype, device=query.device).masked_fill_(~mask, float("-inf"))
    return mask
