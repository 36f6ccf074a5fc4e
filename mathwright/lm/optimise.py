"""AdamW on float32 master weights, with the multi-step schedule of §2.2."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mathwright.lm import parallel
from mathwright.lm.recipe import OptimiserRecipe


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
    update of 1e-6 would vanish in bfloat16's 8 bits, and so would most of a long sum of micro-batch gradients. Where
    they are float32, the weights themselves and their `.grad` serve, and nothing is kept twice.

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
        self._masters = [p if p.dtype in (torch.float32, torch.float64) else _master(p) for p in self._local]
        if not parallel.sharded(module):
            self._add_at_once()
        decayed = [m for m in self._masters if m.ndim >= 2]
        others = [m for m in self._masters if m.ndim < 2]
        groups = [
            {"params": params, "weight_decay": decay}
            for params, decay in ((decayed, recipe.weight_decay), (others, 0.0))
            if params
        ]
        self._adamw = torch.optim.AdamW(
            groups, lr=recipe.lr, betas=(recipe.beta1, recipe.beta2), eps=recipe.eps, fused=True
        )

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
            for group in self._adamw.param_groups:
                group["lr"] = self.lr
            self._adamw.step()
            self.num_updates += 1
            for weight, master in self._pairs():
                weight.copy_(master)
        self.zero_grad()
        return norm

    def zero_grad(self) -> None:
        """Forget gradients, summed or not."""
        for parameter in (*self._weights, *self._masters):
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Everything an exact continuation needs, beside the weights that are float32 already."""
        return {
            "num_updates": self.num_updates,
            "adamw": self._adamw.state_dict(),
            "masters": [master.detach() for _, master in self._pairs()],
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state_dict`; bfloat16 weights are set from the float32 copies."""
        pairs = self._pairs()
        if len(pairs) != len(state["masters"]):
            raise ValueError(f"the state has {len(state['masters'])} float32 copies, the module needs {len(pairs)}")
        for (weight, master), saved in zip(pairs, state["masters"], strict=True):
            master.copy_(saved)
            weight.copy_(master)
        self._adamw.load_state_dict(dict(state["adamw"]))
        self.num_updates = int(state["num_updates"])

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        """The weights (or this process's shards of them) that have a float32 copy, and the copy."""
        return [(w, m) for w, m in zip(self._local, self._masters, strict=True) if w is not m]


def _master(weight: Tensor) -> Tensor:
    return weight.detach().float().requires_grad_()
