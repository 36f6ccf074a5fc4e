"""What goes wrong silently in RL: metrics with a limit and advice, and steps that teach nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mathwright.errors import MathwrightError
from mathwright.rl.methods.table import TABLE_10

PATIENCE = 3
"""Steps in a row that may teach nothing before the run stops."""


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
        metric="unscored",
        side="above",
        limit=0.1,
        advice="many responses could not be scored; metrics.jsonl has all reasons, in its lines of kind unscored",
    ),
)


@dataclass(slots=True)
class Guards:
    """Warns when a metric crosses its limit, and again only after it has come back."""

    limits: tuple[Limit, ...] = LIMITS
    _beyond: set[str] = field(default_factory=set)

    def warnings(self, step: int, values: Mapping[str, float | int | None]) -> list[str]:
        """A line for each metric that crossed its limit at this step."""
        lines = []
        for limit in self.limits:
            if not limit.crossed(values):
                self._beyond.discard(limit.metric)
            elif limit.metric not in self._beyond:
                self._beyond.add(limit.metric)
                value = values[limit.metric]
                lines.append(f"step {step}: {limit.metric} {value:.3g} is {limit.side} {limit.limit:g}: {limit.advice}")
        return lines


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
                hint="mend the reward (or the references it compares with), and start the same command again",
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
