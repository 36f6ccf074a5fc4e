"""Checkpoints of a training: whole or not there, and exact to the bit, random states included.

A checkpoint is a folder, step-00000010, that gets its name when everything is written; all processes must see it. Its
tensors are kept by torch.distributed.checkpoint, each process writing its shards, and read by any number of processes:

    step-00000010/.metadata       which tensors there are, and where
                  __0_0.distcp    those of process 0, or its shards of them
                  rank-0.pt       step, random states and further values of process 0

Weights that are not trained are left out: they are those of the model the training starts from.
"""

from __future__ import annotations

import random
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from mathwright.files import atomic
from mathwright.lm import parallel
from mathwright.lm.earlier_checkpoint import EarlierCheckpoint
from mathwright.lm.optimise import Optimiser
from mathwright.lm.recipe import OptimiserRecipe

KEPT = 2
"""Checkpoints kept: the newest, and the one before it should the newest be damaged."""
SAVE_S, SAVE_SHARE = 300.0, 0.05
"""A training of one process is at most so many seconds behind its last checkpoint, or a step where one takes longer;
more where saving would take a larger share of the time than this."""
BEGINS_AGAIN = "it was stopped before its first checkpoint (`checkpoint_every`), and begins again"
"""Said of a training that has measurements but no checkpoint."""


@dataclass(frozen=True, slots=True)
class Restored:
    """Where a training resumes."""

    step: int
    """Steps completed."""
    extra: dict[str, Any]


