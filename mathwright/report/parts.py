"""What a page is made of: parts with a title, a note, plots and tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mathwright.report.figures import Figures
from mathwright.report.plots import Plot


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under columns. A column named `url` becomes links; columns of numbers stand right."""

    rows: Sequence[Mapping[str, Any]]
    title: str = ""
    folded: bool = False
    """Shown when it is asked for."""

    @property
    def columns(self) -> list[str]:
        return list(self.rows[0]) if self.rows else []

    @property
    def numeric(self) -> list[str]:
        return [
            name for name in self.columns if any(is_number(row[name]) or _is_figure(row[name]) for row in self.rows)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a page, shown where there is something in it."""

    title: str
    note: str = ""
    plots: Sequence[Plot | Figures] = ()
    tables: Sequence[Table] = ()
    facts: Sequence[tuple[str, Any]] = ()
    links: Sequence[tuple[str, str, str]] = ()
    """Pages that say more: address from the run's folder, title, what is there."""
    steps: Sequence[Mapping[str, Any]] = ()
    """Responses cut into labelled steps."""
    extra: Any = field(default="")
    """Markup that is shown behind the tables."""

    @property
    def empty(self) -> bool:
        return not (self.plots or self.tables or self.facts or self.links or self.steps or self.extra)


def part(
    title: str,
    note: str = "",
    *,
    plots: Sequence[Plot | Figures | None] = (),
    tables: Sequence[Table] = (),
    **more: Any,
) -> Part:
    """A part without the plots that have nothing to draw and the tables without rows."""
    return Part(
        title=title,
        note=note,
        plots=[plot for plot in plots if plot is not None],
        tables=[table for table in tables if table.rows],
        **more,
    )


def square(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the columns of all of them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in names} for row in rows]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_figure(value: Any) -> bool:
    """Whether a text is a figure: 42.5%, +1.3 (−0.2 to +2.8)."""
    return isinstance(value, str) and _FIGURE.fullmatch(value) is not None


_NUMBER = r"[+−]?\d[\d,.]*"
_FIGURE = re.compile(rf"{_NUMBER}(?:%| points)?(?: \({_NUMBER} to {_NUMBER}\)| to {_NUMBER})?")
