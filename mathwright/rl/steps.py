"""Process supervision (§4.1.3): the scored steps of a response."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """A scored step of a response."""

    end: int
    """End as a character offset into the response (exclusive)."""
    reward: float


class StepScores(NamedTuple):
    """The steps of a response; none, and why, where they could not be scored."""

    steps: list[Step]
    reason: str = ""
