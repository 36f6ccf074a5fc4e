"""A model with random weights, and a tokenizer trained on the run's own text."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from mathwright.errors import MathwrightError
from mathwright.lm.attention import ATTENTION
from mathwright.lm.model import LanguageModel
from mathwright.lm.probe import Findings, mark
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.tokenise import train_tokenizer


def from_scratch(recipe: ScratchRecipe, texts: Iterable[str], *, max_length: int, seed: int) -> LanguageModel:
    """A Llama-architecture model with random weights, and a tokenizer trained on `texts`.

    Args:
        recipe: the architecture; vocab_size is an upper bound that a small text may not fill.
        texts: what the tokenizer learns its merges from.
        max_length: context in tokens.
        seed: of the weights.
    """
    tokenizer = train_tokenizer(texts, vocab_size=recipe.vocab_size, max_length=max_length)
    if recipe.width % recipe.num_heads or recipe.num_heads % recipe.num_kv_heads:
        raise MathwrightError(
            f"width {recipe.width}, {recipe.num_heads} heads and {recipe.num_kv_heads} key-value heads do not divide",
            hint="width must be a multiple of num_heads, and num_heads one of num_kv_heads",
        )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        intermediate_size=recipe.ffn_width,
        num_hidden_layers=recipe.num_layers,
        num_attention_heads=recipe.num_heads,
        num_key_value_heads=recipe.num_kv_heads,
        max_position_embeddings=max_length,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config._attn_implementation = ATTENTION
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    mark(model, Findings())  # the architecture that this package's tests compute
    return LanguageModel(model.eval(), tokenizer)
