"""The page of a comparison of corpora (§2.2): a table, curves over what was read, and who is ahead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mathwright.report.gathered import Run
from mathwright.report.metrics import metric
from mathwright.report.parts import Part, Table, part, square
from mathwright.report.plots import Line, Plot, line_of
from mathwright.report.shown import interval, number, percent, words

MAX_LINES = 8
"""Trainings drawn in a plot, each with a line; of more of them the first."""


def compared_parts(run: Run, stage: str) -> list[Part]:
    """What the stage measured of each corpus, and what follows from it."""
    summary = run.summary(stage)
    rows = summary.get("table") or []
    return [
        part(
            "The corpora",
            "The same model, trained on each corpus alone for the same number of tokens. Fewer bits are better: the "
            "model predicts the text with less surprise.",
            tables=[
                Table(rows=square([_corpus(row) for row in rows])),
                Table(title="Answers to benchmarks, from a few examples", rows=[*_answers(rows)]),
            ],
        ),
        part(
            "Who is ahead",
            "Said where it holds beyond the noise of seeds and texts.",
            tables=[
                Table(rows=[*_verdicts(summary.get("verdicts") or {})]),
                Table(title="What each measure can tell", rows=_signals(summary.get("signal_to_noise") or {})),
            ],
        ),
        part("Curves", plots=[*_measured(summary.get("curves") or []), _losses(run, stage)]),
    ]


def _corpus(row: Mapping[str, Any]) -> dict[str, Any]:
    measures = {
        f"{measure}: {words(name)}": value
        for measure, found in (row.get("measures") or {}).items()
        for name, value in found.items()
    }
    before, after = row.get("bits_per_byte_before"), row.get("bits_per_byte_after")
    return {"corpus": row["corpus"], "tokens": row.get("num_tokens"), "bits per byte before": before, "after": after,
            **measures}  # fmt: skip


def _answers(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        for found in row.get("accuracy") or ():
            yield {
                "corpus": row["corpus"],
                "task": found["task"],
                "mode": found["mode"],
                "problems": found["num_problems"],
                "right": percent(found["accuracy"]),
                "95%": interval(*found["interval"]),
                "more than guessing": "no" if found.get("at_floor") else "yes",
            }


def _verdicts(verdicts: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[dict[str, str]]:
    for measure, rows in verdicts.items():
        for found in rows:
            yield {"measured on": measure, "verdict": found["text"]}


def _signals(ratios: Mapping[str, float]) -> list[dict[str, str]]:
    return [
        {
            "measure": measure,
            "differences over noise": number(round(ratio, 2)),
            "what it says": "the order of the corpora is mostly chance" if ratio < 2 else "the order can be trusted",
        }
        for measure, ratio in sorted(ratios.items())
    ]


def _measured(curves: Sequence[Mapping[str, Any]]) -> Iterator[Plot]:
    """A plot a measure, over the tokens that were read, a line a training."""
    names = dict.fromkeys(name for curve in curves for name in curve["points"] if name.endswith("/bits"))
    several = len({(curve["rate"], curve["seed"]) for curve in curves}) > 1
    for name in names:
        lines = [line for curve in curves[:MAX_LINES] if (line := _line(curve, name, several=several)) is not None]
        if lines:
            yield Plot(
                title=f"Bits: {name.removesuffix('/bits')}",
                lines=lines,
                x_title="tokens read" if "tokens" in curves[0]["points"] else "step",
            )


def _line(curve: Mapping[str, Any], name: str, *, several: bool) -> Line | None:
    points = curve["points"]
    x = points.get("tokens") or points["step"]
    known = [(at, value) for at, value in zip(x, points.get(name) or (), strict=False) if value is not None]
    if not known:
        return None
    title = f"{curve['arm']}, seed {curve['seed']}, rate {curve['rate']:g}" if several else curve["arm"]
    return Line(name=title, x=[at for at, _ in known], y=[value for _, value in known])


def _losses(run: Run, stage: str) -> Plot | None:
    """The training loss on each corpus."""
    folder = run.path / stage
    names: Iterable[str] = sorted(path.name for path in folder.iterdir() if (path / "metrics.jsonl").is_file())
    found = (line_of(run.metrics(f"{stage}/{name}"), "loss", title=name) for name in names)
    lines = [line for line in found if line is not None][:MAX_LINES]
    return Plot(title="Loss by training", lines=lines, unit=metric("loss").unit) if lines else None
