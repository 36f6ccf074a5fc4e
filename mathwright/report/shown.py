"""How values are written for people: numbers, shares, times, sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: Any) -> str:
    """A number as a reader expects it: 1,234, 0.0517, 3.2×10⁻⁵; a dash for none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 0.001:
        return (f"{value:,.0f}" if size >= 1000 else f"{value:.4g}").replace("-", "−")
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa.removesuffix('.0')}×10{str(int(exponent)).translate(SUPERSCRIPTS)}".replace("-", "−", 1)


def cell(value: Any) -> str:
    """A value of any kind in a table."""
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {cell(item)}" for name, item in value.items())
    return number(value)


def percent(share: float | None) -> str:
    """0.425 as 42.5%."""
    return "–" if share is None else f"{100 * share:.1f}%"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign: +12.5."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def interval(low: float, high: float) -> str:
    """A 95% interval of a share: 33.8 to 51.8."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def signed_interval(low: float, high: float) -> str:
    """A 95% interval of a difference of shares: −4.6 to +9.6."""
    return f"{points(low)} to {points(high)}"


def duration(seconds: float) -> str:
    """45 s, 12.3 min, 5.2 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def gib(num_bytes: int) -> str:
    """A size in GiB."""
    return f"{num_bytes / 2**30:.2f} GiB"


def words(name: str) -> str:
    """The name of a field as words: collected_pages as collected pages."""
    return name.replace("_", " ")


FILTERS = {
    "cell": cell, "percent": percent, "points": points, "duration": duration, "gib": gib, "words": words,
    "number": number,
}  # fmt: skip
