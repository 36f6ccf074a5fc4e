"""Steps of responses to the problems of a file, labelled by completions (`mathwright reward label`)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mathwright.errors import MathwrightError
from mathwright.files import write_json
from mathwright.judge import sandbox_for
from mathwright.lm.ending import stop_at
from mathwright.lm.load import load
from mathwright.lm.places import fast_dtype
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.tokenise import encode_prompt
from mathwright.problems.prompts import build_prompt
from mathwright.problems.rows import read_records
from mathwright.problems.templates import Prompt, usual_template
from mathwright.problems.turns import turn
from mathwright.records import Problem, read_jsonl, write_jsonl
from mathwright.reward.recipe import ProcessRecipe, check_labelling
from mathwright.reward.step_labels import Labeller, SteppedResponse, sample_responses
from mathwright.run import Stage, fingerprint, lock

LABELS, RESPONSES, SETTINGS = "labels.jsonl", "responses.jsonl", "settings.json"


def label_file(
    model: str,
    problems: Path,
    out: Path,
    *,
    recipe: ProcessRecipe,
    sampling: SamplingRecipe,
    template: str = "auto",
    limit: int | None = None,
    generation_batch: int = 64,
    dtype: str = "auto",
    device: str = "cpu",
    seed: int = 0,
) -> Path:
    """Sample responses to problems and label their steps; the same command resumes where it was stopped.

    Args:
        model: folder, hub id or wheel: writes the responses and completes them.
        problems: `Problem` records, one a line.
        out: folder for labels.jsonl (`StepLabels`), responses.jsonl and the waves of completions so far.
        recipe: what a step is and how it is labelled.
        sampling: of responses and completions.
        template: of the prompts; auto is the one the model was trained with.
        limit: so many problems, the first of the file; None is all.
        generation_batch: sequences drawn at one time.
        dtype, device, seed: as elsewhere.

    Returns the file of labels.

    Raises MathwrightError for a missing or malformed file, settings that cannot be followed, and a folder that holds
    labels of other settings.
    """
    check_labelling(recipe, "--")
    asked = [problem for _, problem in read_records(problems, Problem)][:limit]
    if not asked:
        raise MathwrightError(f"{problems} has no problems", hint="one JSON object a line, as problems/train.jsonl")
    dtype = fast_dtype(device) if dtype == "auto" else dtype
    settings: dict[str, Any] = {
        "model": str(model), "problems": [problem.id for problem in asked], "recipe": asdict(recipe),
        "sampling": asdict(sampling), "template": template, "dtype": dtype, "seed": seed,
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    with lock.hold(out):
        _require_same(out / SETTINGS, settings)
        stage = Stage("label", out, fingerprint("label", settings))
        lm = load(model, dtype=dtype, device=device)
        template = usual_template(model, lm.tokenizer) if template == "auto" else template
        stop_at(lm, turn(template, lm.tokenizer).end)
        prompts = _prompts(stage, asked, lm, template, sampling)
        write_json(out / SETTINGS, settings)

        def sample(folder: Path) -> int:
            found = sample_responses(
                recipe, stage, lm, prompts, sampling=sampling, generation_batch=generation_batch, seed=seed
            )
            return write_jsonl(folder / RESPONSES, found)

        stage.once("sampling", sample)
        responses = list(read_jsonl(out / "sampling" / RESPONSES, SteppedResponse))
        with sandbox_for(prompts) as sandbox:
            labeller = Labeller(
                recipe=recipe,
                lm=lm,
                prompts=prompts,
                sampling=sampling,
                generation_batch=generation_batch,
                seed=seed + 1,
                sandbox=sandbox,
            )
            records = labeller.label(responses, out, stage)
        write_jsonl(out / LABELS, records)
        labels = [label for record in records for label in record.labels]
        known = [label for label in labels if label is not None]
        stage.say(
            f"{len(records):,} responses, {len(labels):,} steps, {len(known):,} labelled, "
            f"{sum(label > 0 for label in known):,} of them right"
        )
    return out / LABELS


def _prompts(stage: Stage, problems: list[Problem], lm: Any, template: str, sampling: SamplingRecipe) -> list[Prompt]:
    """Prompts whose response fits the context; the others are counted."""
    prompts = [build_prompt(problem, "cot", template=template, tokenizer=lm.tokenizer) for problem in problems]
    room = lm.max_length - sampling.max_new_tokens
    kept = [prompt for prompt in prompts if len(encode_prompt(lm.tokenizer, prompt.text)) <= room]
    dropped = Counter({"longer than context": len(prompts) - len(kept)})
    stage.funnel("problems", unit="problems", num_in=len(prompts), num_out=len(kept), dropped=dropped)
    if not kept:
        raise MathwrightError(
            f"no prompt leaves room for {sampling.max_new_tokens} new tokens in the model's context",
            hint="lower --max-new-tokens",
        )
    return kept


def _require_same(path: Path, settings: Mapping[str, Any]) -> None:
    """Raise MathwrightError where a folder holds labels of other settings."""
    if not path.is_file():
        return
    theirs, ours = json.loads(path.read_text(encoding="utf-8")), json.loads(json.dumps(settings))
    if changed := [name for name in ours if theirs.get(name) != ours[name]]:
        raise MathwrightError(
            f"{path.parent} holds labels of other settings: {', '.join(changed)}",
            hint="choose another --out, or give the same settings to resume",
        )
