"""What a stage was made from: kept in its begun.json, compared when the stage is met again, and said where it differs.

    {"fingerprint": "...", "version": "0.1.0", "inputs": {"seed": 0, "sft.num_steps": 20, ...},
     "settings": {"sft.checkpoint_every": 10}, "start": {"given": ..., "at": ...}}

`inputs` are what the result depends on; `settings` what changes memory, speed or display alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mathwright.files import jsonable
from mathwright.run.affects import result_of
from mathwright.run.aside import BEGUN, is_barren

ABSENT = type("Absent", (), {"__repr__": lambda _: "none"})()
"""Of an input that one of two sets has not."""
MAX_SAID = 6


def fingerprint(*parts: Any) -> str:
    """A short hash of recipe parts, records or other JSON-like values; of records, what changes the result counts."""
    text = json.dumps(result_of(parts), sort_keys=True, default=jsonable, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Begun:
    """What stands in a stage's begun.json."""

    fingerprint: str
    version: str = ""
    """Of the package; "" where it was not recorded."""
    inputs: Mapping[str, Any] | None = None
    """By path; None where they were not recorded (version 0.1.0 of early 2026 and before)."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: Mapping[str, str] | None = None
    """`given`: the model named by hand that lay in the folder of this very stage; `at`: where it lies since."""

    @classmethod
    def read(cls, stage_path: Path) -> Begun | None:
        """That of a stage; None where there is none or it is no record of ours."""
        try:
            found = json.loads((stage_path / BEGUN).read_text(encoding="utf-8"))
            names = [f.name for f in dataclasses.fields(cls)]
            return cls(**{name: found[name] for name in names if name in found})
        except (OSError, ValueError, TypeError):
            return None

    def as_json(self) -> dict[str, Any]:
        """What is written into begun.json."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Difference:
    """An input that is another one now."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.path}: {_short(self.old)} -> {_short(self.new)}"


def by_path(inputs: Sequence[Any]) -> dict[str, Any]:
    """The inputs of a stage as plain JSON values by dotted path."""
    found: dict[str, Any] = {}
    for number, value in enumerate(inputs):
        plain = json.loads(json.dumps(result_of(value), default=str))
        found.update(_flat(plain, "" if isinstance(plain, dict) else f"input {number + 1}"))
    return found


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    below: Sequence[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        below = list(enumerate(value))
    if not below:
        yield path, value
    for key, item in below:
        yield from _flat(item, f"{path}.{key}" if path else str(key))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """What differs between two sets of inputs, those of `new` first, in their order."""
    paths = [*new, *(path for path in old if path not in new)]
    return [
        Difference(path, old.get(path, ABSENT), new.get(path, ABSENT))
        for path in paths
        if old.get(path, ABSENT) != new.get(path, ABSENT)
    ]


def only_grew(changes: Sequence[Difference], growing: Collection[str]) -> bool:
    """Whether all that differs are values, of those that may grow, that are larger now."""
    return bool(changes) and all(change.path in growing and _is_more(change.old, change.new) for change in changes)


def _is_more(old: Any, new: Any) -> bool:
    if isinstance(old, list) and isinstance(new, list):
        return all(item in new for item in old)
    if isinstance(old, int | float) and isinstance(new, int | float):
        return new > old
    return False


def said(changes: Sequence[Difference]) -> str:
    """Differences in one line: what was given by hand first, without the stages that are not read for that reason."""
    by_hand = [change for change in changes if " --" in change.path]
    if by_hand:
        changes = by_hand + [c for c in changes if c not in by_hand and ABSENT not in (c.old, c.new)]
    more = f", and {len(changes) - MAX_SAID} more" if len(changes) > MAX_SAID else ""
    return "; ".join(map(str, changes[:MAX_SAID])) + more


def _short(value: Any) -> str:
    text = repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


@dataclass(frozen=True, slots=True)
class Standing:
    """How a stage's folder stands to the inputs of now."""

    state: Literal["nothing", "same", "grown", "other"]
    """same: made from these inputs; grown: from less of the same; other: from other ones, or of another making."""
    begun: Begun | None = None
    changes: tuple[Difference, ...] = ()

    @property
    def why(self) -> str:
        """In what it is other."""
        if self.begun is None:
            return "this is no stage of ours"
        if self.begun.inputs is None:
            return "begun by an earlier version, which did not record its inputs"
        return f"made from other inputs ({said(self.changes)})"

    @classmethod
    def of(cls, stage_path: Path, fingerprint: str, inputs: Mapping[str, Any], growing: Collection[str]) -> Standing:
        """That of what is in a folder to inputs with this fingerprint, some of which may grow."""
        if is_barren(stage_path):
            return cls("nothing")
        begun = Begun.read(stage_path)
        if begun is not None and begun.fingerprint == fingerprint:
            return cls("same", begun)
        if begun is None or begun.inputs is None:
            return cls("other", begun)
        changes = tuple(differences(begun.inputs, inputs))
        return cls("grown" if only_grew(changes, growing) else "other", begun, changes)
