"""The command line's verbs for reward models (§4.1) that are no stage: those behind `mathwright reward`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import tyro

from mathwright.cli.steps import STEP_VERBS
from mathwright.cli.steps import perform as perform_steps

Positional = tyro.conf.Positional


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """§4.1 Score the responses of a JSONL file with an outcome reward model.

    `mathwright reward score runs/quickstart/reward/model samples.jsonl --out scored.jsonl`. A row has a "prompt" and a
    "response", or a list "responses"; a prompt stands as the model is to read it. Called again, it resumes where it
    was stopped.
    """

    model: Positional[str]
    """Model folder of a reward stage."""
    file: Positional[Path]
    """JSONL file, packed (gzip, zstd, ...) or not."""
    out: Path
    """JSONL file: the same rows with "score", or "scores"; null where a response does not fit the model's context."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Of the weights; auto: the faster one on this device."""
    device: str = "cpu"
    """cpu or cuda."""


REWARD_VERBS: dict[str, type] = {"score": Score, **STEP_VERBS}
"""Verbs behind `mathwright reward`, which otherwise takes a recipe."""


def perform(command: Any) -> None:
    """Do what one of the verbs asks for."""
    if not isinstance(command, Score):
        perform_steps(command)
        return
    from mathwright.lm.places import fast_dtype
    from mathwright.reward.score_file import score_file

    dtype = fast_dtype(command.device) if command.dtype == "auto" else command.dtype
    score_file(command.model, command.file, command.out, dtype=dtype, device=command.device)
