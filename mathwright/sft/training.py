"""Supervised fine-tuning on worked solutions (§3): random concatenation into rows, the model's own words trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint, lora
from mathwright.lm.ending import stop_at
from mathwright.lm.load import load
from mathwright.lm.loop import CHECKPOINTS, Training, fit
from mathwright.lm.losses import next_token_loss_sum
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import Example, PackedRows, pack_examples
from mathwright.lm.save import save
from mathwright.problems.own_template import keep_template
from mathwright.problems.turns import turn
from mathwright.records import Problem, Solution
from mathwright.run import Stage
from mathwright.sft.examples import build_examples
from mathwright.sft.heldout import BEST_ADAPTER, Heldout, best_model, split_heldout
from mathwright.sft.recipe import SFTRecipe, check

LONGEST_BARE = 40
"""Characters of an answer that is no solution."""


def run(
    recipe: SFTRecipe,
    stage: Stage,
    *,
    model: str | Path,
    problems: Sequence[Problem],
    solutions: Sequence[Solution],
    template: str,
    dtype: str,
    seed: int,
    device: str = "cpu",
) -> None:
    """Fine-tune `model` on the solutions; the loss is the mean over the trained tokens of a batch.

    The paper gives neither loss masking nor attention across examples: here the prompt and the output of programs are
    not trained on, and examples that share a row do not see each other.

    Raises MathwrightError, before the model is loaded or the first step, where there is nothing to train on.
    """
    check(recipe)
    solved = {solution.problem_id for solution in solutions}
    if without := sum(problem.id not in solved for problem in problems):
        stage.say(f"{without:,} of {len(problems):,} problems have no solution to train on")
    if not solutions:
        raise MathwrightError(
            "there are no solutions to train on",
            hint="rows of your own need a response that is not empty; of problem sources, raise num_train",
        )
    lm = load(str(model), dtype=dtype, device=device)
    _warn_of_bare_answers(stage, solutions)
    stop_at(lm, turn(template, lm.tokenizer).end)
    heldout = None
    if recipe.heldout:
        solutions, aside, ids = split_heldout(solutions, recipe.heldout, seed)
        heldout = _heldout(recipe, stage, lm, problems, aside, ids, template=template, start=model)
    examples = build_examples(recipe, stage, lm, problems, solutions, template=template, seed=seed)
    if recipe.num_epochs is not None:
        num_steps = steps_of([len(e.tokens) for e in examples], recipe, seed=seed)
        passes = f"{recipe.num_epochs:g} pass{'' if recipe.num_epochs == 1 else 'es'}"
        stage.say(f"{passes} over {len(examples):,} examples: {num_steps:,} steps")
        recipe = replace(recipe, num_steps=num_steps)
    if recipe.lora is not None:
        lora.attach(lm, recipe.lora, seed=seed)
    rows = plan_rows([len(e.tokens) for e in examples], recipe.context, recipe.num_steps * recipe.batch_rows, seed=seed)
    num_steps = _train(recipe, stage, lm, examples, rows, heldout)
    rows = rows[: num_steps * recipe.batch_rows]
    outputs = _save(recipe, stage, lm, template, start=model)
    checkpoint.leave(stage.path / CHECKPOINTS, recipe.optimiser, recipe.checkpoint_every)
    stage.finish(
        outputs=outputs,
        summary={
            "num_examples": len(examples),
            "num_steps": num_steps,
            "epochs": sum(len(row) for row in rows) / len(examples),
            "mean_tokens": sum(len(e.tokens) for e in examples) / len(examples),
            **_losses(stage),
        },
    )


def _warn_of_bare_answers(stage: Stage, solutions: Sequence[Solution]) -> None:
    """Rows of one's own whose response is the answer alone: mostly a column of working that was not named."""
    bare = [
        s for s in solutions if [p.kind for p in s.parts] == ["raw"] and s.parts[0].text.strip() == s.answer.strip()
    ]
    if 2 * len(bare) > len(solutions) and all(len(s.answer) <= LONGEST_BARE for s in bare):
        stage.warn(
            f"{len(bare):,} of {len(solutions):,} solutions are a bare answer, such as {bare[0].answer!r}: if the "
            "working is in another column, name it with --field solution=NAME"
        )


def _losses(stage: Stage) -> dict[str, float]:
    """How the loss went, said and for the summary: on the held-out examples, or on those of the first and last step."""
    metrics = stage.metrics()
    for kind, name, what in (("eval", "heldout_loss", "held-out loss"), ("train", "loss", "loss of a step's examples")):
        values = [m[name] for m in metrics if m["kind"] == kind and name in m]
        if len(values) > 1:
            stage.say(f"{what}: {values[0]:.3f} nats a token before, {values[-1]:.3f} after")
            return {f"{name}_before": values[0], f"{name}_after": values[-1]}
    return {}


