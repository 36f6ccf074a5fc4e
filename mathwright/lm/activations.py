"""Activation checkpointing: a decoder layer keeps its input alone and is computed again in the backward pass.

One more forward pass of the layers. On one CPU core, 8 Llama layers of width 576 keep 23 x L x D numbers a layer for a
row of L = 512 tokens, 1.25 x L x D with it, and take 1.26 times as long.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from mathwright.lm.model import LanguageModel, decoder_layers
from mathwright.lm.patches import replace_forward, restore_forward


def checkpoint_activations(lm: LanguageModel, on: bool) -> None:
    """Turn activation checkpointing of a model's layers on or off; loss and gradients stay the same.

    It works in evaluation mode too, in which RL trains; transformers' own `gradient_checkpointing_enable` would do
    nothing there. Passes without gradient, generation among them, are not touched.

    Raises MathwrightError for a model without decoder layers.
    """
    for layer in decoder_layers(lm.model):
        restore_forward(layer)
        if on:
            replace_forward(layer, partial(_forward_again_in_backward, layer))


def _forward_again_in_backward(layer: Any, *args: Any, **kwargs: Any) -> Any:
    forward = type(layer).forward
    if not torch.is_grad_enabled():
        return forward(layer, *args, **kwargs)
    return checkpoint(forward, layer, *args, use_reentrant=False, **kwargs)
