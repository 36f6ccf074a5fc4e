"""Files are whole or not there, and lines cut short by a kill are neither read nor continued."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from mathwright.files import (
    BLOCK_BYTES,
    append_line,
    atomic,
    content_mark,
    last_line,
    mend_tail,
    whole_lines,
    write_json,
    write_lines,
    write_text,
)


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic(path) as partial:
        partial.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def lines():
        yield "new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lines(path, lines())
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_what_a_kill_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt.partial").write_text("of an attempt that was killed, and longer than the new text")
    write_text(tmp_path / "a.txt", "new\r\n")
    assert (tmp_path / "a.txt").read_bytes() == b"new\r\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_content_is_on_the_disk_before_the_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "a.json", []
    monkeypatch.setattr("os.fsync", lambda descriptor: synced.append(path.exists()))
    write_json(path, {})
    assert synced == [False]


def test_json_holds_records_and_paths(tmp_path: Path) -> None:
    @dataclass
    class Point:
        x: int

    write_json(tmp_path / "a.json", {"point": Point(1), "path": Path("b"), "text": "\ud800 ü"})
    assert (tmp_path / "a.json").read_text() == (
        '{\n  "point": {\n    "x": 1\n  },\n  "path": "b",\n  "text": "\\ud800 ü"\n}\n'
    )
    with pytest.raises(TypeError, match="set is no JSON value"):
        write_json(tmp_path / "a.json", {1})
    assert "point" in (tmp_path / "a.json").read_text()


@pytest.mark.parametrize("torn", ["", "x", '{"step": 3, "va', "y" * (2 * BLOCK_BYTES + 1)])
def test_a_torn_line_is_not_read_and_not_continued(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("one\ntwo\n" + torn)
    assert list(whole_lines(path)) == ["one", "two"]
    assert last_line(path) == "two"
    append_line(path, "three")
    assert path.read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("content", "whole"),
    [(b"", b""), (b"x", b""), (b"a\n", b"a\n"), (b"a\n\n", b"a\n\n"), (b"a\nx\xc3", b"a\n"), (b"x" * BLOCK_BYTES, b"")],
)
def test_a_torn_tail_is_cut_off(tmp_path: Path, content: bytes, whole: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    mend_tail(path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("length", [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES])
def test_long_lines_are_found_across_blocks(tmp_path: Path, length: int) -> None:
    path = tmp_path / "log"
    path.write_text("first\n" + "x" * length + "\n" + "torn")
    assert last_line(path) == "x" * length


def test_a_character_cut_in_two_ends_no_reading(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes("a\nb ü".encode()[:-1])
    assert list(whole_lines(tmp_path / "log")) == ["a"]


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    lines = ["a\u2028b\x85c\rd", "", "e"]
    assert write_lines(tmp_path / "log", lines) == 3
    assert list(whole_lines(tmp_path / "log")) == lines


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert list(whole_lines(tmp_path / "none")) == []
    assert last_line(tmp_path / "none") is None
    mend_tail(tmp_path / "none")
    append_line(tmp_path / "none", "first")
    assert last_line(tmp_path / "none") == "first"


def test_an_edit_anywhere_is_another_content(tmp_path: Path) -> None:
    file, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    content = bytearray(b"x" * 3_000_000)
    file.write_bytes(content)
    other.write_bytes(b"y")
    mark = content_mark([file, other])
    assert content_mark([file, other]) == mark != content_mark([other, file])
    content[1_234_567] = ord("z")
    file.write_bytes(content)
    os.utime(file, ns=(0, 1))
    assert content_mark([file, other]) != mark
    content[1_234_567] = ord("x")
    file.write_bytes(content)
    assert content_mark([file, other]) == mark, "written again it is the same"
