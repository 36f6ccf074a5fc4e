"""Plots as plotly's JSON, for the page to draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go


def plot(
    identifier: str, metrics: Iterable[Mapping[str, Any]], names: Sequence[str], title: str, x: str = "step"
) -> dict[str, str]:
    """A line for each series over the steps (or another column `x`)."""
    rows = list(metrics)
    figure = go.Figure(
        [
            go.Scatter(
                x=[m[x] for m in rows if m.get(name) is not None],
                y=[m[name] for m in rows if m.get(name) is not None],
                name=name.replace("_", " "),
                mode="lines+markers" if len(rows) < 40 else "lines",
            )
            for name in names
            if any(m.get(name) is not None for m in rows)
        ]
    )
    figure.update_layout(showlegend=len(names) > 1)
    return finished(identifier, figure, title, x)


def finished(identifier: str, figure: go.Figure, title: str, x_title: str) -> dict[str, str]:
    """The figure in the page's style: {"id", "json"}."""
    figure.update_layout(
        title={"text": title, "font": {"size": 14}},
        height=280,
        margin={"l": 50, "r": 10, "t": 40, "b": 36},
        template="plotly_white",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 1, "xanchor": "right"},
        xaxis={"title": {"text": x_title, "standoff": 4}},
    )
    # "<" is escaped so that no text in the data can close the script element it stands in.
    return {"id": identifier, "json": (figure.to_json() or "{}").replace("<", "\\u003c")}
