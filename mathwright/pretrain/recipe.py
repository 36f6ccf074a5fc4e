"""§2.2-2.3: continued pre-training and the comparison of corpora."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.errors import MathwrightError
from mathwright.lm.checks import check_lowest, check_optimiser
from mathwright.lm.recipe import ModelRecipe, OptimiserRecipe
from mathwright.run.affects import ADDED, MEMORY, SPEED, Grows

START = "none"
"""The arm of a comparison that is not trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureRecipe:
    """A component of the training mixture."""

    name: str
    path: str
    """Folder of token shards; `run:corpus` is the corpus mined by this run; text:PATH are texts that are made into
    shards first: a file, a folder or a glob of Parquet, JSONL or plain text (their column `text`; text:PATH:COLUMN)."""
    weight: float = 0.0
    """Share of the tokens; those of all components should sum to one."""
    tokens: Annotated[int | None, ADDED] = None
    """Tokens to be read, in place of a weight: given for all components, their sum being num_tokens."""
    order: Annotated[str | None, ADDED] = None
    """By what its order is drawn: components of one word and size come in the same order; None: by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainRecipe:
    """A fixed token budget over a mixture."""

    mixture: tuple[MixtureRecipe, ...] = (MixtureRecipe(name="mined", path="run:corpus", weight=1.0),)
    """The corpus of the run alone, where nothing else is named."""
    num_tokens: Annotated[int, Grows(unless="optimiser.decay")] = 100_000_000
    """Tokens to be read; `num_epochs` goes before it."""
    batch_tokens: int = 65_536
    """Tokens of an optimiser step: small enough that some million tokens are steps enough."""
    micro_batch_tokens: Annotated[int, MEMORY] = 8_192
    """Tokens of one forward and backward on one device; bounds the memory, changes nothing but rounding."""
    context: int = 2048
    """Tokens of a row; half of §2.2's 4,096, for models that are small."""
    optimiser: OptimiserRecipe = OptimiserRecipe(lr=5e-5, warmup_steps=10, decay=((0.8, 0.316), (0.9, 0.1)))
    """The paper's multi-step schedule (§2.2) at a rate that leaves a trained model what it knows."""
    heldout_tokens: int = 100_000
    """Held-out tokens on which bits per byte are measured before and after."""
    checkpoint_every: Annotated[int, SPEED] = 50
    """Steps between checkpoints."""
    num_epochs: Annotated[float | None, ADDED] = None
    """Passes over the mixture, in place of num_tokens."""
    attention: Annotated[Literal["concatenated", "document"] | None, ADDED] = None
    """What a token of a row sees: all that stands before it (the paper's plain concatenation, also None), or its own
    document alone."""


def check(recipe: PretrainRecipe, *, alone: bool = False) -> None:
    """Raise MathwrightError for a recipe under which nothing would be trained; `alone`: its mixture comes later."""
    lowest = [
        ("num_tokens", 1), ("batch_tokens", 1), ("micro_batch_tokens", 1), ("context", 1), ("checkpoint_every", 0),
    ]  # fmt: skip
    check_lowest("pretrain", recipe, lowest)
    check_optimiser("pretrain", recipe.optimiser)
    if recipe.num_epochs is not None and not 0 < recipe.num_epochs < math.inf:
        raise MathwrightError(
            f"pretrain.num_epochs is {recipe.num_epochs}", hint="it must be above 0: --set pretrain.num_epochs=1"
        )
    if not recipe.mixture and not alone:
        raise MathwrightError("pretrain.mixture is empty", hint="name a corpus: run:corpus, or a folder of shards")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRecipe:
    """Table 1: the same model trained on each corpus alone for the same number of tokens."""

    model: ModelRecipe | None = None
    """The model that is trained; None for the run's own."""
    corpora: tuple[MixtureRecipe, ...] = ()
    """What is compared."""
    training: PretrainRecipe = PretrainRecipe(mixture=())
    """How each is trained on."""
    seeds: Annotated[tuple[int, ...] | None, ADDED] = None
    """Each corpus is trained on under each of these, which fix the order of its data; a verdict needs two at least.
    None: the run's seed alone."""
    rates: Annotated[tuple[float, ...] | None, ADDED] = None
    """Peak learning rates at which all of that is done: the order of corpora may depend on it. None: the training's."""
    targets: Annotated[tuple[str, ...] | None, ADDED] = None
    """JSONL files of problems with worked solutions, whose bits per byte are compared besides the held-out text's."""
    num_targets: Annotated[int | None, ADDED] = None
    """Problems of each file, drawn by the run's seed; None is all."""
    with_start: Annotated[bool | None, ADDED] = None
    """Whether the start model takes part as the arm `none` (Table 1: "No Math Training")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training of the comparison."""

    corpus: MixtureRecipe
    seed: int
    rate: float
    name: str
    """Of its part of the stage: the corpus's where there is one seed and one rate."""


def trainings(recipe: CompareRecipe, seed: int) -> list[Training]:
    """All of them: rate by rate, seed by seed, so that all arms of a seed are there before the next begins."""
    seeds, rates = recipe.seeds or (seed,), recipe.rates or (recipe.training.optimiser.lr,)
    one = len(seeds) == len(rates) == 1
    return [
        Training(
            corpus=corpus,
            seed=own_seed,
            rate=rate,
            name=corpus.name if one else f"{corpus.name}-rate{rate:g}-seed{own_seed}",
        )
        for rate, own_seed, corpus in itertools.product(rates, seeds, recipe.corpora)
    ]


def check_comparison(recipe: CompareRecipe) -> None:
    """Raise MathwrightError for a comparison that could show nothing."""
    check(recipe.training, alone=True)
    names = [corpus.name for corpus in recipe.corpora]
    if len(set(names)) < len(names) or START in names:
        raise MathwrightError(
            f"compare.corpora are called {', '.join(names)}", hint=f"give each a name of its own, none of them {START}"
        )
    for name, values in (("seeds", recipe.seeds), ("rates", recipe.rates)):
        if values is not None and (not values or len(set(values)) < len(values)):
            raise MathwrightError(f"compare.{name} is {values}", hint="name each once, or leave it out")
    if recipe.rates is not None and not all(rate > 0 for rate in recipe.rates):
        raise MathwrightError(f"compare.rates is {recipe.rates}", hint="learning rates are above 0")
