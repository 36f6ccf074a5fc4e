"""Duplicates by URL, text and shingles, against the definitions written out."""

import random

import numpy as np
import pytest

from mathwright.corpus.documents.compute import DocumentWriter, to_row
from mathwright.corpus.documents.dedup import choose_bands, find_duplicates, near_clusters, near_copies
from mathwright.corpus.urls import page_key
from mathwright.records import Document


def jaccard(a, b, n=5):
    def shingles(text):
        words = text.lower().split()
        return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}

    return len(shingles(a) & shingles(b)) / len(shingles(a) | shingles(b))


def edited(words, num_changes, rng):
    words = list(words)
    for i in rng.sample(range(len(words)), num_changes):
        words[i] = f"new{rng.random()}"
    return " ".join(words)


def documents(tmp_path, rows):
    path = tmp_path / "pages.parquet"
    with DocumentWriter(path) as writer:
        for url, text in rows:
            writer.write(to_row(Document(url=url, title="", text=text)))
    return path


def test_each_step_on_what_the_last_left(tmp_path):
    rng = random.Random(0)
    base = [f"w{i}" for i in range(400)]
    rows = [
        ("http://a.org/1?utm_source=x", " ".join(base[:300])),  # same URL as the next, shorter
        ("http://a.org/1", " ".join(base)),
        ("http://a.org/2", " ".join(base).upper() + "\n"),  # same text but for case and white space, a byte longer
        ("http://a.org/3", edited(base, 4, rng) + " longer"),  # close, and longer
        ("http://a.org/4", edited(base, 60, rng)),  # far
        ("http://a.org/5", "something else entirely " * 20),
    ]
    assert jaccard(rows[1][1], rows[3][1]) > 0.85
    assert jaccard(rows[1][1], rows[4][1]) < 0.5
    found = find_duplicates(documents(tmp_path, rows), similarity=0.8, num_hashes=128, seed=1)
    assert found.keep.tolist() == [False, False, False, True, True, True]
    assert found.reason == ["same URL", "same text", "near-duplicate", "", "", ""]
    # The longest page stands for all of them, also for those dropped in an earlier step.
    assert found.representative.tolist() == [3, 3, 3, 3, 4, 5]
    assert found.cluster_sizes == {2: 1}


@pytest.mark.parametrize(("rule", "stays"), [("longest", 2), ("earliest", 1), ("url", 0)])
def test_the_rule_says_which_page_of_a_cluster_stays(tmp_path, rule, stays):
    words = [f"w{i}" for i in range(300)]
    texts = [" ".join(words), " ".join([*words, "x"]), " ".join([*words, "x", "y"])]
    dates = ["2024-03-01T00:00:00Z", "2023-01-01T00:00:00Z", ""]
    path = tmp_path / "pages.parquet"
    with DocumentWriter(path) as writer:
        for i, (text, date) in enumerate(zip(texts, dates, strict=True)):
            writer.write(to_row(Document(url=f"http://a.org/{i}", title="", text=text, date=date)))
    found = find_duplicates(path, similarity=0.8, num_hashes=64, seed=1, representative=rule)
    assert np.flatnonzero(found.keep).tolist() == [stays]
    assert found.representative.tolist() == [stays] * 3
    assert [child.name for child in tmp_path.iterdir()] == ["pages.parquet"]


def test_few_wide_bands_miss_what_many_narrow_ones_find(tmp_path):
    rng = random.Random(3)
    base = [f"w{i}" for i in range(400)]
    rows = [("http://a.org/1", " ".join(base)), ("http://a.org/2", edited(base, 14, rng))]
    assert 0.65 < jaccard(rows[0][1], rows[1][1]) < 0.75
    path = documents(tmp_path, rows)
    kept = {b: find_duplicates(path, similarity=0.5, num_hashes=128, seed=1, bands=b).keep.sum() for b in (2, 64)}
    assert kept == {2: 2, 64: 1}
    with pytest.raises(ValueError, match="bands is 129"):
        find_duplicates(path, similarity=0.5, num_hashes=128, seed=1, bands=129)


def test_near_copies_are_those_whose_shingles_are_mostly_the_same():
    rng = random.Random(4)
    of = [" ".join(f"{name}{i}" for i in range(300)) for name in "abc"]
    texts = [edited(of[1].split(), changes, rng) for changes in (2, 5, 100)] + [of[2].upper(), "other words " * 50, ""]
    assert near_copies(texts, of, similarity=0.6, num_hashes=128, seed=1).tolist() == [
        *(max(jaccard(text, other) for other in of) >= 0.6 for text in texts[:3]), True, False, False,
    ]  # fmt: skip
    assert not near_copies(texts, [], similarity=0.6, num_hashes=128, seed=1).any()
    assert len(near_copies([], of, similarity=0.6, num_hashes=128, seed=1)) == 0


def test_chinese_text_is_compared_by_characters(tmp_path):
    rng = random.Random(1)
    characters = [chr(rng.randrange(0x4E00, 0x9000)) for _ in range(500)]
    near = [*characters[:250], "新", *characters[251:]]
    other = rng.sample(characters, 500)
    rows = [(f"http://a.cn/{i}", "".join(text)) for i, text in enumerate((characters, near, other))]
    found = find_duplicates(documents(tmp_path, rows), similarity=0.8, num_hashes=128, seed=1)
    assert found.keep.sum() == 2
    assert found.keep[2]


def test_an_empty_file_has_no_duplicates(tmp_path):
    found = find_duplicates(documents(tmp_path, []), similarity=0.8, num_hashes=16, seed=1)
    assert len(found.keep) == 0


def test_pages_linked_through_others_are_one_cluster():
    rng = np.random.default_rng(0)
    base = rng.integers(1 << 32, size=64, dtype=np.uint32)
    chain = np.stack([base] * 3)
    chain[1, :8] = 1  # 56 of 64 equal to the first
    chain[2, :16] = 1  # 48 of 64 equal to the first, 56 to the second
    labels = near_clusters(np.concatenate([chain, rng.integers(1 << 32, size=(5, 64), dtype=np.uint32)]), 0.8)
    assert labels[0] == labels[1]
    assert len(set(labels[3:].tolist())) == 5


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9])
def test_bands_have_their_step_at_the_similarity(similarity):
    bands, rows = choose_bands(similarity, 128)
    assert bands * rows <= 128

    def found(s):
        return 1 - (1 - s**rows) ** bands

    assert found(similarity - 0.2) < 0.3
    assert found(min(0.99, similarity + 0.1)) > 0.9


def test_copies_in_real_archives_are_found(tmp_path, shared_data):
    import gzip
    import json

    with gzip.open(shared_data / "web" / "labels.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    copies = [(row["url"], row["duplicate_of"]) for row in rows if row.get("duplicate_of")]
    assert len(copies) == 134
    assert all(page_key(copy) == page_key(original) for copy, original in copies)
    originals = {row["url"] for row in rows if not row.get("duplicate_of")}
    assert len({page_key(url) for url in originals}) == len(originals)
