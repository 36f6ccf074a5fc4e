"""The exploration of a step: wave after wave of prompts, each generated, judged and kept before the next.

    positions of the run's order of problems -> prompts -> G responses each -> rewards -> groups to train on
                                                └────────── a wave ──────────┘

What a wave asks is a function of the step, the position and earlier waves alone. So a run that was killed reads the
waves it had finished, explores the rest, and has the same groups to the bit on CPU.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from mathwright.engines.engine import TokenEngine
from mathwright.engines.respond import EncodedPrompt, respond
from mathwright.lm import parallel
from mathwright.records import RolloutGroup
from mathwright.rl.buffer import RolloutBuffer, Wave
from mathwright.rl.recipe import RLRecipe
from mathwright.rl.rewards import Reward
from mathwright.rl.rollout import (
    drawn_indices,
    group_statistics,
    judge_groups,
    nothing_to_prefer,
    response_seed,
)
from mathwright.rl.step_scorers import StepScorer
from mathwright.tools.sandbox import Sandbox

Values = dict[str, float | int | str | None]
"""Measurements by name."""


OpenGenerator = Callable[[], AbstractContextManager[TokenEngine]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """What a step is trained on, and how it was found."""

    groups: list[RolloutGroup]
    position: int
    """Where the next step goes on in the order of the problems."""
    values: Values
    """Measurements of everything explored, the groups that were replaced among them."""
    unscored: Counter[str]
    silent: tuple[str, ...] = ()
    """Terms of the reward that had nothing to say of any response, though something could be scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explorer:
    """Explores for the methods that generate."""

    recipe: RLRecipe
    prompts: Sequence[EncodedPrompt]
    rewards: Sequence[tuple[Reward, float]]
    steps: StepScorer | None
    tokenizer: Any
    buffer: RolloutBuffer
    seed: int
    steps_before: int = 0
    """Steps of earlier iterations, so that no response of two iterations has one seed."""

    items: ClassVar[str] = "questions"

    @property
    def num_items(self) -> int:
        """How many there are to draw from."""
        return len(self.prompts)

    @property
    def num_per_step(self) -> int:
        """How many a step draws, where none is replaced."""
        return self.recipe.problems_per_step

    def explore(self, step: int, position: int, open_generator: OpenGenerator, sandbox: Sandbox | None) -> Exploration:
        """The groups of a step, from `position` of the problems on.

        With `recipe.max_resampling` groups that prefer nothing are replaced (dynamic sampling of DAPO, Yu et al. 2025):
        as many problems are asked as groups are missing, at most so many times over.

        Args:
            step: the step.
            position: where it begins in the order of the problems.
            open_generator: opens what generates, with the weights of this step; only if something is to be explored.
            sandbox: where the programs in responses run; None where there are none.
        """
        recipe = self.recipe
        kept: list[RolloutGroup] = []
        waves: list[Wave] = []
        asked = 0
        for _ in range(1 + recipe.max_resampling):
            stop = asked + recipe.problems_per_step - len(kept)
            while asked < stop:
                size = min(stop - asked, max(1, recipe.wave_responses // recipe.group_size))
                wave = self.buffer.wave(
                    step,
                    len(waves),
                    lambda first=asked, size=size: self._wave(step, position, first, size, open_generator, sandbox),
                )
                waves.append(wave)
                kept += [g for g in wave.groups if not recipe.max_resampling or not nothing_to_prefer(g)]
                asked += len(wave.groups)  # one kept from before may be of another size
            if len(kept) == recipe.problems_per_step:
                break
        everything = [group for wave in waves for group in wave.groups]
        unscored = sum((Counter(wave.unscored) for wave in waves), Counter[str]())
        values: Values = dict(group_statistics(everything, by_step=self.steps is not None))
        if recipe.max_resampling:
            values["resampled_groups"] = len(everything) - recipe.problems_per_step
        return Exploration(
            groups=kept,
            position=position + asked,
            values=values | _speed(waves, everything),
            unscored=unscored,
            silent=_silent(everything),
        )

    def _wave(
        self,
        step: int,
        position: int,
        first: int,
        size: int,
        open_generator: OpenGenerator,
        sandbox: Sandbox | None,
    ) -> Wave:
        """Ask the problems of a step from the `first` on; several processes share them."""
        recipe, world = self.recipe, parallel.world()
        start = position + first
        drawn = drawn_indices(len(self.prompts), start, start + size, self.seed)
        mine = range(world.rank, size, world.size)
        prompts = [self.prompts[drawn[p]] for p in mine]
        began = time.monotonic()
        with open_generator() as generator:
            completions = respond(
                generator,
                prompts,
                recipe.sampling,
                seeds=[[self._seed(step, first + p, g) for g in range(recipe.group_size)] for p in mine],
                sandbox=sandbox,
                max_tool_rounds=recipe.max_tool_rounds,
            )
        generated = time.monotonic()
        judged = judge_groups(
            prompts, completions, self.rewards, sandbox=sandbox, steps=self.steps, tokenizer=self.tokenizer
        )
        reasons = parallel.gather(list(judged.unscored.elements()), world)
        return Wave(
            groups=tuple(parallel.gather(judged.groups, world)),
            unscored=dict(Counter(reasons)),
            seconds_generate=generated - began,
            seconds_reward=time.monotonic() - generated,
        )

    def _seed(self, step: int, place: int, g: int) -> int:
        return response_seed(self.seed, self.steps_before + step, place, g)


def _silent(groups: Sequence[RolloutGroup]) -> tuple[str, ...]:
    scored = [r for group in groups for r in group.rollouts if r.reward is not None]
    names = scored[0].rewards_by_name if scored else ()
    return tuple(name for name in names if all(r.rewards_by_name[name] is None for r in scored))


def _speed(waves: Sequence[Wave], groups: Sequence[RolloutGroup]) -> Values:
    """Of the waves, when they were explored."""
    num_tokens = sum(len(r.completion.tokens) for group in groups for r in group.rollouts)
    seconds = math.fsum(wave.seconds_generate for wave in waves)
    return {
        "seconds_generate": round(seconds, 3),
        "seconds_reward": round(math.fsum(wave.seconds_reward for wave in waves), 3),
        "generated_tokens_per_s": round(num_tokens / seconds, 1),
    }
