"""Training over several processes: FSDP2 under torchrun, with the gradients of one process.

    torchrun --nproc-per-node 8 ...        every process runs the same program

Each process keeps a shard of every weight, of its gradient and of the optimiser's state. Every process makes the same
list of micro-batches and takes its share (`share_of_rank`). Losses are divided by what the whole step holds, so the
gradient is the sum over processes, not FSDP's mean, and the result that of one process up to the order of sums.

With one process every function here does nothing, or hands back what it is given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from mathwright.errors import MathwrightError
from mathwright.lm.model import LanguageModel, decoder_layers
from mathwright.lm.patches import replace_forward
from mathwright.lm.probe import findings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class World:
    """The processes that train together, and which of them this is."""

    rank: int = 0
    """Number of this process, from 0; that of rank 0 writes logs, metrics and models."""
    size: int = 1
    local_rank: int = 0
    """Its number on this machine, which is that of its GPU."""

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def device(self, asked: str | torch.device) -> torch.device:
        """Where this process computes: the device asked for, with several processes and cuda its own GPU."""
        device = torch.device(asked)
        return torch.device("cuda", self.local_rank) if self.size > 1 and device.type == "cuda" else device


@cache
def world() -> World:
    """The processes that torchrun has started, connected (NCCL where there are GPUs, gloo elsewhere); else just one.

    Raises MathwrightError where torchrun's variables contradict each other or there are fewer GPUs than processes.
    """
    if "WORLD_SIZE" not in os.environ:
        return World()
    try:
        rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    except (KeyError, ValueError) as error:
        raise MathwrightError(
            f"WORLD_SIZE is set, but RANK or LOCAL_RANK is missing or no number: {error}",
            hint="start several processes with torchrun, or unset WORLD_SIZE for one",
        ) from error
    if not 0 <= rank < size or local < 0:
        raise MathwrightError(f"process {rank} of {size} cannot be", hint="start several processes with torchrun")
    if size == 1:
        return World()
    on_gpu = torch.cuda.is_available()
    if on_gpu and local >= torch.cuda.device_count():
        raise MathwrightError(
            f"process {local} of this machine has no GPU: there are {torch.cuda.device_count()}",
            hint="start torchrun with --nproc-per-node no larger than that, or hide the GPUs: CUDA_VISIBLE_DEVICES=",
        )
    if on_gpu:
        torch.cuda.set_device(local)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if on_gpu else "gloo")
    return World(rank, size, local)


def shard(lm: LanguageModel, world: World) -> None:
    """Shard the weights over the processes, in place: each decoder layer by itself, what is left of the model together.

    Attach adapters before, make the optimiser after it.

    Args:
        lm: the model, on this process's device, with the same weights in every process.
        world: the processes.

    Raises MathwrightError where the model's layers cannot be told apart or it lies on another device than the process
    group serves; ValueError where it is sharded already.
    """
    if world.size == 1:
        return
    model: Any = lm.model
    if sharded(model):
        raise ValueError("the model is sharded already")
    findings(model)  # a few passes, which sharded weights could make only together
    if (lm.device.type == "cuda") != (dist.get_backend() == "nccl"):
        raise MathwrightError(
            f"the model is on {lm.device}, the processes are connected by {dist.get_backend()}",
            hint="with GPUs train on --device cuda; to train on processors hide them: CUDA_VISIBLE_DEVICES=",
        )
    shard_over(lm, dist.device_mesh.init_device_mesh(lm.device.type, (world.size,)))


def shard_over(lm: LanguageModel, mesh: DeviceMesh) -> None:
    """`shard` over a given mesh, of one process too: there FSDP does all it does, and nothing changes hands.

    Args:
        lm: the model, on a device of the mesh's kind.
        mesh: one-dimensional, its process group connected.
    """
    model: Any = lm.model
    # the sum over processes in float32, as the sum over micro-batches
    narrow = lm.dtype in (torch.bfloat16, torch.float16)
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float32 if narrow else None, cast_forward_inputs=False)
    for layer in decoder_layers(model):
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
    # Embedding, last norm and output layer stay whole from forward to backward: the log-probabilities read the output
    # layer's weight after the decoder has returned.
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=False)
    for module in _shards(model):
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)  # gloo multiplies nothing by the way, and NCCL need not
    _gather_with_decoder(model)


def _gather_with_decoder(model: Any) -> None:
    """Have a call of the decoder gather what the model around it holds.

    All of this package calls `model.base_model`, never the model, whose forward would make logits for every position.
    """
    decoder = model.base_model
    compute = decoder.forward
    model.is_gathered = False
    model.decode = lambda *args, **kwargs: compute(*args, **kwargs)
    register_fsdp_forward_method(model, "decode")

    def forward(*args: Any, **kwargs: Any) -> Any:
        if torch.is_inference_mode_enabled() and not model.is_gathered:
            # every pass would wait for the other processes, for ever where they run fewer
            raise RuntimeError("a sharded model generates within `parallel.unsharded(lm)` only")
        return model.decode(*args, **kwargs)

    replace_forward(decoder, forward)


def sharded(module: torch.nn.Module) -> bool:
    """Whether a module's weights are sharded over processes."""
    return isinstance(module, FSDPModule)


