"""Checkpoints of a training: whole or not there, and exact to the bit, random states included."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mathwright.lm.load import LanguageModel
from mathwright.lm.optimise import Optimiser

KEPT = 2
"""Checkpoints kept: the newest, and the one before it should the newest be damaged."""


@dataclass(frozen=True, slots=True)
class Restored:
    """Where a training goes on."""

    step: int
    """Steps completed."""
    extra: dict[str, Any]


def save(
    folder: Path,
    *,
    lm: LanguageModel,
    optimiser: Optimiser | None,
    step: int,
    extra: Mapping[str, Any] | None = None,
    module: torch.nn.Module | None = None,
) -> Path:
    """Write the checkpoint of a training after `step` steps and remove older ones, the last two aside.

    Args:
        folder: where the checkpoints of this training lie.
        lm: the model.
        optimiser: its optimiser; None for a training that is over, of which only weights are needed.
        step: steps completed.
        extra: further state as plain values and tensors.
        module: what is trained, where it is more than lm.model (a model with a head).
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    partial = path.with_suffix(".partial")
    content = {
        "step": step,
        "weights": (module or lm.model).state_dict(),
        "optimiser": optimiser.state_dict() if optimiser is not None else None,
        "random": _random_states(),
        "extra": dict(extra or {}),
    }
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    for old in _checkpoints(folder)[:-KEPT]:
        old.unlink()
    return path


def latest(folder: Path) -> Path | None:
    """The newest checkpoint in a folder, if there is one."""
    found = _checkpoints(folder)
    return found[-1] if found else None


def oldest_step(folder: Path) -> int:
    """The step of the oldest checkpoint kept: what is older is not gone back to. 0 where there is none."""
    found = _checkpoints(folder)
    return int(found[0].stem.removeprefix("step-")) if found else 0


def restore(
    path: Path, *, lm: LanguageModel, optimiser: Optimiser | None, module: torch.nn.Module | None = None
) -> Restored:
    """Set model, optimiser and random states to what they were; returns the steps completed and the extra state."""
    content = torch.load(path, map_location=lm.device, weights_only=True)
    (module or lm.model).load_state_dict(content["weights"])
    if optimiser is not None and content["optimiser"] is not None:
        optimiser.load_state_dict(content["optimiser"])
    _set_random_states(content["random"])
    return Restored(content["step"], content["extra"])


def keep_only(path: Path) -> None:
    """Remove the other checkpoints beside this one."""
    for other in _checkpoints(path.parent):
        if other != path:
            other.unlink()


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.pt")) if folder.is_dir() else []


def _random_states() -> dict[str, Any]:
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        # as plain numbers, so that a checkpoint can be read without unpickling code
        "numpy": (str(name), [int(key) for key in keys], int(position), int(has_gauss), float(gauss)),
        "python": random.getstate(),
    }


def _set_random_states(states: Mapping[str, Any]) -> None:
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    name, keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal), gauss_next))
