"""The training loop that pre-training, SFT, reward models and RL share."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint, parallel
from mathwright.lm.model import LanguageModel
from mathwright.lm.optimise import Optimiser
from mathwright.lm.recipe import OptimiserRecipe
from mathwright.run import Stage

M = TypeVar("M")
CHECKPOINTS = "checkpoints"
PART = "model"
"""What is trained, by its name in the checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training(Generic[M]):
    """What a training does, with micro-batches of type M."""

    optimiser: OptimiserRecipe
    """AdamW, clipping and schedule."""
    num_steps: int
    """Updates in all."""
    batches: Callable[[int], Sequence[M]]
    """Micro-batches of a step, a pure function of the step (from 0), so that resuming needs no data state."""
    loss: Callable[[LanguageModel, M], tuple[Tensor, dict[str, float]]]
    """What a micro-batch adds to the loss of its step, and stats; both are summed over micro-batches."""
    checkpoint_every: int
    """Steps between checkpoints; 0 is none before the last step."""
    evaluate: Callable[[int], dict[str, float]] | None = None
    """Measures the model after so many steps."""
    evaluate_every: int = 0
    """Steps between evaluations, in addition to those before the first step and after the last; 0 is none."""
    stop: Callable[[int], bool] | None = None
    """Whether the evaluation after so many steps ends the training; the same in all processes."""
    description: str
    """Of the progress bar."""


def fit(lm: LanguageModel, stage: Stage, training: Training[Any]) -> int:
    """Train all steps, or what is left of them after an interruption, with the same result to the bit on CPU.

    Returns how many steps the training has had: `training.num_steps` where `training.stop` did not end it before.

    Each step logs a measurement of kind "train": loss, lr, grad_norm, seconds and the stats of the loss; `evaluate`
    logs one of kind "eval".

    Under torchrun (`lm.parallel`) all processes call this alike and share each step's micro-batches; the model is
    sharded then, and stays so.

    Args:
        lm: the model; trained in place, in evaluation mode on return.
        stage: holds checkpoints and measurements.
        training: what to do.

    Raises MathwrightError when loss or gradient is not finite; the micro-batch at fault is saved.
    """
    world = parallel.world()
    if not parallel.sharded(lm.model):
        parallel.shard(lm, world)
    return _Fit(lm, stage, training, Optimiser(lm.model, training.optimiser, num_steps=training.num_steps)).complete()


@dataclass(frozen=True, slots=True)
class _Fit:
    """A training in progress."""

    lm: LanguageModel
    stage: Stage
    training: Training[Any]
    optimiser: Optimiser

    def complete(self) -> int:
        """Train from the last checkpoint, or from the beginning, to the last step; returns that step."""
        stage, training = self.stage, self.training
        every, num_steps = training.evaluate_every, training.num_steps
        start, ended = self._resume(), False
        due = checkpoint.Due(training.checkpoint_every)
        with stage.progress(training.description, total=num_steps) as advance:
            advance(start)
            for step in range(start, num_steps):
                if step == 0 or (every and step % every == 0):
                    self._evaluate(step)
                    ended = training.stop is not None and training.stop(step)
                if ended:
                    num_steps = step
                    break
                self._step(step, training.batches(step))
                advance(1)
                done = step + 1
                if due.now(done) and done < num_steps:
                    with due.saving():
                        self._save(done)
        self.lm.model.eval()
        if not ended:
            self._evaluate(num_steps)
        if start < num_steps:
            # The training is over: a stage killed now does not train again, and one asked for more steps has it.
            checkpoint.keep_only(self._save(num_steps))
        return num_steps

    def _resume(self) -> int:
        """Steps completed, of which the newest checkpoint is restored."""
        start = 0
        parallel.barrier(parallel.world())  # until rank 0 has made, or cleared, the stage's folder
        if (newest := checkpoint.latest(self.stage.path / CHECKPOINTS)) is not None:
            start = checkpoint.restore(newest, parts={PART: self.lm.model}, optimisers={PART: self.optimiser}).step
            self.stage.say(f"{self.training.description}: resuming after step {start} of {self.training.num_steps}")
        elif self.stage.metrics():
            self.stage.say(f"{self.training.description}: {checkpoint.BEGINS_AGAIN}")
        for kind in ("train", "eval"):
            self.stage.rewind_metrics(start, kind)
        return start

    def _save(self, step: int) -> Path:
        return checkpoint.save(
            self.stage.path / CHECKPOINTS,
            parts={PART: self.lm.model},
            optimisers={PART: self.optimiser},
            step=step,
        )

    def _step(self, step: int, micro_batches: Sequence[Any]) -> None:
        world = parallel.world()
        began = time.monotonic()
        self.lm.model.train()
        total, stats = 0.0, defaultdict(float)
        for micro_batch, counts in parallel.share_of_rank(micro_batches, world):
            value, values = self.training.loss(self.lm, micro_batch)
            if not math.isfinite(value.item()):
                raise not_finite(self.stage, step, "loss", micro_batch)
            (value if counts else 0 * value).backward()
            self.optimiser.accumulate()
            total += value.item() if counts else 0.0
            for name, number in values.items():
                stats[name] += number if counts else 0
        sums = parallel.add_up({"loss": total, **stats}, world, self.lm.device)
        lr = self.optimiser.lr
        norm = self.optimiser.step()
        if not math.isfinite(norm):
            raise not_finite(self.stage, step, "gradient", micro_batches)
        seconds = round(time.monotonic() - began, 4)
        self.stage.log(step, kind="train", lr=lr, grad_norm=norm, seconds=seconds, **sums)

    def _evaluate(self, step: int) -> None:
        if self.training.evaluate is not None:
            self.lm.model.eval()
            with torch.no_grad():
                self.stage.log(step, kind="eval", **self.training.evaluate(step))


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
