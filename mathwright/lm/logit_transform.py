"""What a model does to its logits after the output layer: a scale (Granite, Cohere) or a cap (Gemma 2).

This package makes logits from hidden states by itself, for some tokens at a time, and never calls the forward pass
that holds this last step. So the step is found out: the model's own forward pass is given known numbers in the place
of the output layer's, and what comes out is compared with every scale and cap that its configuration could mean. The
names there are not enough: `logits_scaling` divides in Granite and multiplies in HyperCLOVA X.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mathwright.errors import MathwrightError

NAMES = re.compile(r"logit|soft_?cap|scal|multiplier")
"""Settings of a configuration whose numbers may act on logits."""
LARGEST = 60.0
"""Logits tried reach from minus this to this: far enough for a cap to show."""


@dataclass(frozen=True, slots=True)
class LogitTransform:
    """f(z) = scale z, or cap tanh(z / cap) where there is a cap, of each logit z of the output layer."""

    scale: float = 1.0
    cap: float | None = None

    @property
    def is_identity(self) -> bool:
        return self.scale == 1.0 and self.cap is None

    def __call__(self, logits: Tensor) -> Tensor:
        if self.cap is not None:
            return torch.tanh(logits / self.cap) * self.cap
        return logits if self.scale == 1.0 else logits * self.scale

    def slope(self, transformed: Tensor) -> Tensor | float:
        """f'(z) from f(z), for the backward pass: 1 - (f / cap)^2, or the scale."""
        return self.scale if self.cap is None else 1 - (transformed / self.cap).square()


IDENTITY = LogitTransform()


def candidates(config: Any) -> Iterator[LogitTransform]:
    """The identity, and each scale and cap that the numbers of a configuration could mean."""
    yield IDENTITY
    config = config.get_text_config()
    for name in filter(NAMES.search, dir(config)):
        value = getattr(config, name, None)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            yield from (LogitTransform(scale=value), LogitTransform(scale=1 / value), LogitTransform(cap=value))


@torch.no_grad()
def find_transform(model: Any) -> LogitTransform:
    """What the forward pass of a model in eval mode does to the logits of its output layer, by trying it.

    Raises MathwrightError where it is neither a scale nor a cap of the configuration, or where the output layer reads
    something else than the decoder's last hidden states.
    """
    name, head = type(model).__name__, model.get_output_embeddings()
    tokens = torch.arange(2, device=model.device)[None]
    hidden: list[Tensor] = []
    read: list[Tensor] = []
    known: list[Tensor] = []

    def keep(_: Any, inputs: tuple[Any, ...], output: Any) -> None:
        hidden.append(output[0])

    def replace(_: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        numbers = torch.linspace(-LARGEST, LARGEST, output.numel(), device=output.device)  # float32 in any model
        read.append(inputs[0])
        known.append(numbers.view(output.shape))
        return known[-1]

    handles = [model.base_model.register_forward_hook(keep), head.register_forward_hook(replace)]
    try:
        logits = model(input_ids=tokens, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
    if not hidden:  # its forward pass calls a part of the decoder (OPT)
        hidden.append(model.base_model(input_ids=tokens, use_cache=False).last_hidden_state)
    hint = "use another model: docs/engines.md has the list of architectures"
    if len(read) != 1 or len(hidden) != 1 or logits.shape != known[0].shape or read[0].shape != hidden[0].shape:
        raise MathwrightError(f"{name} does not make its logits by one output layer from its hidden states", hint=hint)
    # a scale may come before the output layer instead (MiniCPM3), in the type of the weights
    rounding = max(1e-5, 2 * torch.finfo(hidden[0].dtype).eps)
    before, before_gap = _nearest(model.config, hidden[0], read[0], caps=False)
    after, after_gap = _nearest(model.config, known[0], logits, caps=True)
    only_one = before.is_identity or (after.is_identity and head.bias is None)
    if before_gap > rounding or after_gap > 1e-5 or not only_one:
        where, gap = ("after", after_gap) if after_gap > 1e-5 else ("before", before_gap)
        raise MathwrightError(
            f"{name} changes its numbers {where} the output layer in a way its configuration does not explain: the "
            f"nearest scale or cap is off by {gap:.1%}",
            hint=hint,
        )
    return after if before.is_identity else before


def _nearest(config: Any, given: Tensor, found: Tensor, *, caps: bool) -> tuple[LogitTransform, float]:
    """The candidate that makes `found` of `given` best, the identity where it does, and how far off it is."""
    gaps = {f: _gap(f(given.float()), found) for f in candidates(config) if caps or f.cap is None}
    best = min(gaps, key=lambda f: gaps[f])
    return (IDENTITY, gaps[IDENTITY]) if gaps[IDENTITY] <= 1e-5 else (best, gaps[best])


def _gap(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest number."""
    expected = expected.float()
    return float((found.float() - expected).abs().max() / expected.abs().max())
