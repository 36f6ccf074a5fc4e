"""What every training's recipe must say so that something is trained; without torch, so that a dry run finds it too."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.lm.recipe import LoraRecipe, OptimiserRecipe


def check_lowest(part: str, recipe: Any, lowest: Iterable[tuple[str, float]]) -> None:
    """Raise MathwrightError for a field of a recipe's part below its lowest value.

    Args:
        part: name of the part, as in `--set part.field=value`.
        recipe: the part.
        lowest: pairs of field and value.
    """
    for name, least in lowest:
        if getattr(recipe, name) < least:
            raise MathwrightError(
                f"{part}.{name} is {getattr(recipe, name)}",
                hint=f"it must be at least {least}: --set {part}.{name}={least}",
            )


def check_optimiser(part: str, recipe: OptimiserRecipe) -> None:
    """Raise MathwrightError for an optimiser that would move nothing: the model saved would be the one begun with."""
    if not (math.isfinite(recipe.lr) and recipe.lr > 0):
        raise MathwrightError(
            f"{part}.optimiser.lr is {recipe.lr}: nothing would be trained",
            hint=f"it must be above 0: --set {part}.optimiser.lr=1e-5",
        )
    check_lowest(f"{part}.optimiser", recipe, [("warmup_steps", 0), ("weight_decay", 0.0), ("clip_norm", 0.0)])
    if any(share <= 0 and factor <= 0 for share, factor in recipe.decay):
        raise MathwrightError(
            f"{part}.optimiser.decay is {recipe.decay}: from the first step on the rate would be 0",
            hint=f"leave such a step out: --set {part}.optimiser.decay=[]",
        )


def check_lora(part: str, recipe: LoraRecipe | None) -> None:
    """Raise MathwrightError for adapters of no rank, or of which all is dropped; None is no adapters."""
    if recipe is None:
        return
    check_lowest(f"{part}.lora", recipe, [("rank", 1)])
    if not 0 <= recipe.dropout < 1:
        raise MathwrightError(
            f"{part}.lora.dropout is {recipe.dropout}", hint=f"it is a share below 1: --set {part}.lora.dropout=0"
        )
