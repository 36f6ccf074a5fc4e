"""§3: supervised fine-tuning on worked solutions."""

from __future__ import annotations

from dataclasses import dataclass

from mathwright.lm.recipe import OptimiserRecipe
from mathwright.records import SolutionFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTRecipe:
    """Solutions of the training problems, packed at random into rows of `context` tokens."""

    formats: tuple[SolutionFormat, ...]
    num_examples: int
    """Examples drawn over the formats in turn; 0 is all there are."""
    template: str
    """Chat template: `deepseekmath` or `tokenizer` (the model's own)."""
    context: int
    batch_examples: int
    micro_batch_tokens: int
    num_steps: int
    optimiser: OptimiserRecipe
    checkpoint_every: int
