"""Nothing is dropped in silence: what went into a step, what came out, and why the rest did not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """What went into a step, what came out and why the rest did not: in = out + the sum of dropped."""

    step: str
    unit: str
    num_in: int
    num_out: int
    dropped: Mapping[str, int]

    def __post_init__(self) -> None:
        if self.num_in != self.num_out + sum(self.dropped.values()):
            raise ValueError(
                f"funnel {self.step!r} does not add up: {self.num_in} in, {self.num_out} out, dropped {self.dropped}"
            )
