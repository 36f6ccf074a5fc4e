"""Checkpoints that earlier versions wrote: step-00000010.pt by one process, step-00000010.ranks/ by several.

They hold one part, without a name. A file has whole tensors, so any number of processes can go on from it. A folder has
a file a process with its shards: it fits the number that wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm import parallel
from mathwright.lm.optimise import Optimiser


class EarlierCheckpoint:
    """One such checkpoint, its tensors under the names that they have today."""

    def __init__(self, path: Path, part: str, module: torch.nn.Module, optimiser: Optimiser | None) -> None:
        """Open it.

        Args:
            path: file or folder.
            part: today's name of what was trained.
            module: that part.
            optimiser: of that part, if it is to be restored.

        Raises MathwrightError for a folder that another number of processes wrote; ValueError where it is of another
        model.
        """
        self._is_whole = path.is_file()
        file = path if self._is_whole else _file_of_rank(path)
        content = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
        self._values = {name: content[name] for name in ("step", "extra", "random")}
        once = {name for name, _ in module.named_parameters()}
        second_names = {name for name, _ in module.named_parameters(remove_duplicate=False)} - once
        weights = {name: value for name, value in content["weights"].items() if name not in second_names}
        self._tensors: dict[str, Tensor] = {f"{part}/weights/{name}": value for name, value in weights.items()}
        if optimiser is not None:
            state = _state_by_name(content["optimiser"], optimiser)
            self._tensors |= {f"{part}/optimiser/{name}": value for name, value in state.items()}
        self.shapes = {name: value.shape for name, value in self._tensors.items()}

    def shape(self, tensor: Tensor) -> torch.Size:
        return tensor.shape if self._is_whole else parallel.local(tensor).shape

    def fill(self, state: dict[str, Tensor]) -> None:
        for name, tensor in state.items():
            if self._is_whole:
                parallel.copy_whole(tensor, self._tensors[name])
            else:
                parallel.local(tensor).detach().copy_(self._tensors[name])

    def values(self) -> dict[str, Any]:
        return self._values


def _file_of_rank(folder: Path) -> Path:
    world = parallel.world()
    file = folder / f"rank-{world.rank}-of-{world.size}.pt"
    if not file.is_file():
        num_written = len(list(folder.glob("rank-*.pt")))
        raise MathwrightError(
            f"{folder} was written by an earlier version in {num_written} processes, and this training has "
            f"{world.size}; checkpoints of that version fit their own number of processes alone",
            hint=f"run the command again with {num_written} processes (torchrun --nproc-per-node {num_written})",
        )
    return file


def _state_by_name(saved: Mapping[str, Any], optimiser: Optimiser) -> dict[str, Tensor]:
    """The state of an optimiser, which was a list in the order of its weights, by their names.

    Raises ValueError where it is not of these weights.
    """
    narrow = [name for name, is_narrow in optimiser.narrow.items() if is_narrow]
    if len(optimiser.narrow) != len(saved["adamw"]) or len(narrow) != len(saved["lower"]):
        raise ValueError(
            f"the state is of {len(saved['adamw'])} weights, {len(saved['lower'])} of them in bfloat16; "
            f"the module has {len(optimiser.narrow)} and {len(narrow)}"
        )
    state = {"num_updates": torch.tensor(saved["num_updates"])}
    for name, adamw in zip(optimiser.narrow, saved["adamw"], strict=True):
        state |= {f"{name}/{moment}": value for moment, value in adamw["state"].get(0, {}).items()}
    return state | {f"{name}/lower": lower for name, lower in zip(narrow, saved["lower"], strict=True)}
