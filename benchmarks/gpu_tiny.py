"""What the checks of `gpu_checks.py` share: a tiny model, and how far two results may be apart."""

from __future__ import annotations

from typing import Any

from gpu_models import stand_in

stand_in()

import torch  # noqa: E402

from mathwright.lm.generate import Generator  # noqa: E402
from mathwright.lm.model import LanguageModel  # noqa: E402
from mathwright.lm.recipe import SamplingRecipe, ScratchRecipe  # noqa: E402
from mathwright.lm.scratch import from_scratch  # noqa: E402

TEXTS = ["Tom has 12 apples and buys 30 more.", "The answer is 42. So x = 7."] * 5
VOCABULARY = 300
DRAWN = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=40)
CUT = SamplingRecipe(temperature=0.7, top_p=0.9, top_k=20, max_new_tokens=40)
PROMPTS = [[5, 6, 7], [40, 41], [9] * 11, [60, 3, 50, 61, 7, 8]]
LARGEST = {torch.float32: 1e-4, torch.bfloat16: 0.03}
"""Nats a log-probability may be off: in float32 the worst, in bfloat16 the mean.

On a processor 2e-6 and 0.008 are found."""


class Skip(Exception):  # noqa: N818 - no error
    """The check cannot be made here."""


def tiny(device: str, dtype: torch.dtype = torch.float32, *, seed: int = 0) -> LanguageModel:
    """A Llama with shared key heads whose weights are large enough that attention and distributions have peaks."""
    shape = ScratchRecipe(vocab_size=VOCABULARY, width=64, num_layers=2, num_heads=4, num_kv_heads=2, ffn_width=128)
    lm = from_scratch(shape, TEXTS, max_length=1024, seed=seed)
    with torch.no_grad():
        for parameter in lm.model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(5.0)
    lm.model.to(device=device, dtype=dtype)
    return lm


def words(start: int, length: int) -> list[int]:
    return [5 + (start * 37 + 11 * i + i * i) % 250 for i in range(length)]


def close(figures: dict[str, float], name: str, differences: torch.Tensor, dtype: torch.dtype) -> None:
    """Note how far log-probabilities differ, and raise where that is more than rounding."""
    differences = differences.detach().abs().float()
    found = float(differences.mean() if dtype == torch.bfloat16 else differences.max())
    figures[name] = found
    assert found <= LARGEST[dtype], f"{name}: log-probabilities are {found:.3g} nats off"


def gradients(lm: LanguageModel) -> dict[str, torch.Tensor]:
    found = {name: p.grad.float().clone() for name, p in lm.model.named_parameters() if p.grad is not None}
    lm.model.zero_grad()
    return found


def relative_gap(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Norm of the difference, in norms of the expected one."""
    assert found.keys() == expected.keys()
    squares = [((found[name] - expected[name]).square().sum(), expected[name].square().sum()) for name in expected]
    return float((sum(d for d, _ in squares) / sum(e for _, e in squares)) ** 0.5)  # type: ignore[operator]


def responses(lm: LanguageModel, sampling: SamplingRecipe, *, max_batch: int = 12) -> list[list[Any]]:
    """Three responses to each prompt; slots are given up and taken over at different times."""
    seeds = [[10 * i, 10 * i + 1, 10 * i + 2] for i in range(len(PROMPTS))]
    return Generator(lm, max_batch=max_batch, whole_logprobs=True).generate(PROMPTS, sampling, seeds=seeds)
