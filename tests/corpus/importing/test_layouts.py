"""Each publisher's layout is read as it is written: all of its texts, and what else its rows hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from mathwright.corpus.documents.compute import read_rows
from mathwright.corpus.importing import run
from mathwright.corpus.importing.layouts import LAYOUTS, choose_files, find_layout
from mathwright.corpus.importing.plan import Options, Plan, make_plan
from mathwright.corpus.importing.worker import Worker, record_of
from mathwright.errors import MathwrightError
from tests.corpus.importing import publishers
from tests.corpus.importing.publishers import PUBLISHERS


def read(options: Options, out: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The documents and the record of an import whose jobs are done in this process."""
    plan = make_plan(options)
    plan.write(out / run.WORK)
    rows: list[dict[str, Any]] = []
    record: dict[str, Any] = {}
    for number in range(len(plan.jobs)):
        Worker(out).read(number, out / f"{number}.parquet")
        rows += read_rows(out / f"{number}.parquet")
        record = json.loads(record_of(out, "read", number).read_text())
    return rows, record


def test_every_layout_has_a_fixture() -> None:
    assert set(PUBLISHERS) == set(LAYOUTS)


@pytest.mark.parametrize("name", PUBLISHERS)
def test_all_texts_of_a_layout_are_read_in_order(name: str, tmp_path: Path) -> None:
    texts = PUBLISHERS[name](tmp_path / "in")
    rows, record = read(Options(layout=name, path=str(tmp_path / "in")), tmp_path / "out")
    assert [row["text"] for row in rows] == texts
    assert record["num_in"] == record["num_out"] + sum(record["dropped"]["read"].values())
    assert record["damaged"] == {}
    for row in rows:
        metadata = json.loads(row["metadata"])
        assert isinstance(metadata, dict) and "text" not in metadata
        assert Path(row["archive"]).is_file()
        assert row["num_bytes"] == len(row["text"].encode())


def test_addresses_and_what_else_a_row_holds_are_kept(tmp_path: Path) -> None:
    PUBLISHERS["finemath"](tmp_path / "in")
    rows, _ = read(Options(layout="finemath", path=str(tmp_path / "in"), subset="3plus"), tmp_path / "out")
    assert [row["url"] for row in rows] == publishers.urls(3)
    assert [row["offset"] for row in rows] == [0, 1, 2], "counted over row groups"
    metadata = [json.loads(row["metadata"]) for row in rows]
    assert [found["score"] for found in metadata] == [4.1, None, None], "NaN is no JSON"
    assert metadata[0]["crawl"] == "CC-MAIN-2024-10" and "url" not in metadata[0]


def test_stackexchange_keeps_what_its_posts_say_besides_their_text(tmp_path: Path) -> None:
    PUBLISHERS["mathpile"](tmp_path / "in")
    rows, _ = read(Options(layout="mathpile", path=str(tmp_path / "in"), subset="stackexchange"), tmp_path / "out")
    found = json.loads(rows[0]["metadata"])
    assert found["question"] == {"Id": "1", "Score": "3"}
    assert found["answers"][0] == {"Id": "2", "Score": "7"}


@pytest.mark.parametrize(("subset", "numbers"), [("arxiv", [1, 2]), ("web", [3]), ("code", [0])])
def test_a_subset_is_read_alone(subset: str, numbers: list[int], tmp_path: Path) -> None:
    PUBLISHERS["proof_pile_2"](tmp_path / "in")
    rows, _ = read(Options(layout="proof_pile_2", path=str(tmp_path / "in"), subset=subset), tmp_path / "out")
    assert [row["text"] for row in rows] == [publishers.text(i) for i in numbers]


def test_a_part_of_a_corpus_may_be_given_for_the_whole(tmp_path: Path) -> None:
    PUBLISHERS["proof_pile_2"](tmp_path / "in")
    for given in ("arxiv", "arxiv/train", "arxiv/train/arXiv_000.jsonl.zst"):
        files = choose_files(find_layout("proof_pile_2"), tmp_path / "in" / given, subset="arxiv")
        assert [file.name for file in files.chosen] == ["arXiv_000.jsonl.zst"]


def test_other_splits_are_read_when_asked_for(tmp_path: Path) -> None:
    PUBLISHERS["proof_pile_2"](tmp_path / "in")
    rows, _ = read(Options(layout="proof_pile_2", path=str(tmp_path / "in"), split="test"), tmp_path / "out")
    assert [row["text"] for row in rows] == [publishers.text(99)]


def test_parts_that_overlap_are_not_mixed(tmp_path: Path) -> None:
    PUBLISHERS["finemath"](tmp_path / "in")
    (tmp_path / "in/finemath-3plus").rename(tmp_path / "in/finemath-4plus")
    PUBLISHERS["finemath"](tmp_path / "in")
    with pytest.raises(MathwrightError, match="4plus and 3plus hold the same documents"):
        choose_files(find_layout("finemath"), tmp_path / "in")


def test_an_unknown_layout_names_the_nearest() -> None:
    with pytest.raises(MathwrightError, match="did you mean proof_pile_2"):
        find_layout("proofpile2")
    assert find_layout("Proof-Pile-2") is LAYOUTS["proof_pile_2"]


def test_a_column_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    PUBLISHERS["the_stack"](tmp_path / "in")
    for options in (
        Options(layout="openwebmath", path=str(tmp_path / "in")),
        Options(layout="text", path=str(tmp_path / "in"), text_column="body"),
    ):
        with pytest.raises(MathwrightError, match=r"no column `(text|body)`; there are hexsha, size"):
            make_plan(options)
    rows, _ = read(Options(layout="text", path=str(tmp_path / "in"), text_column="content"), tmp_path / "out")
    assert len(rows) == 3


def test_a_folder_without_files_and_a_path_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match="no file of openwebmath"):
        make_plan(Options(layout="openwebmath", path=str(tmp_path)))
    with pytest.raises(MathwrightError, match="no such file or folder"):
        make_plan(Options(layout="openwebmath", path=str(tmp_path / "none")))
    with pytest.raises(MathwrightError, match="no subset 'arxiv'"):
        make_plan(Options(layout="openwebmath", path=str(tmp_path), subset="arxiv"))


def test_plain_text_beside_the_rows_of_a_corpus_is_left_alone_and_said(tmp_path: Path) -> None:
    PUBLISHERS["dclm"](tmp_path / "in")
    (tmp_path / "in/filelist").write_text("shard_00000000\n")
    plan = make_plan(Options(layout="dclm", path=str(tmp_path / "in")))
    assert list(plan.unread.values()) == ["plain text, where dclm has rows; the layout text reads it"]
    assert len(plan.jobs[0]) == 2


def test_a_large_parquet_file_is_cut_between_its_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = PUBLISHERS["openwebmath"](tmp_path / "in")
    whole, _ = read(Options(layout="openwebmath", path=str(tmp_path / "in")), tmp_path / "whole")
    monkeypatch.setattr("mathwright.corpus.importing.plan.JOB_BYTES", 1)
    plan = make_plan(Options(layout="openwebmath", path=str(tmp_path / "in")))
    assert [[source.groups for source in job] for job in plan.jobs] == [[(0, 1)], [(1, 2)], [(2, 3)]]
    rows, _ = read(Options(layout="openwebmath", path=str(tmp_path / "in")), tmp_path / "parts")
    assert rows == whole and len(rows) == len(texts)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    PUBLISHERS["openwebmath"](tmp_path / "in")
    plan = make_plan(Options(layout="openwebmath", path=str(tmp_path / "in")))
    plan.write(tmp_path)
    assert Plan.read(tmp_path) == plan
