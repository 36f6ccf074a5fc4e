"""A language model and its tokenizer, and what can be told from a model alone, without computing anything with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask
from transformers.modeling_layers import GradientCheckpointingLayer

from mathwright.errors import MathwrightError
from mathwright.lm.attention import ATTENTION, attention

AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)

HEAD = "score"
"""Name of the head in transformers' sequence classifiers."""


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A causal language model and its tokenizer."""

    model: Any
    """A transformers `...ForCausalLM`; pyright cannot see through its lazy classes."""
    tokenizer: Any

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def max_length(self) -> int:
        """Context in tokens."""
        return int(self.model.config.max_position_embeddings)

    @property
    def eos_token_ids(self) -> frozenset[int]:
        """Tokens that end a response: the tokenizer's, and those the model's generation settings name."""
        settings = getattr(self.model, "generation_config", None)
        configured = settings.eos_token_id if settings is not None else None
        named = [self.tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
        if wrong := [token for token in named if token is not None and type(token) is not int]:
            raise MathwrightError(
                f"the model's generation settings name {wrong[0]!r} as an end token, which is no number",
                hint="correct eos_token_id in generation_config.json or config.json",
            )
        return frozenset(token for token in named if token is not None)


@dataclass(frozen=True, slots=True)
class RewardModel(LanguageModel):
    """A transformers `...ForSequenceClassification` with one label, and its tokenizer.

    What reads only `model.base_model` (`lm.logprobs.hidden_states`), and what trains or keeps a model, takes it like
    any language model; it generates nothing.
    """

    @property
    def end(self) -> int:
        """The token after a response, at which the score is read."""
        # folders of earlier versions hold what the language model had there, which may be several
        named = self.model.config.eos_token_id
        return named if isinstance(named, int) else int(self.tokenizer.eos_token_id)


def decoder_layers(model: Any) -> list[Any]:
    """The layers of a transformers model, first to last.

    Raises MathwrightError for a model whose layers transformers does not mark as such.
    """
    layers = [module for module in model.base_model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise MathwrightError(
            f"{type(model).__name__} has no decoder layers that can be told apart",
            hint="use a Llama-like model: Llama, Qwen2 or 3, Mistral, DeepSeek, SmolLM",
        )
    return layers


def attention_window(config: Any) -> int | None:
    """Tokens a query may look back in the narrowest layer, itself included, or None where all layers see everything."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if window is None or (kinds is not None and "sliding_attention" not in kinds):
        return None
    return int(window)


def sequence_limits(model: Any) -> list[tuple[str, int]]:
    """What bounds the length of a sequence, in tokens: the context, and where the attention computed here ends."""
    config = model.config
    limits = [("context", config.max_position_embeddings)]
    window, found = attention_window(config), getattr(model, "probed", None)
    if window is not None and not (found is not None and found.windows):
        limits.append(("attention window", window))
    return limits


def require_embedded(model: Any, largest: int) -> None:
    """Raise MathwrightError where a token, the largest of some text, has no embedding in the model."""
    size = model.get_input_embeddings().weight.shape[0]
    if largest >= size:
        raise MathwrightError(
            f"token {largest} has no embedding: the model has {size}",
            hint="the tokenizer is another model's, or tokens were added to it: take the one that came with it",
        )


def require_same_vocabulary(lm: LanguageModel, other: LanguageModel, what: str) -> None:
    """Raise MathwrightError, naming the other model `what`, unless token numbers mean the same to both."""
    mine, theirs = lm.tokenizer.get_vocab(), other.tokenizer.get_vocab()
    hint = "log-probabilities can be compared only between models of one tokenizer: take the model it came from"
    if mine != theirs:
        token = min(
            (token for token in mine.keys() | theirs.keys() if mine.get(token) != theirs.get(token)),
            key=lambda token: (mine.get(token, len(mine)), token),
        )
        raise MathwrightError(
            f"{what} has another vocabulary: token {token!r} is {mine.get(token, 'none')} here, "
            f"{theirs.get(token, 'none')} there",
            hint=hint,
        )
    size, needed = other.model.get_input_embeddings().weight.shape[0], lm.model.get_input_embeddings().weight.shape[0]
    if size != needed:
        raise MathwrightError(f"{what} has {size} embeddings, the model has {needed}", hint=hint)


def require_known_vocabulary(lm: LanguageModel, other: LanguageModel, what: str) -> None:
    """Raise MathwrightError, naming the other model `what`, unless it reads every token of `lm` as `lm` does.

    It may have more: a reward model may have got a token to pad with.
    """
    mine, theirs = lm.tokenizer.get_vocab(), other.tokenizer.get_vocab()
    hint = "it reads the policy's own tokens: take a model that was made from the same one"
    unknown = [token for token in mine if mine[token] != theirs.get(token)]
    if unknown:
        token = min(unknown, key=lambda token: mine[token])
        raise MathwrightError(
            f"{what} has another vocabulary: token {token!r} is {mine[token]} in the policy, "
            f"{theirs.get(token, 'none')} there",
            hint=hint,
        )
    size, needed = (m.model.get_input_embeddings().weight.shape[0] for m in (other, lm))
    if size < needed:
        raise MathwrightError(f"{what} has {size} embeddings, the policy has {needed}", hint=hint)


def torch_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """The type that is named so. Raises MathwrightError for an unknown name."""
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64, "float16": torch.float16}
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in known:
        raise MathwrightError(f"unknown dtype {dtype!r}", hint=f"one of {', '.join(known)}")
    return known[dtype]
