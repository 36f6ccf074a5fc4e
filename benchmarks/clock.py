"""How a training step is timed, of ours and of another trainer, and what the other is told so that both do the same.

mathwright and transformers are imported by the side that needs them: neither environment has all of them.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

ADAM = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.0}
CLIP_NORM = 1.0


class Clock:
    """Looked at as each step ends, the warm-up's first."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._wall: list[float] = []
        self._cpu: list[float] = []
        self.peak_mb = 0.0
        """The most memory of the process as the last step ended."""

    def tick(self) -> None:
        synchronise(self._device)
        self._wall.append(time.perf_counter())
        self._cpu.append(time.process_time())
        self.peak_mb = peak_mb(self._device)

    def steps(self) -> dict[str, list[float]]:
        """Seconds of the steps behind the warm-up, and processor seconds of all threads."""
        return {
            "seconds": [later - earlier for earlier, later in pairwise(self._wall)],
            "cpu": [later - earlier for earlier, later in pairwise(self._cpu)],
        }


def synchronise(device: str) -> None:
    """Wait for what a GPU has still to do."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def peak_mb(device: str) -> float:
    """The most memory of the process so far; on a GPU that of its tensors there."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux


def clocked_stage(name: str, directory: str, clock: Clock) -> Any:
    """A stage of mathwright in a folder of `directory` that ticks as the measurements of a step are written, the last
    thing a step does."""
    from mathwright.run import Stage

    class ClockedStage(Stage):
        def log(self, step: int, **values: float | int | str | None) -> None:
            super().log(step, **values)
            if values.get("kind") == "train":
                clock.tick()

    stage = ClockedStage(name, Path(directory) / name, fingerprint="benchmark")
    stage.path.mkdir()
    return stage


def ticking(clock: Clock) -> Any:
    """A callback of transformers' trainers that ticks as each step ends."""
    from transformers import TrainerCallback

    class Ticking(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.tick()

    return Ticking()


def trainer_settings(job: Mapping[str, Any], directory: str, *, lr: float) -> dict[str, Any]:
    """What transformers' trainers are told for the optimiser of ours, and to write and log nothing on the way."""
    return {
        "output_dir": directory,
        "learning_rate": lr,
        "lr_scheduler_type": "constant",
        "adam_beta1": ADAM["beta1"],
        "adam_beta2": ADAM["beta2"],
        "adam_epsilon": ADAM["eps"],
        "weight_decay": ADAM["weight_decay"],
        "max_grad_norm": CLIP_NORM,
        "max_steps": 1 + job["steps"],
        "save_strategy": "no",
        "report_to": "none",
        "logging_steps": 1,
        "disable_tqdm": True,
    }
