"""The page about reward models: how well they judge, beside judges that know nothing; steps and their labels."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mathwright.lines import file_lines
from mathwright.report.figures import Figure, Figures
from mathwright.report.metrics import SHARE
from mathwright.report.parts import Part, Table, part
from mathwright.report.plots import Line, Plot, line_of
from mathwright.report.shown import percent, points
from mathwright.run import read_manifest

JUDGES = {
    "model": "reward model",
    "length": "length",
    "logprob": "mean log-probability",
    "answer": "has an answer",
}
BEST_OF = {"best_of": "best of N", "maj_at": "Maj@N", "weighted_vote": "vote weighted by reward", "pass_at": "Pass@N"}


def judged_parts(stage: Path) -> list[Part]:
    """What evaluation.json of a reward model holds, a part for each set of samples; none without the file."""
    path = stage / "evaluation.json"
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    names = {name: "held-out problems" if name == "heldout" else Path(name).name for name in found}
    return [_judged(figures, names[name]) for name, figures in found.items()]


def _judged(found: Mapping[str, Any], on: str) -> Part:
    return part(
        f"How well it judges: {on}",
        "A pair is a right and a wrong answer to one problem; the share of pairs in which the right one gets the "
        "higher reward is the pair accuracy. A coin reaches 50%. The other judges know nothing of mathematics: a "
        "reward model that is not ahead of them has learnt nothing that helps.",
        plots=[_judges_drawn(found), _best_of(found["best_of_n"].get("rows", ())), _reliability(found)],
        tables=[_judges(found), _verdicts(found), _solve_rates(found)],
    )


def _best_of(rows: Sequence[Mapping[str, Any]]) -> Plot | None:
    """Accuracy of one answer chosen out of N, by each way of choosing."""
    lines = [line for name, title in BEST_OF.items() if (line := line_of(rows, name, "n", title)) is not None]
    if not lines:
        return None
    return Plot(
        title="One answer chosen out of N",
        lines=lines,
        x_title="N answers",
        unit=SHARE,
        doubling=True,
        about="Best of N: the answer with the highest reward. Maj@N: the most frequent one. Pass@N: whether any is "
        "right, which is the most that choosing can reach.",
    )


def _judges_drawn(found: Mapping[str, Any]) -> Figures | None:
    """The pair accuracy of each judge, with a line where a coin is."""
    pairs = found["pairs"]
    accuracy = pairs.get("accuracy", {})
    rows = [
        Figure(
            label=title,
            value=accuracy[judge],
            interval=tuple(pairs["interval"][judge]),
            said=_share(pairs, judge),
            colour=0 if judge == "model" else 5,
        )
        for judge, title in JUDGES.items()
        if judge in accuracy
    ]
    if not rows:
        return None
    low = min([0.4, *(row.interval[0] for row in rows if row.interval)])
    return Figures(title="Pair accuracy", rows=rows, low=low, high=1.0, zero=0.5, about="The line is a coin's 50%.")


def _reliability(found: Mapping[str, Any]) -> Plot | None:
    """How often a response of a given chance is right; a calibrated model lies on the diagonal."""
    bins = found.get("calibration") or []
    if not bins:
        return None
    found_line = Line(
        name="responses",
        x=[row["chance"] for row in bins],
        y=[row["right"] for row in bins],
        low=[row["interval"][0] for row in bins],
        high=[row["interval"][1] for row in bins],
    )
    return Plot(
        title="Calibration: share of right responses",
        lines=[found_line, Line(name="calibrated", x=[0, 1], y=[0, 1], dashed=True)],
        x_title="chance of being right, by the reward",
        unit=SHARE,
        y_range=(0, 1.02),
    )


def _verdicts(found: Mapping[str, Any]) -> Table:
    """Figures of single responses."""
    length = found.get("length_correlation") or {}
    rows = [
        ("AUC", found.get("auc"), "how often a right response of any problem scores above a wrong one; a coin 0.5"),
        ("calibration error", found.get("calibration_error"), "mean distance of chance and truth; 0 is best"),
        ("correlation with length, right responses", length.get("right"), "near 0: length does not pay"),
        ("correlation with length, wrong responses", length.get("wrong"), "near 0: length does not pay"),
    ]
    kept = [{"figure": name, "value": value, "what it says": says} for name, value, says in rows if value is not None]
    return Table(title="Single responses", rows=kept)


def _judges(found: Mapping[str, Any]) -> Table:
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
    return Table(title=f"Pair accuracy with 95% intervals over prompts ({counts})", rows=rows)


def _share(figures: Mapping[str, Any], judge: str) -> str:
    if judge not in figures.get("accuracy", {}):
        return ""
    low, high = figures["interval"][judge]
    return f"{100 * figures['accuracy'][judge]:.1f}% ({100 * low:.1f} to {100 * high:.1f})"


def _difference(figures: Mapping[str, Any], judge: str) -> str:
    if judge not in figures.get("difference", {}):
        return ""
    low, high = figures["difference_interval"][judge]
    return f"{points(figures['difference'][judge])} ({points(low)} to {points(high)})"


def _solve_rates(found: Mapping[str, Any]) -> Table:
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
    return Table(title="Pair accuracy by how often a problem is solved", rows=rows)


# --- the process reward model ---------------------------------------------------------------------


NUM_LABELLED = 8
"""Responses shown with the labels of their steps."""


def process_parts(stage: Path) -> list[Part]:
    """What the process reward model says of steps, and some responses with their labels; none where there is none."""
    manifest = read_manifest(stage)
    if manifest is None:
        return []
    summary = manifest["summary"]
    best = summary.get("best_of_n") or {}
    choices = [{"chosen by": f"{name} of its steps", "right": percent(value)} for name, value in best.items()]
    if choices:
        choices.insert(0, {"chosen by": "one answer, no choice", "right": percent(summary["one_response"])})
    figures = [
        {"figure": title, "value": summary[name], "what it says": says}
        for name, title, says in PROCESS_FIGURES
        if summary.get(name) is not None
    ]
    return [
        part(
            "How well it judges steps",
            "A process reward model scores every step of a solution. It is asked for the first wrong step of solutions "
            "of problems it was not trained on.",
            tables=[
                Table(title="Steps", rows=figures),
                Table(title=f"Best of all answers, {summary.get('num_heldout_problems', 0):,} problems", rows=choices),
            ],
        ),
        part(
            "Labelled steps",
            "Some responses as the model learnt from them. A step counts as right while the right answer can still be "
            "reached from it; where the label was estimated, the counts of completions are given.",
            steps=_labelled(stage / "labels.jsonl"),
        ),
    ]


PROCESS_FIGURES = (
    ("first_error_f1", "F1 of the first wrong step", "ProcessBench's rule: mean of the two lines below, harmonic"),
    ("first_error_accuracy_erroneous", "wrong solutions", "share whose first wrong step is found"),
    ("first_error_accuracy_correct", "right solutions", "share in which no step is called wrong"),
    ("step_auc", "AUC of steps", "how often a right step scores above a wrong one; a coin 0.5"),
    ("step_accuracy", "step accuracy", "share of steps judged rightly"),
    ("lowest_is_last", "lowest step is the last", "near 1 the model judges outcomes and not steps"),
    ("right_share", "right steps", "share of right labels it was trained on"),
)


def _labelled(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    found = []
    for line in itertools.islice(file_lines(path), NUM_LABELLED):
        row = json.loads(line)
        begins = [0, *row["step_ends"][:-1]]
        none = [None] * len(begins)
        hits, tries = row.get("hits") or none, row.get("completions") or none
        steps = [
            {
                "text": row["response"][begin:end].strip(),
                "label": label,
                "counts": f"{hit} of {tried}" if hit is not None and tried is not None else "",
            }
            for begin, end, label, hit, tried in zip(begins, row["step_ends"], row["labels"], hits, tries, strict=True)
        ]
        found.append({"prompt": row["prompt"], "steps": steps})
    return found
