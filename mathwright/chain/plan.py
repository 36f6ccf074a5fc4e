"""What a stage would do, without doing it (`--dry-run`): what it reads and writes, steps, tokens, memory."""

from __future__ import annotations

from dataclasses import dataclass

from mathwright.lm.recipe import OptimiserRecipe, ScratchRecipe

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
    """Estimated peak per GPU (or per machine for the corpus); None where the architecture is not in the recipe."""
    notes: tuple[str, ...] = ()


def num_parameters(shape: ScratchRecipe, *, tied: bool = False) -> int:
    """Parameters of a Llama-architecture model: embedding and output matrix, attention, gated FFN, RMS norms."""
    head = shape.width // shape.num_heads
    attention = 2 * shape.width * shape.width + 2 * shape.width * shape.num_kv_heads * head
    layer = attention + 3 * shape.width * shape.ffn_width + 2 * shape.width
    return (1 if tied else 2) * shape.vocab_size * shape.width + shape.num_layers * layer + shape.width


def training_bytes(
    shape: ScratchRecipe | None, *, num_gpus: int, micro_batch_tokens: int, frozen: int = 0, trained: int = 1
) -> int | None:
    """Peak bytes per GPU under full sharding with activation checkpointing.

    trained, frozen: how many whole models of that shape are trained, one at a time, and how many only read.

    Sharded states + the stored input of each layer + one layer's activations, gathered weights and gradients.
    """
    if shape is None:
        return None
    total = num_parameters(shape)
    states = total * (trained * BYTES_PER_TRAINED_PARAMETER + frozen * BYTES_PER_FROZEN_PARAMETER) // num_gpus
    stored = shape.num_layers * micro_batch_tokens * shape.width * 2
    live = ACTIVATIONS_PER_TOKEN_AND_WIDTH * micro_batch_tokens * shape.width
    gathered = 2 * 2 * (total // shape.num_layers)
    return states + stored + live + gathered


def rates(optimiser: OptimiserRecipe, num_steps: int) -> str:
    """The learning rate of a training in words."""
    drops = "".join(f", x{factor:g} from step {round(share * num_steps):,}" for share, factor in optimiser.decay)
    return f"learning rate {optimiser.lr:g}, warm-up {optimiser.warmup_steps:,} steps{drops}"
