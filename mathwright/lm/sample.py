"""Drawing tokens: the processed distribution, its exact log-probabilities, and one reproducible number a token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm.recipe import SamplingRecipe

BLOCK = 256
"""Tokens whose weights are summed first; a draw then looks into one block instead of the whole vocabulary."""
CACHED_LOGITS = 2**19
"""Logits worked on at a time on CPUs: they stay in the cache of a core from pass to pass."""
NUCLEUS = (256, 4096)
"""Most probable tokens searched for the nucleus, in turn, before all are sorted."""


def uniforms(seeds: Sequence[int], positions: Sequence[int]) -> Float[Tensor, " B"]:
    """A number in [0, 1) for each sequence from its seed and the position of the token alone (SplitMix64, 53 bits).

    Nothing is carried from token to token or shared between sequences, so a draw depends neither on what else is in
    the batch nor on when a sequence was interrupted.
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is the point
        state = _mix(np.array([seed % 2**64 for seed in seeds], dtype=np.uint64))
        mixed = _mix(state + np.array(positions, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return torch.from_numpy((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mix(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def draw(
    logits: Float[Tensor, "B V"], sampling: SamplingRecipe, uniform: Float[Tensor, " B"], *, whole: bool = False
) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """Draw a token a row from softmax(logits / temperature) cut to top_k and top_p, by inverting its distribution.

    Args:
        logits: of any floating type, computed with in float32 at the least; not changed.
        sampling: temperature 0 takes the most probable token.
        uniform: a number in [0, 1) for each row; equal logits and numbers give equal tokens.
        whole: give log-probabilities under softmax(logits / temperature), before top_k and top_p cut it: those that a
            training computes, which knows nothing of the cut.

    Returns the tokens, and their log-probabilities under exactly the distribution they were drawn from (0 under the
    greedy one). Tokens that tie with the last one kept by top_k or top_p are kept too.

    Raises MathwrightError where logits are not finite: the model has diverged.
    """
    num_rows = max(1, CACHED_LOGITS // logits.shape[1]) if logits.device.type == "cpu" else max(1, len(logits))
    parts = [
        _draw(rows.to(torch.promote_types(rows.dtype, torch.float32)), sampling, numbers, whole)
        for rows, numbers in zip(logits.split(num_rows), uniform.split(num_rows), strict=True)
    ]
    return torch.cat([tokens for tokens, _ in parts]), torch.cat([logprobs for _, logprobs in parts])


def _draw(logits: Tensor, sampling: SamplingRecipe, uniform: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
    if sampling.temperature == 0:
        best, tokens = logits.max(-1)
        _require_finite(best)
        return tokens, torch.zeros_like(best)
    vocabulary = logits.shape[1]
    weights = logits.new_zeros(logits.shape[0], -(-vocabulary // BLOCK) * BLOCK)
    inner = weights[:, :vocabulary]
    # exp((logit - max) / T): no normalisation, the sum of the weights is enough to draw and to know the probability
    torch.sub(logits, logits.amax(-1, keepdim=True), out=inner)
    inner.div_(sampling.temperature).exp_()
    everything = _mass(inner).squeeze(-1) if whole else None
    if 0 < sampling.top_k < vocabulary:
        smallest = inner.topk(sampling.top_k).values[:, -1:]
        inner.masked_fill_(inner < smallest, 0.0)
    if sampling.top_p < 1:
        inner.masked_fill_(inner < _nucleus_threshold(inner, sampling.top_p), 0.0)
    blocks = weights.view(logits.shape[0], -1, BLOCK)
    sums = blocks.sum(-1).double().cumsum(-1)
    total = sums[:, -1]
    _require_finite(total)
    wanted = uniform.to(total) * total
    block = _first_above(sums, wanted)
    before = torch.where(block > 0, sums.gather(-1, (block - 1).clamp(min=0)[:, None]).squeeze(-1), 0.0)
    rows = torch.arange(len(block), device=block.device)
    within = _first_above(blocks[rows, block].double().cumsum(-1), wanted - before)
    tokens = block * BLOCK + within
    normaliser = total if everything is None else everything
    return tokens, (weights[rows, tokens].double().log() - normaliser.log()).to(logits.dtype)


def _first_above(sums: Tensor, wanted: Tensor) -> Tensor:
    """Index of the first running sum above `wanted`; of the last item with weight where rounding put it at the end."""
    last = (sums < sums[:, -1:]).sum(-1)
    return torch.minimum((sums <= wanted[:, None]).sum(-1), last)


def _nucleus_threshold(weights: Float[Tensor, "B V"], top_p: float) -> Float[Tensor, "B 1"]:
    """The weight of the last token of the smallest set of most probable tokens that holds top_p of the mass."""
    needed = _mass(weights) * top_p
    widths = [width for width in NUCLEUS if width < weights.shape[1]]
    largest = weights[:, :0]
    while not largest.shape[1] or (largest.shape[1] < weights.shape[1] and _mass(largest).lt(needed).any()):
        largest = weights.topk(widths.pop(0) if widths else weights.shape[1]).values
    sums = largest.cumsum(-1, dtype=torch.float64)
    count = (sums < needed).sum(-1, keepdim=True).clamp(max=sums.shape[1] - 1)
    return largest.gather(-1, count)


def _mass(weights: Tensor) -> Tensor:
    return weights.sum(-1, keepdim=True, dtype=torch.float64)


def _require_finite(values: Tensor) -> None:
    if not bool(torch.isfinite(values).all()):
        raise MathwrightError(
            "the model's logits are not finite", hint="the weights have diverged: go back to an earlier checkpoint"
        )
