"""§2.2-2.3: continued pre-training and the comparison of corpora."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.errors import MathwrightError
from mathwright.lm.checks import check_lowest, check_optimiser
from mathwright.lm.recipe import ModelRecipe, OptimiserRecipe
from mathwright.run.affects import ADDED, MEMORY, SPEED, Grows


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureRecipe:
    """A component of the training mixture."""

    name: str
    path: str
    """Folder of token shards; `run:corpus` is the corpus mined by this run."""
    weight: float = 0.0
    """Share of the tokens; those of all components should sum to one."""
    tokens: Annotated[int | None, ADDED] = None
    """Tokens to be read, in place of a weight: given for all components, their sum being num_tokens."""


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
    attention: Annotated[Literal["concatenated", "document"] | None, ADDED] = None
    """What a token of a row sees: all that stands before it (the paper's plain concatenation, also None), or its own
    document alone."""


def check(recipe: PretrainRecipe) -> None:
    """Raise MathwrightError for a recipe under which nothing would be trained."""
    lowest = [
        ("num_tokens", 1), ("batch_tokens", 1), ("micro_batch_tokens", 1), ("context", 1), ("checkpoint_every", 0),
    ]  # fmt: skip
    check_lowest("pretrain", recipe, lowest)
    check_optimiser("pretrain", recipe.optimiser)
    if not recipe.mixture:
        raise MathwrightError("pretrain.mixture is empty", hint="name a corpus: run:corpus, or a folder of shards")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRecipe:
    """Table 1: the same model trained on each corpus alone for the same number of tokens."""

    model: ModelRecipe | None
    """The model that is trained; None for the run's own."""
    corpora: tuple[MixtureRecipe, ...]
    training: PretrainRecipe
