"""Process supervision (§4.1.3): the steps of a response and the tokens they end with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Step(NamedTuple):
    """A scored step of a response."""

    end: int
    """End as a character offset into the response (exclusive)."""
    reward: float


class StepScores(NamedTuple):
    """The steps of a response; none, and why, where they could not be scored."""

    steps: list[Step]
    reason: str = ""


def step_end_tokens(tokenizer: Any, tokens: Sequence[int], ends: Sequence[int], text_length: int) -> list[int]:
    """index(j): for each character offset (exclusive end, ascending) the token that holds the last character before it.

    A step that reaches the end of the text, `text_length`, ends at the last token: the end token belongs to it.
    """
    indices = []
    for end in ends:
        if end >= text_length:
            indices.append(len(tokens) - 1)
            continue
        low, high = 0, len(tokens) - 1  # the first token whose prefix decodes to at least `end` characters
        while low < high:
            middle = (low + high) // 2
            if len(tokenizer.decode(tokens[: middle + 1], skip_special_tokens=True)) >= end:
                high = middle
            else:
                low = middle + 1
        indices.append(low)
    return indices
