"""The command line's verbs for labelled steps: `mathwright reward label`, `mathwright reward judge`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import tyro

from mathwright.errors import MathwrightError
from mathwright.terminal import console, put

Positional = tyro.conf.Positional
Template = Literal["auto", "deepseekmath", "tokenizer", "short"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Label:
    """§4.1.3 Label the steps of a model's responses by Monte-Carlo completions (docs/process_rewards.md).

    `mathwright reward label runs/quickstart/sft/model runs/quickstart/problems/train.jsonl --out labels`
    Writes labels.jsonl; the same command resumes where it was stopped.
    """

    model: Positional[str]
    """Model folder, hub id or wheel:NAME: it writes the responses and completes them."""
    problems: Positional[Path]
    """Problems, one JSON object a line, such as problems/train.jsonl of a run."""
    out: Path
    """Folder for labels.jsonl."""
    steps: str = "line"
    """line, paragraph, step, sentence, or module:name of a function of the text to the ends of its steps."""
    max_steps: int = 64
    """What follows belongs to the last step."""
    responses: int = 1
    """Responses to each problem."""
    completions: int = 8
    """N, completions from the end of each step."""
    labels: Literal["hard", "soft"] = "hard"
    """hard: 1 where any completion is right; soft: the share of them. The counts are written in both cases."""
    early_stop: bool | None = None
    """No more completions of a step after its first hit; by default for hard labels."""
    per_wave: int = 2
    """Completions drawn at a time where the first hit is enough."""
    binary_search: bool = False
    """Look for the first wrong step by halves."""
    limit: int | None = None
    """So many problems."""
    temperature: float = 1.0
    max_new_tokens: int = 512
    template: Template = "auto"
    """auto: the one the model was trained with."""
    batch_size: int = 64
    """Sequences at a time."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    device: str = "cpu"
    """cpu or cuda."""
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judge:
    """§4.1.3 Measure a process reward model on files of labelled steps (docs/process_rewards.md).

    `mathwright reward judge RUN/reward/process/model processbench_math.jsonl --choose-on processbench_gsm8k.jsonl`
    """

    model: Positional[Path]
    """Folder of a process reward model."""
    files: Positional[tuple[Path, ...]]
    """ProcessBench, PRMBench, MR-GSM8K, BIG-Bench-Mistake, or labels to train on."""
    choose_on: Path | None = None
    """Other labels on which the threshold is chosen; without them it is 0.5."""
    template: Template = "auto"
    batch_tokens: int = 16_384
    """Tokens of one forward pass."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    device: str = "cpu"


STEP_VERBS: dict[str, type] = {"label": Label, "judge": Judge}


def perform(command: Any) -> None:
    """Label, or judge."""
    match command:
        case Label():
            _label(command)
        case Judge():
            _judge(command)
        case _:
            raise TypeError(f"no verb of steps: {command!r}")


def _label(command: Label) -> None:
    from mathwright.lm.recipe import SamplingRecipe
    from mathwright.reward.label_file import label_file
    from mathwright.reward.recipe import ProcessRecipe

    if command.temperature <= 0:
        raise MathwrightError("--temperature is 0: all completions of a step would be the same", hint="--temperature 1")
    recipe = ProcessRecipe(
        responses_per_problem=command.responses,
        steps=command.steps,
        max_steps=command.max_steps,
        labels=command.labels,
        num_completions=command.completions,
        completions_per_wave=command.per_wave,
        early_stop=command.early_stop,
        binary_search=command.binary_search,
    )
    path = label_file(
        command.model,
        command.problems,
        command.out,
        recipe=recipe,
        sampling=SamplingRecipe(
            temperature=command.temperature, top_p=1.0, top_k=0, max_new_tokens=command.max_new_tokens
        ),
        template=command.template,
        limit=command.limit,
        generation_batch=command.batch_size,
        dtype=command.dtype,
        device=command.device,
        seed=command.seed,
    )
    put(str(path))


def _judge(command: Judge) -> None:
    from mathwright.reward.judge_steps import judge_files

    rows = judge_files(
        command.model,
        command.files,
        choose_on=command.choose_on,
        template=command.template,
        micro_batch_tokens=command.batch_tokens,
        dtype=command.dtype,
        device=command.device,
    )
    for row in rows:
        if row.left_out:
            console.print(row.left_out, soft_wrap=True)
        put(row.line)
