"""Decisions that may be open, and who is asked about expressions."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Protocol

from mathwright.answers.nodes import Formula, Relation
from mathwright.answers.numbers import Quantity

Decision = bool | None
"""None: not decided without working expressions out."""


class Oracle(Protocol):
    """Decides about expressions; in the calling process it knows spelling only, in a worker it can calculate."""

    rel_tolerance: Fraction
    """How far the number `a` may lie from `b`, as a part of `b` (rule 10)."""

    max_comparisons: int
    """So many pairs of a list's items are looked at one by one; beyond them nothing is decided."""

    @property
    def exact(self) -> Oracle:
        """The same without tolerance."""
        ...

    def equal(self, a: Quantity | Formula, b: Quantity | Formula, factor: Fraction = Fraction(1)) -> Decision:
        """Whether `factor` times `a` equals `b`."""
        ...

    def place(self, end: Formula) -> Fraction | None:
        """Where on the number line a constant lies, to forty places; None where that is not known."""
        ...

    def related(self, a: Relation, b: Relation) -> Decision:
        """Whether two equations or inequalities of two sides each say the same."""
        ...


def every(decisions: Iterable[Decision]) -> Decision:
    """False if one is False, None if one is undecided, else True."""
    undecided = False
    for decision in decisions:
        if decision is False:
            return False
        undecided = undecided or decision is None
    return None if undecided else True


def either(decisions: Iterable[Decision]) -> Decision:
    """True if one is True, None if one is undecided, else False."""
    undecided = False
    for decision in decisions:
        if decision:
            return True
        undecided = undecided or decision is None
    return None if undecided else False