def _train(
    recipe: SFTRecipe,
    stage: Stage,
    lm: LanguageModel,
    examples: Sequence[Example],
    rows: Sequence[Sequence[int]],
    heldout: Heldout | None,
) -> int:
    """Train `lm` on rows of examples; returns the steps that were made: fewer than planned where patience ended it."""

    def batches(step: int) -> list[tuple[PackedRows, int]]:
        chosen = rows[step * recipe.batch_rows : (step + 1) * recipe.batch_rows]
        num_trained = sum(sum(examples[i].trained) for row in chosen for i in row)
        packed = (pack_examples([examples[i] for i in row], recipe.context, None) for row in chosen)
        return [(one, num_trained) for ones in packed for one in ones]

    def loss(lm: LanguageModel, batch: tuple[PackedRows, int]) -> tuple[torch.Tensor, dict[str, float]]:
        rows, num_trained = batch
        return next_token_loss_sum(lm, rows)[0] / num_trained, {}

    num_steps = fit(
        lm,
        stage,
        Training(
            optimiser=recipe.optimiser,
            num_steps=recipe.num_steps,
            batches=batches,
            loss=loss,
            checkpoint_every=recipe.checkpoint_every,
            evaluate=heldout.measure if heldout is not None else None,
            evaluate_every=recipe.evaluate_every or 0,
            stop=heldout.has_stalled if heldout is not None else None,
            description="fine-tuning",
        ),
    )
    if num_steps < recipe.num_steps:
        stage.say(
            f"ended after step {num_steps} of {recipe.num_steps}: {recipe.patience} measurements of the held-out "
            f"{recipe.choose} in a row were no better than the best (sft.patience)"
        )
    return num_steps


def _save(recipe: SFTRecipe, stage: Stage, lm: LanguageModel, template: str, *, start: str | Path) -> dict[str, Path]:
    """Write the model, the best one where it is chosen by a measurement, and its adapters by themselves."""
    outputs = {"model": stage.path / "model"}
    save(lm, outputs["model"])
    if recipe.lora is not None:
        outputs["adapter"] = stage.path / "adapter"
        lora.save_adapter(lm, outputs["adapter"], recipe.lora, base=start)
    if recipe.choose is not None:
        outputs["last"] = outputs["model"]
        outputs["model"], step = best_model(stage)
        if recipe.lora is not None:
            outputs["last_adapter"], outputs["adapter"] = outputs["adapter"], stage.path / BEST_ADAPTER
        stage.say(f"the model of step {step} has the best held-out {recipe.choose}")
    if stage.writes:
        for name in ("model", "last"):
            if name in outputs:
                keep_template(outputs[name], template, lm.tokenizer, recipe.formats[0])
    return outputs


def _heldout(
    recipe: SFTRecipe,
    stage: Stage,
    lm: LanguageModel,
    problems: Sequence[Problem],
    solutions: Sequence[Solution],
    ids: Sequence[str],
    *,
    template: str,
    start: str | Path,
) -> Heldout:
    everything = replace(recipe, num_examples=0)
    examples = build_examples(
        everything, stage, lm, problems, solutions, template=template, seed=0, step="held-out examples"
    )
    asked = [problem for problem in problems if problem.id in set(ids)]
    return Heldout(recipe, stage, lm, examples, asked, template, start=start)


def steps_of(lengths: Sequence[int], recipe: SFTRecipe, *, seed: int) -> int:
    """Optimiser steps of `recipe.num_epochs` passes over examples of these lengths, the last one not full perhaps."""
    assert recipe.num_epochs is not None
    rows = plan_rows(lengths, recipe.context, len(lengths), seed=seed)  # a row has an example at least
    filled = [sum(len(row) for row in rows[:number]) for number in range(1, len(rows) + 1)]
    in_one_pass = 1 + next(number for number, examples in enumerate(filled) if examples >= len(lengths))
    return max(1, math.ceil(recipe.num_epochs * in_one_pass / recipe.batch_rows))


def plan_rows(lengths: Sequence[int], context: int, num_rows: int, *, seed: int) -> list[list[int]]:
    """Which examples share each row: random order, concatenated while they fit (§3.2, "randomly concatenated").

    Every example comes once before any comes again. Returns `num_rows` lists of indices into `lengths`.
    """
    rows: list[list[int]] = []
    epoch = 0
    while len(rows) < num_rows:
        row: list[int] = []
        used = 0
        for index in np.random.default_rng((seed, epoch)).permutation(len(lengths)):
            if row and used + lengths[index] > context:
                rows.append(row)
                row, used = [], 0
            row.append(int(index))
            used += lengths[index]
        rows.append(row)
        epoch += 1
    return rows[:num_rows]
