"""The corpus part of the page: every figure of the summary that a reader needs, and nothing that runs."""

from pathlib import Path

from mathwright.report.corpus import corpus_headline, corpus_parts
from mathwright.report.page import write_report
from mathwright.report.parts import Part
from mathwright.report.plots import Plot
from mathwright.run import RunDirectory

HOSTILE = "</script><script>document.title='owned'</script>"


def iteration(number: int, collected: int, overlap: float) -> dict:
    return {
        "iteration": number, "seed_pages": 100 + number, "seed_version": "5eed5eed", "classifier": "c1a55",
        "collected_pages": collected, "collected_tokens": 10 * collected, "new": 7, "lost": 3, "overlap": overlap,
        "lowest_score": 0.505, "decisions": "", "heldout_f1": 0.87654,
    }  # fmt: skip


def share(name: str, value: float | None, low: float = 0.25, high: float = 0.95) -> dict:
    return {name: value, f"{name}_low": low, f"{name}_high": high}


BINS = [
    {"pages": 10, "lowest_score": 0.5, "mean_score": 0.51, **share("share", 0.8)},
    {"pages": 10, "lowest_score": 0.4, "mean_score": 0.50, **share("share", 0.3)},
]
CAPTURE = {"first": 30, "second": 40, "both": 20, "pages": 61, "pages_low": 50, "pages_high": 80, "collected": 45,
           **share("recall", 0.7377, 0.5625, 0.9)}  # fmt: skip
SUMMARY = {
    "iterations": [iteration(1, 1000, 0.0), iteration(2, 1500, 0.6667), iteration(3, 1510, 0.9934)],
    "top_domains": [{"domain": "qa.org", "pages": 40, "collected": 30, "mathematical": True,
                     **share("share", 0.75, 0.5989, 0.8581)}],
    "rules": [
        {"glob": "qa.org/*", "decision": "accept", "by": "Ada", "why": HOSTILE, "when": "2026-01-02T03:04:05Z",
         "pages": 40, "collected": 30, "joined_seed": 11},
        {"glob": "b.org/*", "decision": "accept", "by": "automatic", "why": "", "when": ""},  # of an older run
    ],
    "top_pages": [{"score": 0.9, "title": "t" * 300, "url": "https://a.org/<b>"},
                  {"score": 0.8, "title": HOSTILE, "url": "javascript:alert(1)"}],
    "quality": {
        "sweep": [{"budget_tokens": 1000, "num_pages": 12, "num_tokens": 990, "lowest_score": 0.6}],
        "by_labels": [{"pages": "all", "labelled": 0, **share("precision", None, 0.0, 1.0)},
                      {"pages": "other hosts", "labelled": 50, **share("precision", 0.96, 0.8654, 0.989)}],
        "strata_by_labels": [{"stratum": "rest of the collected", "pages": 127, **share("share", 0.9, 0.8123, 0.95)}],
        "calibration": BINS, "calibration_heldout": BINS,
        "two_classifiers": {"inside_f1": 0.91, "inside_auc": 0.97, "outside_f1": 0.62, "outside_auc": 0.81,
                            "capture": CAPTURE, "capture_of_labelled": {**CAPTURE, "true_pages": 90}},
    },
    "near_duplicate_clusters": {"2": 18, "5": 1},
    "contamination": {"rules": [{"benchmark": "gsm8k", "rule": "ngram", "spans": 4, "pages": 3}]},
    "tokens": {"train": {"num_tokens": 4321}},
}  # fmt: skip


def section(summary: dict = SUMMARY, **recipe: object) -> dict[str, Part]:
    return {part.title: part for part in corpus_parts({"summary": summary, "funnels": []}, recipe)}


def plots(parts: dict[str, Part]) -> dict[str, Plot]:
    return {plot.title: plot for part in parts.values() for plot in part.plots if isinstance(plot, Plot)}


OVERLAP = "Overlap with the iteration before"


def test_convergence_is_drawn_without_an_overlap_of_the_first_iteration() -> None:
    drawn = plots(section(corpus={"stop_overlap": 0.97}))
    sizes = {line.name: line.y for line in drawn["Pages by iteration"].lines}
    assert sizes == {"Collected pages": [1000, 1500, 1510], "New": [7, 7, 7], "Lost": [3, 3, 3]}
    [line] = drawn[OVERLAP].lines
    assert (line.x, line.y) == ([2, 3], [0.6667, 0.9934])
    assert drawn[OVERLAP].levels == {"stop at 97%": 0.97}


