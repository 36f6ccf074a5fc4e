"""The evaluation: how good each model of the run is, and what each stage contributed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mathwright.report.figures import Figure, Figures
from mathwright.report.gathered import Run, model_title, stage_title
from mathwright.report.parts import Part, Table, part
from mathwright.report.shown import interval, percent, points, signed_interval, words

MODE_TITLES = {
    "cot": "without tools (chain of thought)",
    "tool": "with the Python tool",
    "pot": "by a single program",
}
MODES = {"cot": "without tools", "tool": "with tools", "pot": "single program"}
COLOURS = {"model": 5, "pretrain": 5, "sft": 0, "rl": 1}


def evaluation_parts(run: Run) -> list[Part]:
    """Plots, tables and where to read every answer."""
    links = []
    if (run.path / "eval" / "records.jsonl").is_file():
        links = [("eval/samples.html", "Read the answers", "every answer of every model, with filters and search")]
    return [
        part("How good each model is", _note(run), plots=results(run), links=links),
        part("What each stage contributed", CONTRIBUTION, plots=contributions(run)),
        part(
            "Figures",
            tables=[
                Table(rows=_figures(run)),
                Table(title="How they answer", rows=_habits(run)),
                Table(title="Between two models", rows=_differences(run)),
            ],
        ),
        part("By kind of problem", tables=_breakdowns(run)),
    ]


CONTRIBUTION = (
    "The change from the model before a stage to the model after it, on the same problems, in percentage points with a "
    "95% interval. An interval that crosses the line leaves open whether there is a change at all."
)


def _note(run: Run) -> str:
    if not run.table:
        return ""
    counts = sorted({row["num_problems"] for row in run.table})
    num = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    note = f"Share of {num} held-out problems that are answered rightly, none of which was trained on."
    if any(row.get("pass_at") for row in run.table):
        note += (
            " One answer: the most likely one. Maj@K: the most frequent of K sampled answers. Pass@K: at least one of "
            "K is right."
        )
        sampled: set[int] = {row["num_sampled_problems"] for row in run.table if "num_sampled_problems" in row}
        sampled -= {counts[0]}
        if sampled:
            note += f" Both are of {' or '.join(f'{n:,}' for n in sorted(sampled))} of the problems."
    return note


def results(run: Run) -> list[Figures]:
    """A plot a mode: each model's accuracy with its interval, Maj@K and Pass@K beside it."""
    most = max(
        (value for row in run.table for value in (row["accuracy_interval"][1], *_chosen(row).values())), default=1
    )
    high = 1.0 if most > 0.5 else (int(most * 10) + 1) / 10
    modes = dict.fromkeys(row["mode"] for row in run.table)
    return [
        Figures(
            title=f"Right answers, {MODE_TITLES.get(mode, mode)}",
            rows=[_figure(row) for row in run.table if row["mode"] == mode],
            low=0.0,
            high=high,
            explained=k == 0,
        )
        for k, mode in enumerate(modes)
    ]


def _figure(row: Mapping[str, Any]) -> Figure:
    low, high = row["accuracy_interval"]
    return Figure(
        label=model_title(row["model"]),
        value=row["accuracy"],
        interval=(low, high),
        also=_chosen(row),
        said=f"{percent(row['accuracy'])} ({interval(low, high)})",
        colour=COLOURS.get(row["model"], 2),
    )


def _chosen(row: Mapping[str, Any]) -> dict[str, float]:
    """Maj@K and Pass@K at the largest K."""
    found = {}
    k = row.get("num_samples")
    if row.get("maj_at_k") is not None:
        found[f"Maj@{k}" if k else "Maj@K"] = row["maj_at_k"]
    if passed := row.get("pass_at"):
        largest = max(passed, key=int)
        found[f"Pass@{largest}"] = passed[largest]
    return found


def contributions(run: Run) -> list[Figures]:
    """A plot of what each stage added, a row for each mode; none where one model was evaluated."""
    rows = [
        Figure(
            label=f"{stage_title(row['after'])}, {mode_title(row['mode'])}",
            value=row["difference"],
            interval=(row["interval"][0], row["interval"][1]),
            said=f"{points(row['difference'])} points ({signed_interval(*row['interval'])})",
            colour=COLOURS.get(row["after"], 2),
            quiet=within_noise(row["interval"]),
        )
        for row in run.steps_of_evaluation()
    ]
    if not rows:
        return []
    ends = [end for row in rows if row.interval for end in row.interval]
    low, high = min([-0.05, *ends]), max([0.05, *ends])
    return [Figures(title="Change in points", rows=rows, low=low, high=high, zero=0.0, signed=True)]


def mode_title(mode: str) -> str:
    """How the answers were given, in two words."""
    return MODES.get(mode, mode)


def within_noise(ends: Sequence[float]) -> bool:
    return ends[0] <= 0 <= ends[1]


def _figures(run: Run) -> list[dict[str, Any]]:
    ks = sorted({k for row in run.table for k in row.get("pass_at") or {}}, key=int)
    return [
        {
            "model": model_title(row["model"]),
            "mode": mode_title(row["mode"]),
            "problems": row["num_problems"],
            "right": percent(row["accuracy"]),
            "95%": interval(*row["accuracy_interval"]),
            **({"sampled": row.get("num_sampled_problems", "")} if ks else {}),
            **({f"Maj@{ks[-1]}": _share(row.get("maj_at_k"))} if ks else {}),
            **{f"Pass@{k}": _share((row.get("pass_at") or {}).get(k)) for k in ks},
        }
        for row in run.table
    ]


def _habits(run: Run) -> list[dict[str, Any]]:
    """How the answers look: what was cut, what gave none, what ran a program."""
    return [
        {
            "model": model_title(row["model"]),
            "mode": mode_title(row["mode"]),
            "cut at the limit": _share(row.get("truncated")),
            "no answer found": _share(row.get("unparsable")),
            "ran a program": _share(row.get("used_tool")),
            "not judged": row.get("unscored"),
            "tokens, mean": f"{row['mean_tokens']:.0f}" if row.get("mean_tokens") is not None else "",
        }
        for row in run.table
    ]


def _share(value: float | None) -> str:
    return "" if value is None else percent(value)


def _differences(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "mode": mode_title(row["mode"]),
            "from": model_title(row["before"]),
            "to": model_title(row["after"]),
            "difference": f"{points(row['difference'])} points",
            "95%": signed_interval(*row["interval"]),
            "verdict": "within noise" if within_noise(row["interval"]) else "beyond noise",
        }
        for row in run.evaluation.get("comparisons", [])
    ]


def _breakdowns(run: Run) -> list[Table]:
    """Accuracy by split, subject and level, a column a model and mode; where there is more than one group."""
    tables = []
    for name in ("split", "subject", "level"):
        groups = list(dict.fromkeys(group for row in run.table for group in row.get(f"by_{name}") or {}))
        if len(groups) < 2:
            continue
        rows = []
        for group in groups:
            found = {name: words(group)}
            for row in run.table:
                held = (row.get(f"by_{name}") or {}).get(group)
                found[f"{model_title(row['model'])}, {mode_title(row['mode'])}"] = (
                    percent(held["accuracy"]) if held else ""
                )
            rows.append(found)
        tables.append(Table(title=f"By {name}", rows=rows, folded=len(groups) > 12))
    return tables
