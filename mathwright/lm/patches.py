"""Forward passes that are replaced on one module of a model, at run time.

A model stays what it is, a module of transformers with its names and its class. What this package needs to change in it
is done here: adapters are switched off (`lm.lora`), a layer is computed again in the backward pass (`lm.activations`),
and a call of the decoder gathers sharded weights (`lm.parallel`).

The contract: a replaced pass is an attribute of the one module, which hides the method of its class. So everything that
hooks into a call of the module, FSDP among it, goes on around the new pass and is not run again within it. A module has
one replacement at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch.nn import Module


def replace_forward(module: Module, forward: Callable[..., Any]) -> None:
    """Have calls of `module` compute `forward`, which gets their arguments, without the module.

    Raises ValueError where its pass is replaced already: the former would be lost.
    """
    if "forward" in module.__dict__:
        raise ValueError(f"the forward pass of this {type(module).__name__} is replaced already")
    module.forward = forward


def restore_forward(module: Module) -> None:
    """Have calls of `module` compute the pass of its class; nothing where they do."""
    module.__dict__.pop("forward", None)


@contextmanager
def replaced(forwards: Mapping[Module, Callable[..., Any]]) -> Iterator[None]:
    """Within it, calls of these modules compute other passes."""
    done: list[Module] = []
    try:
        for module, forward in forwards.items():
            replace_forward(module, forward)
            done.append(module)
        yield
    finally:
        for module in done:
            restore_forward(module)
