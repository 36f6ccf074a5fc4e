"""Which problems are asked, in training and in evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mathwright.problems.containers import is_data
from mathwright.run.affects import ADDED


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSourceRecipe:
    """One source of problems."""

    source: str
    """`procedural` (ours), `reasoning_gym`, `gsm8k`, `math`, or rows of one's own: a JSONL, JSON, CSV or Parquet file,
    a folder or glob of them, a data set saved by `datasets`, or hub:OWNER/NAME (docs/own_data.md)."""
    path: str = ""
    """gsm8k and math: local file or folder, or hub id ("" is the usual one). procedural and reasoning_gym: templates
    (or subjects) or datasets to use, comma-separated ("" is all that fit). A file of problems: a file of Solution
    records for them ("" is none)."""
    num_train: int | None = None
    """Training problems; for gsm8k, math and files at most, all there are where there are fewer. None: all there are,
    which a source that makes its problems has not."""
    num_test: int | None = None
    """Test problems; likewise. Of a file without splits None is a tenth of it, 200 at most, drawn by the seed."""
    fields: Annotated[tuple[tuple[str, str], ...], ADDED] = ()
    """Rows of one's own: pairs (our name, the file's name) of fields, such as ("question", "query")."""
    answers: Annotated[bool, ADDED] = True
    """Rows of one's own: leave out those without a final answer. Reward functions and fine-tuning need none."""

    @property
    def is_file(self) -> bool:
        """Whether it is a file of rows."""
        return is_data(self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemsRecipe:
    """The problems of a run. Test problems differ from the training ones by template and by numbers."""

    sources: tuple[ProblemSourceRecipe, ...] = ()
    difficulty: int = 1
    """Size of the numbers in procedural problems: 0 single digits, 1 up to 20, 2 up to 100, 3 up to 1,000."""
    seed: int = 0
    """Of what is drawn, and of the split of a file that has none."""
