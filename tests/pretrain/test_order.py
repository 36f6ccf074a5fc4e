"""The order of the data is computed and never stored: bijections, shares, and counts without a walk."""

import random
from collections import Counter

import pytest

from mathwright.pretrain.order import Interleaving, Permutation, key_of


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 65, 1000, 4097])
def test_every_place_is_taken_once(length: int) -> None:
    order = Permutation(length, key_of("a", length))
    assert sorted(order[i] for i in range(length)) == list(range(length))
    assert [order[i] for i in range(length)] == [Permutation(length, key_of("a", length))[i] for i in range(length)]


def test_orders_look_random_and_keys_give_other_ones() -> None:
    """Over many keys each value is as often at the first place, and neighbours do not stay neighbours."""
    num = 2000
    first = Counter(Permutation(10, key_of(key))[0] for key in range(num))
    chi_squared = sum((first[value] - num / 10) ** 2 / (num / 10) for value in range(10))
    assert chi_squared < 33.7, "the 99.99% point of 9 degrees of freedom"
    order = Permutation(10_000, 5)
    steps = [order[i + 1] - order[i] for i in range(9_999)]
    assert Counter(steps).most_common(1)[0][1] < 12
    assert sum(step > 0 for step in steps) == pytest.approx(5_000, abs=250)


def test_a_place_outside_is_refused() -> None:
    for place in (-1, 3):
        with pytest.raises(IndexError):
            Permutation(3, 0)[place]
    with pytest.raises(ValueError, match="length is 0"):
        Permutation(0, 0)


def test_the_order_of_a_corpus_of_trillions_takes_no_memory() -> None:
    order = Permutation(3 * 10**12, 1)
    assert 0 <= order[2 * 10**12] < 3 * 10**12
    assert len({order[i] for i in range(1000)}) == 1000


@pytest.mark.parametrize("weights", [[1.0], [0.56, 0.04, 0.1, 0.2, 0.1], [1e-6, 1.0], [3, 1]])
def test_rows_before_are_those_of_a_walk(weights: list[float]) -> None:
    interleaving = Interleaving(weights, key_of("k", weights))
    counts = [0] * len(weights)
    for row in range(3000):
        if row % 37 == 0 or row > 2990:
            assert interleaving.before(row) == counts
        counts[interleaving.corpus(row)] += 1


def test_shares_hold_in_every_stretch() -> None:
    weights = [0.56, 0.04, 0.1, 0.2, 0.1]
    interleaving = Interleaving(weights, 12345)
    rng = random.Random(0)
    for _ in range(300):
        start, length = rng.randrange(10**12), rng.randrange(1, 10**6)
        low, high = interleaving.before(start), interleaving.before(start + length)
        for weight, before, after in zip(weights, low, high, strict=True):
            assert abs(after - before - weight * length) < 8
