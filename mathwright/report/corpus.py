"""The part of the page about the corpus (§2.1): what was collected, how the loop converged, what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from mathwright.report.plots import finished, plot

HASHES = ("seed_version", "classifier", "decisions")
"""Columns that tell two runs apart and nothing to a reader."""
TITLE_CHARS = 100
NUM_PAGES = 20


def corpus_section(manifest: Mapping[str, Any] | None, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    """`funnels`, and `parts` of a title, a note, plots and tables; None without a corpus.

    recipe: the resolved recipe of the run, or of its corpus alone.
    """
    if manifest is None:
        return None
    summary = manifest["summary"]
    quality = summary.get("quality") or {}
    parts = [
        _iterations(summary.get("iterations") or [], (recipe.get("corpus") or recipe).get("stop_overlap")),
        _domains(summary.get("top_domains") or []),
        _rules(summary.get("rules") or []),
        _quality(quality, summary.get("iterations") or []),
        _dropped(summary),
        _pages(summary.get("top_pages") or []),
    ]
    return {"funnels": manifest["funnels"], "parts": [part for part in parts if part["plots"] or part["tables"]]}


def corpus_headline(manifest: Mapping[str, Any]) -> str:
    """One line of what was collected."""
    summary = manifest["summary"]
    iterations = summary.get("iterations") or []
    if not iterations:
        return "A corpus, and no evaluation yet."
    last = iterations[-1]
    tokens = (summary.get("tokens") or {}).get("train", {}).get("num_tokens", last["collected_tokens"])
    overlap = f", {last['overlap']:.1%} of them as in the iteration before" if len(iterations) > 1 else ""
    return f"{last['collected_pages']:,} pages collected in {len(iterations)} iterations{overlap}; {tokens:,} tokens."


def _iterations(rows: Sequence[Mapping[str, Any]], stop_overlap: float | None) -> dict[str, Any]:
    note = (
        "Overlap: share of the collected pages that had been collected before. Held-out figures are for a tenth of the "
        "seed against random pages, some of which are of the domain: precision and F1 are lower bounds."
    )
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in HASHES]
    turned = [{"iteration": name.replace("_", " "), **{str(row["iteration"]): _shown(row, name) for row in rows}}
              for name in names]  # fmt: skip
    if not rows:
        return _part("Iterations", "", [], [])
    sizes = plot("corpus-convergence", rows, ["collected_pages", "new", "lost"], "pages by iteration", x="iteration")
    return _part("Iterations", note, [sizes, _overlap(rows, stop_overlap)], [_table("", turned[1:])])


def _shown(row: Mapping[str, Any], name: str) -> Any:
    return None if name == "overlap" and row["iteration"] == 1 else row.get(name)


def _overlap(rows: Sequence[Mapping[str, Any]], stop_overlap: float | None) -> dict[str, str]:
    """The first iteration has none before it, so its 0 is left out."""
    figure = go.Figure(
        go.Scatter(
            x=[row["iteration"] for row in rows[1:]], y=[row["overlap"] for row in rows[1:]], mode="lines+markers"
        )
    )
    if stop_overlap is not None:
        figure.add_hline(
            y=stop_overlap, line_dash="dash", annotation_text=f"stop at {stop_overlap:g}",
            annotation_position="bottom left",
        )  # fmt: skip
    figure.update_layout(
        yaxis={"range": [0, 1.05]}, xaxis={"range": [0.9, len(rows) + 0.1], "dtick": max(1, len(rows) // 8)}
    )
    return finished("corpus-overlap", figure, "overlap with the iteration before", "iteration")


def _domains(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shown = [
        {
            "domain": row["domain"],
            "pages": row["pages"],
            "collected": row["collected"],
            "share": row["share"],
            "95%": _interval(row, "share"),
            "mathematical": row["mathematical"],
        }
        for row in rows
    ]
    note = "By collected pages; mathematical by the recipe's share and number of pages."
    return _part("Domains", note, [], [_table("", shown)])


def _rules(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    people = sum(row.get("by") != "automatic" for row in rows)
    note = (
        f"{len(rows)} rules, {people} of them by people. Joined: pages that a rule matches and that came to the seed "
        "after the first iteration. A reject overrules an accept."
    )
    shown = [
        {
            **{name: row[name] for name in ("glob", "decision", "by", "why")},
            "when": row["when"][:10],
            "pages": row.get("pages"),
            "collected": row.get("collected"),
            "joined": row.get("joined_seed"),
        }
        for row in rows
    ]
    return _part("Rules: which URL prefixes are mathematics", note, [], [_table("", shown)])


def _pages(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shown = [{"score": row["score"], "title": _short(row["title"]), "url": row["url"]} for row in rows[:NUM_PAGES]]
    return _part("Highest-ranked pages", "", [], [_table("", shown)])


def _short(text: str) -> str:
    return text if len(text) <= TITLE_CHARS else text[: TITLE_CHARS - 1] + "…"


# --- what it is worth -----------------------------------------------------------------------------


def _quality(quality: Mapping[str, Any], iterations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    cut = iterations[-1]["lowest_score"] if iterations else None
    plots = [
        _calibration(f"corpus-{name.replace('_', '-')}", quality[name], title, cut)
        for name, title in (
            ("calibration", "share of labelled pages in the domain"),
            ("calibration_heldout", "share of held-out seed pages"),
        )
        if quality.get(name)
    ]
    tables = [
        _table("What other budgets would collect", quality.get("sweep") or []),
        _table("Against labelled pages outside the seed", [_merged(row) for row in quality.get("by_labels") or []]),
        _table("Labelled pages down the ranking", [_merged(row) for row in quality.get("strata_by_labels") or []]),
        *_two_classifiers(quality.get("two_classifiers") or {}),
    ]
    note = (
        "Calibration in equal parts of the ranking, 95% intervals: a calibrated classifier lies on the dashed line. "
        "The held-out sample is as many pages of the seed as random ones, the web is not. "
        if plots
        else ""
    )
    if quality.get("two_classifiers"):
        note += (
            "Capture and recapture: two classifiers of halves of the seed that share no host take pages within the "
            "budget each. They tend to see the same pages, so the recall is an upper bound."
        )
    return _part("What the collection is worth", note, plots, tables)


def _two_classifiers(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of classifiers that learnt from halves of the seed without a common host."""
    figures = [
        {"pages": where, "F1": found.get(f"{key}_f1"), "AUC": found.get(f"{key}_auc")}
        for key, where in (("inside", "hosts of its own half of the seed"), ("outside", "hosts of the other half"))
    ]
    captures = [
        {
            "pages counted": name,
            "first": row["first"],
            "second": row["second"],
            "both": row["both"],
            "estimated in all": row["pages"],
            "95%": f"{row['pages_low']:,} to {row['pages_high']:,}",
            "true": row.get("true_pages"),
            "collected": row["collected"],
            "recall at most": row["recall"],
            "95% ": _interval(row, "recall"),
        }
        for name, key in (("all", "capture"), ("labelled", "capture_of_labelled"))
        if (row := found.get(key))
    ]
    return [
        _table("A classifier outside the hosts it learnt from", figures) if found else _table("", []),
        _table("Capture and recapture by two classifiers, outside the seed", captures),
    ]


