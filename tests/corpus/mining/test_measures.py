"""Precision and recall of a collection: against definitions written out, and by simulation against the truth."""

import json
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.mining.measures import (
    STRATA,
    against_labels,
    calibration,
    chapman,
    excerpt,
    label_array,
    read_labels,
    recall_from_sheet,
    sheet_rows,
    split_hosts,
    strata,
    write_sheet,
)
from mathwright.errors import MathwrightError


def test_labels_are_read_by_the_key_of_the_page(tmp_path):
    path = tmp_path / "labels.jsonl"
    rows = [("http://A.org/x?utm_source=y", True), ("http://b.org/", False), ("http://c.org/", None)]
    path.write_text("".join(json.dumps({"url": url, "label": label}) + "\n" for url, label in rows))
    labels = read_labels(path)
    assert label_array(["https://a.org/x", "http://b.org", "http://c.org/"], labels).tolist() == [1, 0, -1]


@pytest.mark.parametrize(
    "line", ['{"url": "http://a.org/"}', '{"url": "http://a.org/", "label": "math"}', '{"label": true}']
)
def test_a_wrong_label_is_named_by_its_line(tmp_path, line):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"url": "http://b.org/", "label": false}\n' + line + "\n")
    with pytest.raises(MathwrightError, match=r"labels\.jsonl:2"):
        read_labels(path)


def test_labels_that_say_nothing_are_an_error(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"url": "http://b.org/", "label": null}\n')
    with pytest.raises(MathwrightError, match="no page has a label"):
        read_labels(path)


def test_pages_of_the_seed_are_not_judged_and_its_hosts_apart():
    urls = ["http://seed.org/1", "http://seed.org/2", "http://www.seed.org/3", "http://b.org/1", "http://b.org/2"]
    every, seed_hosts, others = against_labels(
        np.array([1, 1, 0, 1, -1], dtype=np.int8),
        scores=np.array([0.9, 0.8, 0.7, 0.1, 0.9]),
        collected=np.array([1, 1, 1, 0, 1], dtype=bool),
        seed_pages=np.array([1, 0, 0, 0, 0], dtype=bool),
        urls=urls,
    )
    assert (every["labelled"], every["precision"], every["recall"]) == (3, 0.5, 0.5)
    assert (seed_hosts["labelled"], seed_hosts["precision"], seed_hosts["recall"]) == (2, 0.5, 1.0)
    assert (others["labelled"], others["precision"], others["recall"]) == (1, None, 0.0)
    assert others["recall_low"] == 0.0 and others["recall_high"] < 1.0


def test_calibration_of_a_calibrated_classifier_and_of_an_overconfident_one():
    rng = np.random.default_rng(0)
    probability = rng.random(20_000)
    relevant = rng.random(20_000) < probability
    rows = calibration(relevant, probability)
    assert [row["pages"] for row in rows] == [2000] * 10
    for row in rows:
        assert row["share_low"] - 0.01 < row["mean_score"] < row["share_high"] + 0.01
    assert rows[0]["lowest_score"] >= rows[1]["mean_score"]
    overconfident = np.where(probability > 0.5, 0.99, 0.01)
    rows = calibration(relevant, overconfident)
    assert rows[0]["mean_score"] > rows[0]["share_high"] and rows[-1]["mean_score"] < rows[-1]["share_low"]
    assert [row["pages"] for row in calibration(np.array([True]), np.array([1.0]))] == [1]


# --- capture and recapture ------------------------------------------------------------------------


def test_chapman_is_unbiased_and_its_interval_honest():
    rng = np.random.default_rng(1)
    total, values, covered = 500, [], 0
    for _ in range(400):
        first, second = rng.random(total) < 0.5, rng.random(total) < 0.4
        estimate = chapman(int(first.sum()), int(second.sum()), int((first & second).sum()))
        values.append(estimate.value)
        covered += estimate.low <= total <= estimate.high
    assert np.mean(values) == pytest.approx(total, rel=0.01)
    assert 0.92 < covered / 400 < 0.98


def test_captures_that_see_the_same_make_the_estimate_too_small():
    rng = np.random.default_rng(2)
    ease = rng.random(2000) ** 2  # some pages are easy for both
    first, second = rng.random(2000) < ease, rng.random(2000) < ease
    assert chapman(int(first.sum()), int(second.sum()), int((first & second).sum())).high < 2000


