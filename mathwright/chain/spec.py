"""What a stage is to the chain: one value that says all that is to be known about it outside its own room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mathwright.chain.plan import Plan
from mathwright.recipe import Recipe
from mathwright.run import Stage

C = TypeVar("C")
"""What the stages of a chain are given: `mathwright.chain.context.Context`."""


def _no_stages(recipe: Recipe) -> Sequence[str]:
    return ()


def _no_models(recipe: Recipe) -> Sequence[tuple[str, str]]:
    return ()


def _no_contents(recipe: Recipe) -> Mapping[str, str]:
    return {}


def _no_template(recipe: Recipe) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec(Generic[C]):
    """A stage of the chain. Which fields of its part change its result, the recipe says (`run.affects`)."""

    name: str
    """Of its folder, its part of the recipe and, if it has one, its verb."""
    about: str = ""
    """For people, in the help of its verb; "" for a stage that has no verb of its own."""
    run: Callable[[C, Stage], None]
    """Make its artefacts. Heavy libraries are imported in there, so that looking at a recipe needs none."""
    check: Callable[[C], None]
    """Raise MathwrightError for what can be known to be wrong before anything is run, and without importing torch."""
    opens: Callable[[Recipe], Sequence[tuple[str, str]]] = _no_models
    """Models that the recipe names for it, each with what names it; they are opened before the first stage."""
    plan: Callable[[Recipe, int], Plan] | None = None
    """Steps, tokens and memory for a recipe that has this stage and a number of GPUs."""
    reads: Callable[[Recipe], Sequence[str]] = _no_stages
    """Names of the stages whose artefacts it reads, besides the models it starts from."""
    contents: Callable[[Recipe], Mapping[str, str]] = _no_contents
    """Files of one's own that it reads, each with what tells their content from another: edited ones are other inputs.
    """
    models: Callable[[Recipe], Sequence[str]] | None = None
    """Names of the stages whose models it starts from, instead of which `--model` may name one; None: from none."""
    uses_template: Callable[[Recipe], bool] = _no_template
    """Whether the recipe's template changes its result."""
    asks: bool = False
    """Whether it asks problems (`provenance.QUESTIONS_FORMAT`)."""
    takes_shards: bool = False
    """Whether `--shards` may name what it trains on."""
    keeps_checkpoints: bool = False
    """Whether it writes checkpoints, for which the disk must have room."""
    parallel: bool = False
    """Whether several processes, started by torchrun, run it together. Others they do not run at all, but `problems`,
    which the first of them does."""
    format: int = 1
    """Raised when it writes or reads its files in another way, or computes something else from the same inputs, so
    that one begun by an earlier version must not go on. The version of the package does not count."""


Specs = Sequence[StageSpec[Any]]
"""The stages of a chain in their order."""
