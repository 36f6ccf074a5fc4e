"""What the loop's last collection is worth, measured once the loop has ended (paper silent; see `measures.py`).

    corpus/quality/
      sheet.jsonl      pages around the cut, for a person to label; `mathwright corpus recall sheet.jsonl` reads it back
      first/ second/   samples of the two classifiers that saw disjoint halves of the seed

Nothing here changes what is collected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from mathwright.corpus.classifier import HeldOut, evaluate
from mathwright.corpus.documents.compute import read_rows
from mathwright.corpus.mining import measures, ranking
from mathwright.corpus.mining.pool import Pool
from mathwright.corpus.mining.samples import MAX_HELDOUT
from mathwright.corpus.mining.state import Mined, State
from mathwright.corpus.mining.training import Trained, train_classifier
from mathwright.corpus.recipe import CorpusRecipe
from mathwright.errors import MathwrightError
from mathwright.run import Stage

HELDOUT_PAGES_PER_BIN = 8
"""Fewer held-out pages than this in a bin of a calibration say nothing."""


def assess(recipe: CorpusRecipe, pool: Pool, mined: Mined, stage: Stage, folder: Path, rng_seed: int) -> dict[str, Any]:
    """Measure the last iteration, write the labelling sheet, and say what stood out.

    Returns `sweep` (what other budgets would collect), `calibration_heldout`; `by_labels`, `strata_by_labels`,
    `calibration` and `iterations` where the recipe has labels; `two_classifiers` where the seed has several hosts.
    """
    state = mined.state
    found: dict[str, Any] = {}
    labels = None
    if recipe.labels:
        labels = measures.label_array(pool.urls, measures.read_labels(Path(recipe.labels)))
        found |= _by_labels(labels, pool, mined, stage)
    found["sweep"] = _sweep(recipe, pool, mined, labels)
    found["calibration_heldout"] = _heldout_calibration(pool, mined, stage)
    if recipe.measure:
        found["two_classifiers"] = _two_classifiers(recipe, pool, mined, stage, folder, labels, rng_seed)
        _write_sheet(folder / "sheet.jsonl", pool, state, recipe.sheet_pages, rng_seed)
    return found


def _sweep(recipe: CorpusRecipe, pool: Pool, mined: Mined, labels: np.ndarray | None) -> list[dict[str, Any]]:
    """What each budget of `sweep_tokens` would collect, and its precision and recall where there are labels."""
    scores = mined.state.scores
    rows = [asdict(cut) for cut in ranking.sweep(scores, pool.num_tokens, pool.urls, recipe.sweep_tokens)]
    if labels is None:
        return rows
    order = ranking.rank(scores, pool.urls)
    for row in rows:
        collected = np.zeros(len(scores), dtype=bool)
        collected[order[: row["num_pages"]]] = True
        figures = measures.against_labels(labels, scores, collected, mined.first_seed_pages, pool.urls)[0]
        row |= {name: figures[name] for name in ("precision", "recall")}
    return rows


def _by_labels(labels: np.ndarray, pool: Pool, mined: Mined, stage: Stage) -> dict[str, Any]:
    """Figures against labels outside the first seed, of each iteration and of the last one in groups."""
    iterations = []
    for row in mined.iterations:
        state = State.load(stage.path / f"iteration-{row['iteration']}")
        every = measures.against_labels(labels, state.scores, state.collected, mined.first_seed_pages, pool.urls)[0]
        iterations.append({"iteration": row["iteration"], **every})
    last = mined.state
    judged = (labels >= 0) & ~mined.first_seed_pages
    groups = measures.against_labels(labels, last.scores, last.collected, mined.first_seed_pages, pool.urls)
    every = groups[0]
    if every["labelled"]:
        stage.say(
            f"against {every['labelled']:,} labelled pages outside the seed: "
            f"precision {_interval(every, 'precision')}, recall {_interval(every, 'recall')}"
        )
    return {
        "iterations": iterations,
        "by_labels": groups,
        "strata_by_labels": measures.label_strata(
            labels, mined.first_seed_pages, last.scores, pool.urls, int(last.collected.sum())
        ),
        "calibration": measures.calibration(labels[judged] == 1, last.scores[judged]),
    }


def _heldout_calibration(pool: Pool, mined: Mined, stage: Stage) -> list[dict[str, Any]]:
    """Calibration on the pages held out from the last classifier: seed pages, and as many random ones."""
    samples = pq.read_table(stage.path / f"iteration-{len(mined.iterations)}" / "samples.parquet").to_pylist()
    side = {row["url"]: row["side"] for row in samples if row["side"].startswith("heldout")}
    rows = [i for i, url in enumerate(pool.urls) if url in side]
    num_bins = min(10, len(rows) // HELDOUT_PAGES_PER_BIN)
    if num_bins < 2:
        return []
    is_seed = np.array([side[pool.urls[i]] == "heldout_positives" for i in rows])
    return measures.calibration(is_seed, mined.state.scores[rows], num_bins=num_bins)


def _interval(row: dict[str, Any], name: str) -> str:
    value = row[name]
    return "none" if value is None else f"{value:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"


def _two_classifiers(
    recipe: CorpusRecipe, pool: Pool, mined: Mined, stage: Stage, folder: Path, labels: np.ndarray | None, rng_seed: int
) -> dict[str, Any] | None:
    """Two classifiers of halves of the last seed that share no host: each is measured on the hosts of the other, and
    the overlap of what they collect within the last budget estimates how many pages there are to collect."""
    halves = measures.split_hosts(pool.urls, mined.state.seed_pages)
    if halves is None:
        stage.warn("the seed has one host: what the classifier does outside of it cannot be measured")
        return None
    try:
        return _measure_halves(recipe, pool, mined, stage, folder, labels, rng_seed, halves)
    except MathwrightError as error:  # half a seed can be too small to learn from; the collection stands all the same
        stage.warn(f"the halves of the seed teach nothing ({error.message}): not measured by them")
        return None


def _measure_halves(
    recipe: CorpusRecipe,
    pool: Pool,
    mined: Mined,
    stage: Stage,
    folder: Path,
    labels: np.ndarray | None,
    rng_seed: int,
    halves: tuple[np.ndarray, np.ndarray],
) -> dict[str, Any]:
    budget = int(mined.iterations[-1]["budget_tokens"])
    collected: list[np.ndarray] = []
    figures: list[tuple[HeldOut | None, HeldOut | None]] = []
    for name, own, other in (("first", *halves), ("second", *reversed(halves))):
        trained = train_classifier(
            recipe,
            pool,
            stage,
            folder / name,
            own,
            mined.last_excluded | other,
            rng_seed=f"{rng_seed}:{name}",
            negatives_rng_seed=f"{rng_seed}:{name}",
        )
        figures.append((trained.held_out, _on_other_hosts(trained, pool, other)))
        trained.classifier.save(folder / name)
        del trained  # its matrix: whoever scores loads it again
        with stage.progress(f"score pages by the {name} half of the seed", len(pool.urls)) as advance:
            scores = pool.score(folder / name, advance)
        (folder / name / "classifier.bin").unlink()
        collected.append(ranking.cut(scores, pool.num_tokens, pool.urls, budget).collected)
    first, second = (pages & ~mined.state.seed_pages for pages in collected)
    found = {
        "seed_pages": [int(half.sum()) for half in halves],
        **{f"inside_{name}": _mean([inside for inside, _ in figures], name) for name in ("f1", "auc")},
        **{f"outside_{name}": _mean([outside for _, outside in figures], name) for name in ("f1", "auc")},
        "capture": _capture(first, second, mined.state.collected & ~mined.state.seed_pages),
    }
    if labels is not None:  # where the truth is known, the estimate can be compared with it
        relevant = (labels == 1) & ~mined.state.seed_pages
        found["capture_of_labelled"] = {
            **_capture(first & relevant, second & relevant, mined.state.collected & relevant),
            "true_pages": int(relevant.sum()),
        }
    stage.say(
        f"classifiers of half the seed: F1 {found['inside_f1']} on its own hosts, {found['outside_f1']} on other hosts"
    )
    return found


def _on_other_hosts(trained: Trained, pool: Pool, other: np.ndarray) -> HeldOut | None:
    """The classifier of one half of the seed, measured on pages of the other half [N] bool."""
    positives = np.flatnonzero(other)[:MAX_HELDOUT].tolist()
    negatives = trained.samples.heldout_negatives
    texts = pool.texts([*positives, *negatives])
    return evaluate(trained.classifier, [texts[i] for i in positives], [texts[i] for i in negatives])


def _mean(figures: Sequence[HeldOut | None], name: str) -> float | None:
    values = [getattr(figure, name) for figure in figures if figure is not None]
    return round(float(np.mean(values)), 4) if values else None


def _capture(first: np.ndarray, second: np.ndarray, collected: np.ndarray) -> dict[str, Any]:
    """Chapman's estimate of the pages there are from two captures [N], and the recall of `collected` [N] it implies."""
    both = int((first & second).sum())
    estimate = measures.chapman(int(first.sum()), int(second.sum()), both)
    num = int(collected.sum())
    bounds = {"": estimate.value, "_low": estimate.high, "_high": estimate.low}
    return {
        "first": int(first.sum()),
        "second": int(second.sum()),
        "both": both,
        "pages": round(estimate.value),
        "pages_low": round(estimate.low),
        "pages_high": round(estimate.high),
        "collected": num,
        **{f"recall{end}": round(min(1.0, num / pages), 4) if pages else None for end, pages in bounds.items()},
    }


def _write_sheet(path: Path, pool: Pool, state: State, per_stratum: int, rng_seed: int) -> None:
    rows = measures.sheet_rows(
        state.scores, pool.urls, int(state.collected.sum()), per_stratum=per_stratum, rng_seed=rng_seed
    )
    wanted = {row["row"] for row in rows}
    texts = {
        i: (page["title"], measures.excerpt(page["text"]))
        for i, page in enumerate(read_rows(pool.documents, ["title", "text"]))
        if i in wanted
    }
    measures.write_sheet(path, [{**row, "title": texts[row["row"]][0], "text": texts[row["row"]][1]} for row in rows])
