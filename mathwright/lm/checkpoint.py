"""Checkpoints of a training: whole or not there, and exact to the bit, random states included.

One process writes a file, step-00000010.pt. Of several each writes its own shards into a folder that gets its name,
step-00000010.ranks, when all are written; the folder must be one that all processes see. Weights that are not trained
are left out: they are those of the model the training starts from.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.files import atomic
from mathwright.lm import parallel
from mathwright.lm.load import LanguageModel
from mathwright.lm.optimise import Optimiser
from mathwright.lm.parallel import World
from mathwright.lm.recipe import OptimiserRecipe

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
    optimiser: Optimiser,
    step: int,
    extra: Mapping[str, Any] | None = None,
    module: torch.nn.Module | None = None,
) -> Path:
    """Write the checkpoint of a training after `step` steps and remove older ones, the last two aside.

    To be called by all processes of a training.

    Args:
        folder: where the checkpoints of this training lie.
        lm: the model.
        optimiser: its optimiser.
        step: steps completed.
        extra: further state as plain values and tensors.
        module: what is trained, where it is more than lm.model (a model with a head).
    """
    world = parallel.world()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}{'.pt' if world.size == 1 else '.ranks'}"
    content = {
        "step": step,
        "weights": _weights(module or lm.model),
        "optimiser": optimiser.state_dict(),
        "random": _random_states(),
        "extra": dict(extra or {}),
    }
    if world.size == 1:
        _write(content, path)
    else:
        _write_ranks(content, path, world)
    if world.is_main:
        for old in _checkpoints(folder)[:-KEPT]:
            _remove(old)
    return path


def _write(content: dict[str, Any], path: Path) -> None:
    with atomic(path) as partial, partial.open("wb") as file:
        torch.save(content, file)


def _write_ranks(content: dict[str, Any], path: Path, world: World) -> None:
    """The shards of all processes, in a folder that bears its name once it is whole."""
    partial = path.with_suffix(".ranks-partial")
    if world.is_main:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    parallel.barrier(world)
    _write(content, partial / f"rank-{world.rank}-of-{world.size}.pt")
    parallel.barrier(world)
    if world.is_main:
        shutil.rmtree(path, ignore_errors=True)
        partial.replace(path)
    parallel.barrier(world)


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
    """Set model, optimiser and random states to what they were; returns the steps completed and the extra state.

    Raises MathwrightError where the checkpoint was written by another number of processes; ValueError where it is of
    another model.
    """
    content = torch.load(_file(path, parallel.world()), map_location=lm.device, weights_only=True)
    own, saved = _weights(module or lm.model), content["weights"]
    shapes = [{name: value.shape for name, value in weights.items()} for weights in (own, saved)]
    if shapes[0] != shapes[1]:
        names = sorted(name for name in {**own, **saved} if shapes[0].get(name) != shapes[1].get(name))
        raise ValueError(f"{path} is not of this model: {names[0]} differs, and {len(names) - 1} other weights")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(saved[name])
    if optimiser is not None:
        optimiser.load_state_dict(content["optimiser"])
    _set_random_states(content["random"])
    return Restored(content["step"], content["extra"])


def _file(path: Path, world: World) -> Path:
    """The file of this process."""
    own = path if path.is_file() else path / f"rank-{world.rank}-of-{world.size}.pt"
    if path.is_file() != (world.size == 1) or not own.is_file():
        written = 1 if path.is_file() else len(list(path.glob("rank-*.pt")))
        raise MathwrightError(
            f"{path} was written by {written} process{'es' if written > 1 else ''}, this training has {world.size}",
            hint=f"go on with {written}, or remove the checkpoints to begin anew",
        )
    return own


def _weights(module: torch.nn.Module) -> dict[str, Tensor]:
    """What a training changes of a module's state (this process's shards of it), sharing its memory."""
    frozen = {name for name, p in module.named_parameters(remove_duplicate=False) if not p.requires_grad}
    return {name: parallel.local(value) for name, value in module.state_dict().items() if name not in frozen}


def keep_only(path: Path) -> None:
    """Remove the other checkpoints beside this one."""
    if parallel.world().is_main:
        for other in _checkpoints(path.parent):
            if other != path:
                _remove(other)


def leave(folder: Path, optimiser: OptimiserRecipe, checkpoint_every: int) -> None:
    """Leave behind of a training that is over what more steps of it need: its last checkpoint, where they would be the
    same training as if they had been asked for at once (`learning_rate`). Else none, as where the recipe wants none."""
    newest = latest(folder)
    if newest is not None and not optimiser.decay and checkpoint_every:
        keep_only(newest)
    elif parallel.world().is_main:
        shutil.rmtree(folder, ignore_errors=True)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.suffix in (".pt", ".ranks"))


def _remove(checkpoint: Path) -> None:
    if checkpoint.is_dir():
        # not in place: a folder half removed would pass for a checkpoint
        checkpoint = checkpoint.replace(checkpoint.with_suffix(".ranks-partial"))
        shutil.rmtree(checkpoint)
    else:
        checkpoint.unlink()


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
