"""What can be wrong with the value model of an RL recipe, found before anything is loaded."""

from __future__ import annotations

import dataclasses

from mathwright.errors import MathwrightError
from mathwright.rl.recipe import RLRecipe

PREFIXES = ("value_", "lambda_", "kl_target", "kl_horizon")
"""How the names of the fields begin that only ppo has."""


def check_values(recipe: RLRecipe) -> None:
    """Raise MathwrightError for a value that cannot be, or that its method would leave out silently."""
    if recipe.method != "ppo":
        _refuse_what_is_set(recipe)
        return
    if recipe.value_warmup_steps >= recipe.num_steps:
        raise MathwrightError(
            f"rl.value_warmup_steps is {recipe.value_warmup_steps}, rl.num_steps {recipe.num_steps}: the policy would "
            "never be trained",
            hint="they are among the steps: lower the one or raise the other",
        )
    for name in ("value_lr", "value_clip", "lambda_alpha", "kl_target"):
        value = getattr(recipe, name)
        if value is not None and not value > 0:
            raise MathwrightError(f"rl.{name} is {value}", hint=f"it must be above 0, or None: --set rl.{name}=null")
    for name in ("lambda_policy", "lambda_value"):
        if not 0 <= getattr(recipe, name) <= 1:
            raise MathwrightError(f"rl.{name} is {getattr(recipe, name)}", hint="it is a decay between 0 and 1")
    if recipe.lambda_alpha is not None and recipe.lambda_policy != 1:
        raise MathwrightError(
            f"rl.lambda_policy is {recipe.lambda_policy} and rl.lambda_alpha {recipe.lambda_alpha}: the second would "
            "take the place of the first",
            hint="set one of them: --set rl.lambda_alpha=null",
        )
    if recipe.kl_target is not None and recipe.kl_coef == 0:
        raise MathwrightError(
            "rl.kl_target is set, but rl.kl_coef is 0: beta is multiplied to follow the target, and stays 0",
            hint="--set rl.kl_coef=0.04",
        )
    if recipe.lora is not None and recipe.value_trainable != "all":
        raise MathwrightError(
            f"rl.value_trainable is {recipe.value_trainable}, but with rl.lora only adapters and the head are trained",
            hint="set rl.value_trainable=all, and name the layers in rl.lora.targets",
        )


def _refuse_what_is_set(recipe: RLRecipe) -> None:
    for field in dataclasses.fields(recipe):
        if field.name.startswith(PREFIXES) and getattr(recipe, field.name) != field.default:
            raise MathwrightError(
                f"rl.{field.name} has no part in rl.method={recipe.method}, which has no value model",
                hint="set rl.method=ppo, or leave it out",
            )
