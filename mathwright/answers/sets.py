"""Sets of real numbers with rational ends in a normal form, so that one set has one representation.

`[1,2] ∪ [2,3]` is `[1,3]`, `ℝ ∖ {0}` is `(-∞,0) ∪ (0,∞)`: each is the sorted tuple of its separate pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from mathwright.answers.nodes import Combination, Formula, Interval, Node, Sequence
from mathwright.answers.numbers import Quantity

End = tuple[int, Fraction, int]
"""A cut of the number line: (-1 for -∞, 0, 1 for ∞; the number; 0 just below it, 1 just above it)."""
RealSet = tuple[tuple[End, End], ...]
"""Separate pieces, each from one cut to a later one."""

_MINUS_INFINITY: End = (-1, Fraction(0), 0)
_INFINITY: End = (1, Fraction(0), 0)


Place = Callable[[Formula], Fraction | None]


def real_set(node: Node, place: Place = lambda end: None) -> RealSet | None:
    """The set that a node stands for, or None where an end is no plain number and `place` does not know it."""
    match node:
        case Interval():
            left, right = _number(node.left, place), _number(node.right, place)
            if left is None or right is None:
                return None
            start = left if left[0] else (0, left[1], int(node.left_open))
            end = right if right[0] else (0, right[1], int(not node.right_open))
            if start >= end:
                return None if node.ambiguous else ()  # (3, 1) is a point
            return ((start, end),)
        case Sequence(kind="set"):
            points = [_number(item, place) for item in node.items]
            if any(point is None or point[0] for point in points):
                return None
            return _merged([((0, p[1], 0), (0, p[1], 1)) for p in points if p])
        case Combination():
            parts = [real_set(part, place) for part in node.parts]
            return _combined(node.operator, [part for part in parts if part is not None]) if None not in parts else None
        case _:
            return None


def has_constants(node: Node) -> bool:
    """Whether an end is an expression that may be worked out."""
    match node:
        case Interval():
            return any(isinstance(end, Formula) and _number(end) is None for end in (node.left, node.right))
        case Sequence() | Combination():
            parts = node.items if isinstance(node, Sequence) else node.parts
            return any(has_constants(part) or (isinstance(part, Formula) and _number(part) is None) for part in parts)
        case _:
            return False


def _number(node: Node, place: Place = lambda end: None) -> End | None:
    if isinstance(node, Quantity):
        return None if node.unit or node.percent or node.base != 10 else (0, node.value, 0)
    if isinstance(node, Formula) and node.unit is None:
        text = node.text.replace(" ", "").removeprefix("+")
        if infinite := {"\\infty": _INFINITY, "-\\infty": _MINUS_INFINITY}.get(text):
            return infinite
        value = None if node.percent else place(node)
        return None if value is None else (0, value, 0)
    return None


def _combined(operator: str, parts: list[RealSet]) -> RealSet:
    result = parts[0]
    for part in parts[1:]:
        if operator == "∪":
            result = _merged([*result, *part])
        else:
            result = _intersection(result, part if operator == "∩" else _complement(part))
    return result


def _merged(pieces: list[tuple[End, End]]) -> RealSet:
    merged: list[tuple[End, End]] = []
    for start, end in sorted(pieces):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _intersection(a: RealSet, b: RealSet) -> RealSet:
    pieces = [(max(start_a, start_b), min(end_a, end_b)) for start_a, end_a in a for start_b, end_b in b]
    return _merged([(start, end) for start, end in pieces if start < end])


def _complement(a: RealSet) -> RealSet:
    cuts = [_MINUS_INFINITY, *(cut for piece in a for cut in piece), _INFINITY]
    return tuple((start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=True) if start < end)
