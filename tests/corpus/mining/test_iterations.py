"""What each iteration of the loop leaves behind says what was done: domains, samples, seeds, classifier, measures."""

import dataclasses
import hashlib
import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest

from mathwright.corpus.mining.pool import Pool
from mathwright.corpus.mining.state import State
from mathwright.corpus.rules.domains import domain
from mathwright.corpus.rules.rules import matching, rejected
from mathwright.stats import wilson_interval
from tests.corpus.test_stage import MATH, SITES, recipe, run_stage, web  # noqa: F401 (fixture)


@pytest.fixture(scope="module")
def finished(web, tmp_path_factory):  # noqa: F811
    """Three iterations from a seed of two hosts, with labels of all pages."""
    folder = tmp_path_factory.mktemp("iterations")
    rows = [{"url": f"https://{site}/{i}", "label": words is MATH} for site, words in SITES.items() for i in range(24)]
    (folder / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stage, manifest = run_stage(
        web,
        folder / "run",
        seed_urls=("*//seed.org/*", "*//qa.org/questions/1*"),
        budget_tokens=(12_000, 24_000, 30_000),
        labels=str(folder / "labels.jsonl"),
        stop_overlap=1.1,
    )
    assert len(manifest["summary"]["iterations"]) == 3
    return stage.path, manifest["summary"], Pool.open(stage.path / "pool" / "pool.parquet")


def states(finished):
    folder, _, _ = finished
    return [State.load(folder / f"iteration-{number}") for number in (1, 2, 3)]


def table(folder, number, name):
    return pq.read_table(folder / f"iteration-{number}" / f"{name}.parquet").to_pylist()


def test_each_iteration_keeps_its_domains_sorted_with_their_intervals(finished):
    folder, _, pool = finished
    for number, state in enumerate(states(finished), start=1):
        rows = table(folder, number, "domains")
        pages = Counter(domain(url) for url in pool.urls)
        collected = Counter(domain(url) for url, taken in zip(pool.urls, state.collected, strict=True) if taken)
        assert {row["domain"]: row["pages"] for row in rows} == pages
        assert {row["domain"]: row["collected"] for row in rows if row["collected"]} == collected
        assert rows == sorted(rows, key=lambda row: (-row["collected"], -row["share"], row["domain"]))
        for row in rows:
            low, high = wilson_interval(row["collected"], row["pages"])
            assert (row["share_low"], row["share_high"]) == (round(low, 4), round(high, 4))
            assert row["mathematical"] == (row["collected"] / row["pages"] > 0.1)


def test_new_domains_are_those_that_were_not_mathematical_before(finished):
    folder, summary, _ = finished
    found = [{row["domain"] for row in table(folder, number, "domains") if row["mathematical"]} for number in (1, 2, 3)]
    counts = [row["new_domains"] for row in summary["iterations"]]
    assert counts == [len(now - before) for before, now in pairwise([set(), *found])]
    assert [row["math_domains"] for row in summary["iterations"]] == [len(names) for names in found]


def test_negatives_are_neither_seed_nor_below_accepted_rules_nor_collected_before(finished):
    folder, summary, pool = finished
    row_of = {url: i for i, url in enumerate(pool.urls)}
    everywhere = states(finished)
    forbidden = 0
    for number, state in enumerate(everywhere, start=1):
        sides = {name: [] for name in ("positives", "negatives", "heldout_positives", "heldout_negatives")}
        for row in table(folder, number, "samples"):
            sides[row["side"]].append(row_of[row["url"]])
        assert all(sides.values())
        assert state.seed_pages[sides["positives"] + sides["heldout_positives"]].all()
        negatives = sides["negatives"] + sides["heldout_negatives"]
        assert not state.seed_pages[negatives].any()
        if number > 1:
            before = everywhere[number - 2]
            under = matching(pool.urls, before.rules)
            forbidden += int((under & ~state.seed_pages).sum())
            assert not under[negatives].any()
            assert not (before.collected & ~rejected(pool.urls, before.rules))[negatives].any()
        counted = summary["iterations"][number - 1]
        assert (counted["positives"], counted["negatives"]) == (len(sides["positives"]), len(sides["negatives"]))
    assert forbidden  # there were such pages


def test_pages_below_accepted_rules_are_no_negatives_even_where_collected_ones_may_be(web, tmp_path):  # noqa: F811
    part = dataclasses.replace(recipe(web).classifier, exclude_collected=False)
    changes = {"classifier": part, "max_iterations": 2, "measure": False, "budget_tokens": (40_000,)}
    stage, _ = run_stage(web, tmp_path, **changes)
    pool, before = Pool.open(stage.path / "pool" / "pool.parquet"), State.load(stage.path / "iteration-1")
    negatives = {row["url"] for row in table(stage.path, 2, "samples") if "negatives" in row["side"]}
    is_negative = np.array([url in negatives for url in pool.urls])
    under = matching(pool.urls, before.rules)
    assert (under & before.collected & ~before.next_seed_pages).sum() > 20 and not (is_negative & under).any()
    assert (is_negative & before.collected).any()


def test_seeds_and_classifier_are_named_by_their_hashes(finished):
    folder, summary, pool = finished
    rows, everywhere = summary["iterations"], states(finished)
    for (before, now), (a, b) in zip(pairwise(rows), pairwise(everywhere), strict=True):
        assert (before["seed_version"] == now["seed_version"]) == np.array_equal(a.seed_pages, b.seed_pages)
        assert np.array_equal(a.next_seed_pages, b.seed_pages)
        assert before["classifier"] != now["classifier"]
    assert len({row["seed_version"] for row in rows}) > 1
    model = (folder / "iteration-3" / "classifier.bin").read_bytes()
    assert rows[-1]["classifier"] == hashlib.sha256(model).hexdigest()[:16]
    about = json.loads((folder / "iteration-3" / "classifier.json").read_text())
    assert about["size_bytes"] == len(model) and len(about["normaliser"]) == 16
    assert not (folder / "iteration-1" / "classifier.bin").exists()
    assert all(rows[-1][f"heldout_{name}"] is not None for name in ("f1", "auc")) and len(pool.urls) == 240


def test_the_classifier_is_measured_outside_of_its_hosts_and_around_the_cut(finished):
    _, summary, pool = finished
    quality = summary["quality"]
    assert quality["two_classifiers"]["outside_f1"] > 0.8 and quality["two_classifiers"]["inside_f1"] > 0.8
    first, last = states(finished)[0], states(finished)[-1]
    strata = {row["stratum"]: row for row in quality["strata_by_labels"]}
    assert sum(row["pages"] for row in strata.values()) == 240
    assert sum(row["labelled"] for row in strata.values()) == 240 - first.seed_pages.sum()
    inside = [strata["best half of the collected"], strata["rest of the collected"]]
    hits = sum(round(row["share"] * row["labelled"]) for row in inside)
    mathematical = np.array([SITES["/".join(url.split("/")[2:4])] is MATH for url in pool.urls])
    assert hits == (mathematical & last.collected & ~first.seed_pages).sum()
    assert strata["best half of the collected"]["share"] == 1 and strata["up to 3 times the cut"]["share"] < 0.2


def test_calibration_is_measured_on_what_was_held_out(web, tmp_path):  # noqa: F811
    """Without labels too: a seed of 120 pages holds 12 out, against as many others."""
    globs = tuple(f"*//{site}/*" for site in SITES)[:5]
    stage, manifest = run_stage(web, tmp_path, seed_urls=globs, max_iterations=1, measure=False)
    bins = manifest["summary"]["quality"]["calibration_heldout"]
    sides = [row["side"] for row in table(stage.path, 1, "samples") if row["side"].startswith("heldout")]
    assert [row["pages"] for row in bins] == [8, 8, 8] and len(sides) == 24
    assert [row["mean_score"] for row in bins] == sorted((row["mean_score"] for row in bins), reverse=True)
    assert sum(round(row["share"] * 8) for row in bins) == sides.count("heldout_positives") == 12
    assert bins[0]["share"] > bins[-1]["share"]


def test_a_seed_too_small_to_hold_out_has_no_calibration(web, tmp_path):  # noqa: F811
    _, manifest = run_stage(web, tmp_path, max_iterations=1, measure=False)
    assert manifest["summary"]["quality"]["calibration_heldout"] == []
