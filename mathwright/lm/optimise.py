"""AdamW on float32 master weights, with the multi-step schedule of §2.2."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mathwright.errors import MathwrightError
from mathwright.lm import parallel
from mathwright.lm.recipe import OptimiserRecipe

PIECE = 2**20
"""Numbers brought into another form at a time."""


def learning_rate(recipe: OptimiserRecipe, step: int, num_steps: int) -> float:
    """The rate of step `step` (from 0) out of `num_steps`: linear warm-up, then the factor of the share reached.

    §2.2: 2,000 warm-up steps, x 0.316 after 80% of the training, x 0.1 after 90%.
    """
    warmup = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    factor = 1.0
    for share, then in recipe.decay:
        if step >= share * num_steps:
            factor = then
    return recipe.lr * warmup * factor


class Optimiser:
    """AdamW over the trainable parameters of a module, weights in bfloat16 or float32.

    Where weights are bfloat16, the float32 copy that Adam moves and the float32 sum of the gradients live here: an
    update of 1e-6 would vanish in bfloat16's 8 bits, and so would most of a long sum of micro-batch gradients. Of the
    copy only what the weight lacks is kept (`Float32Copy`). Where they are float32, the weights themselves and their
    `.grad` serve, and nothing is kept twice.

    Call `accumulate` after each backward pass and `step` once they are all done. Matrices decay, vectors (norms,
    biases) do not. In one process each bfloat16 gradient goes into its sum as soon as the backward pass has made it, so
    that they are never all there; a module has one optimiser at a time.

    Of weights sharded over processes (`lm.parallel`) it sees this process's shards alone, but for the norm of the
    gradient; then `accumulate`, `step` and `state_dict` are to be called in every process.
    """

    def __init__(self, module: torch.nn.Module, recipe: OptimiserRecipe, *, num_steps: int) -> None:
        self.recipe = recipe
        self.num_steps = num_steps
        self.num_updates = 0
        self._module = module
        parallel.reshard(module)
        self._weights = [p for p in module.parameters() if p.requires_grad]
        if not self._weights:
            raise ValueError("the module has no trainable parameter")
        self._local = [parallel.local(p.detach()) if parallel.sharded(module) else p for p in self._weights]
        self._copies = [None if p.dtype in (torch.float32, torch.float64) else Float32Copy(p) for p in self._local]
        self._masters = [p if copy is None else copy.whole for p, copy in zip(self._local, self._copies, strict=True)]
        if not parallel.sharded(module):
            self._add_at_once()
        # one for each weight, so that one float32 copy is whole at a time
        self._adamw = [
            torch.optim.AdamW(
                [master],
                lr=recipe.lr,
                betas=(recipe.beta1, recipe.beta2),
                eps=recipe.eps,
                weight_decay=recipe.weight_decay if master.ndim >= 2 else 0.0,
                fused=True,
            )
            for master in self._masters
        ]

    @property
    def lr(self) -> float:
        """The rate of the next update."""
        return learning_rate(self.recipe, self.num_updates, self.num_steps)

    def _add_at_once(self) -> None:
        own = weakref.ref(self)  # the module may live longer

        def add(weight: Tensor, index: int) -> None:
            if (optimiser := own()) is not None:
                optimiser._accumulate(index)

        for index, (weight, master) in enumerate(zip(self._weights, self._masters, strict=True)):
            if weight is not master:
                weight.register_post_accumulate_grad_hook(functools.partial(add, index=index))

    def accumulate(self) -> None:
        """Move the gradients of the last backward pass into the float32 sums and free them."""
        for index in range(len(self._weights)):
            self._accumulate(index)

    @torch.no_grad()
    def _accumulate(self, index: int) -> None:
        weight, master = self._weights[index], self._masters[index]
        if weight is master or weight.grad is None:
            return
        grad = parallel.local(weight.grad)
        if master.grad is None:
            master.grad = grad.to(master.dtype)
        else:
            master.grad.add_(grad)
        weight.grad = None

    @torch.no_grad()
    def step(self) -> float:
        """Clip the summed gradient to `clip_norm`, update, and forget the gradient. Returns its norm before clipping.

        With a norm that is not finite nothing is updated: the caller sees it in the returned value.
        """
        grads = [m.grad for m in self._masters if m.grad is not None]
        if not grads:
            raise ValueError("no gradient: call backward and accumulate before step")
        norm = float(parallel.norm_over_processes(torch.nn.utils.get_total_norm(grads), self._weights[0]))
        parallel.reshard(self._module)
        if math.isfinite(norm):
            if self.recipe.clip_norm and norm > self.recipe.clip_norm:
                for grad in grads:
                    grad.mul_(self.recipe.clip_norm / norm)
            for adamw, copy in zip(self._adamw, self._copies, strict=True):
                adamw.param_groups[0]["lr"] = self.lr
                if copy is not None:
                    copy.restore()
                adamw.step()
                adamw.zero_grad()
                if copy is not None:
                    copy.split()
            self.num_updates += 1
        self.zero_grad()
        return norm

    def zero_grad(self) -> None:
        """Forget gradients, summed or not."""
        for parameter in (*self._weights, *self._masters):
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Everything an exact continuation needs beside the weights."""
        return {
            "num_updates": self.num_updates,
            "adamw": [adamw.state_dict() for adamw in self._adamw],
            "lower": [copy.lower for copy in self._copies if copy is not None],
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`; the weights are to be what they were."""
        copies = [copy for copy in self._copies if copy is not None]
        if len(self._adamw) != len(state["adamw"]) or len(copies) != len(state["lower"]):
            raise ValueError(
                f"the state is of {len(state['adamw'])} weights, {len(state['lower'])} of them in bfloat16; "
                f"the module has {len(self._adamw)} and {len(copies)}"
            )
        for copy, lower in zip(copies, state["lower"], strict=True):
            copy.lower.copy_(lower)
        for adamw, saved in zip(self._adamw, state["adamw"], strict=True):
            adamw.load_state_dict(saved)
        self.num_updates = int(state["num_updates"])


class Float32Copy:
    """The float32 copy of a bfloat16 weight, kept as the difference of the two.

    A bfloat16 number is the upper half of a float32 one. The copy, rounded to the weight, is less than half a unit of
    the weight's last place away, so the difference of their bits, read as integers, fits 16 bits. One case does not: a
    copy exactly between two weights, rounded down; it is moved by one bit of float32.
    """

    def __init__(self, weight: Tensor) -> None:
        """weight: bfloat16; set by `split`. Raises MathwrightError for another type."""
        if weight.dtype != torch.bfloat16:
            raise MathwrightError(f"weights of type {weight.dtype} are not trained", hint="take bfloat16 or float32")
        self._weight = weight
        self.lower = torch.zeros_like(weight, dtype=torch.int16)
        """What the bits of the copy are above those of the weight."""
        self.whole = torch.empty_like(weight, dtype=torch.float32).requires_grad_()
        """The copy, without memory but between `restore` and `split`; its `.grad` may stand all the time."""
        self._nbytes = self.whole.untyped_storage().nbytes()
        self.whole.untyped_storage().resize_(0)

    @torch.no_grad()
    def restore(self) -> None:
        """Make the copy whole."""
        self.whole.untyped_storage().resize_(self._nbytes)
        for weight, lower, bits in self._pieces():
            bits.copy_(weight.view(torch.int16)).bitwise_left_shift_(16).add_(lower)

    @torch.no_grad()
    def split(self) -> None:
        """Round the copy to the weight, keep the difference, and free it."""
        for weight, lower, bits in self._pieces():
            weight.copy_(bits.view(torch.float32))
            rounded = weight.view(torch.int16).to(torch.int32).bitwise_left_shift_(16)
            lower.copy_(bits.sub_(rounded).clamp_(max=2**15 - 1))
        self.whole.untyped_storage().resize_(0)

    def _pieces(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Weight, lower half and the bits of the copy, a few at a time: nothing else as large as the weight is made."""
        flat = (self._weight.view(-1), self.lower.view(-1), self.whole.view(torch.int32).view(-1))
        return zip(*(tensor.split(PIECE) for tensor in flat), strict=True)