def test_the_recipe_may_be_that_of_the_corpus_alone() -> None:
    assert plots(section(stop_overlap=0.9))[OVERLAP].levels == {"stop at 90%": 0.9}


def test_calibration_has_its_intervals_and_the_cut() -> None:
    drawn = plots(section())
    for name in ("Share of labelled pages in the domain", "Share of held-out seed pages"):
        points, diagonal = drawn[name].lines
        assert (points.x, points.y) == ([0.51, 0.50], [0.8, 0.3])
        assert (points.low, points.high) == ([0.25, 0.25], [0.95, 0.95])
        assert diagonal.x == diagonal.y
        assert drawn[name].marks == {"cut": 0.505}  # the last iteration's lowest score


def test_each_table_says_what_the_summary_does() -> None:
    parts = section()
    rows = {
        (title, table.title): [list(row.values()) for row in table.rows]
        for title, part in parts.items()
        for table in part.tables
    }
    iterations = {row[0]: row[1:] for row in rows["Iterations", ""]}
    assert iterations["collected pages"] == [1000, 1500, 1510]
    assert iterations["overlap"] == [None, 0.6667, 0.9934]
    assert not {"seed version", "classifier", "decisions", "iteration"} & set(iterations)
    assert rows["Domains", ""] == [["qa.org", 40, 30, 0.75, "0.599 to 0.858", True]]
    rules = rows["Rules: which URL prefixes are mathematics", ""]
    assert rules[0] == ["qa.org/*", "accept", "Ada", HOSTILE, "2026-01-02", 40, 30, 11]
    assert "2 rules, 1 of them by people" in parts["Rules: which URL prefixes are mathematics"].note
    worth = "What the collection is worth"
    assert rows[worth, "Against labelled pages outside the seed"] == [
        ["all", 0, None, None], ["other hosts", 50, 0.96, "0.865 to 0.989"]
    ]  # fmt: skip
    assert rows[worth, "Labelled pages down the ranking"] == [["rest of the collected", 127, 0.9, "0.812 to 0.950"]]
    assert rows[worth, "A classifier outside the hosts it learnt from"] == [
        ["hosts of its own half of the seed", 0.91, 0.97], ["hosts of the other half", 0.62, 0.81]
    ]  # fmt: skip
    captures = rows[worth, "Capture and recapture by two classifiers, outside the seed"]
    assert captures[0] == ["all", 30, 40, 20, 61, "50 to 80", None, 45, 0.7377, "0.562 to 0.900"]
    assert captures[1][6] == 90
    assert rows["What was left out", "Near-duplicates: clusters by size"] == [[2, 18], [5, 1]]
    assert rows["What was left out", "Decontamination: what each rule cost"] == [["gsm8k", "ngram", 4, 3]]


def test_a_corpus_as_small_as_can_be_has_no_empty_parts() -> None:
    assert section({}) == {}
    assert list(section({"iterations": [iteration(1, 10, 0.0)]})) == ["Iterations"]


def test_the_headline_says_what_was_collected() -> None:
    assert corpus_headline({"summary": SUMMARY}) == (
        "1,510 pages collected in 3 iterations, 99.3% of them as in the iteration before; 4,321 tokens."
    )


def test_what_stands_on_pages_and_in_rules_stays_text(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, recipe_name="small", recipe={"name": "small"})
    run.stage("corpus").finish(outputs={}, summary=SUMMARY)
    overview = write_report(tmp_path).read_text(encoding="utf-8")
    html = (tmp_path / "report" / "corpus.html").read_text(encoding="utf-8")
    assert "<script>document.title" not in html and html.count("&lt;script&gt;document.title") == 2
    assert 'href="https://a.org/&lt;b&gt;"' in html
    assert 'href="javascript:' not in html and "javascript:alert(1)" in html
    assert "t" * 99 + "…" in html and "t" * 101 not in html
    assert "1,510 pages collected in 3 iterations" in overview
