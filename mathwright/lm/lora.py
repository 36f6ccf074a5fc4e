"""LoRA: low-rank adapters beside frozen weights (arXiv 2106.09685), by peft.

The adapters are put into the model itself, whose class and interface stay what they are: everything in `mathwright.lm`
takes an adapted model like any other. Switched off, what is left is the model the training began with, so RL needs no
second copy of it for pi_ref.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm.load import LanguageModel
from mathwright.lm.recipe import LoraRecipe
from mathwright.lm.reward_head import HEAD, RewardModel

BASE = ".base_layer"
"""What peft inserts into the name of a weight it has put an adapter beside."""


def attach(lm: LanguageModel, recipe: LoraRecipe, *, seed: int) -> None:
    """Put adapters beside the linear layers named in the recipe and freeze everything else but a reward model's head.

    An adapted layer computes W x + (alpha / rank) B A x. A is uniform as in `torch.nn.Linear`, B is 0, so the model
    computes what it did before.

    Args:
        lm: the model; changed in place. Its weights must not be sharded yet.
        recipe: rank, scale and layers.
        seed: of A.

    Raises MathwrightError where peft is not installed or the model lacks a named layer; ValueError where the model has
    adapters already.
    """
    peft = _peft()
    if attached(lm):
        raise ValueError("the model has adapters already: merge them first")
    leaves = {name.rpartition(".")[2] for name, _ in lm.model.base_model.named_modules()}
    if missing := [target for target in recipe.targets if target not in leaves]:
        raise MathwrightError(
            f"{type(lm.model).__name__} has no layer called {missing[0]}",
            hint="name in lora.targets what the model calls its linear layers, such as q_proj",
        )
    config = peft.LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, target_modules=list(recipe.targets)
    )
    training = lm.model.training
    with torch.random.fork_rng(devices=[]):  # peft draws a first A from the shared random state
        peft.inject_adapter_in_model(config, lm.model)
    lm.model.train(training)
    if isinstance(lm, RewardModel):
        getattr(lm.model, HEAD).requires_grad_(True)  # new, so it has nothing to keep
    generator = torch.Generator().manual_seed(seed)
    for _, layer in _layers(lm.model):
        for adapter in (layer.lora_A, layer.lora_B):
            for linear in adapter.values():
                linear.to(lm.dtype)
        for linear in layer.lora_A.values():
            drawn = torch.nn.init.kaiming_uniform_(torch.empty(linear.weight.shape), a=5**0.5, generator=generator)
            linear.weight.data.copy_(drawn)  # drawn on the CPU: the same on every device


def attached(lm: LanguageModel) -> bool:
    """Whether the model has adapters."""
    return any(name.endswith(BASE) for name, _ in lm.model.named_modules())


@contextmanager
def reference(lm: LanguageModel) -> Iterator[None]:
    """Within it the adapters are off: the model is the one they were attached to, to the bit.

    Raises ValueError for a model without adapters, which would be its own reference.
    """
    layers = [layer for _, layer in _layers(lm.model)]
    if not layers:
        raise ValueError("the model has no adapters to switch off")
    for layer in layers:
        # peft's own switch also turns requires_grad off, which sharded weights would not get back
        layer.forward = layer.base_layer.forward
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def merge(lm: LanguageModel) -> None:
    """Add the adapters to the weights and remove them: the model is a plain one again, all of it trainable.

    `lm.load.save` does not need it: it writes a plain model anyway. The weights must not be sharded. Nothing happens to
    a model without adapters.
    """
    layers = _layers(lm.model)
    if not layers:
        return
    plain = plain_weights(lm.model, lm.model.state_dict())
    for name, layer in layers:
        parent, _, leaf = name.rpartition(".")
        setattr(lm.model.get_submodule(parent), leaf, layer.base_layer)
    lm.model.load_state_dict(plain)
    lm.model.requires_grad_(True)


@torch.no_grad()
def plain_weights(model: Any, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A model's state by the names of the model without adapters, these added to the weights; without any, the same.

    An adapted weight is W + (alpha / rank) B A, summed in float32: peft would round the product to bfloat16 before.
    """
    scalings = {f"{name}.weight": layer.scaling for name, layer in _layers(model)}
    plain: dict[str, Tensor] = {}
    for name, value in state.items():
        if ".lora_" in name:
            continue
        own = name.replace(BASE, "")
        merged = value
        for adapter, scaling in scalings.get(own, {}).items():
            a, b = (state[f"{own.removesuffix('weight')}lora_{part}.{adapter}.weight"] for part in "AB")
            wide = torch.promote_types(value.dtype, torch.float32)
            merged = (value.to(wide) + scaling * (b.to(wide) @ a.to(wide))).to(value.dtype)
        plain[own] = merged
    return plain


def _layers(model: Any) -> list[tuple[str, Any]]:
    """The adapted layers and their names."""
    return [(name, module) for name, module in model.named_modules() if hasattr(module, "lora_A")]


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise MathwrightError("LoRA needs the package peft", hint="pip install 'mathwright[lora]'") from error
    return peft