def test_an_overlap_of_everything_is_everything():
    estimate = chapman(10, 10, 10)
    assert (estimate.value, estimate.low, estimate.high) == (10, 10, 10)
    with pytest.raises(ValueError, match="num_both is 11"):
        chapman(10, 12, 11)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=40))
def test_the_halves_of_a_seed_share_no_host(hosts):
    urls = [f"http://{host}.org/{i}" for i, host in enumerate(hosts)]
    seed = np.array([i % 4 > 0 for i in range(len(urls))])
    halves = split_hosts(urls, seed)
    names = [{hosts[i] for i in np.flatnonzero(half)} for half in halves or ()]
    if halves is None:
        assert len({hosts[i] for i in np.flatnonzero(seed)}) < 2
        return
    assert np.array_equal(halves[0] ^ halves[1], seed)
    assert names[0] and names[1] and not names[0] & names[1]


# --- sheet ----------------------------------------------------------------------------------------


def test_strata_cover_the_ranking_once():
    rng = np.random.default_rng(0)
    scores = rng.random(1000)
    urls = [f"http://a.org/{i}" for i in range(1000)]
    parts = strata(scores, urls, num_collected=100)
    assert [len(rows) for _, rows in parts] == [50, 50, 50, 150, 700]
    assert np.concatenate([rows for _, rows in parts]).tolist() == np.argsort(-scores).tolist()
    assert [len(rows) for _, rows in strata(scores, urls, num_collected=1000)] == [500, 500]


def filled_sheet(tmp_path, seed, *, labelled=lambda row: True):
    """A sheet of a pool of 5,000 pages whose relevance falls with the score, labelled by who knows; and the truth."""
    rng = np.random.default_rng(seed)
    scores = rng.random(5000)
    relevant = rng.random(5000) < scores**4
    collected = np.argsort(-scores)[:800]
    rows = sheet_rows(scores, [f"http://a.org/{i}" for i in range(5000)], 800, per_stratum=60, rng_seed=seed)
    path = tmp_path / f"sheet-{seed}.jsonl"
    write_sheet(path, [{**row, "label": bool(relevant[row["row"]]) if labelled(row) else None} for row in rows])
    return path, relevant[collected].mean(), relevant[collected].sum() / relevant.sum()


def test_the_recall_of_a_sheet_covers_the_truth(tmp_path):
    covered = {"precision": 0, "recall": 0}
    for seed in range(60):
        path, precision, recall = filled_sheet(tmp_path, seed)
        found = recall_from_sheet(path)
        covered["precision"] += found["precision_low"] <= precision <= found["precision_high"]
        covered["recall"] += found["recall_low"] <= recall <= found["recall_high"]
        assert found["recall_high"] - found["recall_low"] < 0.3
    assert min(covered.values()) >= 51  # of 60; 57 expected


def test_a_sheet_does_not_tell_its_strata_by_its_order(tmp_path):
    rng = random.Random(0)
    rows = sheet_rows(np.array([rng.random() for _ in range(500)]), [str(i) for i in range(500)], 100,
                      per_stratum=20, rng_seed=1)  # fmt: skip
    first = {row["stratum"] for row in rows[:20]}
    assert len(first) >= 4
    assert len(rows) == 20 * len(STRATA)


def test_a_stratum_nobody_labelled_is_an_error(tmp_path):
    path, _, _ = filled_sheet(tmp_path, 0, labelled=lambda row: row["stratum"] != "all below")
    with pytest.raises(MathwrightError, match="no labelled page in: all below"):
        recall_from_sheet(path)


def test_a_changed_sheet_is_named_by_its_line(tmp_path):
    path, _, _ = filled_sheet(tmp_path, 0)
    lines = path.read_text().splitlines()
    lines[4] = lines[4].replace('"label": true', '"label": "yes"').replace('"label": false', '"label": "no"')
    path.write_text("\n".join(lines))
    with pytest.raises(MathwrightError, match=":5: not a line of a labelling sheet"):
        recall_from_sheet(path)


def test_an_excerpt_shows_the_beginning_and_the_middle():
    text = "".join(chr(0x4E00 + i) for i in range(3000))
    assert excerpt(text).startswith(text[:300])
    assert text[1500:1800] in excerpt(text)
    assert excerpt("short") == "short"
    assert math.isclose(len(excerpt(text)), 600, abs_tol=20)
