"""§2.3, §3.2: what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.lm.recipe import SamplingRecipe
from mathwright.run.affects import MEMORY, Grows


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRecipe:
    """Accuracy of each stage's model on the held-out problems."""

    modes: Annotated[tuple[Literal["cot", "pot", "tool"], ...], Grows()] = ("cot",)
    """With a program or without (§3.2)."""
    start_template: str = "auto"
    """Prompt template of the model before fine-tuning, which has not learned the run's own; auto as for
    the recipe's `template`."""
    num_problems: Annotated[int, Grows()] = 500
    """An interval of 4.4 points to either side at most."""
    greedy_max_new_tokens: int = 1024
    """§4.2."""
    num_samples: Annotated[int, Grows()] = 0
    """K of Maj@K and Pass@K; 0 for greedy accuracy alone."""
    num_sampled_problems: Annotated[int, Grows()] = 100
    """Problems for which K samples are drawn; the first ones of the greedy set."""
    sampling: SamplingRecipe = SamplingRecipe(temperature=0.7)
    """§5.2.2's temperature."""
    max_tool_rounds: int = 4
    """Programs a response may run in mode tool: enough for all transcripts we have seen."""
    batch_size: Annotated[int, MEMORY] = 64
    """Sequences decoded at one time; changes nothing but rounding."""
