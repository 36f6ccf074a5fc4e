"""Decoding of Llama-like models written out, with as few operations as PyTorch allows, on the model's own weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM

from mathwright.lm.cache import SlotCache, Step

FUSED = (LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM)
"""Architectures `FusedDecoder` computes; DeepSeek's dense models and SmolLM are LlamaForCausalLM."""
PACKED_BYTES = 2**31
"""Weights beyond this are not packed: the packed ones are a second copy while a call of `generate` lasts."""


def fusible(model: Any) -> bool:
    """Whether `FusedDecoder` computes this model: its architecture is known, no layer was replaced or sharded."""
    if not isinstance(model, FUSED) or model.config.hidden_act != "silu":
        return False
    blocks: Any = model.base_model.layers
    layers = [layer for block in blocks for layer in _linear_layers(block)]
    return all(type(layer) is torch.nn.Linear and type(layer.weight.data) is torch.Tensor for layer in layers)


def _linear_layers(block: Any) -> list[Any]:
    attention, mlp = block.self_attn, block.mlp
    projections = [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj]
    return [*projections, mlp.gate_proj, mlp.up_proj, mlp.down_proj]


# --- linear layers ------------------------------------------------------------------------------------


class Linear:
    """Linear layers on the same input, as one: their outputs side by side."""

    def __init__(self, *layers: Any) -> None:
        self._layers = [(layer.weight, layer.bias) for layer in layers]

    def __call__(self, x: Tensor) -> Tensor:
        outputs = [F.linear(x, weight, bias) for weight, bias in self._layers]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)

    def silu(self, x: Tensor) -> Tensor:
        return F.silu(self(x))

    def times(self, x: Tensor, factor: Tensor) -> Tensor:
        return self(x) * factor

    def plus(self, x: Tensor, summand: Tensor) -> Tensor:
        return self(x) + summand


