"""§2.1: rank the pages by score and keep the best of them up to a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mathwright.errors import MathwrightError

BYTES_PER_TOKEN = 3
"""Ranking counts tokens by UTF-8 bytes, so that what is collected does not depend on a tokenizer; the shards report the
true count. Mathematical web pages have 2.8 bytes a token in SmolLM2's BPE (English prose about 4)."""
FILLED = 0.9
"""A collection below this share of its budget, in a larger pool, was ended by one large page."""


def estimate_tokens(num_bytes: np.ndarray) -> np.ndarray:
    """Tokens [N] of texts of that many UTF-8 bytes, at least 1."""
    return np.maximum(1, np.asarray(num_bytes, dtype=np.int64) // BYTES_PER_TOKEN)


def rank(scores: np.ndarray, urls: Sequence[str]) -> np.ndarray:
    """Rows [N] from the best score to the worst; equal scores in the order of their URLs."""
    order = np.argsort(-np.asarray(scores), kind="stable")
    ranked = np.asarray(scores)[order]
    ends = np.flatnonzero(np.diff(ranked)) + 1
    for start, end in zip([0, *ends.tolist()], [*ends.tolist(), len(order)], strict=True):
        if end - start > 1:  # only ties need their URLs
            order[start:end] = sorted(order[start:end].tolist(), key=lambda i: (urls[i], i))
    return order


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a budget collects."""

    collected: np.ndarray
    """[N] bool."""
    warnings: list[str]
    """What about it looks like a mistake, for people."""


def cut(scores: np.ndarray, num_tokens: np.ndarray, urls: Sequence[str], budget: int) -> Cut:
    """The best-ranked pages whose tokens together stay within `budget`.

    scores, num_tokens [N]. The page that would go over the budget ends the cut. It warns where the cut falls short of
    the budget, takes all pages, or falls among pages of equal score. Raises MathwrightError where all scores are equal
    (the ranking would be the alphabet's) and where not even the first page fits.
    """
    if len(scores) > 1 and np.all(scores == scores[0]):
        raise MathwrightError(
            f"the classifier gives all {len(scores)} pages the score {scores[0]:.6f}",
            hint="it learned nothing: more seed pages, more examples (corpus.classifier.num_positives), or a higher "
            "corpus.classifier.lr",
        )
    order = rank(scores, urls)
    num_collected = int(np.searchsorted(np.cumsum(num_tokens[order]), budget, side="right"))
    if len(scores) and not num_collected:
        raise MathwrightError(
            f"the best page alone, {urls[order[0]]}, has {num_tokens[order[0]]:,} tokens, the budget is {budget:,}",
            hint="raise corpus.budget_tokens, or leave such pages out with corpus.filters.max_words",
        )
    collected = np.zeros(len(scores), dtype=bool)
    collected[order[:num_collected]] = True
    first_left_out = int(order[num_collected]) if num_collected < len(order) else None
    return Cut(collected=collected, warnings=_warnings(scores, num_tokens, urls, collected, budget, first_left_out))


def _warnings(
    scores: np.ndarray,
    num_tokens: np.ndarray,
    urls: Sequence[str],
    collected: np.ndarray,
    budget: int,
    first_left_out: int | None,
) -> list[str]:
    total = int(num_tokens[collected].sum())
    if first_left_out is None:
        return [
            f"the budget of {budget:,} tokens exceeds the pool ({total:,}): every page is collected, the ranking "
            "decides nothing and the loop ends; lower corpus.budget_tokens"
        ]
    warnings: list[str] = []
    if total < FILLED * budget:
        warnings.append(
            f"only {total:,} of {budget:,} tokens are collected: the next page by rank, {urls[first_left_out]}, alone "
            f"has {num_tokens[first_left_out]:,} and ends the cut; leave such pages out with corpus.filters.max_words"
        )
    lowest = scores == scores[collected].min()
    num_left_out = int((lowest & ~collected).sum())
    if num_left_out and lowest.sum() > max(10, collected.sum() // 100):
        warnings.append(
            f"{lowest.sum():,} pages have the lowest score collected, {scores[lowest][0]:.6f}: {num_left_out:,} of "
            "them are left out by the order of their URLs"
        )
    return warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRow:
    """What a budget would collect."""

    budget_tokens: int
    num_pages: int
    num_tokens: int
    lowest_score: float | None
    """Of the last page within the budget; None where not even the first fits."""


def sweep(scores: np.ndarray, num_tokens: np.ndarray, urls: Sequence[str], budgets: Sequence[int]) -> list[SweepRow]:
    """The cuts of several budgets, from one ranking (§2.1 compares 40B, 80B, 120B and 160B tokens)."""
    order = rank(scores, urls)
    totals = np.cumsum(num_tokens[order])
    rows: list[SweepRow] = []
    for budget in budgets:
        num = int(np.searchsorted(totals, budget, side="right"))
        rows.append(
            SweepRow(
                budget_tokens=budget,
                num_pages=num,
                num_tokens=int(totals[num - 1]) if num else 0,
                lowest_score=float(scores[order[num - 1]]) if num else None,
            )
        )
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The collected set against that of the iteration before."""

    num_new: int
    num_lost: int
    overlap: float
    """Share of the collected pages that had been collected before; the paper stops at about 0.98."""


def compare(collected: np.ndarray, before: np.ndarray | None) -> Change:
    """What changed from `before` [N] (None in the first iteration) to `collected` [N]."""
    before = np.zeros_like(collected) if before is None else before
    both = int((collected & before).sum())
    num = int(collected.sum())
    return Change(num_new=num - both, num_lost=int(before.sum()) - both, overlap=both / num if num else 0.0)
