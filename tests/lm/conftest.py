"""Tiny random models: large enough to have grouped heads and several layers, small enough for float64."""

from __future__ import annotations

import copy
import types
from typing import Any

import pytest
import torch

from mathwright.lm import checkpoint
from mathwright.lm.model import LanguageModel
from mathwright.lm.optimise import Optimiser
from mathwright.lm.recipe import OptimiserRecipe, ScratchRecipe
from mathwright.lm.scratch import from_scratch

SCRATCH = ScratchRecipe(vocab_size=320, width=32, num_layers=2, num_heads=4, num_kv_heads=2, ffn_width=64)
TEXTS = ["Tom has 12 apples and buys 30 more.", "```python\nprint(12 + 30)\n```\n", "The answer is 42. So x = 7."] * 5


def tiny_lm(dtype: torch.dtype = torch.float32, *, seed: int = 0, max_length: int = 128) -> LanguageModel:
    """A random Llama whose weights are large enough that its distributions are far from uniform."""
    lm = from_scratch(SCRATCH, TEXTS, max_length=max_length, seed=seed)
    with torch.no_grad():
        for parameter in lm.model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8.0)
    return LanguageModel(exact(lm.model.to(dtype)) if dtype == torch.float64 else lm.model.to(dtype), lm.tokenizer)


def exact(model: Any) -> Any:
    """Let the norms of a float64 model compute in float64; through float32, as they are, they round at 1e-7."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    for module in model.modules():
        if hasattr(module, "variance_epsilon"):
            module.forward = types.MethodType(forward, module)
    return model


def adamw(**changes: object) -> OptimiserRecipe:
    values: dict[str, object] = {
        "lr": 1e-2, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "clip_norm": 1.0,
        "warmup_steps": 0, "decay": (),
    }  # fmt: skip
    return OptimiserRecipe(**{**values, **changes})  # type: ignore[arg-type]


def earlier_checkpoint(net: torch.nn.Module, optimiser: Optimiser) -> dict[str, Any]:
    """What earlier versions wrote after four steps: one part, the state of its optimiser as lists by weight."""
    content = {
        "step": 4,
        "weights": net.state_dict(),
        "optimiser": {
            "num_updates": optimiser.num_updates,
            "adamw": [adamw.state_dict() for adamw in optimiser._adamw],
            "lower": [c.lower for c in optimiser._copies if c is not None],
        },
        "random": checkpoint._random_states(),
        "extra": {"position": 17},
    }
    return copy.deepcopy(content)


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on matrices this small only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
