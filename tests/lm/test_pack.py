"""What is laid where: capacity, order, splitting, and which tokens see which."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.lm.pack import Example, TokenGroup, pack_examples, pack_groups


def test_a_token_sees_its_own_example_up_to_itself():
    (rows,) = pack_examples([Example([1, 2, 3], [True] * 3), Example([4, 5], [True] * 2)], 8, None)
    assert rows.attention_mask()[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 1, 1],
    ]
    assert rows.positions.tolist() == [[0, 1, 2, 0, 1]]
    assert rows.targets.tolist() == [2, 3, 5]


def test_a_response_sees_its_prompt_and_itself():
    (batch,) = pack_groups([TokenGroup([1, 2], [[3, 4], [5]])], 100)
    assert batch.tokens.tolist() == [[1, 2, 3, 4, 5]]
    assert batch.attention_mask()[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 2]]


def test_padding_sees_itself_so_that_no_softmax_is_empty():
    (rows,) = pack_examples([Example([1, 2, 3], [True] * 3), Example([4], [True])], 3, None, rows_per_batch=2)
    assert rows.attention_mask().any(-1).all()
    assert rows.num_tokens == 4


def test_a_prompt_is_laid_once_a_micro_batch():
    """Training tokens are P + G R, not G (P + R)."""
    (batch,) = pack_groups([TokenGroup([1] * 40, [[2] * 10] * 8)], 1000)
    assert batch.num_tokens == 40 + 8 * 10


@given(
    st.lists(st.tuples(st.integers(1, 20), st.lists(st.integers(0, 30), max_size=9)), max_size=6),
    st.integers(1, 120),
)
def test_every_response_is_in_one_micro_batch_that_keeps_the_limit(shapes, limit):
    groups = [TokenGroup([1] * prompt, [[2] * length for length in lengths]) for prompt, lengths in shapes]
    batches = pack_groups(groups, limit)
    rows = [row for batch in batches for row in batch.rows]
    assert sorted(rows) == [(g, i) for g, group in enumerate(groups) for i in range(len(group.responses))]
    for batch in batches:
        assert batch.num_tokens <= limit or len(batch.rows) == 1 or _forced(groups, batch)
        for b, (g, i) in enumerate(batch.rows):
            assert int(batch.response_mask[b].sum()) == len(groups[g].responses[i])


def _forced(groups, batch):
    """Above the limit only where a single response with its prompt is, empty ones beside it costing nothing."""
    return sum(len(groups[g].responses[i]) > 0 for g, i in batch.rows) <= 1


def test_examples_are_whole_and_rows_keep_their_capacity():
    rng = random.Random(1)
    lengths = rng.choices(range(1, 51), k=60)
    examples = [Example([n] * length, [True] * length) for n, length in enumerate(lengths)]
    batches = pack_examples(examples, 64, rng)
    assert all(rows.tokens.numel() <= 64 for rows in batches)
    counts = [0] * len(examples)
    for rows in batches:
        for token in rows.tokens.flatten().tolist():
            counts[token] += 1
    assert counts == [len(e.tokens) for e in examples]
    assert sum(r.tokens.numel() for r in batches) / (64 * len(batches)) > 0.9


def test_the_shuffle_decides_the_order():
    examples = [Example([n], [True]) for n in range(20)]
    first = pack_examples(examples, 20, random.Random(0))[0].tokens.tolist()
    assert first == pack_examples(examples, 20, random.Random(0))[0].tokens.tolist()
    assert first != pack_examples(examples, 20, random.Random(1))[0].tokens.tolist()


def test_what_cannot_be_packed_is_an_error():
    with pytest.raises(ValueError, match="example 1 has 5 tokens, a row holds 1 to 4"):
        pack_examples([Example([1], [True]), Example([1] * 5, [True] * 5)], 4, None)
    with pytest.raises(ValueError, match="empty prompt"):
        pack_groups([TokenGroup([], [[1]])], 10)
    with pytest.raises(ValueError, match="marks of what is trained"):
        Example([1, 2], [True])
