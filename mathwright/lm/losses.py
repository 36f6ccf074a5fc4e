"""The sum of next-token losses, for training: its gradients are made in the forward pass, while the logits are there.

`lm.logprobs` makes the logits again in the backward pass, since it cannot know then what each log-probability will be
worth. In a sum of losses each is worth the same, so that three products with the output layer do, in place of four:
logits, gradient of the hidden states, gradient of the layer. Logits exist for some positions at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mathwright.lm.logprobs import SMALLEST_BLOCK, hidden_states, next_token_losses, widened
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import PackedRows
from mathwright.lm.probe import logit_transform

HELD_LOGITS = {"cpu": 2**24, "cuda": 2**27}
"""Logits that are held at one time, as float32: 64 MiB on a CPU, 512 MiB on a GPU."""
BLOCK_LOGITS = {"cpu": 2**20, "cuda": 2**27}
"""Logits that are made and reduced at one time; on a CPU what stays in the cache."""


def next_token_loss_sum(lm: LanguageModel, rows: PackedRows) -> tuple[Float[Tensor, ""], Float[Tensor, " N"]]:
    """Sum of -log p over the trained tokens, in nats, differentiable; and the loss of each, without a gradient.

    Raises as `lm.logprobs.hidden_states` does.
    """
    if not torch.is_grad_enabled() or not logit_transform(lm.model).is_identity:
        losses = next_token_losses(lm, rows)
        return losses.sum(), losses.detach()
    hidden = hidden_states(lm.model, rows)
    source, targets = rows.source_index.to(hidden.device), rows.targets.to(hidden.device)
    output = lm.model.get_output_embeddings()
    found: Any = _LossSum.apply(hidden.flatten(0, 1)[source], output.weight, output.bias, targets)
    return found


class _LossSum(torch.autograd.Function):
    """Forward keeps the gradients of the sum; backward multiplies them by what the sum is worth."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor):
        wide = widened(hidden.dtype)
        losses = torch.empty(targets.shape, dtype=wide, device=hidden.device)
        grad_hidden = torch.empty_like(hidden)
        # float32: the sum over positions must not be rounded to bfloat16 after each part of them
        grad_weight = torch.zeros_like(weight, dtype=wide) if ctx.needs_input_grad[1] else None
        grad_bias = torch.zeros_like(bias, dtype=wide) if bias is not None else None
        kind = hidden.device.type if hidden.device.type in HELD_LOGITS else "cuda"
        num_rows = max(1, min(len(targets), HELD_LOGITS[kind] // len(weight)))
        block = max(SMALLEST_BLOCK, BLOCK_LOGITS[kind] // num_rows)
        held = torch.empty(num_rows * len(weight), dtype=wide, device=hidden.device)
        for start in range(0, len(targets), num_rows):
            part = slice(start, start + num_rows)
            losses[part], grad_hidden[part] = _of_positions(
                hidden[part], weight, bias, targets[part], held, block, grad_weight, grad_bias
            )
        ctx.grads = (
            grad_hidden,
            None if grad_weight is None else grad_weight.to(weight.dtype),
            None if bias is None or grad_bias is None else grad_bias.to(bias.dtype),
        )
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    def backward(ctx: Any, *grads: Tensor):
        if ctx.grads is None:
            raise RuntimeError("the gradients of a sum of losses are there once: call backward once")
        found, ctx.grads = ctx.grads, None
        worth = grads[0]
        return *(None if grad is None else grad.mul_(worth.to(grad.dtype)) for grad in found), None


def _of_positions(
    hidden: Float[Tensor, "N D"],
    weight: Float[Tensor, "V D"],
    bias: Tensor | None,
    targets: Tensor,
    held: Tensor,
    block: int,
    grad_weight: Tensor | None,
    grad_bias: Tensor | None,
) -> tuple[Float[Tensor, " N"], Float[Tensor, "N D"]]:
    """Losses of some positions, and the gradient of their sum for the hidden states; adds to that of the layer.

    held: room for N x V numbers; block: tokens of the vocabulary whose logits are made at one time.
    """
    chosen = torch.empty(targets.shape, dtype=held.dtype, device=held.device)
    largest = torch.full_like(chosen, float("-inf"))
    sums = torch.zeros_like(chosen)  # of exp(logit - largest), over the blocks so far
    largest_then: list[Tensor] = []
    for span, rows, columns, place in _blocks(targets, weight, held, block):
        _logits(hidden, weight[span], None if bias is None else bias[span], place)
        chosen[rows] = place[rows, columns]
        before, largest = largest, torch.maximum(largest, place.amax(-1))
        sums = sums * (before - largest).exp_() + place.sub_(largest[:, None]).exp_().sum(-1)
        largest_then.append(largest)
    normalisers = sums.log_().add_(largest)
    grad_hidden = torch.zeros(hidden.shape, dtype=held.dtype, device=held.device)
    blocks = _blocks(targets, weight, held, block)
    for (span, rows, columns, place), largest in zip(blocks, largest_then, strict=True):
        place.mul_((largest - normalisers).exp_()[:, None])  # probabilities
        place[rows, columns] -= 1
        narrow = place.to(weight.dtype)
        _add_product(grad_hidden, narrow, weight[span])
        if grad_weight is not None:
            _add_product(grad_weight[span], narrow.T, hidden)
        if grad_bias is not None:
            grad_bias[span] += place.sum(0)
    return normalisers - chosen, grad_hidden.to(hidden.dtype)


def _blocks(
    targets: Tensor, weight: Tensor, held: Tensor, block: int
) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
    """Parts of the vocabulary, each with the positions whose target is in it, its place there, and room for logits."""
    for start in range(0, len(weight), block):
        size = min(block, len(weight) - start)
        rows = ((targets >= start) & (targets < start + size)).nonzero().squeeze(1)
        room = held[start * len(targets) : (start + size) * len(targets)].view(len(targets), size)
        yield slice(start, start + size), rows, targets[rows] - start, room


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, place: Tensor) -> None:
    if hidden.dtype == place.dtype:
        torch.mm(hidden, weight.T, out=place)
    else:
        place.copy_(hidden @ weight.T)
    if bias is not None:
        place += bias


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
