"""Rewards of whole responses: rules, the reward model, any Python function, and weighted sums of them.

A reward that cannot be had is None with a reason, never a number: a response with such a term is unscored, takes no
part in the statistics of its group and has advantage 0. So a checker that times out does not teach that the answer
was wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from mathwright import answers, judge
from mathwright.errors import MathwrightError
from mathwright.functions import EACH, TOGETHER, Outcome, call_batched, call_each, import_function
from mathwright.lm.heads import Scale, score
from mathwright.lm.model import RewardModel
from mathwright.problems.programs import program_of
from mathwright.problems.templates import Prompt
from mathwright.records import Completion, Problem, Verdict
from mathwright.rl.recipe import RewardTermRecipe, RLRecipe
from mathwright.tools.sandbox import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A response with what is needed to reward it."""

    prompt: Prompt
    completion: Completion
    verdict: Verdict

    @property
    def problem(self) -> Problem:
        """What was asked."""
        return self.prompt.problem


class Score(NamedTuple):
    """A reward, or None and why."""

    value: float | None
    reason: str = ""


class Abstention(Score):
    """Of a reward that has nothing to say of a response and leaves it to the other terms."""

    __slots__ = ()


class Reward(Protocol):
    """Scores responses, many at once."""

    @property
    def name(self) -> str: ...

    def score(self, samples: Sequence[Sample]) -> list[Score]: ...


RewardFunction = Callable[..., Any]
"""Of (Problem, Completion), or batched of (list of Problem, list of Completion); plain or `async def`."""


def as_number(value: Any) -> float | None:
    """A value that a foreign function returned, if it is a finite number (NumPy's and torch's scalars are)."""
    if isinstance(value, str | bytes) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return number if math.isfinite(number) else None


def judged(items: Sequence[tuple[Prompt, Completion]], *, sandbox: Sandbox | None = None) -> list[Sample]:
    """Responses with their verdicts (`mathwright.judge`), given as (prompt, completion).

    Raises ValueError where programs are to be judged and there is no sandbox.
    """
    verdicts = judge.judge_all([(prompt, completion.text) for prompt, completion in items], sandbox=sandbox)
    return [
        Sample(prompt=prompt, completion=completion, verdict=verdict)
        for (prompt, completion), verdict in zip(items, verdicts, strict=True)
    ]


# --- rules ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AnswerReward:
    """1 for a correct final answer, 0 for a wrong or unreadable one (the rule of Eq. 10)."""

    name: str = "answer"

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Unscored: the reference cannot be parsed, or the comparison timed out."""
        return [self._score(sample.verdict) for sample in samples]

    @staticmethod
    def _score(verdict: Verdict) -> Score:
        if reason := judge.undecided(verdict):
            return Score(None, reason)
        return Score(1.0 if verdict.correct else 0.0)


@dataclass(frozen=True, slots=True)
class FormatReward:
    """1 where the response ended by itself and answers in the form it was asked for, else 0.

    That is one box outside of its thoughts and programs, or a program where one is asked for.
    """

    name: str = "format"

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        return [Score(float(s.completion.finish == "stop" and self._answers(s))) for s in samples]

    @staticmethod
    def _answers(sample: Sample) -> bool:
        if sample.prompt.mode == "pot":
            return program_of(sample.prompt, sample.completion.text) is not None
        written = answers.opened_thought(sample.prompt.text) + sample.completion.text
        return answers.answering_text(written).count("\\boxed{") == 1


@dataclass(frozen=True, slots=True)
class LengthReward:
    """0 up to half of the limit, then linear to -1 at the limit (the soft overlong punishment of DAPO)."""

    max_new_tokens: int
    name: str = "length"

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        free = self.max_new_tokens / 2
        return [
            Score(-min(1.0, max(0.0, (sum(s.completion.sampled) - free) / (self.max_new_tokens - free))))
            for s in samples
        ]


# --- functions and models -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FunctionReward:
    """Any function of (problem, completion), or of lists of them; what it may do wrong leaves a response unscored.

    None is nothing wrong: the function abstains, as in TRL, and the response is scored by the other terms.
    """

    function: RewardFunction
    name: str
    timeout_s: float = 10.0
    batched: bool = False
    """Whether it takes all responses in one call: (problems, completions) to one number each."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Unscored: the function raised, hung, or returned anything but a finite number or None."""
        pairs = [(sample.problem, sample.completion) for sample in samples]
        if self.batched and pairs:
            outcomes = call_batched(self.function, self.name, list(zip(*pairs, strict=True)), self.timeout_s)
        else:
            outcomes = call_each(self.function, self.name, pairs, self.timeout_s)
        return [self._score(outcome) for outcome in outcomes]

    def _score(self, outcome: Outcome) -> Score:
        if outcome.reason:
            return Score(None, outcome.reason)
        if outcome.value is None:
            return Abstention(None, f"{self.name} returned None")
        number = as_number(outcome.value)
        return Score(number) if number is not None else Score(None, f"{self.name} returned {outcome.value!r}"[:200])


