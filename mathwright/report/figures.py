"""Figures with their intervals below one another over one axis: SVG that follows the page in colours and width."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from mathwright.report.plots import NUM_COLOURS, place, ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A row of a plot of figures: what was measured, with its 95% interval."""

    label: str
    value: float
    interval: tuple[float, float] | None = None
    also: Mapping[str, float] = field(default_factory=dict)
    """Further figures of the row by name, drawn as small marks."""
    said: str = ""
    """How the figure is written at the end of the row."""
    colour: int = 0
    quiet: bool = False
    """Drawn faint: a figure that is not beyond noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures with intervals below one another over one axis of shares. Placed in a page, it is its HTML."""

    title: str
    rows: Sequence[Figure]
    low: float
    high: float
    zero: float | None = None
    """Where a line is drawn across: no difference."""
    signed: bool = False
    """Whether the axis is one of differences in points."""
    explained: bool = True
    """Whether the marks are explained; of several plots of a kind, the first one does."""
    about: str = ""

    def __html__(self) -> Markup:
        return _figures(self)


def _figures(plot: Figures) -> Markup:
    span = plot.high - plot.low

    def at(value: float) -> str:
        return place((min(max(value, plot.low), plot.high) - plot.low) / span)

    zero = (
        Markup('<line class="level" x1="{0}" x2="{0}" y1="0" y2="100%"/>').format(at(plot.zero))
        if plot.zero is not None
        else Markup()
    )
    names = list(dict.fromkeys(name for row in plot.rows for name in row.also))
    rows = Markup().join(_figure_row(row, names, zero, at) for row in plot.rows)
    axis = Markup().join(
        Markup('<text x="{}" y="1em" text-anchor="{}">{}</text>').format(
            at(value), _anchor((value - plot.low) / span), _axis_label(value, signed=plot.signed)
        )
        for value in ticks(plot.low, plot.high, 4)
    )
    keys = Markup().join(
        Markup('<span class="key"><svg class="mark" aria-hidden="true">{}</svg>{}</span>').format(
            _shape(k, "8", "8"), name
        )
        for k, name in enumerate(names)
    )
    dot = (
        Markup('<span class="key"><i class="swatch dot"></i>one answer, with its 95% interval</span>') if names else ""
    )
    return Markup(
        '<figure class="figures"><figcaption><b>{}</b>{}</figcaption>{}'
        '<div class="figure axis"><span></span><svg aria-hidden="true">{}</svg><span></span></div>{}</figure>'
    ).format(
        plot.title,
        Markup('<span class="keys">{}{}</span>').format(dot, keys) if names and plot.explained else "",
        rows,
        axis,
        Markup('<p class="note">{}</p>').format(plot.about) if plot.about else "",
    )


def _figure_row(row: Figure, names: Sequence[str], zero: Markup, at: Callable[[float], str]) -> Markup:
    parts = [Markup('<line class="grid" x1="0" x2="100%" y1="50%" y2="50%"/>'), zero]
    colour = row.colour % NUM_COLOURS
    if row.interval is not None:
        parts.append(
            Markup('<line class="whisker c{}" x1="{}" x2="{}" y1="50%" y2="50%"/>').format(
                colour, at(row.interval[0]), at(row.interval[1])
            )
        )
    parts += [_shape(names.index(name), at(value), "50%") for name, value in row.also.items()]
    parts.append(Markup('<circle class="dot c{}" cx="{}" cy="50%" r="5"/>').format(colour, at(row.value)))
    return Markup(
        '<div class="figure{}"><span class="label">{}</span><svg role="img" aria-label="{}">{}</svg>'
        '<span class="value">{}</span></div>'
    ).format(" quiet" if row.quiet else "", row.label, f"{row.label}: {row.said}", Markup().join(parts), row.said)


def _shape(kind: int, x: str, y: str) -> Markup:
    """A small mark at a place: a square or a circle, both hollow."""
    if kind % 2:
        return Markup('<circle class="mark" cx="{}" cy="{}" r="4"/>').format(x, y)
    return Markup(
        '<svg x="{}" y="{}" class="here"><rect class="mark" x="-4" y="-4" width="8" height="8"/></svg>'
    ).format(x, y)


def _anchor(share: float) -> str:
    return "start" if share < 0.03 else "end" if share > 0.97 else "middle"


def _axis_label(value: float, *, signed: bool) -> str:
    if not signed:
        return f"{100 * value:.3g}%"
    return f"{100 * value:+.3g}".replace("-", "−") if value else "0"


def heatmap(rows: Sequence[Sequence[str]], shades: Sequence[Sequence[int | None]]) -> Markup:
    """A table with its first row and column as titles, its cells shaded 0 (none) to 9."""
    head, *body = rows
    lines = [Markup("<tr><td></td>{}</tr>").format(Markup().join(Markup("<th>{}</th>").format(t) for t in head))]
    for (title, *cells), shade in zip(body, shades, strict=True):
        held = Markup().join(
            Markup('<td class="n shade s{}">{}</td>').format(s or 0, text) for text, s in zip(cells, shade, strict=True)
        )
        lines.append(Markup('<tr><th scope="row">{}</th>{}</tr>').format(title, held))
    return Markup('<table class="matrix">{}</table>').format(Markup().join(lines))
