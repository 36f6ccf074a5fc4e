"""One's own rows behind links, and values in them that JSON has no word for."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mathwright.errors import MathwrightError
from mathwright.lines import json_text
from mathwright.problems.own import load_own
from mathwright.records import to_json


def rows(path: Path, question: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"question": question, "answer": "1"}) + "\n")


def test_linked_folders_are_read_and_broken_links_said(tmp_path: Path) -> None:
    rows(tmp_path / "elsewhere/a.jsonl", "linked?")
    rows(tmp_path / "data/b.jsonl", "own?")
    (tmp_path / "data/more").symlink_to(tmp_path / "elsewhere")
    own = load_own(str(tmp_path / "data"), heldout=False).train
    assert {problem.question for problem in own} == {"linked?", "own?"}
    (tmp_path / "data/c.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(MathwrightError, match="its link leads nowhere"):
        load_own(str(tmp_path / "data"))


def test_columns_are_kept_as_json_can_hold_them(tmp_path: Path) -> None:
    table = pa.table({"question": ["q?"], "answer": ["1"], "weight": [math.nan], "raw": [b"caf\xc3\xa9"]})
    pq.write_table(table, tmp_path / "a.parquet")
    (problem,) = load_own(str(tmp_path / "a.parquet"), heldout=False).train
    assert problem.columns == {"answer": "1", "weight": None, "raw": "café"}
    assert "NaN" not in json_text(to_json(problem))
