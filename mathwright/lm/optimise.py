"""AdamW on float32 master weights, with the multi-step schedule of §2.2."""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Collection, Iterator

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
    gradient; then `accumulate` and `step` are to be called in every process.
    """

    def __init__(self, module: torch.nn.Module, recipe: OptimiserRecipe, *, num_steps: int) -> None:
        self.recipe = recipe
        self.num_steps = num_steps
        self._num_updates = torch.zeros((), dtype=torch.int64)
        self._module = module
        parallel.reshard(module)
        trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if not trained:
            raise ValueError("the module has no trainable parameter")
        self.narrow = {name: p.dtype not in (torch.float32, torch.float64) for name, p in trained.items()}
        """Names of the weights, in the order of the module, and whether each has a float32 copy."""
        self._weights = list(trained.values())
        self._local = [parallel.local(p.detach()) if parallel.sharded(module) else p for p in self._weights]
        self._copies = [
            Float32Copy(p) if is_narrow else None
            for p, is_narrow in zip(self._local, self.narrow.values(), strict=True)
        ]
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
    def num_updates(self) -> int:
        """Updates done."""
        return int(self._num_updates)

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
            self._num_updates += 1
        self.zero_grad()
        return norm

    def zero_grad(self) -> None:
        """Forget gradients, summed or not."""
        for parameter in (*self._weights, *self._masters):
            parameter.grad = None

    def state_dict(self) -> dict[str, Tensor]:
        """Everything an exact continuation needs in addition to the weights, sharing memory.

        By name of the weight: its moments and number of updates (`NAME/exp_avg`, `NAME/exp_avg_sq`, `NAME/step`), once
        it has had a gradient; in bfloat16 what it lacks to the float32 copy (`NAME/lower`). Of a sharded weight they
        are sharded alike, but for the number.
        """
        state = {"num_updates": self._num_updates}
        for name, weight, copy, adamw, master in self._each():
            if copy is not None:
                state[f"{name}/lower"] = parallel.sharded_as(weight, copy.lower)
            for moment, value in adamw.state[master].items():
                state[f"{name}/{moment}"] = parallel.sharded_as(weight, value) if value.ndim else value
        return state

    @torch.no_grad()
    def state_to_fill(self, saved: Collection[str]) -> dict[str, Tensor]:
        """`state_dict` with a value for each of the saved names: filled in place, the optimiser goes on from it.

        The weights are to be what they were. Raises ValueError where the names are not those of this module's weights.
        """
        for name, _, _, adamw, master in self._each():
            if f"{name}/step" in saved:
                count = torch.zeros((), dtype=torch.float32, device=master.device)
                moments = (torch.zeros_like(master, requires_grad=False) for _ in range(2))
                adamw.state[master] = {"step": count, **dict(zip(("exp_avg", "exp_avg_sq"), moments, strict=True))}
            else:
                adamw.state.pop(master, None)
        state = self.state_dict()
        if other := sorted(state.keys() ^ set(saved)):
            raise ValueError(f"the state is not of these weights: {other[0]} differs, and {len(other) - 1} others")
        return state

    def _each(self) -> Iterator[tuple[str, Tensor, Float32Copy | None, torch.optim.AdamW, Tensor]]:
        return zip(self.narrow, self._weights, self._copies, self._adamw, self._masters, strict=True)


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
