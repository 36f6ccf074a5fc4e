"""Curves as small SVG.

They are drawn here and not by a library: plotly's script is 4.8 MB a page, pygal takes 98 KB for a curve of 300 points
and two scripts from the net, matplotlib 14 KB, seven seconds to start, and colours that no dark page can change. These
take 3 to 15 KB, follow the page's colours, print, and scale without their letters shrinking: places are percentages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from mathwright.lines import json_text
from mathwright.report.metrics import SHARE, Metric, metric
from mathwright.report.shown import number

MAX_POINTS = 600
"""Of a curve; a longer one is thinned to the extremes of as many stretches."""
SMOOTHED_FROM = 24
"""Points from which a curve is smoothed, the raw one behind it."""
NUM_COLOURS = 6
DRAWING = 1000
"""Width and height of the coordinates in which lines are drawn; the page stretches them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A series of a plot."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    """Lower ends of 95% intervals; empty where there are none."""
    high: Sequence[float] = ()
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Curves over one axis. Placed in a page, it is its SVG."""

    title: str
    lines: Sequence[Line]
    x_title: str = "step"
    unit: str = ""
    about: str = ""
    healthy: Metric | None = None
    """Whose healthy range is shaded."""
    y_range: tuple[float, float] | None = None
    marks: Mapping[str, float] = field(default_factory=dict)
    """Vertical lines by name."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """Horizontal lines by name."""
    doubling: bool = False
    """Whether each doubling of x is as wide as the next: for 1, 2, 4, 8, ..."""

    def __html__(self) -> Markup:
        return _drawn(self)


def curves(
    rows: Iterable[Mapping[str, Any]], names: Sequence[str], title: str = "", *, x: str = "step", about: str = ""
) -> Plot | None:
    """A line for each measurement of that name; None where none was made. Named and explained by the first of them."""
    rows = list(rows)
    lines = [line for name in names if (line := line_of(rows, name, x))]
    if not lines:
        return None
    known = metric(names[0])
    return Plot(
        title=title or known.title,
        lines=lines,
        x_title=x,
        unit=known.unit,
        about=about or known.about,
        healthy=known if known.healthy and len(lines) == 1 else None,
    )


def line_of(rows: Iterable[Mapping[str, Any]], name: str, x: str = "step", title: str = "") -> Line | None:
    """The measurements of that name, with `NAME_interval` where rows have it; None where there are none."""
    kept = [row for row in rows if _is_finite(row.get(name)) and _is_finite(row.get(x))]
    if not kept:
        return None
    ends = [row.get(f"{name}_interval") for row in kept]
    with_ends = [end for end in ends if end is not None]
    known = len(with_ends) == len(kept)
    return Line(
        name=title or metric(name).title,
        x=[row[x] for row in kept],
        y=[row[name] for row in kept],
        low=[end[0] for end in with_ends] if known else (),
        high=[end[1] for end in with_ends] if known else (),
    )


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


# --- what is drawn --------------------------------------------------------------------------------


def smoothed(values: Sequence[float]) -> tuple[list[float], int]:
    """The mean of a window around each value, and the window's width; at the ends the part of it that holds values."""
    width = max(3, min(51, len(values) // 12)) | 1
    half = width // 2
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    means = []
    for i in range(len(values)):
        begin, end = max(0, i - half), min(len(values), i + half + 1)
        means.append((sums[end] - sums[begin]) / (end - begin))
    return means, width


def thinned(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """At most about MAX_POINTS points: of each stretch the lowest and the highest, so that no spike is lost."""
    if len(x) <= MAX_POINTS:
        return list(x), list(y)
    stretch = -(-2 * len(x) // MAX_POINTS)
    kept: list[int] = []
    for begin in range(0, len(x), stretch):
        places = range(begin, min(begin + stretch, len(x)))
        kept += sorted({min(places, key=y.__getitem__), max(places, key=y.__getitem__)})
    return [x[i] for i in kept], [y[i] for i in kept]


def ticks(low: float, high: float, most: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers between two ends; integers where `whole`."""
    if high <= low:
        return [low]
    rough = max((high - low) / most, 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [k * step if k else 0.0 for k in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class _Axes:
    """Values as places: x from the left and y from the top, as shares."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    doubling: bool

    def x(self, value: float) -> float:
        if self.doubling:
            return math.log(value / self.x_low) / math.log(self.x_high / self.x_low)
        return (value - self.x_low) / (self.x_high - self.x_low)

    def y(self, value: float) -> float:
        return 1 - (value - self.y_low) / (self.y_high - self.y_low)


def _axes(plot: Plot) -> _Axes:
    xs = [value for line in plot.lines for value in line.x]
    ys = [value for line in plot.lines for values in (line.y, line.low, line.high) for value in values]
    ys += plot.levels.values()
    low, high = plot.y_range or (min(ys), max(ys))
    if plot.unit == SHARE and plot.y_range is None:
        low, high = (0.0, max(high, 0.1)) if low >= 0 else (low, high)
    if high - low < 1e-12 * max(1.0, abs(high)):
        margin = abs(high) * 0.1 or 0.5
        low, high = low - margin, high + margin
    elif plot.y_range is None:
        margin = 0.06 * (high - low)
        low, high = (low if low == 0 else low - margin), high + margin
    x_low, x_high = min(xs), max(xs)
    if x_low == x_high:
        x_low, x_high = (x_low / 2, x_high * 2) if plot.doubling else (x_low - 1, x_high + 1)
    return _Axes(x_low, x_high, low, high, plot.doubling)


def place(share: float) -> str:
    """A share of a width or height as SVG takes it."""
    return f"{100 * share:.2f}%"


def _drawn(plot: Plot) -> Markup:
    axes = _axes(plot)
    parts = [
        _grid(plot, axes),
        Markup('<svg class="stretched" viewBox="0 0 {d} {d}" preserveAspectRatio="none" aria-hidden="true">').format(
            d=DRAWING
        ),
        *(_line(line, k, axes) for k, line in enumerate(plot.lines)),
        Markup("</svg>"),
        *(_points(line, k, axes, plot.unit) for k, line in enumerate(plot.lines)),
        *(_mark(name, axes.x(value)) for name, value in plot.marks.items() if axes.x_low <= value <= axes.x_high),
    ]
    keys = _keys(plot)
    unit = Markup(' <span class="unit">{}</span>').format(plot.unit) if plot.unit and plot.unit != SHARE else Markup()
    window = _window(plot)
    smooth = f" (bold: mean of {window})" if window else ""
    return Markup(
        '<figure class="plot"><figcaption><b>{title}</b>{unit}{keys}</figcaption>'
        '<div class="area" tabindex="0" role="img" aria-label="{said}" data-points="{points}">'
        '<svg class="axes" aria-hidden="true">{parts}</svg></div>'
        '<p class="x-title">{x_title}</p><p class="readout" aria-live="polite"></p>{note}</figure>'
    ).format(
        title=plot.title,
        unit=unit,
        keys=keys,
        said=_said(plot),
        points=_data(plot, axes),
        parts=Markup().join(parts),
        x_title=plot.x_title + smooth,
        note=Markup('<p class="note">{}</p>').format(plot.about) if plot.about else "",
    )


def _window(plot: Plot) -> int:
    """Points over which the longest line is smoothed; 0 where none is."""
    long = [line for line in plot.lines if _is_long(line)]
    return max(smoothed(line.y)[1] for line in long) if long else 0


def _is_long(line: Line) -> bool:
    return len(line.y) >= SMOOTHED_FROM and not line.low


def _grid(plot: Plot, axes: _Axes) -> Markup:
    parts = [_band(plot, axes)]
    for value in ticks(axes.y_low, axes.y_high, 4):
        at = place(axes.y(value))
        parts.append(Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(at))
        parts.append(
            Markup('<text x="0" dx="-6" dy="0.32em" y="{}" text-anchor="end">{}</text>').format(
                at, written(value, plot.unit)
            )
        )
    whole = all(float(value).is_integer() for line in plot.lines for value in line.x)
    parts += (
        Markup('<text x="{}" y="100%" dy="1.3em" text-anchor="{}">{}</text>').format(
            place(axes.x(value)), "end" if axes.x(value) > 0.97 else "middle", number(_whole(value))
        )
        for value in (
            sorted({x for line in plot.lines for x in line.x})
            if plot.doubling
            else ticks(axes.x_low, axes.x_high, 5, whole=whole)
        )
    )
    for name, value in plot.levels.items():
        at = place(axes.y(value))
        parts.append(Markup('<line class="level" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(at))
        parts.append(Markup('<text class="said" x="4" y="{}" dy="-4">{}</text>').format(at, name))
    return Markup().join(parts)


def _band(plot: Plot, axes: _Axes) -> Markup:
    """The healthy range, as far as the plot shows it, where a limit of it is in sight."""
    if plot.healthy is None:
        return Markup()
    low, high = plot.healthy.low, plot.healthy.high
    seen = [limit for limit in (low, high) if limit is not None and axes.y_low < limit < axes.y_high]
    if not seen:
        return Markup()
    top = axes.y(min(axes.y_high, high)) if high is not None else 0.0
    bottom = axes.y(max(axes.y_low, low)) if low is not None else 1.0
    return Markup('<rect class="band" x="0" width="100%" y="{}" height="{}"/>').format(place(top), place(bottom - top))


def _line(line: Line, colour: int, axes: _Axes) -> Markup:
    def path(x: Sequence[float], y: Sequence[float], style: str) -> Markup:
        x, y = thinned(x, y)
        places = " ".join(f"{DRAWING * axes.x(a):.1f},{DRAWING * axes.y(b):.1f}" for a, b in zip(x, y, strict=True))
        return Markup('<polyline class="line c{} {}" points="{}"/>').format(colour % NUM_COLOURS, style, places)

    style = "dashed" if line.dashed or colour >= NUM_COLOURS else ""
    if not _is_long(line):
        return path(line.x, line.y, style)
    return path(line.x, line.y, "raw") + path(line.x, smoothed(line.y)[0], style)


def _points(line: Line, colour: int, axes: _Axes, unit: str) -> Markup:
    """A dot a point of a short line, with its interval."""
    if len(line.x) >= SMOOTHED_FROM:
        return Markup()
    parts = []
    for i, (x, y) in enumerate(zip(line.x, line.y, strict=True)):
        at, c = place(axes.x(x)), colour % NUM_COLOURS
        said = f"{line.name}: {written(y, unit)}"
        if line.low:
            low, high = line.low[i], line.high[i]
            said += f" ({written(low, unit)} to {written(high, unit)})"
            parts.append(
                Markup('<line class="whisker c{}" x1="{x}" x2="{x}" y1="{}" y2="{}"/>').format(
                    c, place(axes.y(low)), place(axes.y(high)), x=at
                )
            )
        parts.append(
            Markup('<circle class="dot c{}" cx="{}" cy="{}" r="3"><title>{}</title></circle>').format(
                c, at, place(axes.y(y)), said
            )
        )
    return Markup().join(parts)


def _mark(name: str, share: float) -> Markup:
    at = place(share)
    return Markup(
        '<line class="level" y1="0" y2="100%" x1="{0}" x2="{0}"/>'
        '<text class="said" x="{0}" y="0" dx="4" dy="1em">{1}</text>'
    ).format(at, name)


def _keys(plot: Plot) -> Markup:
    if len(plot.lines) < 2:
        return Markup()
    keys = (
        Markup('<span class="key"><i class="swatch c{}{}"></i>{}</span>').format(
            k % NUM_COLOURS, " dashed" if line.dashed or k >= NUM_COLOURS else "", line.name
        )
        for k, line in enumerate(plot.lines)
    )
    return Markup('<span class="keys">{}</span>').format(Markup().join(keys))


def _said(plot: Plot) -> str:
    """The plot in words, for those who hear it."""
    lines = (
        f"{line.name} from {written(line.y[0], plot.unit)} at {plot.x_title} {number(_whole(line.x[0]))} "
        f"to {written(line.y[-1], plot.unit)} at {number(_whole(line.x[-1]))}"
        for line in plot.lines
    )
    return f"{plot.title}: {'; '.join(lines)}. Left and right arrows read the values."


def _data(plot: Plot, axes: _Axes) -> str:
    """What the page's script reads values from: places along x as shares, and the values as they are written."""
    lines = []
    for line in plot.lines:
        x, y = thinned(line.x, line.y)
        lines.append(
            {
                "name": line.name,
                "at": [round(axes.x(value), 4) for value in x],
                "x": [number(_whole(value)) for value in x],
                "y": [written(value, plot.unit) for value in y],
            }
        )
    return json_text({"x": plot.x_title, "lines": lines})


def _whole(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def written(value: float, unit: str) -> str:
    """A value of a plot in its unit."""
    if unit == SHARE:
        return f"{100 * value:.3g}%"
    return number(round(value, 12) if abs(value) > 1e-6 else value)
