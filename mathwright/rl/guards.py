"""What goes wrong silently in RL, as metrics with a limit and advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


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
        advice="many responses could not be scored: metrics.jsonl has the reasons, in its lines of kind unscored",
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
