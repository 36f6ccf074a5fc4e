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
    from mathwright.rl.methods.dapo import CLIP_EPS_HIGH, Dapo
    from mathwright.rl.methods.dpo import Dpo, DpoSum
    from mathwright.rl.methods.dr_grpo import DrGrpo
    from mathwright.rl.methods.grpo import Grpo, GrpoProcess
    from mathwright.rl.methods.rejection import OnlineRft, Rft
    from mathwright.rl.methods.rloo import Rloo
    from mathwright.rl.methods.sft import Sft

    deviation = recipe.advantage_std, recipe.advantage_eps
    match recipe.method:
        case "grpo":
            return Grpo(recipe.clip_eps, recipe.kl_coef, *deviation)
        case "grpo_process":
            return GrpoProcess(recipe.clip_eps, recipe.kl_coef, *deviation)
        case "dr_grpo":
            return DrGrpo(recipe.clip_eps, recipe.kl_coef, recipe.sampling.max_new_tokens)
        case "dapo":
            clip_eps_high = CLIP_EPS_HIGH if recipe.clip_eps_high is None else recipe.clip_eps_high
            return Dapo(recipe.clip_eps, clip_eps_high, recipe.kl_coef, *deviation)
        case "rloo":
            return Rloo(recipe.kl_coef)
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
