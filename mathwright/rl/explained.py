"""How well a value function explains returns, from sums that add up over micro-batches and processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mathwright.lm import parallel

EQUAL = 1e-12
"""A variance below this share of the mean square is the rounding of equal numbers."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Number, sum and sum of squares of some numbers."""

    count: float = 0.0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Tensor, mask: Tensor) -> Moments:
        """Of the values [B, T] where the mask is True; the others, NaN included, play no part."""
        kept = values[mask].double()
        return cls(kept.numel(), kept.sum().item(), kept.square().sum().item())

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """0 of no numbers."""
        return self.total / self.count if self.count else 0.0

    @property
    def variance(self) -> float:
        """Divided by the number of them; 0 of no numbers."""
        return max(0.0, self.squares / self.count - self.mean**2) if self.count else 0.0

    @property
    def all_equal(self) -> bool:
        """Whether the numbers differ by no more than their rounding."""
        return self.count == 0 or self.variance <= EQUAL * self.squares / self.count


def over_processes(moments: Sequence[Moments], device: torch.device) -> list[Moments]:
    """The same of the numbers of all processes; to be called by all of them alike."""
    sums = {f"{name}/{i}": getattr(m, name) for i, m in enumerate(moments) for name in ("count", "total", "squares")}
    total = parallel.add_up(sums, parallel.world(), device)
    return [Moments(*(total[f"{name}/{i}"] for name in ("count", "total", "squares"))) for i in range(len(moments))]


def add_up(parts: Iterable[Moments]) -> Moments:
    """Of the numbers of all parts together."""
    return sum(parts, Moments())


def explained_variance(returns: Moments, errors: Moments) -> float | None:
    """1 - Var(R - V) / Var(R): 1 for values that are the returns, 0 for a constant, negative for worse than that.

    Args:
        returns: of R, over the trained tokens.
        errors: of R - V, over the same tokens.

    Returns None where all returns are equal: there is nothing to explain.
    """
    if returns.all_equal:
        return None
    return 1 - errors.variance / returns.variance
