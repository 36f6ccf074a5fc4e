"""§2.2-2.3: continued pre-training and the comparison of corpora."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mathwright.affects import MEMORY, SPEED, Grows
from mathwright.lm.recipe import ModelRecipe, OptimiserRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureRecipe:
    """A component of the training mixture."""

    name: str
    path: str
    """Folder of token shards; `run:corpus` is the corpus mined by this run."""
    weight: float
    """Share of the tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainRecipe:
    """A fixed token budget over a mixture."""

    mixture: tuple[MixtureRecipe, ...]
    num_tokens: Annotated[int, Grows(unless="optimiser.decay")]
    batch_tokens: int
    micro_batch_tokens: Annotated[int, MEMORY]
    """Tokens of one forward and backward on one device; bounds the memory, changes nothing but rounding."""
    context: int
    optimiser: OptimiserRecipe
    heldout_tokens: int
    """Held-out tokens on which bits per byte are measured before and after."""
    checkpoint_every: Annotated[int, SPEED]
    """Steps between checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRecipe:
    """Table 1: the same model trained on each corpus alone for the same number of tokens."""

    model: ModelRecipe | None
    """The model that is trained; None for the run's own."""
    corpora: tuple[MixtureRecipe, ...]
    training: PretrainRecipe
