"""The process reward model (§4.1.3): steps of responses of the SFT model, labelled, and a score at the end of each.

    problems -> responses -> steps -> labels (completions, or the arithmetic of each step; or files) -> BCE -> model

The paper takes its process rewards from a model trained after Math-Shepherd and says no more. Here the model is the SFT
model with a scalar head, read at the token with which a step ends: no special token stands in the text.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.judge import sandbox_for
from mathwright.lm import checkpoint, heads, lora
from mathwright.lm.ending import stop_at
from mathwright.lm.load import load
from mathwright.lm.loop import CHECKPOINTS, Training, fit
from mathwright.lm.model import LanguageModel, RewardModel
from mathwright.lm.save import save
from mathwright.lm.steps import step_end_tokens, step_scores
from mathwright.problems.own_template import keep_template
from mathwright.problems.steps import StepRule, write_rule
from mathwright.problems.templates import Prompt
from mathwright.problems.turns import turn
from mathwright.records import Problem, StepLabels, read_jsonl, write_jsonl
from mathwright.reward.examples import split
from mathwright.reward.rankings import choose_prompts
from mathwright.reward.recipe import RewardRecipe, check
from mathwright.reward.step_labels import (
    Labeller,
    SteppedResponse,
    relabelled,
    rule_labels,
    sample_responses,
)
from mathwright.reward.step_layouts import read_step_files
from mathwright.reward.step_metrics import (
    AGGREGATES,
    best_threshold,
    first_error_f1,
    known,
    lowest_is_last,
    step_auc,
)
from mathwright.reward.step_objective import StepBatch, StepExample, pack_steps, step_objective
from mathwright.run import Stage
from mathwright.selection import best_of_k

LABELS = "labels.jsonl"
RESPONSES = "responses.jsonl"
ADAPTER = "adapter"


def run(
    recipe: RewardRecipe,
    stage: Stage,
    *,
    model: str | Path,
    problems: Sequence[Problem],
    template: str,
    dtype: str,
    seed: int,
    device: str = "cpu",
) -> None:
    """Sample, cut into steps, label, train and measure; outputs model, labels and responses.

    Args:
        recipe: sizes, labels and loss (`recipe.process`).
        stage: where to write: the part `process` of the reward stage.
        model: the SFT model, which gives responses, completions and the first weights.
        problems: training problems with reference answers.
        template: prompt template, that of SFT.
        dtype: type of the weights.
        seed: of the choice of problems, the responses, the completions, the split, the head and the order.
        device: where the models live.

    Raises MathwrightError for a recipe, files or problems that give nothing to train on.
    """
    check(recipe)
    if not problems and recipe.num_problems:
        raise MathwrightError("there are no problems to sample on", hint="raise num_train of the problem sources")
    lm = load(model, dtype=dtype, device=device)
    end = turn(template, lm.tokenizer).end
    stop_at(lm, end)
    process = recipe.process
    rule = StepRule(by=process.steps, max_steps=process.max_steps)
    records = read_step_files(
        process.files, template=template, tokenizer=lm.tokenizer, neutral=process.neutral,
        joint="\n\n" if process.steps == "paragraph" else "\n", log=stage,
    )  # fmt: skip
    responses: list[SteppedResponse] = []
    if recipe.num_problems:
        responses, labelled = sampled_labels(recipe, stage, lm, problems, template=template, seed=seed)
        records += labelled
    examples = _usable(stage, lm, [_of_kind(r, process.labels) for r in records])
    training, heldout = _split(examples, recipe.heldout_share, seed)
    _require_labels(training)
    reward_model = heads.from_language_model(lm, seed=seed, end=end)
    if recipe.lora is not None:
        lora.attach(reward_model, recipe.lora, seed=seed)
    _train(recipe, stage, reward_model, lm, training, heldout, seed)
    save(reward_model, stage.path / "model")
    if recipe.lora is not None:
        lora.save_adapter(reward_model, stage.path / ADAPTER, recipe.lora, base=model)
    write_rule(stage.path / "model", rule)
    keep_template(stage.path / "model", template, lm.tokenizer)
    write_jsonl(stage.path / LABELS, records)
    outputs = {"model": stage.path / "model", "labels": stage.path / LABELS, "adapter": stage.path / ADAPTER}
    stage.finish(
        outputs={name: path for name, path in outputs.items() if path.exists()},
        summary=_summary(recipe, stage, reward_model, training, heldout, responses),
    )
    checkpoint.leave(stage.path / CHECKPOINTS, recipe.optimiser, recipe.checkpoint_every)


# --- data -----------------------------------------------------------------------------------------


def sampled_labels(
    recipe: RewardRecipe, stage: Stage, lm: LanguageModel, problems: Sequence[Problem], *, template: str, seed: int
) -> tuple[list[SteppedResponse], list[StepLabels]]:
    """Responses to some problems and the labels of their steps, drawn once; labelling goes on in its middle."""
    process = recipe.process
    prompts = choose_prompts(recipe, stage, lm, problems, template=template, seed=seed)
    responses = kept_responses(recipe, stage, lm, prompts, seed=seed)
    if process.labels == "rule":
        return responses, [_by_rule(response) for response in responses]
    with sandbox_for(prompts) as sandbox:
        labeller = Labeller(
            recipe=process,
            lm=lm,
            prompts=prompts,
            sampling=recipe.sampling,
            generation_batch=recipe.generation_batch,
            seed=seed + 1,  # completions are no copies of the responses
            sandbox=sandbox,
        )
        return responses, labeller.label(responses, stage.path, stage)


def kept_responses(
    recipe: RewardRecipe, stage: Stage, lm: LanguageModel, prompts: Sequence[Prompt], *, seed: int
) -> list[SteppedResponse]:
    """Responses to the prompts, cut into steps: drawn once, and read again where the stage goes on."""

    def sample(folder: Path) -> int:
        responses = sample_responses(
            recipe.process, stage, lm, prompts,
            sampling=recipe.sampling, generation_batch=recipe.generation_batch, seed=seed,
        )  # fmt: skip
        return write_jsonl(folder / RESPONSES, responses)

    stage.once("sampling", sample)
    return list(read_jsonl(stage.path / "sampling" / RESPONSES, SteppedResponse))


def _by_rule(response: SteppedResponse) -> StepLabels:
    correct = response.correct if response.finished else None
    return StepLabels(
        problem_id=response.problem_id,
        prompt=response.prompt,
        response=response.text,
        step_ends=response.step_ends,
        labels=tuple(rule_labels(response.text, response.step_ends, correct)),
    )


def _of_kind(record: StepLabels, kind: str) -> StepLabels:
    """Hard labels are 1 wherever there was a hit, also in files that keep the share alone."""
    if kind == "soft":
        return relabelled(record, "soft")
    labels = tuple(None if label is None else float(label > 0) for label in record.labels)
    return dataclasses.replace(record, labels=labels)


def _usable(stage: Stage, lm: LanguageModel, records: Sequence[StepLabels]) -> list[StepExample]:
    """Responses with a labelled step that fit the context; the others are counted."""
    reader = RewardModel(lm.model, lm.tokenizer)  # the same tokens
    examples: list[StepExample] = []
    dropped: Counter[str] = Counter()
    for record in records:
        if all(label is None for label in record.labels):
            dropped["no step is labelled"] += 1
            continue
        group = heads.token_group(reader, record.prompt, [record.response])
        (tokens,) = group.responses
        if len(group.prompt) + len(tokens) > lm.max_length:
            dropped["longer than context"] += 1
            continue
        ends = step_end_tokens(lm.tokenizer, tokens, record.step_ends, len(record.response))
        examples.append(StepExample(record=record, prompt=tuple(group.prompt), tokens=tuple(tokens), ends=tuple(ends)))
    stage.funnel("labels", unit="responses", num_in=len(records), num_out=len(examples), dropped=dropped)
    return examples


def _split(
    examples: Sequence[StepExample], heldout_share: float, seed: int
) -> tuple[list[StepExample], list[StepExample]]:
    """All responses to a prompt are on one side."""
    prompts = list(dict.fromkeys(e.record.prompt for e in examples))
    away = set(split(prompts, heldout_share, seed)[1])
    return (
        [e for e in examples if e.record.prompt not in away],
        [e for e in examples if e.record.prompt in away],
    )


def _require_labels(training: Sequence[StepExample]) -> None:
    labels = {label for e in training for label in e.record.labels if label is not None}
    if len(labels) < 2:
        only = f"all {next(iter(labels)):g}" if labels else "none at all"
        raise MathwrightError(
            f"the labels of the steps are {only}: there is nothing to tell apart",
            hint="look at the counts above; raise reward.num_problems, or choose problems the model solves sometimes",
        )


# --- training -------------------------------------------------------------------------------------


def _train(
    recipe: RewardRecipe,
    stage: Stage,
    reward_model: RewardModel,
    lm: LanguageModel,
    training: Sequence[StepExample],
    heldout: Sequence[StepExample],
    seed: int,
) -> None:
    size = recipe.process.batch_responses
    per_epoch = math.ceil(len(training) / size)

    def batches(step: int) -> list[StepBatch]:
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng((seed, epoch)).permutation(len(training))
        return pack_steps([training[i] for i in order[place * size : (place + 1) * size]], recipe.micro_batch_tokens)

    def loss(trained: LanguageModel, micro: StepBatch) -> tuple[Tensor, dict[str, float]]:
        return step_objective(recipe, trained, micro, lm)

    def evaluate(_: int) -> dict[str, float]:
        measured = [loss(reward_model, micro) for micro in pack_steps(heldout, recipe.micro_batch_tokens)]
        return {
            "heldout_loss": sum(value.item() for value, _ in measured),
            "heldout_accuracy": sum(stats["accuracy"] for _, stats in measured),
        }

    fit(
        reward_model,
        stage,
        Training(
            optimiser=recipe.optimiser,
            num_steps=per_epoch * recipe.num_epochs,
            batches=batches,
            loss=loss,
            checkpoint_every=recipe.checkpoint_every,
            evaluate=evaluate if heldout else None,
            description="training the process reward model",
        ),
    )


# --- measured -------------------------------------------------------------------------------------


def judged_records(
    reward_model: RewardModel, records: Sequence[StepLabels], *, micro_batch_tokens: int
) -> list[tuple[list[float], StepLabels]]:
    """The scores of the steps of each response, with its labels; those that do not fit the context are left out."""
    scores = step_scores(
        reward_model,
        [r.prompt for r in records],
        [r.response for r in records],
        [r.step_ends for r in records],
        [True] * len(records),
        micro_batch_tokens=micro_batch_tokens,
    )
    return [(said, record) for said, record in zip(scores, records, strict=True) if said is not None]


def _summary(
    recipe: RewardRecipe,
    stage: Stage,
    reward_model: RewardModel,
    training: Sequence[StepExample],
    heldout: Sequence[StepExample],
    responses: Sequence[SteppedResponse],
) -> dict[str, Any]:
    """Sizes, and on held-out problems: the first wrong step, AUC, best-of-N by each way of adding up steps."""
    labels = [label for e in training for label in e.record.labels if label is not None]
    evaluated = [m for m in stage.metrics() if m.get("kind") == "eval"]
    summary: dict[str, Any] = {
        "num_responses": len(training),
        "num_heldout_responses": len(heldout),
        "num_labels": len(labels),
        "right_share": sum(label > 0 for label in labels) / len(labels),
    }
    if not heldout:
        return summary
    size = recipe.micro_batch_tokens
    # the threshold is chosen on other problems: those of the training, as many as are held out
    chosen_on = _known(
        judged_records(reward_model, [e.record for e in training[: len(heldout)]], micro_batch_tokens=size)
    )
    held = judged_records(reward_model, [e.record for e in heldout], micro_batch_tokens=size)
    threshold = best_threshold(*chosen_on)
    found = first_error_f1(*_known(held), threshold)
    scores = [said for said, _ in held]
    summary |= {
        "heldout_loss_before": evaluated[0]["heldout_loss"],
        "heldout_loss_after": evaluated[-1]["heldout_loss"],
        "step_accuracy": evaluated[-1]["heldout_accuracy"],
        "step_auc": step_auc(scores, [r.labels for _, r in held]),
        "threshold": threshold,
        **{f"first_error_{name}": value for name, value in found._asdict().items()},
        "lowest_is_last": lowest_is_last(scores),
    }
    return summary | _best_of(recipe, reward_model, heldout, responses)


def _known(
    judged: Sequence[tuple[list[float], StepLabels]],
) -> tuple[list[list[float]], list[tuple[float | None, ...]]]:
    """Scores and labels of the responses of which the first wrong step is known."""
    kept = [(said, record.labels) for said, record in judged if known(record.labels)]
    return [said for said, _ in kept], [labels for _, labels in kept]


def _best_of(
    recipe: RewardRecipe,
    reward_model: RewardModel,
    heldout: Sequence[StepExample],
    responses: Sequence[SteppedResponse],
) -> dict[str, Any]:
    """Accuracy of the best of all responses to a held-out problem, by each aggregate of steps, beside that of one."""
    prompts = {e.record.prompt for e in heldout}
    asked = [r for r in responses if r.prompt in prompts and r.correct is not None]
    scores = step_scores(
        reward_model,
        [r.prompt for r in asked],
        [r.text for r in asked],
        [r.step_ends for r in asked],
        [r.finished for r in asked],
        micro_batch_tokens=recipe.micro_batch_tokens,
    )
    groups: dict[str, list[tuple[list[float], bool]]] = {}
    for response, said in zip(asked, scores, strict=True):
        if said is not None:
            groups.setdefault(response.prompt, []).append((said, bool(response.correct)))
    if not groups:
        return {}
    rows = list(groups.values())
    chances = {
        name: [best_of_k([add(said) for said, _ in row], [right for _, right in row], len(row)) for row in rows]
        for name, add in AGGREGATES.items()
    }
    return {
        "num_heldout_problems": len(rows),
        "one_response": sum(sum(right for _, right in row) / len(row) for row in rows) / len(rows),
        "best_of_n": {name: sum(values) / len(values) for name, values in chances.items()},
    }
