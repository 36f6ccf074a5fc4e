"""The cut keeps the best pages within the budget, the same ones each time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.mining.ranking import compare, cut, estimate_tokens, rank, sweep
from mathwright.errors import MathwrightError


def test_ties_go_by_url():
    assert rank(np.array([0.5, 0.9, 0.5]), ["b", "c", "a"]).tolist() == [1, 2, 0]


@given(
    pages=st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.integers(1, 9)), min_size=2, max_size=12),
    budget=st.integers(9, 60),
    data=st.data(),
)
def test_the_cut_is_a_prefix_of_the_ranking_whatever_the_order_of_the_pages(pages, budget, data):
    scores, tokens = np.array([0.4, *(s for s, _ in pages)]), np.array([1, *(t for _, t in pages)])
    urls = [f"u{i:02d}" for i in range(len(scores))]
    collected = cut(scores, tokens, urls, budget).collected
    assert tokens[collected].sum() <= budget
    order = rank(scores, urls)
    taken = collected[order]
    assert not np.any(np.diff(taken.astype(int)) > 0)  # once a page is left out, so are all after it
    if not collected.all():
        assert tokens[collected].sum() + tokens[order[taken.sum()]] > budget
    shuffle = np.array(data.draw(st.permutations(range(len(scores)))))
    again = cut(scores[shuffle], tokens[shuffle], [urls[i] for i in shuffle], budget).collected
    assert np.array_equal(again, collected[shuffle])


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3]), st.sampled_from("abc")), max_size=12))
def test_the_ranking_is_by_score_then_url_then_row(pages):
    scores, urls = np.array([s for s, _ in pages]), [u for _, u in pages]
    assert rank(scores, urls).tolist() == sorted(range(len(pages)), key=lambda i: (-scores[i], urls[i], i))


def test_a_sweep_says_what_each_cut_would_collect():
    rng = np.random.default_rng(0)
    scores, tokens = rng.random(200).round(2), rng.integers(1, 50, 200)
    urls = [f"u{i}" for i in rng.permutation(200)]
    budgets = (60, 500, 2_000, 100_000)
    for found, budget in zip(sweep(scores, tokens, urls, budgets), budgets, strict=True):
        collected = cut(scores, tokens, urls, budget).collected
        assert (found.num_pages, found.num_tokens) == (collected.sum(), tokens[collected].sum())
        assert found.lowest_score == scores[collected].min()
    (nothing,) = sweep(np.array([0.9]), np.array([50]), ["u"], (10,))
    assert (nothing.num_pages, nothing.num_tokens, nothing.lowest_score) == (0, 0, None)


def test_equal_scores_decide_nothing():
    with pytest.raises(MathwrightError, match="gives all 3 pages the score"):
        cut(np.full(3, 0.5), np.ones(3), ["a", "b", "c"], 2)


def test_a_budget_below_the_first_page_is_an_error():
    with pytest.raises(MathwrightError, match="has 50 tokens, the budget is 10"):
        cut(np.array([0.9, 0.1]), np.array([50, 1]), ["a", "b"], 10)


def test_a_budget_larger_than_the_pool_collects_everything():
    assert cut(np.array([0.9, 0.1]), np.array([5, 1]), ["a", "b"], 100).collected.all()


def test_a_cut_among_equal_scores_is_said():
    """Pages without a known word all have one score."""
    num = 200
    scores = np.where(np.arange(num) < 20, 0.9, 0.5)
    urls, tokens = [f"http://a.org/{i}" for i in range(num)], np.full(num, 10)
    (warning,) = cut(scores, tokens, urls, 1000).warnings
    assert "180 pages have the lowest score collected, 0.500000: 100 of them are left out" in warning
    assert cut(scores, tokens, urls, 200).warnings == []


def test_a_large_page_that_ends_the_cut_early_is_named():
    scores, tokens = np.array([0.9, 0.8, 0.7]), np.array([50, 60, 1])
    (warning,) = cut(scores, tokens, ["a", "b", "c"], 100).warnings
    assert warning.startswith("only 50 of 100 tokens are collected: the next page by rank, b, alone has 60")
    assert cut(scores, tokens, ["a", "b", "c"], 55).warnings == []


def test_overlap_is_the_share_of_the_new_set_that_was_there():
    now, before = np.array([1, 1, 1, 1, 0], bool), np.array([1, 1, 1, 0, 1], bool)
    change = compare(now, before)
    assert (change.num_new, change.num_lost, change.overlap) == (1, 1, 0.75)
    assert compare(now, None).overlap == 0


def test_no_page_is_free():
    assert estimate_tokens(np.array([0, 2, 300])).tolist() == [1, 1, 100]
