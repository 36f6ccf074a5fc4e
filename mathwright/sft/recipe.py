"""§3: supervised fine-tuning on worked solutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mathwright.errors import MathwrightError
from mathwright.lm.checks import check_lowest, check_optimiser
from mathwright.lm.recipe import OptimiserRecipe
from mathwright.records import SolutionFormat
from mathwright.run.affects import SPEED, Grows


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


def check(recipe: SFTRecipe) -> None:
    """Raise MathwrightError for a recipe under which nothing would be trained."""
    lowest = [("num_examples", 0), ("context", 2), ("batch_rows", 1), ("num_steps", 1), ("checkpoint_every", 0)]
    check_lowest("sft", recipe, lowest)
    check_optimiser("sft", recipe.optimiser)
    if not recipe.formats:
        raise MathwrightError("sft.formats is empty", hint='--set sft.formats=["cot"]')
