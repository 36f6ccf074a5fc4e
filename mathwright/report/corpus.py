"""The page about the corpus (§2.1): what was collected, how the loop converged, what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mathwright.report.metrics import SHARE
from mathwright.report.parts import Part, Table, part
from mathwright.report.plots import Line, Plot, curves

HASHES = ("seed_version", "classifier", "decisions")
"""Columns that tell two runs apart and nothing to a reader."""
TITLE_CHARS = 100
NUM_PAGES = 20


def corpus_parts(manifest: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[Part]:
    """What there is to see of the corpus.

    recipe: the resolved recipe of the run, or of its corpus alone.
    """
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
    return [found for found in parts if not found.empty]


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


def _iterations(rows: Sequence[Mapping[str, Any]], stop_overlap: float | None) -> Part:
    note = (
        "Overlap: share of the collected pages that had been collected before. Held-out figures are for a tenth of the "
        "seed against random pages, some of which are of the domain: precision and F1 are lower bounds."
    )
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in HASHES]
    turned = [{"iteration": name.replace("_", " "), **{str(row["iteration"]): _shown(row, name) for row in rows}}
              for name in names]  # fmt: skip
    if not rows:
        return part("Iterations")
    sizes = curves(rows, ["collected_pages", "new", "lost"], "Pages by iteration", x="iteration")
    return part("Iterations", note, plots=[sizes, _overlap(rows, stop_overlap)], tables=[Table(rows=turned[1:])])


def _shown(row: Mapping[str, Any], name: str) -> Any:
    return None if name == "overlap" and row["iteration"] == 1 else row.get(name)


def _overlap(rows: Sequence[Mapping[str, Any]], stop_overlap: float | None) -> Plot | None:
    """The first iteration has none before it, so its 0 is left out."""
    if len(rows) < 2:
        return None
    return Plot(
        title="Overlap with the iteration before",
        lines=[Line(name="overlap", x=[row["iteration"] for row in rows[1:]], y=[row["overlap"] for row in rows[1:]])],
        x_title="iteration",
        unit=SHARE,
        y_range=(0, 1.05),
        levels={} if stop_overlap is None else {f"stop at {stop_overlap:.0%}": stop_overlap},
    )


def _domains(rows: Sequence[Mapping[str, Any]]) -> Part:
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
    return part("Domains", note, tables=[Table(rows=shown)])


def _rules(rows: Sequence[Mapping[str, Any]]) -> Part:
    people = sum(row.get("by") != "automatic" for row in rows)
    note = (
        f"{len(rows)} {'rule' if len(rows) == 1 else 'rules'}, {people} of them by people. Joined: pages that a rule "
        "matches and that came to the seed after the first iteration. A reject overrules an accept."
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
    return part("Rules: which URL prefixes are mathematics", note, tables=[Table(rows=shown)])


def _pages(rows: Sequence[Mapping[str, Any]]) -> Part:
    shown = [{"score": row["score"], "title": _short(row["title"]), "url": row["url"]} for row in rows[:NUM_PAGES]]
    return part("Highest-ranked pages", tables=[Table(rows=shown)])


def _short(text: str) -> str:
    return text if len(text) <= TITLE_CHARS else text[: TITLE_CHARS - 1] + "…"


# --- what it is worth -----------------------------------------------------------------------------


def _quality(quality: Mapping[str, Any], iterations: Sequence[Mapping[str, Any]]) -> Part:
    cut = iterations[-1]["lowest_score"] if iterations else None
    plots = [
        _calibration(quality[name], title, cut)
        for name, title in (
            ("calibration", "Share of labelled pages in the domain"),
            ("calibration_heldout", "Share of held-out seed pages"),
        )
        if quality.get(name)
    ]
    tables = [
        Table(title="What other budgets would collect", rows=quality.get("sweep") or []),
        Table(
            title="Against labelled pages outside the seed",
            rows=[_merged(row) for row in quality.get("by_labels") or []],
        ),
        Table(
            title="Labelled pages down the ranking",
            rows=[_merged(row) for row in quality.get("strata_by_labels") or []],
        ),
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
    return part("What the collection is worth", note, plots=plots, tables=tables)


def _two_classifiers(found: Mapping[str, Any]) -> list[Table]:
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
        Table(title="A classifier outside the hosts it learnt from", rows=figures if found else []),
        Table(title="Capture and recapture by two classifiers, outside the seed", rows=captures),
    ]


def _calibration(rows: Sequence[Mapping[str, Any]], title: str, cut: float | None) -> Plot:
    """Observed share over the classifier's mean probability, with 95% intervals, the diagonal and the cut."""
    scores = [row["mean_score"] for row in rows]
    ends = [min(scores), max(scores)]
    found = Line(
        name="share",
        x=scores,
        y=[row["share"] for row in rows],
        low=[row["share_low"] for row in rows],
        high=[row["share_high"] for row in rows],
    )
    return Plot(
        title=title,
        lines=[found, Line(name="calibrated", x=ends, y=ends, dashed=True)],
        x_title="mean score",
        unit=SHARE,
        y_range=(-0.05, 1.05),
        marks={} if cut is None else {"cut": cut},
    )


def _dropped(summary: Mapping[str, Any]) -> Part:
    clusters = [{"pages": int(size), "clusters": num} for size, num in
                (summary.get("near_duplicate_clusters") or {}).items()]  # fmt: skip
    contamination = (summary.get("contamination") or {}).get("rules") or []
    tables = [Table(title="Near-duplicates: clusters by size", rows=clusters),
              Table(title="Decontamination: what each rule cost", rows=contamination)]  # fmt: skip
    return part("What was left out", tables=tables)


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
