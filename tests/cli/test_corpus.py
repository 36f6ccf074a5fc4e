"""`mathwright corpus recall` and `corpus where` as a person meets them, and the choice of the runner."""

import json
from pathlib import Path

import numpy as np
import pytest

from mathwright.chain.run import Chain
from mathwright.cli import main
from mathwright.corpus.archive import read_pages
from mathwright.corpus.documents import table
from mathwright.corpus.extract import extract
from mathwright.corpus.mining.measures import sheet_rows, write_sheet
from mathwright.lm.shards import ShardWriter
from mathwright.records import Page
from tests.cli.test_verbs import call
from tests.corpus.warc_making import page_html, response, write_members


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Four pages of an archive as two shards of two documents; the third shares a gzip member with the second."""
    records = [response(f"http://a.org/{i}", page_html(i)) for i in range(4)]
    archive = write_members(tmp_path / "a.warc.gz", [records[:1], records[1:3], records[3:]])
    with ShardWriter(tmp_path / "shards", vocab_size=100, eos_token=0, shard_tokens=22) as writer:
        for number, page in enumerate(read_pages(archive)):
            assert isinstance(page, Page)
            writer.write([1 + number] * 10, num_bytes=10, url=page.url, archive=page.archive, offset=page.offset)
    assert len(list((tmp_path / "shards").glob("shard-*.bin"))) == 2
    return tmp_path / "shards"


@pytest.mark.parametrize(
    ("place", "number", "token"), [(":0", 0, 0), (":10", 0, 10), (":11", 1, 0), (":32", 2, 10),
                                   ("/shard-00001:0", 2, 0), ("/shard-00001.bin:21", 3, 10)]
)  # fmt: skip
def test_a_token_leads_back_to_its_page(
    capsys: pytest.CaptureFixture[str], shards: Path, place: str, number: int, token: int
) -> None:
    status, out, _ = call(capsys, "corpus", "where", f"{shards}{place}", "--page")
    assert status == 0
    lines = out.split("\n")
    assert lines[0] == f"url\thttp://a.org/{number}"
    assert lines[1] == f"archive\t{shards.parent / 'a.warc.gz'}"
    assert lines[2].startswith("offset\t")
    assert lines[3] == f"token\t{token} of 11 of the document"
    assert "\n".join(lines[4:]).strip() == extract(page_html(number).encode(), "").text


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (":44", "no token 44"), ("/shard-00001:22", "no token 22"), ("/shard-00007:1", "no shard shard-00007"),
        ("", "is not SHARD:POSITION"), (":-1", "is not SHARD:POSITION"), (":x", "is not SHARD:POSITION"),
    ],
)  # fmt: skip
def test_a_place_that_is_none_is_named(
    capsys: pytest.CaptureFixture[str], shards: Path, place: str, message: str
) -> None:
    status, _, err = call(capsys, "corpus", "where", f"{shards}{place}")
    assert status == 2
    assert message in err and "hint:" in err


def test_a_page_that_is_gone_is_named(capsys: pytest.CaptureFixture[str], shards: Path) -> None:
    write_members(shards.parent / "a.warc.gz", [[response("http://a.org/other", page_html(9))]])
    status, _, err = call(capsys, "corpus", "where", f"{shards}:0", "--page")
    assert status == 2
    assert "http://a.org/0 is not at byte 0 of" in err


def test_recall_of_a_labelled_sheet(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    scores = np.linspace(1, 0, 2000)
    rows = sheet_rows(scores, [f"http://a.org/{i}" for i in range(2000)], 400, per_stratum=20, rng_seed=0)
    write_sheet(tmp_path / "sheet.jsonl", [{**row, "label": bool(scores[row["row"]] > 0.7)} for row in rows])
    status, out, err = call(capsys, "corpus", "recall", str(tmp_path / "sheet.jsonl"))
    assert status == 0
    figures = {line.split()[0]: float(line.split()[1]) for line in out.splitlines() if line.startswith(("prec", "rec"))}
    assert figures["precision"] > 0.95 and 0.5 < figures["recall"] < 0.85  # 400 of 600 pages
    assert "all below" in out + err
    (tmp_path / "bare.jsonl").write_text("".join(json.dumps({**row, "label": None}) + "\n" for row in rows))
    status, _, err = call(capsys, "corpus", "recall", str(tmp_path / "bare.jsonl"))
    assert status == 2 and "no labelled page in" in err


@pytest.mark.parametrize("verb", ["corpus", "run"])
def test_the_runner_is_chosen_before_the_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, verb: str) -> None:
    done: list[object] = []
    monkeypatch.setattr(table, "set_runner", lambda *given: done.append(given))
    monkeypatch.setattr(Chain, "run", lambda self, *_, **__: done.append("run"))
    monkeypatch.setattr("mathwright.report.headline.print_headline", lambda *_: None)
    monkeypatch.setattr("mathwright.cli.verbs.report", lambda *_: None)
    main([verb, "quickstart", "--out", str(tmp_path), "--runner", "ray", "--ray-address", "ray://head:10001"])
    assert done == [("ray", "ray://head:10001"), "run"]
    done.clear()
    main([verb, "quickstart", "--out", str(tmp_path)])
    assert done == ["run"]
