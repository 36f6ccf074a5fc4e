"""Attention segment by segment equals attention under the dense mask that says the same."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mathwright.lm.attention import LONGEST_OVER_SHORTEST, attention
from mathwright.lm.pack import Example, TokenGroup, pack_examples, pack_groups
from tests.properties import examples

CPU = torch.device("cpu")


def dense(query, key, value, mask):
    """softmax(q k / sqrt(d)) v over what the mask lets through, heads of a key head repeated."""
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    scores = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf)
    return (scores.softmax(-1) @ value).transpose(1, 2)


def compare(batch, heads: int, key_heads: int) -> None:
    torch.manual_seed(0)
    rows, length = batch.tokens.shape
    make = lambda h, d: torch.randn(rows, h, length, d, dtype=torch.float64, requires_grad=True)  # noqa: E731
    inputs = (make(heads, 8), make(key_heads, 8), make(key_heads, 6))  # values narrower than keys, as in DeepSeek-V2
    weight = torch.randn(rows, length, heads, 6, dtype=torch.float64)
    expected = dense(*inputs, batch.attention_mask())
    output, _ = attention(torch.nn.Module(), *inputs, None, layout=batch.layout(CPU))
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    ours, theirs = (torch.autograd.grad((o * weight).sum(), inputs) for o in (output, expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@given(
    st.lists(st.tuples(st.integers(1, 12), st.lists(st.integers(0, 20), max_size=8)), min_size=1, max_size=4),
    st.sampled_from([(2, 2), (4, 2), (6, 1)]),
)
@examples(40)
def test_groups_of_any_shape(shapes, heads):
    groups = [TokenGroup([1] * prompt, [[2] * length for length in lengths]) for prompt, lengths in shapes]
    for batch in pack_groups(groups, 10_000):
        compare(batch, *heads)


@pytest.mark.parametrize("rows_per_batch", [1, 3])
def test_examples_and_padding(rows_per_batch):
    rng = random.Random(0)
    lengths = [rng.randint(1, 20) for _ in range(9)]
    for rows in pack_examples([Example([1] * n, [True] * n) for n in lengths], 24, rng, rows_per_batch=rows_per_batch):
        compare(rows, 4, 2)


def test_responses_computed_together_are_of_similar_length():
    """One long response must not make every short one cost as much."""
    lengths = [100, 9, 8, 60, 7, 1]
    (batch,) = pack_groups([TokenGroup([1] * 5, [[2] * n for n in lengths])], 10_000)
    ((piece,),) = batch.layout(CPU).rows
    padded = sum(b.num_responses * (b.index.shape[1] if b.index is not None else 0) or b.num_tokens
                 for b in piece.buckets)  # fmt: skip
    assert [bucket.num_responses for bucket in piece.buckets] == [2, 3, 1]
    assert padded <= LONGEST_OVER_SHORTEST * sum(lengths)
