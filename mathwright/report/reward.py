"""The report's section on the outcome reward model: how well it judges, beside judges that know nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mathwright.report.plots import plot

JUDGES = {
    "model": "reward model",
    "length": "length",
    "logprob": "mean log-probability",
    "answer": "has an answer",
}
BEST_OF = ("best_of", "maj_at", "weighted_vote", "pass_at")


def judged_parts(stage: Path) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Tables and plots of evaluation.json; none where the stage wrote none."""
    path = stage / "evaluation.json"
    if not path.is_file():
        return [], []
    tables: list[dict[str, Any]] = []
    plots: list[dict[str, str]] = []
    for number, (name, found) in enumerate(json.loads(path.read_text(encoding="utf-8")).items()):
        on = "held-out problems" if name == "heldout" else Path(name).name
        tables += [table for table in (_judges(found, on), _solve_rates(found, on)) if table["rows"]]
        if rows := found["best_of_n"].get("rows"):
            title = f"accuracy of one answer out of N, {on}"
            plots.append(plot(f"reward-best-of-{number}", rows, BEST_OF, title, x="n"))
    return tables, plots


def _judges(found: Mapping[str, Any], on: str) -> dict[str, Any]:
    pairs, equal = found["pairs"], found["equal_pairs"]
    rows = [
        {
            "judge": title,
            "all pairs": _share(pairs, judge),
            "pairs alike in having an answer and in being cut": _share(equal, judge),
            "model ahead by": _difference(equal, judge),
        }
        for judge, title in JUDGES.items()
        if judge in pairs.get("accuracy", {})
    ]
    counts = f"{pairs['num_pairs']:,} pairs of {pairs['num_prompts']:,} prompts"
    if equal["num_pairs"]:
        counts += f", {equal['num_pairs']:,} of {equal['num_prompts']:,} alike"
    return {"title": f"Pair accuracy on {on} with 95% intervals over prompts ({counts})", **_columns(rows)}


def _share(figures: Mapping[str, Any], judge: str) -> str:
    if judge not in figures.get("accuracy", {}):
        return ""
    low, high = figures["interval"][judge]
    return f"{100 * figures['accuracy'][judge]:.1f}% ({100 * low:.1f} to {100 * high:.1f})"


def _difference(figures: Mapping[str, Any], judge: str) -> str:
    if judge not in figures.get("difference", {}):
        return ""
    low, high = figures["difference_interval"][judge]
    return f"{100 * figures['difference'][judge]:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _solve_rates(found: Mapping[str, Any], on: str) -> dict[str, Any]:
    rows = [
        {
            "right responses": f"above {row['above']:.0%}, up to {row['up_to']:.0%}",
            "prompts": row["num_prompts"],
            "pairs": row["num_pairs"],
            "pair accuracy": f"{100 * row['accuracy']:.1f}% "
            f"({100 * row['interval'][0]:.1f} to {100 * row['interval'][1]:.1f})",
        }
        for row in found["by_solve_rate"]
    ]
    return {"title": f"By how often a problem is solved, {on}", **_columns(rows)}


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = list(rows[0]) if rows else []
    return {"columns": columns, "numeric": columns[1:], "rows": rows}
