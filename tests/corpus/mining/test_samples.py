"""What the classifier learns from is the seed against other pages, and none twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.mining.samples import draw, in_turns, without_near_copies
from mathwright.corpus.recipe import ClassifierRecipe


def recipe(**changes):
    values = {"num_positives": 40, "num_negatives": 60, "dim": 8, "lr": 0.1, "word_ngrams": 1, "min_count": 1}
    return ClassifierRecipe(**{**values, "epochs": 1, "buckets": 100, **changes})


NUM = 400
SEED_PAGES = np.arange(NUM) % 4 == 0
EXCLUDED = np.arange(NUM) % 4 == 1
ARCHIVES = ["large" if i % 40 else "small" for i in range(NUM)]
SMALL_LEFT = [i for i in range(NUM) if ARCHIVES[i] == "small" and not SEED_PAGES[i] and not EXCLUDED[i]]


def drawn(rng_seed="1", negatives_rng_seed="1", **changes):
    return draw(
        SEED_PAGES, EXCLUDED, ARCHIVES, recipe(**changes), rng_seed=rng_seed, negatives_rng_seed=negatives_rng_seed
    )


def test_sides_are_apart_and_keep_to_their_pages():
    samples = drawn()
    assert len(samples.positives) == 40 and len(samples.negatives) == 60
    assert len(samples.heldout_positives) == len(samples.heldout_negatives) == 10  # a tenth of the smaller side
    assert len(set(samples.rows)) == len(samples.rows)
    assert all(SEED_PAGES[i] for i in samples.positives + samples.heldout_positives)
    assert not any(SEED_PAGES[i] or EXCLUDED[i] for i in samples.negatives + samples.heldout_negatives)


def test_the_rng_seeds_say_which_side_is_drawn_again():
    first, again = drawn(), drawn()
    assert first == again
    same_negatives = drawn(rng_seed="2")
    assert same_negatives.negatives == first.negatives and same_negatives.positives != first.positives
    assert drawn(negatives_rng_seed="2").negatives != first.negatives


@pytest.mark.parametrize("balance_archives", [False, True])
def test_negatives_that_are_not_redrawn_stay_as_long_as_they_may(balance_archives):
    """An iteration later some pages are no negatives any more: only these are replaced."""
    more = EXCLUDED | (np.arange(NUM) % 16 == 2)

    def negatives(excluded, **changes):
        part = recipe(balance_archives=balance_archives, **changes)
        samples = draw(SEED_PAGES, excluded, ["large"] * NUM, part, rng_seed="1", negatives_rng_seed="1")
        return set(samples.heldout_negatives + samples.negatives)

    first, second = (negatives(excluded, redraw_negatives=False) for excluded in (EXCLUDED, more))
    assert {i for i in first if not more[i]} <= second and len(second) == len(first) == 70
    assert not any(more[i] for i in second)


def test_archives_take_turns_until_one_is_empty():
    archives = ["a"] * 300 + ["b"] * 10 + ["c"] * 90
    samples = draw(
        np.arange(NUM) < 50,
        np.zeros(NUM, bool),
        archives,
        recipe(num_negatives=90),
        rng_seed="1",
        negatives_rng_seed="1",
    )
    taken = samples.heldout_negatives + samples.negatives
    counts = {name: sum(archives[i] == name for i in taken) for name in "abc"}
    assert counts["b"] == 10 and abs(counts["a"] - counts["c"]) <= 1
    unbalanced = draw(
        np.arange(NUM) < 50,
        np.zeros(NUM, bool),
        archives,
        recipe(num_negatives=90, balance_archives=False),
        rng_seed="1",
        negatives_rng_seed="1",
    )
    assert sum(archives[i] == "a" for i in unbalanced.negatives) > 50


@given(st.lists(st.sampled_from("abc"), max_size=20))
def test_turns_keep_every_row_and_the_order_within_a_group(groups):
    rows = list(range(len(groups)))
    turns = in_turns(np.array(rows, dtype=np.int64), groups).tolist()
    assert sorted(turns) == rows
    for name in "abc":
        own = [i for i in turns if groups[i] == name]
        assert own == sorted(own)
    for length in range(len(turns) + 1):  # a prefix has each group as often as any, or all of it
        counts = {name: [groups[i] for i in turns[:length]].count(name) for name in set(groups)}
        for name, count in counts.items():
            assert count == groups.count(name) or count >= max(counts.values()) - 1


def test_a_copy_of_a_seed_page_teaches_nothing_as_a_negative():
    samples = drawn()
    texts = {i: " ".join(f"w{i}_{k}" for k in range(80)) for i in samples.rows}
    copy, heldout_copy = samples.negatives[3], samples.heldout_negatives[2]
    texts[copy] = texts[samples.positives[0]] + " again"
    texts[heldout_copy] = texts[samples.heldout_positives[0]]
    left = without_near_copies(samples, texts, similarity=0.5, num_hashes=64, rng_seed=0)
    assert set(samples.rows) - set(left.rows) == {copy, heldout_copy}
    assert left.num_near_copies == 2
    assert without_near_copies(samples, texts, similarity=0, num_hashes=64, rng_seed=0) == samples
