"""How good a collection is, beyond its overlap with the one before (the paper measures nothing else of §2.1).

Three views, each with an interval: pages with labels from outside the loop; two classifiers that know nothing of each
other (capture and recapture); a sheet of pages from above and below the cut, to be labelled by a person.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mathwright.corpus.mining.ranking import rank
from mathwright.corpus.rules.domains import domain
from mathwright.corpus.urls import page_key
from mathwright.errors import MathwrightError
from mathwright.lines import json_text
from mathwright.problems.rows import read_rows
from mathwright.stats import Z95, average_precision, wilson_interval

STRATA = (("best half of the collected", 0.5), ("rest of the collected", 1.0), ("up to 1.5 times the cut", 1.5),
          ("up to 3 times the cut", 3.0), ("all below", math.inf))  # fmt: skip
"""Strata of a labelling sheet: name, and where it ends in the ranking as a multiple of the collected pages."""
EXCERPT_CHARS = 600
NUM_DRAWS = 10_000
"""Draws of the Monte-Carlo interval of a recall from a sheet."""


# --- pages with labels --------------------------------------------------------------------------------


def read_labels(path: Path) -> dict[str, bool]:
    """Whether a page is of the domain sought, by canonical URL: JSON lines with `url` and `label`.

    `label` is true, false or null (nobody knows; left out). Raises MathwrightError naming file and line.
    """
    labels: dict[str, bool] = {}
    hint = "each line has a url and a label that is true, false or null"
    for number, row in read_rows(path):
        if not isinstance(row.get("url"), str) or "label" not in row or not isinstance(row["label"], bool | None):
            raise MathwrightError(f"{path}:{number}: no url, or no such label: {str(row)[:200]}", hint=hint)
        if row["label"] is not None:
            labels[page_key(row["url"])] = row["label"]
    if not labels:
        raise MathwrightError(f"{path}: no page has a label", hint=hint)
    return labels


def label_array(urls: Sequence[str], labels: Mapping[str, bool]) -> np.ndarray:
    """Labels [N] of pages in int8: 1 and 0, -1 where there is none."""
    return np.array([int(labels.get(page_key(url), -1)) for url in urls], dtype=np.int8)


def against_labels(
    labels: np.ndarray, scores: np.ndarray, collected: np.ndarray, seed_pages: np.ndarray, urls: Sequence[str]
) -> list[dict[str, Any]]:
    """Precision and recall of the collected pages with 95% Wilson intervals: a row each for all labelled pages outside
    the seed, for those on hosts of the seed, and for those on other hosts.

    labels [N] as `label_array` gives them; scores [N]; collected, seed_pages [N] bool. A classifier that knows its
    seed's hosts by heart shows in the difference of the last two rows.
    """
    seed_hosts = {domain(urls[i]) for i in np.flatnonzero(seed_pages).tolist()}
    on_seed_host = np.array([domain(url) in seed_hosts for url in urls], dtype=bool)
    judged = (labels >= 0) & ~seed_pages
    groups = (("all", judged), ("hosts of the seed", judged & on_seed_host), ("other hosts", judged & ~on_seed_host))
    return [{"pages": name, **_figures(labels[rows] == 1, scores[rows], collected[rows])} for name, rows in groups]


def _figures(relevant: np.ndarray, scores: np.ndarray, collected: np.ndarray) -> dict[str, Any]:
    precision = average_precision(relevant, scores)
    hits, taken, num = int((relevant & collected).sum()), int(collected.sum()), int(relevant.sum())
    return {
        "labelled": len(relevant),
        "relevant": num,
        "collected": taken,
        **_share("precision", hits, taken),
        **_share("recall", hits, num),
        "average_precision": None if precision is None else round(precision, 4),
    }


def _share(name: str, successes: int, trials: int) -> dict[str, float | None]:
    low, high = wilson_interval(successes, trials)
    value = round(successes / trials, 4) if trials else None
    return {name: value, f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}


def calibration(relevant: np.ndarray, scores: np.ndarray, *, num_bins: int = 10) -> list[dict[str, Any]]:
    """Predicted probability against observed share, in `num_bins` bins of as many pages each down the ranking.

    relevant [N] bool, scores [N]. In a calibrated classifier the mean score lies within the interval of the share.
    Bins of equal width would say little: few epochs leave all probabilities close to 0.5.
    """
    order = np.argsort(-scores, kind="stable")
    return [
        {
            "pages": len(rows),
            "lowest_score": round(float(scores[rows].min()), 4),
            "mean_score": round(float(scores[rows].mean()), 4),
            **_share("share", int(relevant[rows].sum()), len(rows)),
        }
        for rows in np.array_split(order, num_bins)
        if len(rows)
    ]


# --- capture and recapture ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How many there are, and the 95% interval."""

    value: float
    low: float
    high: float


