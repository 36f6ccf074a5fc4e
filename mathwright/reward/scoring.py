"""Scores of many groups of responses, and the scale that is kept with a reward model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mathwright.lm import heads
from mathwright.lm.model import RewardModel
from mathwright.records import JudgedGroup
from mathwright.reward.examples import Group
from mathwright.reward.recipe import RewardRecipe


def score_groups(recipe: RewardRecipe, reward_model: RewardModel, groups: Sequence[Group]) -> list[list[float | None]]:
    """The score of each response of each group; None where it does not fit the context.

    Cut responses have the recipe's `truncation_reward`, where it gives one.
    """
    asked = [
        (group.prompt, response, cut)
        for group in groups
        for response, cut in zip(group.responses, truncated(group), strict=True)
    ]
    prompts, responses, cut = zip(*asked, strict=True) if asked else ((), (), ())
    values = heads.score(reward_model, prompts, responses, truncated=cut, micro_batch_tokens=recipe.micro_batch_tokens)
    if recipe.truncation_reward is not None:
        values = [recipe.truncation_reward if was_cut else value for value, was_cut in zip(values, cut, strict=True)]
    scores = iter(values)
    return [[next(scores) for _ in group.responses] for group in groups]


def truncated(group: Group) -> Sequence[bool]:
    """Which responses were cut: none of those that a ranking holds."""
    return group.truncated if isinstance(group, JudgedGroup) else [False] * len(group.responses)


def keep_scale(recipe: RewardRecipe, reward_model: RewardModel, folder: Path, groups: Sequence[Group]) -> None:
    """Write mean and deviation of the model's scores on some groups into its folder (`heads.Scale`).

    Responses with a reward of their own for being cut are left out: the scale is that of the model.
    """
    scored = score_groups(recipe, reward_model, groups)
    own = recipe.truncation_reward is not None
    values = [
        value
        for group, scores in zip(groups, scored, strict=True)
        for value, cut in zip(scores, truncated(group), strict=True)
        if not (own and cut)
    ]
    heads.write_scale(folder, heads.scale_of(values))
