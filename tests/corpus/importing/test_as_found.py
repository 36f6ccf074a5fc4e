"""Corpora as they lie about: links, caches of the hub, files beside the data, values that Python cannot hold."""

from __future__ import annotations

import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mathwright.corpus.importing.plan import Options
from mathwright.corpus.importing.run import import_corpus
from mathwright.errors import MathwrightError


def lines(path: Path, *texts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def texts(out: Path) -> list[str]:
    return sorted(row["text"] for file in out.glob("documents*.parquet") for row in pq.read_table(file).to_pylist())


def imported(path: Path, out: Path, layout: str = "text", **options: Any) -> list[str]:
    import_corpus(Options(layout=layout, path=str(path), **options), out)
    return texts(out)


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    lines(tmp_path / "elsewhere/x.jsonl", "linked")
    lines(tmp_path / "in/y.jsonl", "own")
    (tmp_path / "in/data").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/again.jsonl").symlink_to(tmp_path / "in/y.jsonl")
    assert imported(tmp_path / "in", tmp_path / "out") == ["linked", "own"]


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    lines(tmp_path / "in/y.jsonl", "own")
    (tmp_path / "in/z.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(MathwrightError, match=r"z\.jsonl: its link leads nowhere"):
        imported(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("layout", ["text", "dclm"])
def test_of_the_cache_of_the_hub_one_snapshot_is_read(tmp_path: Path, layout: str) -> None:
    hub = tmp_path / "datasets--a--b"
    for name, text in (("b1", "first"), ("b2", "second")):
        lines(hub / "blobs" / name, text)
    for snapshot, blobs in (("old", ["b1"]), ("new", ["b1", "b2"])):
        for blob in blobs:
            link = hub / "snapshots" / snapshot / "data" / f"{blob}.jsonl"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(hub / "blobs" / blob)
    (hub / "refs").mkdir()
    (hub / "refs/main").write_text("new")
    assert imported(hub, tmp_path / "out", layout) == ["first", "second"]


def test_a_readme_beside_rows_is_no_document(tmp_path: Path) -> None:
    lines(tmp_path / "in/data/train.jsonl", "row")
    (tmp_path / "in/README.md").write_text("# hi")
    assert imported(tmp_path / "in", tmp_path / "out") == ["row"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/rows.jsonl").write_text('{"body": "x"}\n')
    (tmp_path / "other/README.md").write_text("# hi")
    with pytest.raises(MathwrightError, match="no column `text`; there are body"):
        imported(tmp_path / "other", tmp_path / "out2")


def test_the_folder_that_is_written_is_not_read(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", "row")
    assert imported(tmp_path, tmp_path / "out") == ["row"]
    assert imported(tmp_path, tmp_path / "out") == ["row"]


def test_fineweb_2_is_read_without_its_test_and_what_was_removed(tmp_path: Path) -> None:
    for folder in ("cmn_Hani/train", "cmn_Hani/test", "cmn_Hani_removed/train"):
        file = tmp_path / "in/data" / folder / "000_00000.parquet"
        file.parent.mkdir(parents=True)
        pq.write_table(pa.table({"text": [folder]}), file)
    assert imported(tmp_path / "in", tmp_path / "out", "fineweb") == ["cmn_Hani/train"]


def test_a_split_that_there_is_not(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", "row")
    with pytest.raises(MathwrightError, match="openwebmath has no split 'test'"):
        imported(tmp_path, tmp_path / "out", "openwebmath", split="test")


def test_values_that_python_cannot_hold_stop_nothing(tmp_path: Path) -> None:
    bad = pa.array([b"good", b"\xff\xfe", b"also good"]).view(pa.string())
    far = pa.array([0, 1, 2**60], pa.int64()).view(pa.timestamp("us"))
    pq.write_table(pa.table({"text": bad, "when": far, "nan": [math.nan, 1.0, 2.0]}), tmp_path / "a.parquet")
    assert imported(tmp_path, tmp_path / "out") == ["also good", "good"]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert "not UTF-8" in json.dumps(manifest)


@pytest.mark.parametrize("value", ["[" * 900 + "]" * 900, "1" * 5000], ids=["deep", "a number of 5,000 digits"])
def test_a_row_that_json_can_hardly_hold_is_one_row(tmp_path: Path, value: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"text": "good"}}\n{{"text": "hard", "x": {value}}}\n{{"text": "also"}}\n')
    found = imported(tmp_path, tmp_path / "out")
    assert {"good", "also"} <= set(found)


def test_dates_of_rows_are_text_in_the_metadata(tmp_path: Path) -> None:
    when = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    pairs = pa.array([[("a", math.nan)]], pa.map_(pa.string(), pa.float64()))
    pq.write_table(pa.table({"text": ["x"], "when": [when], "m": pairs}), tmp_path / "a.parquet")
    imported(tmp_path, tmp_path / "out")
    (row,) = (row for file in (tmp_path / "out").glob("documents*.parquet") for row in pq.read_table(file).to_pylist())
    assert json.loads(row["metadata"])["when"].startswith("2024-01-02")
    assert "NaN" not in row["metadata"]


def test_a_negative_number_of_workers(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", "row")
    with pytest.raises(MathwrightError, match="--workers is -3"):
        import_corpus(Options(layout="text", path=str(tmp_path)), tmp_path / "out", num_workers=-3)
