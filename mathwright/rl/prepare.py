"""What a training is made of before its first step: who scores, what is asked, where the responses come from, and the
values that are learnt from stored samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mathwright.engines.respond import EncodedPrompt
from mathwright.errors import MathwrightError
from mathwright.lm import heads
from mathwright.lm.model import LanguageModel, RewardModel
from mathwright.problems.turns import turn
from mathwright.records import JudgedGroup, Problem, Solution
from mathwright.rl import rewards
from mathwright.rl.buffer import RolloutBuffer
from mathwright.rl.explore import Explorer, Values
from mathwright.rl.iteration import Iteration
from mathwright.rl.methods.table import TABLE_10
from mathwright.rl.models import Models
from mathwright.rl.pairs import Pairs
from mathwright.rl.pretrain_values import pretrain_values, stored_rewards
from mathwright.rl.recipe import RLRecipe
from mathwright.rl.rollout import prepare_prompts
from mathwright.rl.solutions import Given, Solutions
from mathwright.rl.step_scorers import StepScorer
from mathwright.run import Stage


@dataclass(frozen=True, slots=True)
class Judge:
    """The reward model, where its score is the reward."""

    model: RewardModel | None
    scale: heads.Scale | None
    """By which its scores are standardised; None where they are taken as they are."""

    @classmethod
    def load(cls, recipe: RLRecipe, reward_model: str | Path | None, *, dtype: str, device: str) -> Judge:
        if recipe.reward != "model" or reward_model is None:
            return cls(None, None)
        scale = heads.read_scale(reward_model) if recipe.standardise_reward else None
        return cls(heads.load(reward_model, dtype=dtype, device=device), scale)


def require_heldout(recipe: RLRecipe, heldout: Sequence[Problem]) -> None:
    """Raise MathwrightError where held-out problems are to be asked and there are none."""
    if recipe.evaluate_every and not heldout:
        raise MathwrightError(
            "rl.evaluate_every is set, but there are no held-out problems",
            hint="raise num_test of the recipe's problem sources, or set rl.evaluate_every=0",
        )


def prompts_of(
    recipe: RLRecipe,
    stage: Stage,
    lm: LanguageModel,
    template: str,
    problems: Sequence[Problem],
    name: str,
    num_given: int | None = None,
) -> list[EncodedPrompt]:
    """The prompts of some problems, of `num_given`; `name` is that of their funnel."""
    return prepare_prompts(
        problems,
        lm=lm,
        mode=recipe.mode,
        template=template,
        max_new_tokens=recipe.sampling.max_new_tokens,
        stage=stage,
        name=name,
        num_given=num_given,
    )


def source_of(
    recipe: RLRecipe,
    stage: Stage,
    lm: LanguageModel,
    prompts: Sequence[EncodedPrompt],
    *,
    judge: Judge,
    steps: StepScorer | None,
    solutions: Sequence[Solution],
    buffer: RolloutBuffer,
    template: str,
    seed: int,
    iteration: Iteration,
) -> Explorer | Given:
    """Where the responses of a step come from: they are explored, or given as pairs or as worked solutions."""
    if recipe.pairs:
        return Pairs.prepare(recipe, lm, recipe.pairs, template=template, seed=seed, stage=stage)
    if TABLE_10[recipe.method].data == "solutions":
        return Solutions.prepare(recipe, lm, prompts, solutions, template=template, seed=seed, stage=stage)
    return Explorer(
        recipe=recipe,
        prompts=prompts,
        rewards=rewards.from_recipe(recipe, judge.model, judge.scale),
        steps=steps,
        tokenizer=lm.tokenizer,
        buffer=buffer,
        seed=seed,
        steps_before=iteration.steps_before,
    )


def learn_values(
    recipe: RLRecipe,
    stage: Stage,
    models: Models,
    samples: Sequence[JudgedGroup],
    *,
    judge: Judge,
    template: str,
    seed: int,
) -> Values:
    """Train the value model on stored samples, where there is one and there are some; what was measured."""
    if models.critic is None or not samples or not recipe.value_pretraining:
        return {}
    reward_of = partial(stored_rewards, recipe, judge.model, judge.scale)
    end = turn(template, models.policy.tokenizer).end
    measured = pretrain_values(models.critic, stage, samples, reward_of, end=end, seed=seed)
    return {f"value_pretraining_{name}": value for name, value in measured.items()}
