"""What a stage would do, without doing it (`--dry-run`): what it reads and writes, steps, tokens, memory."""

from __future__ import annotations

import functools
import math
import time
from dataclasses import dataclass

import numpy as np

from mathwright.lm.recipe import LoraRecipe, ModelRecipe, OptimiserRecipe, ScratchRecipe
from mathwright.lm.shapes import shape_of

BYTES_PER_TRAINED_PARAMETER = 16
"""bfloat16 weight 2, what its float32 copy has on top of it 2, AdamW moments 8, float32 gradient 4."""
BYTES_PER_FROZEN_PARAMETER = 2
"""bfloat16 weight of a reference or reward model."""
ACTIVATIONS_PER_TOKEN_AND_WIDTH = 34
"""Bytes of one layer's bfloat16 activations per token and unit of width (Korthikanti et al. 2022, eq. 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one stage would do."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    num_steps: int
    num_tokens: int
    memory_bytes: int | None
    """Estimated peak per GPU (or per machine for the corpus); None where the architecture is not known."""
    seconds: float | None = None
    """About how long it takes on GPUs of the class of an A100; None where the architecture is not known."""
    notes: tuple[str, ...] = ()


def num_parameters(shape: ScratchRecipe, *, tied: bool = False) -> int:
    """Parameters of a Llama-architecture model: embedding and output matrix, attention, gated FFN, RMS norms."""
    head = shape.width // shape.num_heads
    attention = 2 * shape.width * shape.width + 2 * shape.width * shape.num_kv_heads * head
    layer = attention + 3 * shape.width * shape.ffn_width + 2 * shape.width
    return (1 if tied else 2) * shape.vocab_size * shape.width + shape.num_layers * layer + shape.width


def training_bytes(
    model: ModelRecipe,
    *,
    num_gpus: int,
    micro_batch_tokens: int,
    frozen: int = 0,
    trained: int = 1,
    lora: LoraRecipe | None = None,
) -> int | None:
    """Peak bytes per GPU under full sharding with activation checkpointing; None for a model of unknown sizes.

    trained, frozen: how many whole models of that shape are trained, one at a time, and how many only read; with
    adapters (`lora`) the first is only read too, and is the reference at the same time.

    Sharded states + the stored input of each layer + one layer's activations, gathered weights and gradients.
    """
    shape, tied = shape_of(model)
    if shape is None:
        return None
    total = num_parameters(shape, tied=tied)
    states = total * (trained * BYTES_PER_TRAINED_PARAMETER + frozen * BYTES_PER_FROZEN_PARAMETER) // num_gpus
    if lora is not None:
        adapters = 7 * 2 * lora.rank * shape.width * shape.num_layers  # of each of a layer's matrices, two thin ones
        states = (total * BYTES_PER_FROZEN_PARAMETER + adapters * BYTES_PER_TRAINED_PARAMETER) // num_gpus
    stored = shape.num_layers * micro_batch_tokens * shape.width * 2
    live = ACTIVATIONS_PER_TOKEN_AND_WIDTH * micro_batch_tokens * shape.width
    gathered = 2 * 2 * (total // shape.num_layers)
    return states + stored + live + gathered


GPU_FLOPS = 1.2e14
"""Operations a second of training: two fifths of an A100's 312e12 in bfloat16."""
GPU_BYTES_PER_S = 1.0e12
"""Of weights read while responses are drawn: half of an A100's bandwidth."""


def training_seconds(
    model: ModelRecipe, *, num_gpus: int, trained: int, read: int = 0, generated: int = 0, generation_batch: int = 1
) -> float | None:
    """About how long a training takes on GPUs; None for a model of unknown sizes. A factor of two either way is usual.

    Args:
        trained, read: tokens that go forward and backward (6 operations a parameter), and forward alone (2).
        generated: tokens that are drawn, each reading all weights once for its whole batch.
        generation_batch: responses that are drawn at one time.
    """
    shape, tied = shape_of(model)
    if shape is None:
        return None
    total = num_parameters(shape, tied=tied)
    compute = (6 * trained + 2 * (read + generated)) * total / GPU_FLOPS
    reading = generated / generation_batch * total * BYTES_PER_FROZEN_PARAMETER / GPU_BYTES_PER_S
    return (compute + reading) / num_gpus


PROCESSOR_SHARE = 0.4
"""Of the rate of a matrix product that a whole training reaches on processors (docs/speed.md)."""


def seconds_on_processors(seconds: float) -> float:
    """About how long what takes a GPU so long (`training_seconds`) takes on the processors of this machine, which
    multiply two matrices for it."""
    return seconds * GPU_FLOPS / (PROCESSOR_SHARE * product_rate())


@functools.cache
def product_rate(size: int = 1024, num: int = 5) -> float:
    """Operations a second of a product of float32 matrices on all processors, the best of a few."""
    a, b = (np.ones((size, size), dtype=np.float32) for _ in range(2))
    best = math.inf
    for _ in range(num):
        began = time.perf_counter()
        np.matmul(a, b)
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def rates(optimiser: OptimiserRecipe, num_steps: int) -> str:
    """The learning rate of a training in words; num_steps is 0 where it is known only once the data is read."""

    def place(share: float) -> str:
        return f"step {round(share * num_steps):,}" if num_steps else f"{share:.0%} of the steps"

    drops = "".join(f", x{factor:g} from {place(share)}" for share, factor in optimiser.decay)
    return f"learning rate {optimiser.lr:g}, warm-up {optimiser.warmup_steps:,} steps{drops}"
