"""What a training came to, for its manifest."""

from __future__ import annotations

from collections.abc import Iterable

from mathwright.rl.explore import Values
from mathwright.rl.recipe import RLRecipe
from mathwright.run import Stage


def summary_of(recipe: RLRecipe, stage: Stage) -> Values:
    """How it began and how it ended: means over the first and the last fifth of the steps."""
    measured = [m for m in stage.metrics() if m.get("kind") == "train"]
    window = max(1, len(measured) // 5)
    summary: Values = {
        "method": recipe.method,
        "reward": recipe.reward,
        "num_steps": len(measured),
        "num_responses": len(measured) * recipe.problems_per_step * recipe.group_size,
        "num_warnings": sum(m.get("kind") == "warning" for m in stage.metrics()),
    }
    for name in ("reward_mean", "accuracy", "response_tokens"):
        for moment, part in (("begin", measured[:window]), ("end", measured[-window:])):
            summary[f"{name}_{moment}"] = _mean(m.get(name) for m in part)
    ends = ("kl", "truncated", "equal_reward_groups", "logprob_gap")
    if any("explained_variance" in m for m in measured):
        ends += ("explained_variance", "value_gated")
    for name in ends:
        summary[f"{name}_end"] = _mean(m.get(name) for m in measured[-window:])
    for name in ("seconds_generate", "seconds_reward", "seconds_train"):
        summary[name] = round(sum(m.get(name) or 0.0 for m in measured), 1)
    return summary


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return round(sum(known) / len(known), 6) if known else None
