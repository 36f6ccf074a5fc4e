"""The methods of §5.2.1, a file for each kind; `table.TABLE_10` lists what tells them apart.

A method turns judged groups into training groups (what is trained), gives each token its weight, and has the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mathwright.rl.methods.base import Method
    from mathwright.rl.recipe import RLRecipe


def from_recipe(recipe: RLRecipe) -> Method:
    """The method a recipe names; `check.check` has passed."""
    # here, because whoever reads the table alone (`mathwright show`, --dry-run) should not wait for torch
    from mathwright.rl.kl_control import KlCoefficient
    from mathwright.rl.methods import cispo, dapo
    from mathwright.rl.methods.distill import Distill
    from mathwright.rl.methods.dpo import Dpo, DpoSum
    from mathwright.rl.methods.dr_grpo import DrGrpo
    from mathwright.rl.methods.gdpo import Gdpo
    from mathwright.rl.methods.grpo import Grpo, GrpoProcess
    from mathwright.rl.methods.gspo import Gspo
    from mathwright.rl.methods.ppo import Ppo
    from mathwright.rl.methods.rejection import OnlineRft, Rft
    from mathwright.rl.methods.rloo import Rloo
    from mathwright.rl.methods.sft import Sft

    deviation = recipe.advantage_std, recipe.advantage_eps
    match recipe.method:
        case "grpo":
            return Grpo(recipe.clip_eps, recipe.kl_coef, *deviation)
        case "grpo_process":
            return GrpoProcess(recipe.clip_eps, recipe.kl_coef, *deviation, recipe.process_credit)
        case "dr_grpo":
            return DrGrpo(recipe.clip_eps, recipe.kl_coef, recipe.sampling.max_new_tokens)
        case "dapo":
            return dapo.Dapo(recipe.clip_eps, upper_clip(recipe, dapo.CLIP_EPS_HIGH), recipe.kl_coef, *deviation)
        case "rloo":
            return Rloo(recipe.kl_coef)
        case "gspo":
            return Gspo(recipe.clip_eps, recipe.kl_coef, *deviation, upper_clip(recipe, recipe.clip_eps))
        case "cispo":
            return cispo.Cispo(recipe.clip_eps, recipe.kl_coef, *deviation, upper_clip(recipe, cispo.CLIP_EPS_HIGH))
        case "gdpo":
            return Gdpo(recipe.clip_eps, recipe.kl_coef, *deviation, reward_weights(recipe))
        case "distill":
            return Distill(recipe.clip_eps)
        case "ppo":
            return Ppo(
                clip_eps=recipe.clip_eps,
                kl=KlCoefficient(recipe.kl_coef, recipe.kl_target, recipe.kl_horizon),
                lambda_policy=recipe.lambda_policy,
                lambda_value=recipe.lambda_value,
                lambda_alpha=recipe.lambda_alpha,
                gate=recipe.value_gate,
            )
        case "sft":
            return Sft()
        case "online_rft":
            return OnlineRft()
        case "rft":
            return Rft()
        case "dpo":
            return Dpo(recipe.kl_coef)
        case "dpo_sum":
            return DpoSum(recipe.kl_coef)


def upper_clip(recipe: RLRecipe, published: float) -> float:
    """The upper side of the clip: as the recipe says, else as published."""
    return published if recipe.clip_eps_high is None else recipe.clip_eps_high


def reward_weights(recipe: RLRecipe) -> dict[str, float]:
    """The weights of the rewards by the names under which responses keep them (`rl.rewards`)."""
    proper = "model" if recipe.reward == "model" else "answer"
    return {proper: 1.0, **{term.function or term.kind: term.weight for term in recipe.extra_rewards}}
