"""What `mathwright sft annotate` asks, of whom, how often, and what it keeps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from mathwright.engines.names import weights_mark
from mathwright.errors import MathwrightError
from mathwright.lm.recipe import SamplingRecipe
from mathwright.problems.templates import TEMPLATES
from mathwright.records import SolutionFormat

FORECAST_PROBLEMS = 20
"""A forecast is made from so many problems, drawn by the seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateSettings:
    """How solutions are asked for; the same settings and seed give the same requests."""

    teacher: str
    """Model folder, hub id or `wheel:NAME`; under a server the name it knows the model by."""
    format: SolutionFormat = "tool"
    samples: int = 4
    """Solutions asked for of a problem, at most."""
    keep: int = 0
    """Different solutions kept of a problem; no more are asked for once it has them. 0: all, and all samples."""
    template: str = "auto"
    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 2048
    max_tool_rounds: int = 4
    max_output_chars: int = 512
    """Characters of a program's output that the teacher is shown."""
    program_timeout_s: float = 5.0
    vote: bool = False
    """Whether problems without an answer get that of most samples."""
    vote_share: float = 0.5
    """The answer of a vote needs more than this share of all samples."""
    seed: int = 0
    price_in: float = 0.0
    """Of a million tokens of prompts, in any currency."""
    price_cached: float | None = None
    """Of a million of those that the server had computed before; None: as price_in."""
    price_out: float = 0.0
    """Of a million tokens that are written."""
    max_cost: float | None = None

    def __post_init__(self) -> None:
        for name, lowest in (
            ("samples", 1), ("keep", 0), ("top_k", 0), ("max_new_tokens", 1), ("max_tool_rounds", 0),
            ("max_output_chars", 16), ("price_in", 0), ("price_out", 0),
        ):  # fmt: skip
            if getattr(self, name) < lowest:
                raise MathwrightError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}", hint=f"it must be at least {lowest}"
                )
        if self.template not in ("auto", *TEMPLATES):
            raise MathwrightError(f"--template is {self.template!r}", hint=f"one of auto, {', '.join(TEMPLATES)}")
        if self.samples > 1 and self.temperature <= 0:
            raise MathwrightError(
                f"--samples {self.samples} at temperature 0 are one solution {self.samples} times",
                hint="--temperature 0.7, or --samples 1",
            )
        if not 0 <= self.vote_share < 1:
            raise MathwrightError(f"--vote-share is {self.vote_share}", hint="from 0 to below 1: 0.5 is more than half")
        if self.max_cost is not None and not (self.price_in or self.price_out):
            raise MathwrightError("--max-cost without a price", hint="name --price-in and --price-out")

    @property
    def sampling(self) -> SamplingRecipe:
        """How the samples are drawn."""
        return SamplingRecipe(
            temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, max_new_tokens=self.max_new_tokens
        )

    def fixed(self, engine_name: str) -> dict[str, Any]:
        """What must be the same for requests of an earlier call to count; samples, keep and costs may change."""
        names = ("teacher", "format", "temperature", "top_p", "top_k", "max_new_tokens", "max_tool_rounds",
                 "max_output_chars", "seed", "template")  # fmt: skip
        found = {name: getattr(self, name) for name in names}
        return {**found, "engine": engine_name, "weights": weights_mark(self.teacher)}


def request_key(problem_id: str, sample: int) -> str:
    """What a sample of a problem is called in the request log."""
    return f"{problem_id}#{sample}"


def request_seed(seed: int, problem_id: str, sample: int) -> int:
    """The seed of a sample: its own, and the same whatever other problems are asked."""
    digest = hashlib.blake2b(f"{seed}:{request_key(problem_id, sample)}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 2**31
