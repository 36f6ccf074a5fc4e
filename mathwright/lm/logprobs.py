"""Log-probabilities and losses of packed batches, in float32, without ever holding logits for all positions.

Logits are made from the last hidden states of the positions that need them for some tokens of the vocabulary at a time,
reduced at once, and made again in the backward pass: memory is L x `_block` instead of L x V, for one more product with
the output layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm.logit_transform import IDENTITY, LogitTransform
from mathwright.lm.model import LanguageModel, require_embedded, sequence_limits
from mathwright.lm.pack import GroupBatch, PackedRows, packed_states
from mathwright.lm.probe import logit_transform

BLOCK_LOGITS = {"cpu": 2**21, "cuda": 2**27}
"""Logits that exist at one time. On a CPU what stays in the cache: 1,536 positions at a vocabulary of 49,152 take 0.6
of the time of 512 whole rows at once."""
SMALLEST_BLOCK = 1024


def hidden_states(model: Any, batch: PackedRows | GroupBatch) -> Float[Tensor, "R L D"]:
    """Last hidden states (after the final norm) of every token of a packed batch.

    Raises MathwrightError where a sequence is longer than the model's context or than what its attention computes
    (`lm.model.sequence_limits`), or holds a token for which the model has no embedding.
    """
    longest = int(batch.positions.max()) + 1
    for what, limit in sequence_limits(model):
        if longest > limit:
            raise MathwrightError(
                f"a sequence of {longest} tokens exceeds the model's {what} of {limit}",
                hint="shorten prompts or max_new_tokens, or lower the context of the recipe",
            )
    require_embedded(model, int(batch.tokens.max()))
    return packed_states(model, batch)


def response_logprobs(lm: LanguageModel, batch: GroupBatch, temperature: float = 1.0) -> Float[Tensor, "B T"]:
    """log pi(o_t | q, o_<t) of every trained response token, differentiable; 0 where response_mask is False.

    temperature divides the logits, as in sampling. The result is float32 (float64 for a float64 model).
    """
    return logprobs_of(lm, hidden_states(lm.model, batch), batch, temperature)


def logprobs_of(
    lm: LanguageModel, hidden: Float[Tensor, "1 L D"], batch: GroupBatch, temperature: float = 1.0
) -> Float[Tensor, "B T"]:
    """`response_logprobs` of hidden states that are there already, of the body of `lm` or of one like it."""
    mask = batch.response_mask.to(hidden.device)
    source = batch.source_index.to(hidden.device)[mask]
    targets = batch.response_tokens.to(hidden.device)[mask]
    values = token_logprobs(
        hidden.flatten(0, 1)[source],
        lm.model.get_output_embeddings(),
        targets,
        temperature,
        transform=logit_transform(lm.model),
    )
    return torch.zeros(mask.shape, dtype=values.dtype, device=values.device).masked_scatter(mask, values)


def next_token_losses(lm: LanguageModel, rows: PackedRows) -> Float[Tensor, " N"]:
    """-log p of every trained token given what precedes it in its example, in nats, differentiable."""
    hidden = hidden_states(lm.model, rows)
    source, targets = rows.source_index.to(hidden.device), rows.targets.to(hidden.device)
    output, transform = lm.model.get_output_embeddings(), logit_transform(lm.model)
    return -token_logprobs(hidden.flatten(0, 1)[source], output, targets, transform=transform)


def gather_hidden(hidden: Float[Tensor, "1 L D"], batch: GroupBatch) -> Float[Tensor, "B T D"]:
    """The hidden states at the response tokens themselves, for heads; row 0 of the batch after a response's end."""
    return hidden.flatten(0, 1)[batch.token_index.to(hidden.device)]


def gather_last(hidden: Float[Tensor, "1 L D"], batch: GroupBatch) -> Float[Tensor, "B D"]:
    """The hidden state at the last token of each response, for sequence scores."""
    return hidden.flatten(0, 1)[batch.last_index.to(hidden.device)]


