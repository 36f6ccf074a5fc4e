"""Responses that are given, in the place of generated ones: worked solutions, P_sft(Q, O) of Table 10."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mathwright.engines.respond import EncodedPrompt
from mathwright.errors import MathwrightError
from mathwright.lm.model import LanguageModel
from mathwright.lm.tokenise import encode_response
from mathwright.problems.turns import Turn, turn
from mathwright.records import Completion, Rollout, RolloutGroup, Solution
from mathwright.rl.explore import Exploration
from mathwright.rl.recipe import RLRecipe
from mathwright.rl.rollout import drawn_indices
from mathwright.run import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Groups of given responses, in the run's random order."""

    groups: Sequence[RolloutGroup]
    num_per_step: int
    seed: int
    items: ClassVar[str]

    @property
    def num_items(self) -> int:
        """How many there are to draw from."""
        return len(self.groups)

    def explore(self, step: int, position: int) -> Exploration:
        """The groups of a step, from `position` of their order on."""
        stop = position + self.num_per_step
        groups = [self.groups[i] for i in drawn_indices(len(self.groups), position, stop, self.seed)]
        lengths = [len(rollout.completion.tokens) for group in groups for rollout in group.rollouts]
        return Exploration(
            groups=groups, position=stop, values={"response_tokens": sum(lengths) / len(lengths)}, unscored=Counter()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Solutions(Given):
    """Worked solutions, each a group of one response."""

    items: ClassVar[str] = "solutions"

    @classmethod
    def prepare(
        cls,
        recipe: RLRecipe,
        lm: LanguageModel,
        prompts: Sequence[EncodedPrompt],
        solutions: Sequence[Solution],
        *,
        template: str,
        seed: int,
        stage: Stage,
    ) -> Solutions:
        """Those in the format the prompts ask for, of their problems, within max_new_tokens; the others are counted.

        A step takes problems_per_step * group_size of them, as many as other methods generate. Raises MathwrightError
        where none is left.
        """
        by_id = {asked.prompt.problem.id: asked for asked in prompts}
        around = turn(template, lm.tokenizer)
        groups: list[RolloutGroup] = []
        dropped = {"other format": 0, "no such prompt": 0, "longer than max_new_tokens": 0}
        for solution in solutions:
            asked = by_id.get(solution.problem_id)
            if solution.format != (asked.prompt.mode if asked is not None else recipe.mode):
                dropped["other format"] += 1
            elif asked is None:
                dropped["no such prompt"] += 1
            else:
                group = _group(lm, asked, solution, around)
                if len(group.rollouts[0].completion.tokens) > recipe.sampling.max_new_tokens:
                    dropped["longer than max_new_tokens"] += 1
                else:
                    groups.append(group)
        stage.funnel("solutions", unit="solutions", num_in=len(solutions), num_out=len(groups), dropped=dropped)
        if not groups:
            raise MathwrightError(
                f"no solution in format {recipe.mode} is left to train on",
                hint="rl.method=sft needs worked solutions of its problems: look at the counts above and at rl.mode",
            )
        return cls(groups=groups, num_per_step=recipe.problems_per_step * recipe.group_size, seed=seed)


def _group(lm: LanguageModel, asked: EncodedPrompt, solution: Solution, around: Turn) -> RolloutGroup:
    prefix, segments = around.require_prefix(), around.segments(solution)
    tokens, sampled = encode_response(
        lm.tokenizer, asked.prompt.text, segments, prefix=prefix, gap=around.gap, end=around.end
    )
    completion = given_completion(tokens, sampled, prefix + "".join(text for text, _ in segments))
    return RolloutGroup(
        problem=asked.prompt.problem,
        prompt=asked.prompt.text,
        prompt_tokens=asked.tokens,
        rollouts=(Rollout(completion=completion, verdict=None, reward=None),),
    )


def given_completion(tokens: Sequence[int], trained: Sequence[bool], text: str) -> Completion:
    """A response that no generator has drawn."""
    return Completion(
        tokens=tuple(tokens), logprobs=(0.0,) * len(tokens), sampled=tuple(trained), text=text, finish="stop"
    )
