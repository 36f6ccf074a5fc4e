"""When two ratios are the same: `3:2` = `6:4` = `3/2`; and times of day, which look like them."""

from __future__ import annotations

from fractions import Fraction

from mathwright.answers.decisions import Decision, Oracle, every
from mathwright.answers.nodes import Formula, Node, Ratio, formula_text
from mathwright.answers.numbers import Quantity


def ratios(a: Node, b: Node, oracle: Oracle) -> Decision:
    if isinstance(a, Ratio) and isinstance(b, Ratio):
        if a.clock and b.clock and (_says_time(a) or _says_time(b)):
            return _same_time(a, b)
        if len(a.items) != len(b.items):
            return False
        values_a, values_b = _plain_values(a), _plain_values(b)
        if values_a and values_b:
            return _proportional(values_a, values_b)
        return every(
            oracle.equal(_product(x, b.items[0]), _product(y, a.items[0]))
            for x, y in zip(a.items[1:], b.items[1:], strict=True)
        )
    ratio, other = (a, b) if isinstance(a, Ratio) else (b, a)
    assert isinstance(ratio, Ratio)
    values = _plain_values(ratio)
    if isinstance(other, Quantity) and len(values) == 2 and not ratio.clock:
        return bool(values[1]) and values[0] / values[1] == other.value
    if len(ratio.items) == 2 and isinstance(other, Quantity | Formula) and not ratio.clock and not other.unit:
        return oracle.equal(_product(other, ratio.items[1]), _product(ratio.items[0], Quantity(Fraction(1))))
    return False


def _says_time(ratio: Ratio) -> bool:
    """Whether it can only be a time of day: a half of the day is said, or the minutes begin with a zero."""
    return bool(ratio.half) or ":0" in ratio.clock


def _same_time(a: Ratio, b: Ratio) -> bool:
    if bool(a.half) == bool(b.half):
        return _on_24_hours(a) == _on_24_hours(b)
    said, other = (a, b) if a.half else (b, a)
    return other.clock in (said.clock, _on_24_hours(said))


def _on_24_hours(ratio: Ratio) -> str:
    hour, _, rest = ratio.clock.partition(":")
    return f"{int(hour) % 12 + 12 * (ratio.half == 'p')}:{rest}" if ratio.half and hour else ratio.clock


def _product(a: Node, b: Node) -> Formula:
    return Formula(rf"({formula_text(a)})\cdot({formula_text(b)})")


def _plain_values(ratio: Ratio) -> list[Fraction]:
    """The parts of a ratio of numbers; empty for any other."""
    values = [item.value for item in ratio.items if isinstance(item, Quantity)]
    return values if len(values) == len(ratio.items) else []


def _proportional(a: list[Fraction], b: list[Fraction]) -> bool:
    pivot = next((index for index, value in enumerate(a) if value), None)
    if pivot is None or not b[pivot]:
        return False
    return all(x * b[pivot] == y * a[pivot] for x, y in zip(a, b, strict=True))