class Due:
    """When a training is to be saved: every so many steps, and by the clock where it is one process.

    Several processes would have to agree on the time, and what they train takes long to write.
    """

    def __init__(self, every: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """every: steps; 0 is never."""
        self._every, self._clock = every, clock
        self._last, self._pause = clock(), SAVE_S
        self._alone = parallel.world().size == 1

    def now(self, done: int) -> bool:
        """Whether it is to be saved after `done` steps."""
        if not self._every:
            return False
        return done % self._every == 0 or (self._alone and self._clock() - self._last >= self._pause)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around the saving."""
        began = self._clock()
        yield
        self._last = self._clock()
        self._pause = max(SAVE_S, (self._last - began) / SAVE_SHARE)


def save(
    folder: Path,
    *,
    parts: Mapping[str, torch.nn.Module],
    optimisers: Mapping[str, Optimiser],
    step: int,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write the checkpoint of a training after `step` steps; of the older ones only the last is kept.

    To be called by all processes of a training.

    Args:
        folder: where the checkpoints of this training lie.
        parts: what is trained, by name: {"model": lm.model}, {"policy": ..., "critic": ...}.
        optimisers: of the parts, by the same names.
        step: steps completed.
        extra: further state as plain values and tensors.
    """
    world = parallel.world()
    path = folder / f"step-{step:08d}"
    partial = path.with_suffix(".partial")
    if world.is_main:
        _remove(partial)
        partial.mkdir(parents=True)
    parallel.barrier(world)
    state = _weights(parts)
    for part, optimiser in optimisers.items():
        state |= {_of_optimiser(part, name): value for name, value in optimiser.state_dict().items()}
    with _one_process_is_meant():
        state_dict_saver.save(state, checkpoint_id=partial, no_dist=world.size == 1)
    values = {"step": step, "extra": dict(extra or {}), "random": _random_states()}
    _write(values, partial / f"rank-{world.rank}.pt")
    parallel.barrier(world)
    if world.is_main:
        _remove(path)
        partial.replace(path)
        for old in _checkpoints(folder)[:-KEPT]:
            _remove(old)
    parallel.barrier(world)
    return path


def restore(
    path: Path, *, parts: Mapping[str, torch.nn.Module], optimisers: Mapping[str, Optimiser] | None = None
) -> Restored:
    """Set what is trained, its optimisers and the random states to what they were, in all processes of a training.

    With the number of processes that wrote the checkpoint everything is as it was to the bit. With another one the
    weights and optimisers are; a process that had no forerunner takes over the random states of another.

    Args:
        path: a checkpoint, of `latest`.
        parts: what to restore, by the names it was saved under.
        optimisers: of the parts, by the same names; None restores the weights alone.

    Raises ValueError where the checkpoint is of another model, MathwrightError where it was written by an earlier
    version in several processes, and this training has another number of them.
    """
    saved = _open(path, parts, optimisers or {})
    state = _weights(parts)
    found = {name for name in saved.shapes if name.startswith(tuple(f"{part}/weights/" for part in parts))}
    differ = sorted(n for n in found | state.keys() if n not in state or saved.shapes.get(n) != saved.shape(state[n]))
    if differ:
        raise ValueError(f"{path} is not of this model: {differ[0]} differs, and {len(differ) - 1} other weights")
    for part, optimiser in (optimisers or {}).items():
        prefix = _of_optimiser(part, "")
        names = [name.removeprefix(prefix) for name in saved.shapes if name.startswith(prefix)]
        state |= {prefix + name: value for name, value in optimiser.state_to_fill(names).items()}
    saved.fill(state)
    values = saved.values()
    _set_random_states(values["random"])
    return Restored(values["step"], values["extra"])


class _Saved(Protocol):
    """What `restore` reads from."""

    @property
    def shapes(self) -> Mapping[str, torch.Size]:
        """Of the tensors, by name."""
        ...

    def shape(self, tensor: Tensor) -> torch.Size:
        """The shape in `shapes` of what fits a tensor of the training."""
        ...

    def fill(self, state: dict[str, Tensor]) -> None:
        """Copy the tensors of these names into the given ones."""
        ...

    def values(self) -> dict[str, Any]:
        """Step, random states and extra state of this process."""
        ...


def _open(path: Path, parts: Mapping[str, torch.nn.Module], optimisers: Mapping[str, Optimiser]) -> _Saved:
    if not path.suffix:
        return _Checkpoint(path)
    if len(parts) != 1:
        raise ValueError(f"{path} is of an earlier version, which trained one part, not {', '.join(parts)}")
    ((part, module),) = parts.items()
    return EarlierCheckpoint(path, part, module, optimisers.get(part))


class _Checkpoint:
    """A checkpoint that `save` wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        kept = FileSystemReader(path).read_metadata().state_dict_metadata
        self.shapes = {name: item.size for name, item in kept.items() if isinstance(item, TensorStorageMetadata)}

    def shape(self, tensor: Tensor) -> torch.Size:
        return tensor.shape

    def fill(self, state: dict[str, Tensor]) -> None:
        with _one_process_is_meant():
            state_dict_loader.load(state, checkpoint_id=self.path, no_dist=parallel.world().size == 1)

    def values(self) -> dict[str, Any]:
        num_ranks = len(list(self.path.glob("rank-*.pt")))
        return torch.load(self.path / f"rank-{parallel.world().rank % num_ranks}.pt", weights_only=True)


def _weights(parts: Mapping[str, torch.nn.Module]) -> dict[str, Tensor]:
    """What a training changes of the state of its modules, sharing their memory; a weight of two names once."""
    weights: dict[str, Tensor] = {}
    for part, module in parts.items():
        state = module.state_dict()
        trained = {name for name, p in module.named_parameters() if p.requires_grad}
        others = {name for name, _ in module.named_parameters(remove_duplicate=False)} - trained
        weights |= {f"{part}/weights/{name}": value for name, value in state.items() if name not in others}
    return weights


def _of_optimiser(part: str, name: str) -> str:
    return f"{part}/optimiser/{name}"


@contextmanager
def _one_process_is_meant() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled, unavailable or uninitialized")
        yield


def _write(content: dict[str, Any], path: Path) -> None:
    with atomic(path) as partial, partial.open("wb") as file:
        torch.save(content, file)


def latest(folder: Path) -> Path | None:
    """The newest checkpoint in a folder, if there is one."""
    found = _checkpoints(folder)
    return found[-1] if found else None


def oldest_step(folder: Path) -> int:
    """The step of the oldest checkpoint kept: what is older is not gone back to. 0 where there is none."""
    found = _checkpoints(folder)
    return int(found[0].stem.removeprefix("step-")) if found else 0


def keep_only(path: Path) -> None:
    """Remove the other checkpoints of the same folder."""
    if parallel.world().is_main:
        for other in _checkpoints(path.parent):
            if other != path:
                _remove(other)


def leave(folder: Path, optimiser: OptimiserRecipe, checkpoint_every: int) -> None:
    """Leave what more steps of a training that is over would need: its last checkpoint, where they would be the same
    training as if they had been asked for at once (`learning_rate`). Else none, as where the recipe wants none."""
    newest = latest(folder)
    if newest is not None and not optimiser.decay and checkpoint_every:
        keep_only(newest)
    elif parallel.world().is_main:
        shutil.rmtree(folder, ignore_errors=True)


def _checkpoints(folder: Path) -> list[Path]:
    """Oldest first; those of earlier versions have a suffix."""
    return sorted(path for path in folder.glob("step-*") if path.suffix in ("", ".pt", ".ranks"))


def _remove(path: Path) -> None:
    """Remove a checkpoint, a part of one, or nothing."""
    if path.is_dir():
        if path.suffix not in (".partial", ".removed"):
            # not in place: a folder half removed would pass for a checkpoint
            _remove(removed := path.with_suffix(".removed"))
            path = path.replace(removed)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _random_states() -> dict[str, Any]:
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        # as plain numbers, so that they can be read without unpickling code
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
