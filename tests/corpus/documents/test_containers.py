"""Files of rows are known by their first bytes; damage costs what is behind it, and is said."""

import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from mathwright.corpus.documents import containers
from mathwright.corpus.documents.containers import BadRow, Container, read_rows, recognise
from mathwright.unpack import DamagedFileError
from tests.corpus.importing.publishers import lines, zstd

ROWS = [{"text": f"row {i} é", "n": i} for i in range(2000)]


def all_rows(path: Path) -> tuple[list[Any], str]:
    """The rows of a file, and what ended it too early ("" for nothing)."""
    found: list[Any] = []
    try:
        for number, row in read_rows(path, recognise(path)):
            assert number == len(found)
            found.append(row)
    except DamagedFileError as error:
        return found, str(error)
    return found, ""


PACKED = {
    "gzip": lambda data: gzip.compress(data[:9000]) + gzip.compress(data[9000:]),
    "zstd": lambda data: zstd(data[:9000], data[9000:]),
    "bz2": lambda data: bz2.compress(data[:9000]) + bz2.compress(data[9000:]),
    "xz": lambda data: lzma.compress(data[:9000]) + lzma.compress(data[9000:]),
}


@pytest.mark.parametrize("name", PACKED)
def test_compression_is_known_by_its_bytes_and_read_over_all_its_members(name: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"  # a name that says nothing
    path.write_bytes(PACKED[name](lines(ROWS)))
    assert recognise(path) == Container("json lines", name)
    assert all_rows(path) == (ROWS, "")


@pytest.mark.parametrize("name", ["gzip", "zstd", "xz"])
def test_of_a_file_that_was_cut_short_every_whole_row_is_given(name: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    data = lines(ROWS)
    packed = gzip.compress(data) if name == "gzip" else lzma.compress(data) if name == "xz" else zstd(data)
    path.write_bytes(packed[: len(packed) // 2])
    rows, why = all_rows(path)
    assert f"damaged {name}" in why
    assert rows == ROWS[: len(rows)]
    assert len(rows) > (500 if name != "zstd" else -1), "zstd gives whole blocks alone"


def test_garbage_behind_the_last_frame_is_damage_and_costs_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(zstd(lines(ROWS)) + b"garbage")
    rows, why = all_rows(path)
    assert rows == ROWS and "damaged zstd" in why


def test_arrays_and_objects_one_after_another_are_read_in_pieces(tmp_path: Path) -> None:
    array, spread, joined = (tmp_path / name for name in ("array", "spread", "joined"))
    array.write_text(json.dumps(ROWS, ensure_ascii=False, indent=1))
    spread.write_text("\n".join(json.dumps(row, indent=2) for row in ROWS))
    joined.write_text("".join(json.dumps(row) for row in ROWS))
    for path in (array, spread, joined):
        assert recognise(path).kind == "json values"
        assert all_rows(path) == (ROWS, "")


def test_an_array_that_ends_too_early_says_behind_which_row(tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    text = json.dumps(ROWS)
    path.write_text(text[: text.index('{"text": "row 17 ')])
    assert all_rows(path) == (ROWS[:17], "its JSON array ends too early, behind row 17")
    path.write_text(text[: text.index("row 17 ")])
    assert all_rows(path) == (ROWS[:17], "not JSON behind row 17")


def test_rows_that_are_no_rows_are_named_and_the_next_ones_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    deep = b'{"a":' + b"[" * 100_000 + b"\n"
    path.write_bytes(b'{"a": NaN}\n[1, 2]\n\n{}\n{"a": "\xff"}\n{"a": \n"text"\n' + deep + b'{"a": 1}')
    rows, why = all_rows(path)
    reasons = ["not an object", "empty line", "empty object", "not UTF-8", "not JSON", "not an object", "not JSON"]
    assert rows == [{"a": None}, *map(BadRow, reasons), {"a": 1}] and why == ""


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_ROW_BYTES", 1 << 20)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": "' + b"x" * (3 << 20) + b'"}\n{"a": 2}\n')
    assert all_rows(path)[0] == [{"a": 1}, BadRow("longer than 1 MiB"), {"a": 2}]


def test_plain_text_is_a_row_or_pieces_that_hold_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("One.\n\nTwo.")
    assert all_rows(path) == ([{"text": "One.\n\nTwo."}], "")
    monkeypatch.setattr(containers, "PIECE_CHARS", 1000)
    paragraphs = [f"Paragraph {i} é." * 9 for i in range(100)]
    path.write_text("\n\n".join(paragraphs))
    rows, _ = all_rows(path)
    assert all(len(row["text"]) <= 1000 for row in rows)
    assert [p for row in rows for p in row["text"].split("\n\n") if p.strip()] == paragraphs


@pytest.mark.parametrize("text", ["[1] A reference.", "{\\rm x} is", "[sic] he said", "{ x : x > 1 }"])
def test_prose_that_begins_as_json_does_is_prose(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text(text)
    assert all_rows(path) == ([{"text": text}], "")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b" \n \n", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "neither Parquet"),
        (b"PAR1 and no more", "damaged Parquet"),
        (gzip.compress(b"PAR1...", mtime=0), "unpack it first"),
        (b"\x1f\x8bnothing", "gzip that cannot be read"),
    ],
)
def test_what_is_nothing_we_know_says_what_it_is(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=why):
        list(read_rows(path, recognise(path)))
