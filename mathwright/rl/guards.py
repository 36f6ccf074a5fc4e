"""What goes wrong silently in RL: metrics with a limit and advice, and steps that teach nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mathwright.errors import MathwrightError
from mathwright.rl.methods.table import TABLE_10

PATIENCE = 3
"""Steps in a row that may teach nothing before the run stops."""
WINDOW = 10
"""Steps over which reward and accuracy are averaged before they are compared with earlier ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A warning for a metric beyond its limit."""

    metric: str
    side: Literal["above", "below"]
    limit: float
    advice: str

    def crossed(self, values: Mapping[str, float | int | None]) -> bool:
        value = values.get(self.metric)
        return value is not None and (value > self.limit if self.side == "above" else value < self.limit)


LIMITS = (
    # rounding in bfloat16 gives about 0.035 (SmolLM2-135M on CPU), in float32 1e-7; a mistake gives whole nats
    Limit(
        metric="logprob_gap",
        side="above",
        limit=0.1,
        advice="generator and training disagree about the same tokens: use float32, or look for a wrong prompt or mask",
    ),
    Limit(
        metric="kl",
        side="above",
        limit=1.0,
        advice="the policy has left the reference: lower the learning rate or raise rl.kl_coef",
    ),
    Limit(
        metric="entropy",
        side="below",
        limit=0.01,
        advice="the policy has become deterministic and stops learning: lower the learning rate or raise rl.kl_coef",
    ),
    Limit(
        metric="truncated",
        side="above",
        limit=0.3,
        advice="many responses ran into the limit: raise rl.sampling.max_new_tokens, or fine-tune on shorter solutions",
    ),
    Limit(
        metric="equal_reward_groups",
        side="above",
        limit=0.8,
        advice="most groups have equal rewards and teach nothing: choose easier or harder problems, or a larger group",
    ),
    Limit(
        metric="explained_variance",
        side="below",
        limit=0.0,
        advice="the values say less than the mean reward would: train them first (rl.value_warmup_steps=10, "
        "rl.value_pretraining), lower rl.value_lr, or let the mean stand in (rl.value_gate=ev)",
    ),
    Limit(
        metric="value_gated",
        side="above",
        limit=0.5,
        advice="the mean reward of the group was the baseline: the values do not explain the returns of this step",
    ),
    Limit(
        metric="unscored",
        side="above",
        limit=0.1,
        advice="many responses could not be scored; metrics.jsonl has all reasons, in its lines of kind unscored",
    ),
)


DRIFT_SHARE = 0.3
"""How far a metric of `DRIFTS` may be from its first value."""
_STEPS_GAMED = (
    "the policy may have found that the number of steps pays: set rl.process_credit=min or mean, raise rl.kl_coef, or "
    "give the verdict a weight (rl.outcome_weight)"
)
DRIFTS = {"steps_per_response": _STEPS_GAMED, "tokens_per_step": _STEPS_GAMED}
"""Metrics that stay near their first value where nothing is gamed, with advice."""


@dataclass(slots=True)
class Guards:
    """Warns when a metric crosses its limit, and again only after it had come back for `WINDOW` steps: one that hovers
    about its limit is said once."""

    limits: tuple[Limit, ...] = LIMITS
    drifts: Mapping[str, str] = field(default_factory=lambda: DRIFTS)
    _back: dict[str, int] = field(default_factory=dict)
    """For how many steps, up to `WINDOW`, each metric has been within its limit."""
    _first: dict[str, float] = field(default_factory=dict)

    def warnings(self, step: int, values: Mapping[str, float | int | None]) -> list[str]:
        """A line for each metric that crossed its limit at this step."""
        lines = []
        for limit in self.limits:
            if self._is_news(limit.metric, limit.crossed(values)):
                value = values[limit.metric]
                lines.append(f"step {step}: {limit.metric} {value:.3g} is {limit.side} {limit.limit:g}: {limit.advice}")
        for metric, advice in self.drifts.items():
            value = values.get(metric)
            if value is None:
                continue
            first = self._first.setdefault(metric, value)
            if self._is_news(metric, abs(value - first) > DRIFT_SHARE * first):
                lines.append(f"step {step}: {metric} {value:.3g} was {first:.3g} at the beginning: {advice}")
        return lines

    def _is_news(self, metric: str, beyond: bool) -> bool:
        steps_back = self._back.get(metric, WINDOW)
        self._back[metric] = 0 if beyond else min(WINDOW, steps_back + 1)
        return beyond and steps_back >= WINDOW


@dataclass(slots=True)
class Gaming:
    """Says when the reward rises while the share of correct answers falls: the policy has found what the reward model
    likes and is no answer (overoptimisation, which Gao et al. 2022 and others find in every long enough training).

    Compared are the last `WINDOW` steps with those `WINDOW` earlier steps in a row that had most correct answers. It is
    a fall where it exceeds two standard errors, over questions, since the responses to one are alike.
    """

    found: str = ""
    """What was seen, once it was."""
    _steps: list[tuple[float, float, int]] = field(default_factory=list)
    """Mean reward, accuracy, questions."""
    _best: tuple[float, float, int] | None = None
    """Accuracy, mean reward and questions of the best window that ended `WINDOW` steps ago or earlier."""

    def learned(self, values: Mapping[str, float | int | str | None], *, num_questions: int) -> str:
        """Note what a step measured. Returns a line for people when it is seen first."""
        reward, accuracy = values.get("reward_mean"), values.get("accuracy")
        if self.found or not isinstance(reward, float | int) or not isinstance(accuracy, float | int):
            return ""
        self._steps.append((reward, accuracy, num_questions))
        if len(self._steps) < 2 * WINDOW:
            return ""
        before = _window(self._steps[-2 * WINDOW : -WINDOW])
        self._best = before if self._best is None else max(self._best, before)
        (best, best_reward, best_size), (now, now_reward, size) = self._best, _window(self._steps[-WINDOW:])
        error = math.sqrt(best * (1 - best) / best_size + now * (1 - now) / size)
        if now_reward > best_reward and best - now > 2 * error:
            self.found = (
                f"the reward rose from {best_reward:.3g} to {now_reward:.3g} while correct answers fell from "
                f"{best:.1%} to {now:.1%}: the policy games the reward; train the reward model on these responses "
                "(rl.iterations), raise rl.kl_coef, or reward answers by rule"
            )
        return self.found


def _window(steps: list[tuple[float, float, int]]) -> tuple[float, float, int]:
    """Accuracy, mean reward and number of questions of some steps together."""
    size = len(steps)
    return sum(s[1] for s in steps) / size, sum(s[0] for s in steps) / size, max(1, sum(s[2] for s in steps))


@dataclass(slots=True)
class Idleness:
    """Stops a training that trains nothing, before it is taken for one that did.

    At once where nothing of the first exploration could be scored: the reward is wrong, not the policy. Otherwise after
    `PATIENCE` steps in a row: one step of a weak model may well have no correct response.
    """

    method: str
    num_steps: int = 0
    num_updated: int = 0
    """Steps with an update."""
    num_idle: int = 0
    """Steps in a row without one."""
    num_unscored: int = 0
    """Steps in a row in which nothing was scored."""
    prefers: bool = False
    """Whether a group of any step had unequal rewards."""

    def explored(self, values: Mapping[str, float | int | str | None], reason: str) -> None:
        """Note what an exploration measured. Raises MathwrightError where nothing is scored any more, or at all."""
        equal = values.get("equal_reward_groups")
        self.prefers |= equal is None or equal != 1
        self.num_unscored = self.num_unscored + 1 if values.get("unscored") == 1 else 0
        if self.num_unscored and (self.num_steps == 0 or self.num_unscored >= PATIENCE):
            raise MathwrightError(
                f"no response of step {self.num_steps} could be scored, so there is nothing to train on: {reason}",
                hint="correct the reward (or the references it compares with), and start the same command again",
            )

    def learned(self, values: Mapping[str, float | int | str | None]) -> None:
        """Note what a step trained on. Raises MathwrightError where it is nothing for too long."""
        updated = bool(values.get("num_trained"))
        self.num_steps += 1
        self.num_updated += updated
        self.num_idle = 0 if updated else self.num_idle + 1
        if self.num_idle >= PATIENCE:
            raise self._nothing(f"in {PATIENCE} steps in a row")

    def finished(self) -> None:
        """Raise MathwrightError where no step of the whole training made an update."""
        if not self.num_updated:
            raise self._nothing(f"in any of the {self.num_steps} steps")

    def _nothing(self, when: str) -> MathwrightError:
        return MathwrightError(
            f"{self.method} found nothing to train on {when}: {TABLE_10[self.method].lacks}",
            hint="choose easier problems, larger groups or a better start model, and look at the responses in "
            "rollouts.jsonl; the model was not saved",
        )
