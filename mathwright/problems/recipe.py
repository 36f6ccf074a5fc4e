"""Which problems are asked, in training and in evaluation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSourceRecipe:
    """One source of problems."""

    source: str
    """`procedural` (ours), `reasoning_gym`, `gsm8k`, `math`, or a path to a JSONL file of Problem records."""
    path: str
    """Local file or folder, or hub id, of gsm8k and math; templates to use for procedural ("" is all)."""
    num_train: int
    num_test: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemsRecipe:
    """The problems of a run. Test problems differ from the training ones by template and by numbers."""

    sources: tuple[ProblemSourceRecipe, ...]
    difficulty: int
    """Size of the numbers in procedural problems: 0 single digits, 1 up to 20, 2 up to 100, 3 up to 1,000."""
    seed: int
