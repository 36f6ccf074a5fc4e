"""The training loop that pre-training, SFT, reward models and RL share."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint, parallel
from mathwright.lm.model import LanguageModel
from mathwright.lm.optimise import Optimiser
from mathwright.lm.parallel import World
from mathwright.lm.recipe import OptimiserRecipe
from mathwright.run import Stage

M = TypeVar("M")
CHECKPOINTS = "checkpoints"


def fit(
    lm: LanguageModel,
    *,
    stage: Stage,
    optimiser: OptimiserRecipe,
    num_steps: int,
    batches: Callable[[int], Sequence[M]],
    loss: Callable[[LanguageModel, M], tuple[Tensor, dict[str, float]]],
    checkpoint_every: int,
    evaluate: Callable[[int], dict[str, float]] | None = None,
    evaluate_every: int = 0,
    description: str,
    module: torch.nn.Module | None = None,
) -> None:
    """Train `num_steps` steps, or what is left of them after an interruption, with the same result to the bit on CPU.

    Each step logs a measurement of kind "train": loss, lr, grad_norm, seconds and the stats of `loss`; `evaluate`
    logs one of kind "eval" before the first step and after the last.

    Under torchrun (`lm.parallel`) all processes call this alike and share each step's micro-batches; the model is
    sharded then, and stays so.

    Args:
        lm: the model; trained in place, in evaluation mode on return.
        stage: holds checkpoints and measurements.
        optimiser: AdamW, clipping and schedule.
        num_steps: updates in all.
        batches: micro-batches of a step, a pure function of the step (from 0), so that resuming needs no data state.
        loss: contribution of one micro-batch to the loss of the step, and stats; both are summed over micro-batches.
        checkpoint_every: steps between checkpoints; 0 is none before the last step.
        evaluate: measures the model after so many steps.
        evaluate_every: steps between further evaluations; 0 is none.
        description: of the progress bar.
        module: what is trained and kept in checkpoints where it is more than lm.model (a model with a head).

    Raises MathwrightError, the guilty micro-batch saved, when loss or gradient is not finite; ValueError for a module
    beside the model under torchrun, which would not be sharded.
    """
    world = parallel.world()
    if module is not None and world.size > 1:
        raise ValueError("over several processes only lm.model is trained: make the head a part of it")
    if not parallel.sharded(lm.model):
        parallel.shard(lm, world)
    trained = module if module is not None else lm.model
    updater = Optimiser(trained, optimiser, num_steps=num_steps)
    folder = stage.path / CHECKPOINTS
    start = 0
    parallel.barrier(world)  # until rank 0 has made, or cleared, the stage's folder
    if (newest := checkpoint.latest(folder)) is not None:
        start = checkpoint.restore(newest, lm=lm, optimiser=updater, module=trained).step
        stage.say(f"{description}: going on behind step {start} of {num_steps}")
    for kind in ("train", "eval"):
        stage.rewind_metrics(start, kind)

    with stage.progress(description, total=num_steps) as advance:
        advance(start)
        for step in range(start, num_steps):
            if evaluate is not None and (step == 0 or (evaluate_every and step % evaluate_every == 0)):
                _evaluate(stage, trained, evaluate, step)
            _train_step(lm, trained, updater, stage, step, batches(step), loss, world)
            advance(1)
            if checkpoint_every and (step + 1) % checkpoint_every == 0 and step + 1 < num_steps:
                checkpoint.save(folder, lm=lm, optimiser=updater, step=step + 1, module=trained)
    trained.eval()
    if evaluate is not None:
        _evaluate(stage, trained, evaluate, num_steps)
    if start < num_steps:
        # The training is over: a stage killed after it does not train again, and one asked for more steps has it.
        checkpoint.keep_only(checkpoint.save(folder, lm=lm, optimiser=updater, step=num_steps, module=trained))


def _train_step(
    lm: LanguageModel,
    trained: torch.nn.Module,
    updater: Optimiser,
    stage: Stage,
    step: int,
    micro_batches: Sequence[M],
    loss: Callable[[LanguageModel, M], tuple[Tensor, dict[str, float]]],
    world: World,
) -> None:
    began = time.monotonic()
    trained.train()
    total, stats = 0.0, defaultdict(float)
    for micro_batch, counts in parallel.share_of_rank(micro_batches, world):
        value, values = loss(lm, micro_batch)
        if not math.isfinite(value.item()):
            raise not_finite(stage, step, "loss", micro_batch)
        (value if counts else 0 * value).backward()
        updater.accumulate()
        total += value.item() if counts else 0.0
        for name, number in values.items():
            stats[name] += number if counts else 0
    sums = parallel.add_up({"loss": total, **stats}, world, lm.device)
    lr = updater.lr
    norm = updater.step()
    if not math.isfinite(norm):
        raise not_finite(stage, step, "gradient", micro_batches)
    seconds = round(time.monotonic() - began, 4)
    stage.log(step, kind="train", lr=lr, grad_norm=norm, seconds=seconds, **sums)


def _evaluate(stage: Stage, trained: torch.nn.Module, evaluate: Callable[[int], dict[str, float]], step: int) -> None:
    trained.eval()
    with torch.no_grad():
        stage.log(step, kind="eval", **evaluate(step))


def not_finite(stage: Stage, step: int, what: str, batch: Any) -> MathwrightError:
    """The error of a loss or gradient that is not finite, its batch saved."""
    path = save_batch(stage, f"not-finite-step-{step}", batch)
    return MathwrightError(
        f"{stage.name}: the {what} of step {step} is not finite; its batch is in {path}",
        hint="lower the learning rate or clip_norm; runs in bfloat16 may need float32 weights",
    )


def save_batch(stage: Stage, name: str, batch: Any) -> Path:
    """Keep what stopped a run; of several processes each has its own file."""
    world = parallel.world()
    of_rank = f"-rank-{world.rank}" if world.size > 1 else ""
    path = stage.path / f"{name}{of_rank}.pt"
    torch.save(batch, path)
    return path