def _calibration(identifier: str, rows: Sequence[Mapping[str, Any]], title: str, cut: float | None) -> dict[str, str]:
    """Observed share over the classifier's mean probability, with 95% intervals, the diagonal and the cut."""
    scores = [row["mean_score"] for row in rows]
    ends = [min(scores), max(scores)]
    figure = go.Figure(
        [
            go.Scatter(
                x=scores,
                y=[row["share"] for row in rows],
                error_y={
                    "array": [row["share_high"] - row["share"] for row in rows],
                    "arrayminus": [row["share"] - row["share_low"] for row in rows],
                },
                mode="lines+markers",
            ),
            go.Scatter(x=ends, y=ends, mode="lines", line={"dash": "dash", "color": "#5b6675"}, hoverinfo="skip"),
        ]
    )
    if cut is not None and ends[0] <= cut <= ends[1]:
        figure.add_vline(x=cut, line_dash="dot", annotation_text="cut", annotation_position="bottom right")
    figure.update_layout(showlegend=False, yaxis={"range": [-0.05, 1.05]})
    return finished(identifier, figure, title, "mean score")


def _dropped(summary: Mapping[str, Any]) -> dict[str, Any]:
    clusters = [{"pages": int(size), "clusters": num} for size, num in
                (summary.get("near_duplicate_clusters") or {}).items()]  # fmt: skip
    contamination = (summary.get("contamination") or {}).get("rules") or []
    tables = [_table("Near-duplicates: clusters by size", clusters),
              _table("Decontamination: what each rule cost", contamination)]  # fmt: skip
    return _part("What was left out", "", [], tables)


# --- tables ---------------------------------------------------------------------------------------


def _part(title: str, note: str, plots: list[dict[str, str]], tables: list[dict[str, Any]]) -> dict[str, Any]:
    return {"title": title, "note": note, "plots": plots, "tables": [table for table in tables if table["rows"]]}


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = list(rows[0]) if rows else []
    numeric = [name for name in columns if any(_is_number(row[name]) for row in rows)]
    return {"title": title, "columns": columns, "numeric": numeric, "rows": rows}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _interval(row: Mapping[str, Any], name: str) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _merged(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with x, x_low and x_high as x and its interval."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith(("_low", "_high")):
            continue
        found[name] = value
        if f"{name}_low" in row:
            found[f"{name} 95%"] = _interval(row, name) if value is not None else None
    return found
