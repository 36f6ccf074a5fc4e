"""Several runs side by side: results, contributions of stages, curves over one another, and how the recipes differ."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mathwright.lines import file_lines
from mathwright.report.evaluated import MODE_TITLES, mode_title, within_noise
from mathwright.report.figures import Figure, Figures
from mathwright.report.gathered import Run, model_title, stage_title
from mathwright.report.metrics import metric
from mathwright.report.overview import facts, headline
from mathwright.report.parts import Table, part
from mathwright.report.plots import Line, Plot, line_of
from mathwright.report.shown import cell, interval, percent, points, signed_interval
from mathwright.report.warned import warnings_of
from mathwright.stats import paired_difference

CURVES = (
    ("pretrain", "loss"), ("sft", "loss"), ("reward", "loss"), ("rl", "reward_mean"), ("rl", "accuracy"), ("rl", "kl"),
    ("rl", "response_tokens"), ("rl", "entropy"), ("rl", "explained_variance"),
)  # fmt: skip
GREEDY = -1


def several_shown(runs: Sequence[Run]) -> dict[str, Any]:
    """What the page shows: `runs` by name with their sentences, and `parts`."""
    names = _names(runs)
    parts = [
        part(
            "Results",
            "The last model of each run on held-out problems, with 95% intervals.",
            plots=_results(runs, names),
        ),
        part(
            "On the same problems",
            "Runs that were asked the same questions are compared question by question, which sees smaller differences "
            "than the intervals above: the last model of each run against that of the first.",
            plots=_paired(runs, names),
        ),
        part("What each stage contributed", tables=[Table(rows=list(_contributions(runs, names)))]),
        part("Curves", plots=[_curve(runs, names, stage, name) for stage, name in CURVES]),
        part(
            "What differs in the recipes",
            "Values that are not the same in all.",
            tables=[Table(rows=_recipes(runs, names))],
        ),
        part("Where they come from", tables=[Table(rows=_facts(runs, names))]),
    ]
    return {
        "runs": [
            {"name": name, "folder": str(run.path), "headline": headline(run), "num_warnings": len(warnings_of(run)),
             "colour": k % 6, "address": os.path.relpath(run.path / "report.html", runs[0].path / "report")}
            for k, (run, name) in enumerate(zip(runs, names, strict=True))
        ],
        "parts": [found for found in parts if not found.empty],
    }  # fmt: skip


def _names(runs: Sequence[Run]) -> list[str]:
    """Names of the folders; with those around them where they are equal."""
    paths = [run.path.resolve() for run in runs]
    names = [path.name for path in paths]
    return [str(Path(*path.parts[-2:])) if names.count(path.name) > 1 else path.name for path in paths]


def _last(run: Run, mode: str) -> Mapping[str, Any] | None:
    """The row of the last model in a mode."""
    models = run.evaluation.get("models", [])
    return next((row for row in run.table if row["mode"] == mode and row["model"] == models[-1]), None)


def _modes(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(row["mode"] for run in runs for row in run.table))


def _results(runs: Sequence[Run], names: Sequence[str]) -> list[Figures]:
    plots = []
    for mode in _modes(runs):
        rows = [
            Figure(
                label=name,
                value=row["accuracy"],
                interval=(row["accuracy_interval"][0], row["accuracy_interval"][1]),
                said=f"{percent(row['accuracy'])} ({interval(*row['accuracy_interval'])})",
                colour=k,
            )
            for k, (run, name) in enumerate(zip(runs, names, strict=True))
            if (row := _last(run, mode)) is not None
        ]
        plots.append(Figures(title=f"Right answers, {MODE_TITLES.get(mode, mode)}", rows=rows, low=0.0, high=1.0))
    return plots


def _verdicts(run: Run, mode: str) -> dict[tuple[str, str, str], bool]:
    """Whether the last model's greedy answer to each question is right, by task, problem and text of the question."""
    path = run.path / "eval" / "records.jsonl"
    if not path.is_file() or not run.evaluation.get("models"):
        return {}
    last = run.evaluation["models"][-1]
    found = {}
    for line in file_lines(path):
        row = json.loads(line)
        problem = row["problem"]
        status = row["verdict"]["status"]
        asked = row["model"] == last and row["mode"] == mode and row["sample"] == GREEDY
        if asked and status != "unparsable_reference":
            found[row["task"], problem["id"], problem["question"]] = status == "correct"
    return found


def _paired(runs: Sequence[Run], names: Sequence[str]) -> list[Figures]:
    rows = []
    for mode in _modes(runs):
        first = _verdicts(runs[0], mode)
        for k, (run, name) in enumerate(zip(runs[1:], names[1:], strict=True), start=1):
            other = _verdicts(run, mode)
            both = [key for key in first if key in other]
            if not both:
                continue
            difference, ends = paired_difference([first[key] for key in both], [other[key] for key in both])
            rows.append(
                Figure(
                    label=f"{name}, {mode_title(mode)}",
                    value=difference,
                    interval=(ends.low, ends.high),
                    said=f"{points(difference)} points ({signed_interval(*ends)}), {len(both):,} problems",
                    colour=k,
                    quiet=within_noise(ends),
                )
            )
    if not rows:
        return []
    ends = [end for row in rows if row.interval for end in row.interval]
    return [
        Figures(
            title=f"Against {names[0]}, in points",
            rows=rows,
            low=min([-0.05, *ends]),
            high=max([0.05, *ends]),
            zero=0.0,
            signed=True,
        )
    ]


def _contributions(runs: Sequence[Run], names: Sequence[str]) -> Iterator[dict[str, str]]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for run, name in zip(runs, names, strict=True):
        for row in run.steps_of_evaluation():
            said = f"{points(row['difference'])} ({signed_interval(*row['interval'])})"
            found.setdefault((row["after"], row["mode"]), {})[name] = said
    for (stage, mode), by_run in found.items():
        yield {"stage": stage_title(stage), "mode": mode_title(mode), **{name: by_run.get(name, "") for name in names}}


def _curve(runs: Sequence[Run], names: Sequence[str], stage: str, measured: str) -> Plot | None:
    """One measurement of all runs."""
    lines: list[Line] = []
    for run, name in zip(runs, names, strict=True):
        line = line_of(run.metrics(stage), measured, title=name)
        if line is not None:
            lines.append(line)
    known = metric(measured)
    title = f"{stage_title(stage)}: {known.title.lower()}"
    return Plot(title=title, lines=lines, unit=known.unit, about=known.about) if lines else None


def _recipes(runs: Sequence[Run], names: Sequence[str]) -> list[dict[str, str]]:
    flat = [dict(_leaves(run.recipe)) for run in runs]
    paths = list(dict.fromkeys(path for found in flat for path in found))
    rows = []
    for path in paths:
        values = [cell(found[path]) if path in found else "not there" for found in flat]
        if len(set(values)) > 1:
            rows.append({"value": path, **dict(zip(names, values, strict=True))})
    return rows


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}.{number}")
    else:
        yield path, value


def _facts(runs: Sequence[Run], names: Sequence[str]) -> list[dict[str, str]]:
    by_run = [dict(facts(run)) for run in runs]
    titles = list(dict.fromkeys(name for found in by_run for name in found))
    last = {"fact": "last model"} | {
        name: model_title(run.evaluation["models"][-1]) if run.evaluation.get("models") else ""
        for run, name in zip(runs, names, strict=True)
    }
    rows = [{"fact": t, **{n: found.get(t, "") for n, found in zip(names, by_run, strict=True)}} for t in titles]
    return [*rows, last]