def chapman(num_first: int, num_second: int, num_both: int) -> Estimate:
    """How many there are in all, from two independent captures and their overlap: Chapman's estimator.

    N = (n1 + 1)(n2 + 1) / (m + 1) - 1, with a log-normal interval on what neither saw (Chao). Captures that tend to
    see the same make N too small, and a recall from it too large: an upper bound for two classifiers of one kind.
    Raises ValueError where the overlap exceeds a capture.
    """
    if not 0 <= num_both <= min(num_first, num_second):
        raise ValueError(f"num_both is {num_both}; it must be in 0..{min(num_first, num_second)}")
    n1, n2, m = num_first, num_second, num_both
    value = (n1 + 1) * (n2 + 1) / (m + 1) - 1
    variance = (n1 + 1) * (n2 + 1) * (n1 - m) * (n2 - m) / ((m + 1) ** 2 * (m + 2))
    seen = n1 + n2 - m
    unseen = value - seen
    if unseen <= 0 or variance == 0:
        return Estimate(value=value, low=value, high=value)
    factor = math.exp(Z95 * math.sqrt(math.log1p(variance / unseen**2)))
    return Estimate(value=value, low=seen + unseen / factor, high=seen + unseen * factor)


def split_hosts(urls: Sequence[str], seed_pages: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The seed [N] in two halves of about as many pages that share no host; None where it has one host only."""
    pages: dict[str, list[int]] = {}
    for i in np.flatnonzero(seed_pages).tolist():
        pages.setdefault(domain(urls[i]), []).append(i)
    if len(pages) < 2:
        return None
    halves: tuple[list[int], list[int]] = ([], [])
    for host in sorted(pages, key=lambda name: (-len(pages[name]), name)):
        min(halves, key=len).extend(pages[host])
    return _mask(halves[0], len(urls)), _mask(halves[1], len(urls))


def _mask(rows: Sequence[int], num: int) -> np.ndarray:
    mask = np.zeros(num, dtype=bool)
    mask[rows] = True
    return mask


# --- a sheet to label ---------------------------------------------------------------------------------


def strata(scores: np.ndarray, urls: Sequence[str], num_collected: int) -> list[tuple[str, np.ndarray]]:
    """(name, rows) of the strata of the ranking; empty ones are left out."""
    order = rank(scores, urls)
    ends = [min(len(order), math.ceil(times * num_collected) if math.isfinite(times) else len(order))
            for _, times in STRATA]  # fmt: skip
    parts = [(name, order[start:end]) for (name, _), start, end in zip(STRATA, [0, *ends], ends, strict=False)]
    return [(name, rows) for name, rows in parts if len(rows)]


def label_strata(
    labels: np.ndarray, seed_pages: np.ndarray, scores: np.ndarray, urls: Sequence[str], num_collected: int
) -> list[dict[str, Any]]:
    """Relevant pages among the labelled ones outside the seed in each stratum of the ranking, with 95% intervals: the
    precision at the cut lies between those of the two strata next to it.

    labels [N] as `label_array` gives them; seed_pages [N] bool; scores [N].
    """
    found: list[dict[str, Any]] = []
    for name, rows in strata(scores, urls, num_collected):
        known = labels[rows[~seed_pages[rows]]]
        known = known[known >= 0]
        share = _share("share", int(known.sum()), len(known))
        found.append({"stratum": name, "pages": len(rows), "labelled": len(known), **share})
    return found


def sheet_rows(
    scores: np.ndarray, urls: Sequence[str], num_collected: int, *, per_stratum: int, rng_seed: int
) -> list[dict[str, Any]]:
    """Rows of a labelling sheet, `per_stratum` drawn from each stratum, in random order (labels should not know it).

    Each has `row`, `url`, `score`, `stratum`, `stratum_pages` and an empty `label`; texts are for the caller to add.
    """
    rng = random.Random(rng_seed)
    rows = [
        {"row": int(i), "url": urls[i], "score": round(float(scores[i]), 6), "stratum": name,
         "stratum_pages": len(members), "label": None}
        for name, members in strata(scores, urls, num_collected)
        for i in members[rng.sample(range(len(members)), min(per_stratum, len(members)))]
    ]  # fmt: skip
    rng.shuffle(rows)
    return rows


def excerpt(text: str) -> str:
    """The beginning of a text and a piece from its middle, for a person to judge it by."""
    if len(text) <= EXCERPT_CHARS:
        return text
    half, middle = EXCERPT_CHARS // 2, len(text) // 2
    return f"{text[:half]}\n[...]\n{text[middle : middle + half]}"


def write_sheet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One JSON object a line, `label` first: it is what a person fills in with true or false."""
    lines = [json_text({"label": row["label"], **row}) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def recall_from_sheet(path: Path, *, rng_seed: int = 0) -> dict[str, Any]:
    """Precision and recall of the collected pages from a labelled sheet, with 95% intervals, and a row a stratum.

    The recall is the relevant pages of the collected strata over those of all, each stratum's share being Beta(k + 1/2,
    n - k + 1/2) (Jeffreys); the interval is that of NUM_DRAWS draws. Rows without a label are left out. Raises
    MathwrightError where a stratum has no labelled page, or a line is wrong.
    """
    counts: dict[str, list[int]] = {}
    sizes: dict[str, int] = {}
    for number, row in read_rows(path):
        missing = {"label", "stratum", "stratum_pages"} - set(row)
        if missing or not isinstance(row["label"], bool | None) or row["stratum"] not in dict(STRATA):
            raise MathwrightError(
                f"{path}:{number}: not a line of a labelling sheet", hint="change nothing but label, to true or false"
            )
        sizes[row["stratum"]] = row["stratum_pages"]
        counts.setdefault(row["stratum"], [0, 0])
        if row["label"] is not None:
            counts[row["stratum"]][0] += row["label"]
            counts[row["stratum"]][1] += 1
    names = [name for name, _ in STRATA if name in sizes]
    empty = [name for name in names if counts[name][1] == 0]
    if empty or not names:
        raise MathwrightError(
            f"{path}: no labelled page in: {', '.join(empty) or 'any stratum'}", hint="label some of each stratum"
        )
    relevant, labelled = np.array([counts[name] for name in names]).T
    num_pages = np.array([sizes[name] for name in names])
    draws = np.random.default_rng(rng_seed).beta(
        relevant + 0.5, labelled - relevant + 0.5, size=(NUM_DRAWS, len(names))
    )
    inside = np.array([dict(STRATA)[name] <= 1 for name in names])
    return {
        **_with_interval("precision", _ratio(draws * num_pages, inside, over=num_pages[inside].sum())),
        **_with_interval("recall", _ratio(draws * num_pages, inside)),
        "strata": [
            {"stratum": name, "pages": sizes[name], "labelled": counts[name][1], **_share("share", *counts[name])}
            for name in names
        ],
    }  # fmt: skip


def _ratio(pages: np.ndarray, inside: np.ndarray, over: float | None = None) -> np.ndarray:
    """Relevant pages of the strata `inside` over `over`, or over those of all; pages [draws, strata]."""
    return pages[:, inside].sum(axis=1) / (pages.sum(axis=1) if over is None else over)


def _with_interval(name: str, draws: np.ndarray) -> dict[str, float]:
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
    return {name: round(float(middle), 4), f"{name}_low": round(float(low), 4), f"{name}_high": round(float(high), 4)}
