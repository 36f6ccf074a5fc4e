"""Packed files: by their first bytes, whatever their names; read wherever people bring rows."""

import bz2
import gzip
import json
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mathwright.corpus.documents.foreign import read_corpus
from mathwright.errors import MathwrightError
from mathwright.problems.containers import data_rows
from mathwright.problems.rows import read_rows
from mathwright.sft.sources.files import read_rows as solution_rows
from mathwright.unpack import DamagedFileError, compression_of, open_bytes, open_text, packed, without_ending

pa = pytest.importorskip("pyarrow")


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".zst": zstd, ".bz2": bz2.compress, ".xz": lzma.compress,
}  # fmt: skip
ROWS = [{"text": "eins zwei", "question": "1 + 1 = ?", "answer": "2"}, {"text": "三", "question": "q", "answer": "3"}]
LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode()


@pytest.mark.parametrize("ending", PACKERS)
@pytest.mark.parametrize("named", ["as it is", "otherwise"])
def test_every_reader_of_rows_reads_every_packing(tmp_path: Path, ending: str, named: str) -> None:
    path = tmp_path / ("rows.jsonl" + (ending if named == "as it is" else ".gz" if ending != ".gz" else ""))
    path.write_bytes(PACKERS[ending](LINES))
    assert [row for _, row in read_rows(path)] == ROWS
    assert [{k: v for k, v in row.items() if k != "split"} for _, row in data_rows(str(path))] == ROWS
    assert [row for _, row in solution_rows(path)] == ROWS
    assert [text for _, text in read_corpus(path)] == [row["text"] for row in ROWS]


@pytest.mark.parametrize("ending", PACKERS)
def test_lists_tables_and_plain_texts(tmp_path: Path, ending: str) -> None:
    listed = tmp_path / f"rows.json{ending}"
    listed.write_bytes(PACKERS[ending](json.dumps(ROWS).encode()))
    assert [row for _, row in data_rows(str(listed))] == ROWS
    table = tmp_path / f"rows.csv{ending}"
    table.write_bytes(PACKERS[ending](b'\xef\xbb\xbfquestion,answer\r\n"a\nb",1\r\n'))
    assert [row for _, row in data_rows(str(table))] == [{"question": "a\nb", "answer": "1"}]
    prose = tmp_path / f"notes.txt{ending}"
    prose.write_bytes(PACKERS[ending]("erstens \u00e9".encode()))
    assert [text for _, text in read_corpus(prose)] == ["erstens \u00e9"]


def test_parquet_and_arrow_are_told_by_their_bytes(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(ROWS)
    pq.write_table(table, tmp_path / "a.jsonl")
    with pa.ipc.new_file(str(tmp_path / "b.json"), table.schema) as writer:
        writer.write_table(table)
    with pa.ipc.new_stream(str(tmp_path / "c.csv"), table.schema) as writer:
        writer.write_table(table)
    for name in ("a.jsonl", "b.json", "c.csv"):
        assert [row for _, row in data_rows(str(tmp_path / name))] == ROWS, name


@pytest.mark.parametrize("ending", [".gz", ".zst", ".bz2", ".xz"])
def test_what_stands_before_damage_is_read_and_the_damage_named(tmp_path: Path, ending: str) -> None:
    rows = [json.dumps({"question": f"{n} " + "x" * (n % 97), "answer": str(n)}) for n in range(20_000)]
    whole = PACKERS[ending]("\n".join(rows).encode())
    path = tmp_path / f"cut.jsonl{ending}"
    path.write_bytes(whole[: len(whole) // 2])
    seen = 0
    with pytest.raises(MathwrightError, match=f"cut.jsonl{ending}: cannot be read after line"):
        for _, row in read_rows(path):
            assert row == json.loads(rows[seen])
            seen += 1
    assert ending == ".bz2" or seen > 1_000
    with pytest.raises(DamagedFileError), open_bytes(path) as file:
        file.read()


def test_several_members_are_one_text(tmp_path: Path) -> None:
    for ending, pack in PACKERS.items():
        path = tmp_path / f"two{ending}"
        path.write_bytes(pack(b"one\n") + pack(b"two\n"))
        with open_text(path) as file:
            assert file.read() == "one\ntwo\n", ending


def test_without_pyarrow_all_but_zstd_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for ending, pack in PACKERS.items():
        path = tmp_path / f"rows.jsonl{ending}"
        path.write_bytes(pack(LINES))
        if ending == ".zst":
            with pytest.raises(MathwrightError, match="needs the package pyarrow"):
                list(read_rows(path))
        else:
            assert [row for _, row in read_rows(path)] == ROWS


def test_names() -> None:
    assert without_ending("gsm8k.jsonl.zst") == "gsm8k.jsonl" and without_ending("a.json") == "a.json"
    assert {"x.jsonl", "x.jsonl.gz", "x.jsonl.zstd"} <= set(packed("x.jsonl"))
    assert compression_of(b"") == "" == compression_of(b"PAR1")
    assert compression_of(b"BZh9 is how this text begins") == "" and compression_of(bz2.compress(b"")) == "bz2"
