"""Figures of an evaluation. They are those of `mathwright.selection`, which reward models are measured by too."""

from mathwright.selection import (
    best_of_k,
    cluster_answers,
    expected_majority,
    expected_weighted_vote,
    majority_answer,
    pass_at_k,
    vote_weights,
)

__all__ = [
    "best_of_k",
    "cluster_answers",
    "expected_majority",
    "expected_weighted_vote",
    "majority_answer",
    "pass_at_k",
    "vote_weights",
]