@dataclass(frozen=True, slots=True)
class ModelReward:
    """r_phi(q, o): the score of the outcome reward model (§4.1.2). A response that was cut has no end token to read."""

    model: RewardModel
    micro_batch_tokens: int
    name: str = "model"
    scale: Scale | None = None
    """Of the model's scores: the reward is (r_phi - mean) / std then."""
    sigmoid: bool = False
    """Whether sigma of that is the reward."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Unscored: the response does not fit the reward model's context, or the score is no finite number."""
        values = score(
            self.model,
            [s.prompt.text for s in samples],
            [s.completion.text for s in samples],
            truncated=[was_cut(s) for s in samples],
            micro_batch_tokens=self.micro_batch_tokens,
        )
        return [self._score(value) for value in values]

    def _score(self, value: float | None) -> Score:
        if value is None:
            return Score(None, "too long for the reward model")
        if not math.isfinite(value):
            return Score(None, f"the reward model gave {value}")
        return Score(reward_of_score(value, self.scale, sigmoid=self.sigmoid))


def reward_of_score(score: float, scale: Scale | None, *, sigmoid: bool) -> float:
    """What a reward model's score counts: as it is or standardised, and sigma of that where asked for."""
    value = score if scale is None else scale.standardised(score)
    if not sigmoid:
        return value
    # of the negative side, so that no score overflows
    small = math.exp(-abs(value))
    return 1 / (1 + small) if value >= 0 else small / (1 + small)


def was_cut(sample: Sample) -> bool:
    """Whether a response ran into a limit, so that it has no end of its own."""
    return sample.completion.finish != "stop"


@dataclass(frozen=True, slots=True)
class TruncationReward:
    """A fixed reward for responses that were cut, and another reward for those that ended by themselves."""

    value: float
    ended: Reward

    @property
    def name(self) -> str:
        """That of the reward it stands in for."""
        return self.ended.name

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        scores = iter(self.ended.score([s for s in samples if not was_cut(s)]))
        return [Score(self.value) if was_cut(s) else next(scores) for s in samples]


# --- sums -----------------------------------------------------------------------------------------


class Scored(NamedTuple):
    """The reward of a response and its terms."""

    total: float | None
    by_name: dict[str, float | None]
    reasons: tuple[str, ...]


def weighted_sum(rewards: Sequence[tuple[Reward, float]], samples: Sequence[Sample]) -> list[Scored]:
    """Sum over the rewards of weight times value; those that abstain are left out of it.

    None where a term could not be had, or all abstain.
    """
    columns = [(reward.name, weight, reward.score(samples)) for reward, weight in rewards]
    results = []
    for i in range(len(samples)):
        terms = [(name, weight, scores[i]) for name, weight, scores in columns]
        values = [weight * score.value for _, weight, score in terms if score.value is not None]
        failed = [score.reason for _, _, score in terms if score.value is None and not isinstance(score, Abstention)]
        if not values and not failed:
            failed = [score.reason for _, _, score in terms]
        results.append(
            Scored(
                total=None if failed else sum(values),
                by_name={name: score.value for name, _, score in terms},
                reasons=tuple(failed),
            )
        )
    return results


def from_recipe(
    recipe: RLRecipe, reward_model: RewardModel | None, scale: Scale | None = None
) -> list[tuple[Reward, float]]:
    """The rewards a recipe names, with their weights; `scale`: of the reward model, where scores are standardised.

    Raises MathwrightError where a reward model is asked for and missing, or a function cannot be imported.
    """
    if recipe.reward == "model":
        if reward_model is None:
            raise MathwrightError(
                "rl.reward is model, but the run has no reward model",
                hint="give the recipe a reward part, or set rl.reward=rule",
            )
        reward: Reward = ModelReward(
            reward_model, recipe.micro_batch_tokens, scale=scale, sigmoid=recipe.sigmoid_reward
        )
    elif recipe.reward == "functions":
        return [(_term(term, recipe), term.weight) for term in recipe.extra_rewards]
    else:
        reward = AnswerReward()
    if recipe.truncation_reward is not None:
        reward = TruncationReward(recipe.truncation_reward, reward)
    return [(reward, 1.0)] + [(_term(term, recipe), term.weight) for term in recipe.extra_rewards]


def _term(term: RewardTermRecipe, recipe: RLRecipe) -> Reward:
    if term.kind == "format":
        return FormatReward()
    if term.kind == "length":
        return LengthReward(recipe.sampling.max_new_tokens)
    takes = TOGETHER if term.batched else EACH
    return FunctionReward(import_function(term.function, takes=takes), term.function, term.timeout_s, term.batched)
