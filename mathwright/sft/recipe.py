"""§3: supervised fine-tuning on worked solutions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from mathwright.errors import MathwrightError
from mathwright.lm.checks import check_lora, check_lowest, check_optimiser
from mathwright.lm.recipe import LoraRecipe, OptimiserRecipe
from mathwright.records import SolutionFormat
from mathwright.run.affects import ADDED, RESULT, SPEED, Grows


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTRecipe:
    """Solutions of the training problems, packed at random into rows of `context` tokens."""

    formats: tuple[SolutionFormat, ...] = ("cot", "pot", "tool")
    """Which solutions are trained on; all three of §3.1, where the data has them."""
    num_examples: int = 0
    """Examples drawn over the formats in turn; 0 is all there are."""
    context: int = 2048
    """Tokens of a packed row, which is one forward and backward."""
    batch_rows: int = 8
    """Rows of an optimiser step: some 16,000 tokens."""
    num_steps: Annotated[int, Grows(unless="optimiser.decay")] = 500
    """§3.2; `num_epochs` goes before it (`--set sft.num_steps=N` turns passes off)."""
    optimiser: OptimiserRecipe = OptimiserRecipe(lr=2e-5, warmup_steps=10, decay=((0.8, 0.316),))
    """Less than §3.2's 5e-5, which is for batches of 256 rows."""
    checkpoint_every: Annotated[int, SPEED] = 100
    """Steps between checkpoints."""
    solutions: Annotated[tuple[str, ...] | None, ADDED] = None
    """Folders of `mathwright sft import`, `sft annotate` or `sft build`: their training problems and solutions are
    trained on besides those of the problem sources. What the run's tests ask is left out."""
    num_epochs: Annotated[float | None, ADDED] = None
    """Passes over the examples, in place of num_steps."""
    lora: Annotated[LoraRecipe | None, ADDED] = None
    """Train adapters only. The model is saved with them added to its weights, and they alone in `adapter/`."""
    heldout: Annotated[int | None, ADDED] = None
    """Problems whose solutions are not trained on: they measure the model while it trains. None: none."""
    evaluate_every: Annotated[int | None, ADDED, RESULT] = None
    """Steps between measurements on the held-out problems, besides those before and after the training."""
    choose: Annotated[Literal["loss", "accuracy"] | None, ADDED] = None
    """Which of the measured models is the stage's: that of the lowest held-out loss or of the highest accuracy of
    greedy answers in the first of `formats`. None: the last."""
    patience: Annotated[int | None, ADDED, RESULT] = None
    """End the training where so many measurements in a row are no better than the best by `choose`. None: train all
    steps."""


def check(recipe: SFTRecipe) -> None:
    """Raise MathwrightError for a recipe under which nothing would be trained."""
    lowest = [("num_examples", 0), ("context", 2), ("batch_rows", 1), ("num_steps", 1), ("checkpoint_every", 0)]
    check_lowest("sft", recipe, lowest)
    if recipe.num_epochs is not None and not 0 < recipe.num_epochs < math.inf:
        raise MathwrightError(f"sft.num_epochs is {recipe.num_epochs}", hint="it must be above 0: sft.num_epochs=3")
    check_optimiser("sft", recipe.optimiser)
    check_lora("sft", recipe.lora)
    if recipe.choose is not None and not (recipe.heldout and recipe.evaluate_every):
        raise MathwrightError(
            f"sft.choose is {recipe.choose!r}, but nothing is measured to choose by",
            hint="--set sft.heldout=200 --set sft.evaluate_every=50",
        )
    if recipe.patience is not None and recipe.choose is None:
        raise MathwrightError(
            f"sft.patience is {recipe.patience}, but there is no measure of what is best", hint="--set sft.choose=loss"
        )
    for name in ("heldout", "evaluate_every", "patience"):
        if (value := getattr(recipe, name)) is not None and value < 1:
            raise MathwrightError(f"sft.{name} is {value}", hint="it must be at least 1")
    if not recipe.formats:
        raise MathwrightError("sft.formats is empty", hint='--set sft.formats=["cot"]')
