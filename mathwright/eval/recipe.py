"""§2.3, §3.2: what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.lm.recipe import SamplingRecipe
from mathwright.run.affects import MEMORY, Grows


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRecipe:
    """Accuracy of each stage's model on the held-out problems."""

    modes: Annotated[tuple[Literal["cot", "pot", "tool"], ...], Grows()]
    start_template: str
    """Prompt template of the model before fine-tuning, which has not learned the run's own."""
    num_problems: Annotated[int, Grows()]
    greedy_max_new_tokens: int
    num_samples: Annotated[int, Grows()]
    """K of Maj@K and Pass@K; 0 for greedy accuracy alone."""
    num_sampled_problems: Annotated[int, Grows()]
    """Problems for which K samples are drawn; the first ones of the greedy set."""
    sampling: SamplingRecipe
    max_tool_rounds: int
    batch_size: Annotated[int, MEMORY]
    """Sequences decoded at one time; changes nothing but rounding."""
