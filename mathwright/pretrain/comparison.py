"""The trainings of a comparison (§2.2): which there are, in which order, and what can be wrong with them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mathwright.errors import MathwrightError
from mathwright.pretrain.recipe import START, ArmRecipe, CompareRecipe, MixtureRecipe, check

HEALED = "healed-start"
"""The part of the stage in which the common start is trained first."""
RESERVED = (START, HEALED, "all")


def arms(recipe: CompareRecipe) -> list[ArmRecipe]:
    """All that is compared: each of the corpora alone, then what `arms` has."""
    alone = [ArmRecipe(name=corpus.name, mixture=(corpus,)) for corpus in recipe.corpora]
    return [*alone, *recipe.arms]


def components(recipe: CompareRecipe) -> dict[str, MixtureRecipe]:
    """The corpora of all arms, and those of the healing, by name."""
    return {component.name: component for component in _named(recipe)}


def _named(recipe: CompareRecipe) -> list[MixtureRecipe]:
    found = [component for arm in arms(recipe) for component in arm.mixture]
    return [*found, *(recipe.heal.mixture if recipe.heal is not None else ())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training of the comparison."""

    arm: ArmRecipe
    seed: int
    rate: float
    num_tokens: int
    name: str
    """Of its part of the stage: the arm's where there is one seed and one rate."""
    start: str
    """Part of the stage that it starts from; "" for the common start."""


def trainings(recipe: CompareRecipe, seed: int) -> list[Training]:
    """All of them: rate by rate, seed by seed, so that all arms of a seed are there before the next begins."""
    seeds, rates = recipe.seeds or (seed,), recipe.rates or (recipe.training.optimiser.lr,)
    one = len(seeds) == len(rates) == 1
    return [
        training
        for rate, own_seed in itertools.product(rates, seeds)
        for training in _of_seed(recipe, own_seed, rate, suffix="" if one else f"-rate{rate:g}-seed{own_seed}")
    ]


def pilot(recipe: CompareRecipe, seed: int) -> list[Training]:
    """The trainings of the pilot: each arm under the first two seeds, at the first rate; empty where there is none."""
    if recipe.pilot_tokens is None:
        return []
    seeds = (*(recipe.seeds or ()), seed, seed + 1)
    rate = (recipe.rates or (recipe.training.optimiser.lr,))[0]
    return [
        training
        for own_seed in list(dict.fromkeys(seeds))[:2]
        for training in _of_seed(recipe, own_seed, rate, suffix=f"-pilot-seed{own_seed}", tokens=recipe.pilot_tokens)
    ]


def _of_seed(
    recipe: CompareRecipe, seed: int, rate: float, *, suffix: str, tokens: int | None = None
) -> Iterator[Training]:
    for arm in arms(recipe):
        yield Training(
            arm=arm,
            seed=seed,
            rate=rate,
            num_tokens=tokens or arm.num_tokens or recipe.training.num_tokens,
            name=f"{arm.name}{suffix}",
            start=f"{arm.after}{suffix}" if arm.after else "",
        )


def task_and_mode(task: str) -> tuple[str, str]:
    """gsm8k:pot as its name and mode; cot where none is said."""
    name, colon, mode = task.rpartition(":")
    return (name, mode) if colon and mode in ("cot", "pot", "tool") else (task, "cot")


def measure_names(recipe: CompareRecipe) -> dict[str, str]:
    """The files and benchmarks of worked solutions and choices by the name of their measure, which is the file's.
    Raises MathwrightError where two have one name."""
    named: dict[str, str] = {}
    for given in (*(recipe.targets or ()), *(recipe.choices or ())):
        name = Path(given).name.partition(".")[0]
        if name in named:
            raise MathwrightError(
                f"{named[name]} and {given} would both be the measure {name!r}",
                hint="give files names of their own, and name each once in compare.targets and compare.choices",
            )
        named[name] = given
    return named


def check_comparison(recipe: CompareRecipe) -> None:
    """Raise MathwrightError for a comparison that could show nothing."""
    check(recipe.training, alone=True)
    _check_arms(recipe)
    for name, values in (("seeds", recipe.seeds), ("rates", recipe.rates)):
        if values is not None and (not values or len(set(values)) < len(values)):
            raise MathwrightError(f"compare.{name} is {values}", hint="name each once, or leave it out")
    if recipe.rates is not None and not all(rate > 0 for rate in recipe.rates):
        raise MathwrightError(f"compare.rates is {recipe.rates}", hint="learning rates are above 0")
    for name in ("num_targets", "num_task_problems", "task_tokens", "pilot_tokens"):
        value = getattr(recipe, name)
        if value is not None and value < 1:
            raise MathwrightError(f"compare.{name} is {value}", hint="it must be at least 1")
    if recipe.pilot_tokens is not None and len(recipe.seeds or ()) < 2:
        raise MathwrightError(
            "a pilot says what several seeds would show, but compare.seeds names fewer than two",
            hint="--set compare.seeds=[0,1,2], or leave compare.pilot_tokens out",
        )
    if recipe.heal is not None:
        check(recipe.heal)
        read = {component.path for arm in arms(recipe) for component in arm.mixture}
        if shared := next((c for c in recipe.heal.mixture if c.path in read), None):
            raise MathwrightError(
                f"the start is healed on {shared.name} ({shared.path}), which an arm has too",
                hint="heal it on text that no arm is trained on, so that all gain the same",
            )


def _check_arms(recipe: CompareRecipe) -> None:
    names = [arm.name for arm in arms(recipe)]
    if not names:
        raise MathwrightError("nothing is compared", hint="name corpora in compare.corpora or compare.arms")
    if len(set(names)) < len(names) or set(names) & set(RESERVED):
        raise MathwrightError(
            f"compare.corpora are called {', '.join(names)}",
            hint=f"give each a name of its own, none of them {', '.join(RESERVED)}",
        )
    for number, arm in enumerate(arms(recipe)):
        if not arm.mixture:
            raise MathwrightError(f"the arm {arm.name!r} has no corpus", hint="give it a mixture")
        if arm.after and arm.after not in names[:number]:
            raise MathwrightError(
                f"the arm {arm.name!r} is trained after {arm.after!r}, which is none of those before it",
                hint="name the arm it starts from first",
            )
        if arm.num_tokens is not None and arm.num_tokens < 1:
            raise MathwrightError(
                f"num_tokens of the arm {arm.name!r} is {arm.num_tokens}", hint="it must be at least 1"
            )
    paths: dict[str, str] = {}
    for component in _named(recipe):
        if paths.setdefault(component.name, component.path) != component.path:
            raise MathwrightError(
                f"two corpora of the comparison are called {component.name!r}",
                hint="give what lies in different folders different names",
            )
