"""The forward pass of decoding: one more token of many sequences.

At this size of work a model is bound by reading its weights and by the number of operations, not by arithmetic. So the
pass of Llama-like models is written out (`mathwright.lm.fused`); every other supported model goes through its modules
(`ModuleDecoder`).
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from mathwright.lm.cache import SlotCache, Step, seen_through
from mathwright.lm.fused import FusedDecoder, fusible
from mathwright.lm.graphs import GraphDecoder, graphable


class Decoder(Protocol):
    """Computes one more token of each running sequence, on the model's weights of now."""

    shares_prompts: bool
    """Whether it takes a cache that keeps prompts apart."""

    def hidden(self, step: Step, cache: SlotCache) -> Tensor:
        """[sequences, D] hidden states of the new tokens, whose keys and values are then in the cache."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """[sequences, V] of hidden states [sequences, D], as the output layer makes them.

        What the model does to them afterwards is in `lm.logit_transform`.
        """
        ...


def decoder(model: Any) -> Decoder:
    """The fastest decoder for a model as it is now; to be made again when weights or adapters have changed."""
    if not fusible(model):
        return ModuleDecoder(model)
    fused = FusedDecoder(model)
    return GraphDecoder(fused) if model.device.type == "cuda" and graphable(fused) else fused


class ModuleDecoder:
    """Decoding by the modules of the model."""

    shares_prompts = False

    def __init__(self, model: Any) -> None:
        self.model = model

    def hidden(self, step: Step, cache: SlotCache) -> Tensor:
        positions = step.positions[:, None]
        keys = torch.arange(step.length, device=positions.device).expand(len(positions), -1)
        return self.model.base_model(
            input_ids=step.tokens[:, None],
            position_ids=positions,
            attention_mask=step.mask,
            past_key_values=_LayerwiseCache(step, cache),
            use_cache=True,
            **seen_through(self.model, step.mask, positions, keys),
        ).last_hidden_state[:, 0]

    def logits(self, hidden: Tensor) -> Tensor:
        return self.model.get_output_embeddings()(hidden)


class _LayerwiseCache(Cache):
    """A slot cache as the modules of transformers use one."""

    def __init__(self, step: Step, cache: SlotCache) -> None:
        super().__init__(layers=[])
        self.step, self.cache = step, cache

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any):
        new = torch.cat([key_states.flatten(1), value_states.flatten(1)], dim=1)
        self.cache.append(layer_idx, new, self.step.rows)
        return self.cache.seen(layer_idx, len(new), self.step.length)
