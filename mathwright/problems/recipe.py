"""Which problems are asked, in training and in evaluation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSourceRecipe:
    """One source of problems."""

    source: str
    """`procedural` (ours), `reasoning_gym`, `gsm8k`, `math`, or a path to a .jsonl(.gz) file of Problem records."""
    path: str
    """gsm8k and math: local file or folder, or hub id ("" is the usual one). procedural and reasoning_gym: templates
    (or subjects) or datasets to use, comma-separated ("" is all that fit). A file of problems: a file of Solution
    records for them ("" is none)."""
    num_train: int
    """Training problems; for gsm8k, math and files at most, all there are where there are fewer."""
    num_test: int
    """Test problems; likewise."""

    @property
    def is_file(self) -> bool:
        """Whether it is a file of Problem records."""
        return self.source.endswith((".jsonl", ".jsonl.gz"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemsRecipe:
    """The problems of a run. Test problems differ from the training ones by template and by numbers."""

    sources: tuple[ProblemSourceRecipe, ...]
    difficulty: int
    """Size of the numbers in procedural problems: 0 single digits, 1 up to 20, 2 up to 100, 3 up to 1,000."""
    seed: int