class PackedLinear:
    """The same with weights in the order oneDNN multiplies in, and what follows done in the same pass.

    PyTorch's own product brings the weights into this order on every call, a quarter of its time at batch 32; the
    operators are those that `torch.compile` emits on CPUs.
    """

    def __init__(self, *layers: Any) -> None:
        weight = layers[0].weight if len(layers) == 1 else torch.cat([layer.weight for layer in layers])
        biases = [layer.bias for layer in layers]
        self._bias = None if biases[0] is None else torch.cat(biases)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach())

    def __call__(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "none", [], "")

    def silu(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self._weight, self._bias, "swish", [], "")

    def times(self, x: Tensor, factor: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise.binary(x, factor, self._weight, self._bias, "mul")

    def plus(self, x: Tensor, summand: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise.binary(x, summand, self._weight, self._bias, "add")


def packable(model: Any) -> bool:
    """Whether the linear layers of a model are worth packing here."""
    weights = [weight for weight in model.parameters() if weight.ndim == 2]
    return (
        model.device.type == "cpu"
        and model.dtype == torch.bfloat16
        and torch.backends.mkldnn.is_available()
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and sum(weight.nbytes for weight in weights) <= PACKED_BYTES
    )


# --- Llama-like models ---------------------------------------------------------------------------------


class _Block:
    """The weights of one layer."""

    def __init__(self, block: Any, linear: Callable[..., Linear | PackedLinear]) -> None:
        attention, mlp = block.self_attn, block.mlp
        self.attention_norm, self.mlp_norm = block.input_layernorm, block.post_attention_layernorm
        self.query_norm, self.key_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
        self.scaling = attention.scaling
        self.qkv = linear(attention.q_proj, attention.k_proj, attention.v_proj)
        self.output = linear(attention.o_proj)
        self.gate, self.up, self.down = linear(mlp.gate_proj), linear(mlp.up_proj), linear(mlp.down_proj)


class FusedDecoder:
    """Decoding of Llama, Mistral, Qwen2 and Qwen3, written out.

    It computes what the modules compute, rounded less often. On CPUs weights in bfloat16 are packed once, for as long
    as this object lives.
    """

    def __init__(self, model: Any) -> None:
        self.model = model.base_model
        linear = PackedLinear if packable(model) else Linear
        self.blocks = [_Block(block, linear) for block in self.model.layers]
        self.head = linear(model.get_output_embeddings())
        self.shares_prompts = model.device.type == "cpu"

    def hidden(self, step: Step, cache: SlotCache) -> Tensor:
        x = self.model.embed_tokens(step.tokens)
        cos, sin = self._rotation(x, step.positions)
        for layer, block in enumerate(self.blocks):
            query, new = _query_and_new(block, _norm(block.attention_norm, x), cos, sin, cache)
            cache.append(layer, new, step.rows)
            x = block.output.plus(_attend(query, layer, step, cache, block.scaling), x)
            h = _norm(block.mlp_norm, x)
            x = block.down.plus(block.up.times(h, block.gate.silu(h)), x)
        return _norm(self.model.norm, x)

    def logits(self, hidden: Tensor) -> Tensor:
        return self.head(hidden)

    def _rotation(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the rotary embedding, [n, 1, d] each; the sines of the first half negative."""
        cos, sin = self.model.rotary_emb(x[:, None], positions[:, None])
        return cos, torch.cat([-sin[..., : sin.shape[-1] // 2], sin[..., sin.shape[-1] // 2 :]], dim=-1)


def _norm(module: Any, x: Tensor) -> Tensor:
    """Root mean square normalisation, the weight after the rounding as in the modules."""
    return F.rms_norm(x, x.shape[-1:], eps=module.variance_epsilon) * module.weight


def _query_and_new(block: _Block, x: Tensor, cos: Tensor, sin: Tensor, cache: SlotCache) -> tuple[Tensor, Tensor]:
    """Queries [n, key heads, queries a key head, d], and keys and values of the new tokens side by side [n, width].

    Queries and keys are rotated where they lie.
    """
    qkv = block.qkv(x)
    width = cache.key_width
    num_values = cache.value_heads * cache.value_width
    heads = qkv[:, : qkv.shape[1] - num_values].unflatten(1, (-1, width))
    query, key = heads[:, : -cache.key_heads], heads[:, -cache.key_heads :]
    if block.query_norm is not None:
        query.copy_(_norm(block.query_norm, query))
        key.copy_(_norm(block.key_norm, key))
    half = width // 2
    swapped = torch.cat([heads[..., half:], heads[..., :half]], dim=-1)
    torch.addcmul(heads * cos, swapped, sin, out=heads)
    new = qkv[:, query.shape[1] * width :]
    return query.unflatten(1, (cache.key_heads, -1)), new


def _attend(query: Tensor, layer: int, step: Step, cache: SlotCache, scaling: float) -> Tensor:
    """[n, heads * d] of queries [n, key heads, queries a key head, d].

    Queries of one key head are rows of one product: repeating the keys for them takes longer.
    """
    keys, values = cache.seen(layer, len(query), step.length)
    mask = step.mask.expand(-1, -1, query.shape[2], -1)
    if step.prompts is None:
        output = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scaling)
    else:
        own, own_mass = _flash(query, keys, values, mask, scaling)
        prompt, prompt_mass = _attend_prompts(query, layer, step, cache, scaling)
        # softmax over both parts: each part's output, weighted with its share of the sum of exponentials
        share = torch.sigmoid(own_mass - prompt_mass).to(own.dtype)
        output = torch.lerp(prompt, own, share[..., None])
    return output.flatten(1)


def _attend_prompts(query: Tensor, layer: int, step: Step, cache: SlotCache, scaling: float) -> tuple[Tensor, Tensor]:
    """Attention to the prompts alone, each read once for all its sequences, and its mass (see `_flash`)."""
    prompts = step.prompts
    assert prompts is not None
    num_prompts, group = prompts.members.shape
    _, key_heads, repeats, _ = query.shape
    keys, values = cache.prompt(layer, num_prompts, prompts.length)
    grouped = query[prompts.members].transpose(1, 2).flatten(2, 3)  # [prompts, key heads, G * repeats, d]
    mask = None if prompts.mask is None else prompts.mask.expand(-1, -1, grouped.shape[2], -1)
    output, mass = _flash(grouped, keys, values, mask, scaling)
    output = output.view(num_prompts, key_heads, group, repeats, -1).transpose(1, 2).flatten(0, 1)
    mass = mass.view(num_prompts, key_heads, group, repeats).transpose(1, 2).flatten(0, 1)
    return output[prompts.places], mass[prompts.places]


def _flash(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float) -> tuple[Tensor, Tensor]:
    """Attention, and the logarithm of the sum of the exponentials it is normalised with [n, heads, rows], float32."""
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, keys, values, attn_mask=mask, scale=scaling
    )