def token_logprobs(
    hidden: Float[Tensor, "N D"],
    output_layer: torch.nn.Linear,
    targets: Tensor,
    temperature: float = 1.0,
    *,
    transform: LogitTransform = IDENTITY,
) -> Float[Tensor, " N"]:
    """log softmax(transform(output_layer(hidden)) / temperature)[targets], chunk by chunk in both directions."""
    if temperature <= 0:
        raise ValueError(f"temperature is {temperature}; a log-probability needs a temperature above 0")
    values = _ChunkedLogprobs.apply(hidden, output_layer.weight, output_layer.bias, targets, transform, temperature)
    assert isinstance(values, Tensor)
    return values


def widened(dtype: torch.dtype) -> torch.dtype:
    """The type in which logits of such hidden states are reduced."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _logits(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, transform: LogitTransform, temperature: float
) -> Tensor:
    logits = transform(torch.nn.functional.linear(hidden, weight, bias).to(widened(hidden.dtype)))
    return logits if temperature == 1.0 else logits / temperature


def _block(num_rows: int, device: torch.device) -> int:
    """Tokens of the vocabulary whose logits exist at one time."""
    return max(SMALLEST_BLOCK, BLOCK_LOGITS.get(device.type, BLOCK_LOGITS["cuda"]) // max(1, num_rows))


class _ChunkedLogprobs(torch.autograd.Function):
    """Forward keeps one number a position (the log of the normaliser); backward makes the logits again."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        transform: LogitTransform,
        temperature: float,
    ):
        wide = widened(hidden.dtype)
        chosen = torch.empty(targets.shape, dtype=wide, device=hidden.device)
        largest = torch.full_like(chosen, float("-inf"))
        sums = torch.zeros_like(chosen)  # of exp(logit - largest), over the blocks so far
        for block, rows, columns in _blocks(targets, weight):
            logits = _logits(hidden, weight[block], None if bias is None else bias[block], transform, temperature)
            chosen[rows] = logits[rows, columns]
            before, largest = largest, torch.maximum(largest, logits.amax(-1))
            # torch.logsumexp takes 40 times as long on a CPU (its exponential is not vectorised)
            sums = sums * (before - largest).exp_() + logits.sub_(largest[:, None]).exp_().sum(-1)
        normalisers = sums.log_().add_(largest)
        ctx.save_for_backward(hidden, weight, bias, targets, normalisers)
        ctx.transform, ctx.temperature = transform, temperature
        return chosen - normalisers

    @staticmethod
    def backward(ctx: Any, *grads: Tensor):
        # d log p[target] / d logits = onehot(target) - softmax(logits), times the slope of the transform
        (grad,) = grads
        hidden, weight, bias, targets, normalisers = ctx.saved_tensors
        scale = grad / ctx.temperature
        # float32: the sum over blocks must not be rounded to bfloat16 after each
        grad_hidden = torch.zeros(hidden.shape, dtype=grad.dtype, device=grad.device)
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        grad_bias = None if bias is None else torch.empty_like(bias)
        for block, rows, columns in _blocks(targets, weight):
            part = None if bias is None else bias[block]
            logits = _logits(hidden, weight[block], part, ctx.transform, ctx.temperature)
            slope = None if ctx.transform.is_identity else ctx.transform.slope(logits * ctx.temperature)
            grad_logits = logits.sub_(normalisers[:, None]).exp_().mul_(-scale[:, None])
            grad_logits[rows, columns] += scale[rows]
            if slope is not None:
                grad_logits *= slope
            narrow = grad_logits.to(weight.dtype)
            grad_hidden += narrow @ weight[block]
            if grad_weight is not None:
                grad_weight[block] = narrow.T @ hidden
            if grad_bias is not None:
                grad_bias[block] = grad_logits.sum(0)
        return grad_hidden.to(hidden.dtype), grad_weight, grad_bias, None, None, None


def _blocks(targets: Tensor, weight: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Parts of the vocabulary, each with the positions whose target is in it, and the target's place in it."""
    size = _block(len(targets), targets.device)
    for start in range(0, weight.shape[0], size):
        rows = ((targets >= start) & (targets < start + size)).nonzero().squeeze(1)
        yield slice(start, start + size), rows, targets[rows] - start
