"""Corpora of others are read file by file, whatever they are written in; what cannot be read is named."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mathwright.corpus.documents import foreign
from mathwright.corpus.documents.compute import DocumentWriter, to_row
from mathwright.corpus.documents.foreign import read_corpus
from mathwright.errors import MathwrightError
from mathwright.records import Document

QUESTION = "Natalia sold clips to 48 of her friends in April. How many clips did she sell in May?"
OTHER = "Janet's ducks lay 16 eggs per day and she eats three for breakfast every morning."
FILLER = "On the road to the mountains we met a shepherd who told us of the weather and of his sheep. "


def write_parquet(path: Path, texts: list[str]) -> None:
    with DocumentWriter(path) as writer:
        for i, text in enumerate(texts):
            writer.write(to_row(Document(url=f"http://{i}/", title="", text=text)))


def write_jsonl(path: Path, texts: list[str]) -> None:
    lines = "".join(json.dumps({"text": text, "id": f"http://{i}/"}) + "\n" for i, text in enumerate(texts))
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        file.write(lines)


@pytest.mark.parametrize(
    ("name", "write"), [("a.parquet", write_parquet), ("a.jsonl", write_jsonl), ("a.jsonl.gz", write_jsonl)]
)
def test_corpora_of_each_kind_are_read(tmp_path: Path, name: str, write: Callable[[Path, list[str]], None]) -> None:
    texts = [FILLER, QUESTION, "", FILLER + OTHER]
    write(tmp_path / name, texts)
    assert list(read_corpus(tmp_path / name)) == [(f"http://{i}/", text) for i, text in enumerate(texts)]


def test_a_folder_is_read_file_by_file_and_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write_jsonl(tmp_path / "b" / "x.jsonl", [QUESTION])
    (tmp_path / "a.txt").write_text(OTHER)
    (tmp_path / "c.bin").write_bytes(QUESTION.encode())
    assert list(read_corpus(tmp_path)) == [(str(tmp_path / "a.txt"), OTHER), ("http://0/", QUESTION)]


def test_a_parquet_file_of_another_origin_needs_but_a_text_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [QUESTION, None], "label": [1, 2]}), path)
    assert list(read_corpus(path)) == [(f"{path}:0", QUESTION), (f"{path}:1", "")]


def test_one_large_text_file_is_read_in_pieces_that_hide_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "PIECE_CHARS", 1000)
    monkeypatch.setattr(foreign, "OVERLAP_CHARS", 300)
    path = tmp_path / "corpus.txt"
    for shift in range(0, 1000, 97):  # the question lies across the end of a piece for some of these
        path.write_bytes(b"x " * (shift // 2) + QUESTION.encode() + b" \xff " + FILLER.encode() * 30)
        pieces = list(read_corpus(path))
        assert {url for url, _ in pieces} == {str(path)}
        assert any(QUESTION in text for _, text in pieces)
        assert max(len(text) for _, text in pieces) <= 1300


def test_a_parquet_file_without_text_names_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"content": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(MathwrightError, match="no column `text`") as caught:
        list(read_corpus(tmp_path / "a.parquet"))
    assert "content" in str(caught.value.hint)
