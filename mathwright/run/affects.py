"""What a field of a recipe changes: the result of its stage, or only memory, speed, what is shown or when it stops.

    num_steps: Annotated[int, Grows(unless="optimiser.decay")]
    micro_batch_tokens: Annotated[int, MEMORY]
    saved_groups: Annotated[int, DISPLAY] = 2
    clip_eps_high: Annotated[float | None, ADDED] = None

A field without a mark changes the result: under another value the stage is another one. The marked kinds leave the
fingerprint of a stage alone, so they may differ when a run goes on, and take effect then.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any


class Affects(StrEnum):
    """What a field changes."""

    RESULT = "result"
    """What the stage leaves for others; also where a field has no mark."""
    MEMORY = "memory"
    """How much memory is used. Sums may be taken in another order, so that results differ by rounding."""
    SPEED = "speed"
    """How long it takes, or what an interruption costs."""
    DISPLAY = "display"
    """What is measured, shown or kept for people to look at."""
    GUARD = "guard"
    """When a run stops by itself; what it computes until then is the same."""


RESULT, MEMORY, SPEED, DISPLAY, GUARD = Affects


@dataclass(frozen=True, slots=True)
class Grows:
    """A field of the result of which a larger value is more of the same: what was made under a smaller one is its
    beginning, to the bit on CPU."""

    unless: str = ""
    """Path, from the record that has the field, of a field that must be empty for that."""


@dataclass(frozen=True, slots=True)
class Added:
    """A field that runs on disk do not know yet: while it has its default it does not count, and they stay valid. Its
    default must be what was done before there was the field, and never changes."""


ADDED = Added()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value of a recipe."""

    path: str
    """Dotted; the items of tuples of records have an index in it."""
    value: Any
    affects: Affects
    grows: bool = False
    """Whether a larger value is more of the same."""


@functools.cache
def marks(cls: type) -> Mapping[str, tuple[Affects, Grows | None]]:
    """What each field of a recipe part affects, and how it grows."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: _mark(hints[field.name]) for field in dataclasses.fields(cls)}


def _mark(hint: Any) -> tuple[Affects, Grows | None]:
    given = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
    affects = next((mark for mark in given if isinstance(mark, Affects)), RESULT)
    return affects, next((mark for mark in given if isinstance(mark, Grows)), None)


@functools.cache
def _added(cls: type) -> Mapping[str, Any]:
    """The fields that are ADDED, with their defaults."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {f.name: f.default for f in dataclasses.fields(cls) if ADDED in typing.get_args(hints[f.name])[1:]}


def _counted(record: Any) -> Iterator[tuple[str, Affects, Grows | None]]:
    """The fields of a record with their marks, without those that came later and are not set."""
    cls = type(record)
    for name, (affects, grows) in marks(cls).items():
        if name not in (added := _added(cls)) or getattr(record, name) != added[name]:
            yield name, affects, grows


def leaves(record: Any, prefix: str = "") -> Iterator[Leaf]:
    """Every value of a recipe or of a part of it; a mark on a field that holds records is that of all they have."""
    for name, affects, grows in _counted(record):
        value, path = getattr(record, name), f"{prefix}{name}"
        for leaf in _leaves_of(value, path):
            may_grow = grows is not None and not (grows.unless and _at(record, grows.unless))
            yield Leaf(leaf.path, leaf.value, leaf.affects if affects is RESULT else affects, may_grow or leaf.grows)


def _leaves_of(value: Any, path: str) -> Iterator[Leaf]:
    if dataclasses.is_dataclass(value):
        yield from leaves(value, path + ".")
    elif isinstance(value, tuple) and value and all(dataclasses.is_dataclass(item) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}.{index}.")
    else:
        yield Leaf(path, value, RESULT)


def _at(record: Any, path: str) -> Any:
    return functools.reduce(getattr, path.split("."), record)


def result_of(value: Any) -> Any:
    """A value with its records as dictionaries of what changes the result: equal for recipes that give the same."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = (name for name, affects, _ in _counted(value) if affects is RESULT)
        return {name: result_of(getattr(value, name)) for name in kept}
    if isinstance(value, Mapping):
        return {key: result_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [result_of(item) for item in value]
    return value
