"""§3: supervised fine-tuning on worked solutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mathwright.affects import SPEED, Grows
from mathwright.lm.recipe import OptimiserRecipe
from mathwright.records import SolutionFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTRecipe:
    """Solutions of the training problems, packed at random into rows of `context` tokens."""

    formats: tuple[SolutionFormat, ...]
    num_examples: int
    """Examples drawn over the formats in turn; 0 is all there are."""
    context: int
    """Tokens of a packed row, which is one forward and backward."""
    batch_rows: int
    """Rows of an optimiser step."""
    num_steps: Annotated[int, Grows(unless="optimiser.decay")]
    optimiser: OptimiserRecipe
    checkpoint_every: Annotated[int, SPEED]
    """Steps between checkpoints."""
