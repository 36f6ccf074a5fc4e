"""What lm/ computes, written from the definition: one sequence at a time, no packing, no chunks, no cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def sequence_logprobs(model: Any, tokens: Sequence[int], temperature: float = 1.0) -> Tensor:
    """log p(token t | tokens before t) for t = 1..n-1, from the model's own forward pass over the sequence alone."""
    logits = model(input_ids=torch.tensor([list(tokens)], device=model.device)).logits[0, :-1] / temperature
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return wide.log_softmax(-1).gather(-1, torch.tensor(tokens[1:], device=model.device)[:, None])[:, 0]


def response_logprobs(model: Any, prompt: Sequence[int], response: Sequence[int], temperature: float = 1.0) -> Tensor:
    """log pi(o_t | q, o_<t) of each response token."""
    values = sequence_logprobs(model, [*prompt, *response], temperature)
    return values[len(prompt) - 1 :]


def padded_response_logprobs(
    model: Any, prompt: Sequence[int], responses: Sequence[Sequence[int]], pad: int
) -> list[Tensor]:
    """The same by the usual padded batch: the prompt repeated for each response, padding on the right, a 2-D mask."""
    rows = [[*prompt, *response] for response in responses]
    width = max(map(len, rows))
    tokens = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    logprobs = model(input_ids=tokens, attention_mask=mask).logits[:, :-1].log_softmax(-1)
    chosen = logprobs.gather(-1, tokens[:, 1:, None])[..., 0]
    return [row[len(prompt) - 1 : len(prompt) - 1 + len(r)] for row, r in zip(chosen, responses, strict=True)]


def adamw_step(
    weight: Tensor, grad: Tensor, m: Tensor, v: Tensor, t: int, *, lr: float, betas: tuple[float, float], eps: float,
    decay: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Loshchilov & Hutter 2019, Algorithm 2, one parameter, step t from 1."""
    m = betas[0] * m + (1 - betas[0]) * grad
    v = betas[1] * v + (1 - betas[1]) * grad**2
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return weight - lr * (m_hat / (v_hat.sqrt() + eps) + decay * weight), m, v