def _shards(module: torch.nn.Module) -> list[FSDPModule]:
    return [part for part in module.modules() if isinstance(part, FSDPModule)]


def reshard(module: torch.nn.Module) -> None:
    """Free what passes without a gradient have left gathered; nothing of a model that is not sharded.

    To be called before weights change (`Optimiser.step` does): a gathered copy would go on with the old ones.
    """
    for part in _shards(module):
        part.reshard()


@contextmanager
def unsharded(lm: LanguageModel) -> Iterator[None]:
    """Within it every process holds all weights, gathered once: passes need no other process until it ends.

    For generation, in which processes run different numbers of passes. Enter it on every process, and not within
    inference mode (`Generator.generate` is within it). Weights must not change inside.
    """
    parts = _shards(lm.model)
    for part in parts:
        part.unshard()
    if not parts or lm.model.is_gathered:
        yield
        return
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
    lm.model.is_gathered = True
    try:
        yield
    finally:
        lm.model.is_gathered = False
        for part in parts:
            part.set_reshard_after_forward(part is not lm.model, recurse=False)
        reshard(lm.model)


@contextmanager
def full_state(lm: LanguageModel) -> Iterator[dict[str, Tensor]]:
    """The whole state of a model by name, as `state_dict` has it in one process; valid within the context only.

    To be entered on every process.
    """
    names = list(lm.model.state_dict())  # this shards the weights again, where they were gathered
    with unsharded(lm):
        yield {name: attrgetter(name)(lm.model).detach() for name in names}


# --- sharing work ---------------------------------------------------------------------------------


def share_of_rank(items: Sequence[T], world: World) -> list[tuple[T, bool]]:
    """This process's share of what all processes have listed alike, equally long in each, and whether an item counts.

    Every pass through a sharded model takes part in exchanges between all processes, so all must run equally many of
    each kind. Where the items do not divide, some processes get the last item once more, which does not count: every
    pass that an item needs is to be run for it too, its loss multiplied by 0 and its measurements left out.
    """
    if world.size == 1:
        return [(item, True) for item in items]
    starts = range(0, len(items), world.size)
    places = [start + world.rank for start in starts]
    return [(items[min(place, len(items) - 1)], place < len(items)) for place in places]


def gather(items: Sequence[T], world: World) -> list[T]:
    """The items of all processes in every process: puts `every[world.rank :: world.size]` together to `every` again.

    Items are pickled; they must lie on the CPU.
    """
    if world.size == 1:
        return list(items)
    shares: list[Any] = [None] * world.size
    dist.all_gather_object(shares, list(items))
    longest = max(map(len, shares))
    return [share[i] for i in range(longest) for share in shares if i < len(share)]


def add_up(values: Mapping[str, float], world: World, device: torch.device) -> dict[str, float]:
    """The sum over processes of each of the values, whose names must be the same in all."""
    if world.size == 1:
        return dict(values)
    sums = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
    dist.all_reduce(sums)
    return dict(zip(values, sums.tolist(), strict=True))


def barrier(world: World) -> None:
    """Wait for all processes."""
    if world.size > 1:
        dist.barrier()


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor, sharing its memory; a tensor that is not sharded as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def sharded_as(weight: Tensor, local: Tensor) -> Tensor:
    """What this process holds of a tensor that is sharded as a weight is, as the whole tensor; shares its memory."""
    if not isinstance(weight, DTensor):
        return local
    return DTensor.from_local(
        local, weight.device_mesh, weight.placements, run_check=False, shape=weight.shape, stride=weight.stride()
    )


@torch.no_grad()
def copy_whole(target: Tensor, whole: Tensor) -> None:
    """Copy a whole tensor, which every process has, into one that may be sharded."""
    if isinstance(target, DTensor):
        whole = distribute_tensor(whole, target.device_mesh, target.placements, src_data_rank=None)
    local(target).copy_(local(whole))


def norm_over_processes(norm: Tensor, sharded_like: Tensor) -> Tensor:
    """The norm of all shards from that of this process's, the shards lying as those of a given weight do."""
    if not isinstance(sharded_like, DTensor):
        return norm
    squares = norm.double().square()
    dist.all_reduce(squares, group=sharded_like.device_mesh.get_group())
    return squares.sqrt()
