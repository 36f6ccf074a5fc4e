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


def reward_matrix(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """How well the reward model of each iteration of Algorithm 1 ranks the held-out samples of each, as a map."""
    models = sorted({row["reward_model"] for row in rows})
    samples = sorted({row["samples"] for row in rows})
    accuracy = {(row["reward_model"], row["samples"]): row["pair_accuracy"] for row in rows}
    figure = go.Figure(
        go.Heatmap(
            x=[f"samples of iteration {j}" if j else "samples of the SFT model" for j in samples],
            y=[f"reward model {k}" for k in models],
            z=[[accuracy.get((k, j)) for j in samples] for k in models],
            texttemplate="%{z:.0%}",
            zmin=0.5,
            zmax=1,
            colorscale="Blues",
            showscale=False,
        )
    )
    return finished("rl-reward-matrix", figure, "pairs of held-out responses in the right order", "")


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
