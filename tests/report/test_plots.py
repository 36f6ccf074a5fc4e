"""Plots say what they were given, whatever it is, and small."""

import json
import math
import re

import pytest
from markupsafe import Markup

from mathwright.report.figures import Figure, Figures
from mathwright.report.metrics import SHARE, metric
from mathwright.report.plots import (
    DRAWING,
    MAX_POINTS,
    Line,
    Plot,
    curves,
    line_of,
    smoothed,
    thinned,
    ticks,
)
from mathwright.report.shown import interval, number, points


def drawn(**values: object) -> str:
    line = Line(name="loss", x=[0, 1, 2], y=[3.0, 2.0, 1.0])
    return str(Plot(**{"title": "Loss", "lines": [line], **values}).__html__())  # pyright: ignore[reportArgumentType]


def test_smoothing_is_the_mean_of_a_window_around_each_point() -> None:
    values = [float((7 * k) % 13) for k in range(120)]
    means, width = smoothed(values)
    assert width % 2 == 1 and width > 5
    half = width // 2
    for i in (0, 1, 60, 119):
        window = values[max(0, i - half) : i + half + 1]
        assert means[i] == pytest.approx(sum(window) / len(window))


def test_thinning_keeps_every_spike() -> None:
    y = [0.0] * 50_000
    y[31_415], y[27_182] = 1e6, -1e6
    x, kept = thinned(list(range(50_000)), y)
    assert len(kept) <= MAX_POINTS + 2
    assert max(kept) == 1e6 and min(kept) == -1e6 and x == sorted(x)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7), (0, 1e-7), (1e6, 1e6 + 1), (0.3, 0.31), (-5e9, 2e9)])
def test_ticks_are_round_and_between_the_ends(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-9 * abs(low) <= t <= high + 1e-9 * abs(high) for t in found)


def test_ticks_of_whole_numbers_are_whole() -> None:
    assert ticks(1, 2, whole=True) == [1, 2]
    assert all(t == int(t) for t in ticks(0, 49, whole=True))


def test_a_line_goes_through_its_points() -> None:
    html = drawn(y_range=(0, 4))
    [places] = re.findall(r'<polyline class="line c0 " points="([^"]*)"', html)
    found = [tuple(map(float, place.split(","))) for place in places.split()]
    assert found == [(0, DRAWING * 0.25), (DRAWING / 2, DRAWING * 0.5), (DRAWING, DRAWING * 0.75)]


def test_doublings_are_equally_wide() -> None:
    line = Line(name="best of N", x=[1, 2, 4, 8], y=[0.1, 0.2, 0.3, 0.4])
    html = str(Plot(title="x", lines=[line], doubling=True).__html__())
    assert re.findall(r'<circle[^>]* cx="([^"]*)"', html) == ["0.00%", "33.33%", "66.67%", "100.00%"]
    assert re.findall(r'dy="1.3em"[^>]*>(\d+)<', html) == ["1", "2", "4", "8"]


def test_values_that_are_none_or_no_numbers_are_left_out() -> None:
    rows = [{"step": k, "loss": v} for k, v in enumerate([1.0, None, math.nan, math.inf, 2.0])]
    line = line_of(rows, "loss")
    assert line is not None and (line.x, line.y) == ([0, 4], [1.0, 2.0])
    assert line_of(rows, "nothing") is None and curves(rows, ["nothing"]) is None


@pytest.mark.parametrize("y", [[0.0], [5.0], [5.0] * 40, [1e-300] * 3, [-1e300, 1e300]])
def test_constant_single_and_extreme_values_are_drawn(y: list[float]) -> None:
    html = str(Plot(title="x", lines=[Line(name="x", x=list(range(len(y))), y=y)]).__html__())
    assert "nan" not in html and "inf" not in html


def test_long_curves_have_the_raw_behind_the_smoothed_and_say_so() -> None:
    y = [float(k % 2) for k in range(100)]
    html = str(Plot(title="x", lines=[Line(name="x", x=list(range(100)), y=y)]).__html__())
    assert html.index("line c0 raw") < html.index('class="line c0 "')
    assert "bold: mean of 9" in html
    assert "bold" not in drawn()


def test_the_healthy_range_is_shaded_where_its_limit_is_in_sight() -> None:
    rows = [{"step": k, "truncated": 0.01 * k} for k in range(60)]
    plot = curves(rows, ["truncated"])
    assert plot is not None and plot.healthy is metric("truncated")
    assert 'class="band"' in str(plot.__html__())
    calm = curves(rows[:5], ["truncated"])
    assert calm is not None and 'class="band"' not in str(calm.__html__())


def test_names_are_text_wherever_they_stand() -> None:
    hostile = '"><script>alert(1)</script>'
    line = Line(name=hostile, x=[0, 1], y=[0.0, 1.0])
    html = str(
        Plot(title=hostile, lines=[line, line], x_title=hostile, about=hostile, marks={hostile: 0.5}).__html__()
        + Figures(
            title=hostile, low=0, high=1, about=hostile,
            rows=[Figure(label=hostile, value=0.5, also={hostile: 0.2}, said=hostile)],
        ).__html__()
    )  # fmt: skip
    assert "<script" not in html and isinstance(Markup(html), Markup)
    [data] = re.findall(r'data-points="([^"]*)"', html)
    assert json.loads(Markup(data).unescape())["lines"][0]["name"] == hostile


def test_figures_stand_at_their_values() -> None:
    rows = [Figure(label="a", value=0.25, interval=(0.2, 0.5), also={"Pass@4": 0.75}, said="25.0%")]
    html = str(Figures(title="t", rows=rows, low=0.0, high=1.0).__html__())
    assert 'x1="20.00%" x2="50.00%"' in html and 'cx="25.00%"' in html and 'x="75.00%"' in html
    assert "Pass@4" in html and "25.0%" in html


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"), (True, "yes"), (1234, "1,234"), (0.0, "0"), (0.051740, "0.05174"), (2.9e-7, "2.9×10⁻⁷"),
        (-5e-5, "−5×10⁻⁵"), (12345.6, "12,346"), (math.nan, "nan"), ("x", "x"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(value: object, said: str) -> None:
    assert number(value) == said


def test_differences_have_their_sign() -> None:
    assert (points(0.125), points(-0.046), interval(0.0, 0.031)) == ("+12.5", "−4.6", "0.0 to 3.1")
    assert SHARE == "share"
