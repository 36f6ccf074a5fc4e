"""Who scores the steps of a response (§4.1.3): the process reward model, a rule, or any function.

The rule. A step is a line. A line with arithmetic in it ("3 * 4 = 12", "\\frac{10}{4} = 2.5") scores 1 where every
equation on it holds and 0 where one does not; the last step is the end of the response and scores whether its final
answer is correct. Lines without checkable arithmetic are no steps of their own: they belong to the step that follows.
Where no step reward model is at hand this is what can be judged for certain; the paper learns its step rewards.

The model. Steps are what it was taught to take for steps (`problems.steps`), and score sigma(s), not s: a few large
logits would be all that is left of a group's deviation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mathwright.answers.arithmetic import arithmetic_holds
from mathwright.errors import MathwrightError
from mathwright.functions import call_each, import_function
from mathwright.judge import undecided
from mathwright.lm import heads
from mathwright.lm.model import RewardModel
from mathwright.lm.steps import step_scores
from mathwright.problems.steps import StepRule, read_rule
from mathwright.rl.recipe import RLRecipe
from mathwright.rl.rewards import Sample, as_number
from mathwright.rl.steps import Step, StepScores


class StepScorer(Protocol):
    """Cuts responses into steps and scores them, many at once."""

    def score(self, samples: Sequence[Sample]) -> list[StepScores]: ...


def step_scorer(name: str, timeout_s: float = 10.0) -> StepScorer:
    """The scorer a recipe names: `arithmetic`, or `module:name` of a function (see `FunctionSteps`).

    Raises MathwrightError where the function cannot be imported.
    """
    if name == "arithmetic":
        return ArithmeticSteps()
    if ":" not in name:
        raise MathwrightError(
            f"unknown step reward {name!r}",
            hint="set rl.step_reward to arithmetic, to model, or to module:name of a function",
        )
    return FunctionSteps(import_function(name, "step reward"), name, timeout_s)


def from_recipe(recipe: RLRecipe, model: str | Path | None, *, dtype: str, device: str) -> StepScorer:
    """The scorer of a recipe's steps, the verdict after them where it has a weight.

    model: folder of the process reward model; needed where recipe.step_reward is model.

    Raises MathwrightError where there is none, or a function cannot be imported.
    """
    if recipe.step_reward != "model":
        scorer = step_scorer(recipe.step_reward)
    elif model is None:
        raise MathwrightError(
            "rl.step_reward is model, but the run has no process reward model",
            hint="set reward.kind=process (or both), or rl.step_reward=arithmetic",
        )
    else:
        rule = read_rule(Path(model))
        loaded = heads.load(model, dtype=dtype, device=device)
        scorer = ModelSteps(loaded, rule, recipe.micro_batch_tokens)
    return WithVerdict(scorer, recipe.outcome_weight) if recipe.outcome_weight else scorer


@dataclass(frozen=True, slots=True)
class ModelSteps:
    """sigma of the process reward model's score at the end of each step."""

    model: RewardModel
    rule: StepRule
    micro_batch_tokens: int

    def score(self, samples: Sequence[Sample]) -> list[StepScores]:
        """None where a response has no steps, does not fit the model's context, or the model says NaN."""
        cuts = self.rule.cut([s.completion.text for s in samples])
        scores = step_scores(
            self.model,
            [s.prompt.text for s in samples],
            [s.completion.text for s in samples],
            [cut.ends for cut in cuts],
            [s.completion.finish == "stop" for s in samples],
            micro_batch_tokens=self.micro_batch_tokens,
        )
        return [
            StepScores([], cut.reason)
            if cut.reason
            else StepScores([], "too long for the process reward model, or it says NaN")
            if said is None
            else StepScores([Step(end, value) for end, value in zip(cut.ends, said, strict=True)])
            for cut, said in zip(cuts, scores, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class WithVerdict:
    """The steps of another scorer, and the verdict as a last step: its weight where the answer is right, else 0.

    Policies learn to please a process reward model within hundreds of steps; some rewards that cannot be pleased kept
    PURE's from it (Cheng et al. 2025). A response whose answer cannot be judged has no steps.
    """

    scorer: StepScorer
    weight: float

    def score(self, samples: Sequence[Sample]) -> list[StepScores]:
        return [self._with(sample, found) for sample, found in zip(samples, self.scorer.score(samples), strict=True)]

    def _with(self, sample: Sample, found: StepScores) -> StepScores:
        if not found.steps:
            return found
        if reason := undecided(sample.verdict):
            return StepScores([], reason)
        verdict = Step(len(sample.completion.text), self.weight * sample.verdict.correct)
        return StepScores([*found.steps, verdict])


@dataclass(frozen=True, slots=True)
class ArithmeticSteps:
    """`arithmetic_steps` of each response."""

    def score(self, samples: Sequence[Sample]) -> list[StepScores]:
        return [
            StepScores(steps, "" if steps else f"{sample.verdict.status}: no steps")
            for sample in samples
            for steps in [arithmetic_steps(sample)]
        ]


@dataclass(frozen=True, slots=True)
class FunctionSteps:
    """Any function of (Problem, Completion), plain or `async def`, that returns pairs (end, reward) in order.

    `end` is a character offset into the response's text (exclusive), `reward` a finite number. A response for which the
    function raises, hangs or returns anything else has no steps: its tokens have advantage 0.
    """

    function: Callable[..., Any]
    name: str
    timeout_s: float = 10.0

    def score(self, samples: Sequence[Sample]) -> list[StepScores]:
        pairs = [(sample.problem, sample.completion) for sample in samples]
        outcomes = call_each(self.function, self.name, pairs, self.timeout_s)
        return [
            StepScores([], outcome.reason) if outcome.reason else self._checked(outcome.value, sample)
            for outcome, sample in zip(outcomes, samples, strict=True)
        ]

    def _checked(self, value: Any, sample: Sample) -> StepScores:
        wrong = StepScores([], f"{self.name} returned {value!r}, which is no list of steps"[:200])
        steps: list[Step] = []
        try:
            for end, reward in value:
                number = as_number(reward)
                if number is None or isinstance(end, bool) or int(end) != end:
                    return wrong
                steps.append(Step(int(end), number))
        except (TypeError, ValueError):
            return wrong
        ends = [0, *(step.end for step in steps), len(sample.completion.text) + 1]
        in_order = all(before < after for before, after in itertools.pairwise(ends))
        return StepScores(steps) if steps and in_order else wrong


def arithmetic_steps(sample: Sample) -> list[Step]:
    """The steps of a response with their rewards; none where its reference cannot be judged (it is unscored)."""
    if undecided(sample.verdict):
        return []
    text = sample.completion.text
    steps: list[Step] = []
    start = 0
    for line in text.splitlines(keepends=True):
        holds = arithmetic_holds(line)
        end = start + len(line.rstrip())
        if holds is not None:
            steps.append(Step(end, float(holds)))
        start += len(line)
    if steps and steps[-1].end >= len(text.rstrip()):
        # the last line is the last step already: it is right when its arithmetic and the final answer are
        return [*steps[:-1], Step(len(text), float(steps[-1].reward == 1.0 and sample.verdict.correct))]
    return [*steps, Step(len(text), float(sample.verdict.correct))]
