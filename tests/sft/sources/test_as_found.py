"""Published solutions as they lie about: contradictions, splits named by folders and members, values of other types."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mathwright.errors import MathwrightError
from mathwright.lines import file_lines
from mathwright.run import read_manifest
from mathwright.sft.sources.catalogue import SOURCES
from mathwright.sft.sources.worked import is_sentinel
from mathwright.tools.sandbox import Sandbox
from tests.sft.sources.rows import ROWS
from tests.sft.sources.test_importing import imported, lines, sandbox, write

__all__ = ["sandbox"]


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("We get 3+4. The answer is 7.", "8"),
        ("Work.\n#### 7", "8"),
        ("So the answer is (B).", "C"),
        ("Adding up.\n\nAnswer: 7", "8"),
        ("**Final Answer**: 7", "8"),
        ("三加四,所以答案是7。", "8"),
    ],
)
def test_what_a_solution_says_is_judged_not_the_box_put_behind_it(
    solution: str, answer: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    row = {"question": "How many?", "solution": solution, "answer": answer}
    problems, solutions, _, dropped = imported("jsonl", write(tmp_path, [row]), tmp_path / "out", sandbox)
    assert len(problems) == 1 and not solutions
    assert dropped == {"answer contradicts the solution": 1}
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None and "none of 1 solutions was kept" in manifest["warnings"][0]


@pytest.mark.parametrize("solution", ["We get 3+5. The answer is 8.", "There are 3, then 5 more come.", "So 3 + 5 = 8"])
def test_a_solution_that_agrees_or_names_nothing_is_kept(solution: str, tmp_path: Path, sandbox: Sandbox) -> None:
    row = {"question": "How many?", "solution": solution, "answer": "8"}
    _, solutions, _, _ = imported("jsonl", write(tmp_path, [row]), tmp_path / "out", sandbox)
    assert solutions[0].parts[-1].text.endswith("$\\boxed{8}$.")


def math_row(question: str) -> dict[str, Any]:
    return {**ROWS["math"][0], "problem": question}


def test_the_split_is_that_of_a_higher_folder(tmp_path: Path, sandbox: Sandbox) -> None:
    for split in ("train", "test"):
        file = tmp_path / "MATH" / split / "algebra" / "1.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(math_row(f"Of {split}?")))
    problems, *_ = imported("math", tmp_path / "MATH", tmp_path / "out", sandbox)
    assert {p.question: p.split for p in problems} == {"Of train?": "train", "Of test?": "test"}


def test_the_split_is_that_of_a_member_of_a_zip(tmp_path: Path, sandbox: Sandbox) -> None:
    with zipfile.ZipFile(tmp_path / "MATH.zip", "w") as archive:
        for split in ("train", "test"):
            archive.writestr(f"MATH/{split}/algebra/1.json", json.dumps(math_row(f"Of {split}?")))
    problems, *_ = imported("math", tmp_path / "MATH.zip", tmp_path / "out", sandbox)
    assert {p.question: p.split for p in problems} == {"Of train?": "train", "Of test?": "test"}


def test_answers_written_differently_are_one_answer(tmp_path: Path, sandbox: Sandbox) -> None:
    rows = [
        {"question": "How much?", "solution": f"Step {i}.\nThe answer is: {answer}", "answer": answer}
        for i, answer in enumerate(["1/2", "\\frac{1}{2}", "0.5", "0.7"])
    ]
    problems, solutions, dropped, _ = imported("jsonl", write(tmp_path, rows), tmp_path / "out", sandbox)
    assert len(problems) == 1 and len(solutions) == 3
    assert dropped == {"same question": 2, "same question, another answer": 1}


def test_an_answer_in_a_list(tmp_path: Path, sandbox: Sandbox) -> None:
    rows = [{"question": "q1", "answer": ["3"]}, {"question": "q2", "answer": {"value": "3"}}]
    problems, _, dropped, _ = imported("jsonl", write(tmp_path, rows), tmp_path / "out", sandbox)
    assert [p.answer for p in problems] == ["3"]
    assert dropped == {"not the layout: the answer is a list or an object": 1}


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "jsonl" and isinstance(ROWS[name][0], dict)])
@pytest.mark.parametrize("value", [5, True, [None], {"a": 1}, [5], "x"], ids=repr)
def test_values_of_another_type_set_a_row_aside(name: str, value: Any, tmp_path: Path, sandbox: Sandbox) -> None:
    rows = [{**row, column: value} for row in ROWS[name][:1] for column in row]
    (tmp_path / "data.jsonl").write_text(lines(rows))
    try:
        imported(name, tmp_path / "data.jsonl", tmp_path / "out", sandbox)
    except MathwrightError as error:
        assert "no problem is left" in str(error)


def test_a_row_with_a_date_can_be_set_aside(tmp_path: Path, sandbox: Sandbox) -> None:
    rows = {"question": ["q1", "q2"], "answer": ["", "3"], "when": [dt.datetime(2024, 1, 2, tzinfo=dt.UTC)] * 2}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    problems, _, dropped, _ = imported("jsonl", tmp_path / "a.parquet", tmp_path / "out", sandbox)
    assert len(problems) == 1 and dropped.total() == 1
    (aside,) = map(json.loads, file_lines(tmp_path / "out/rejected/problems.jsonl"))
    assert aside["row"]["when"].startswith("2024-01-02")


def test_objects_one_after_another_on_a_line(tmp_path: Path, sandbox: Sandbox) -> None:
    rows = [{"question": f"q{i}", "answer": str(i)} for i in range(3)]
    (tmp_path / "a.json").write_text("".join(map(json.dumps, rows)))
    problems, *_ = imported("jsonl", tmp_path / "a.json", tmp_path / "out", sandbox)
    assert [p.answer for p in problems] == ["0", "1", "2"]


def test_an_empty_file_and_a_limit_of_none(tmp_path: Path, sandbox: Sandbox) -> None:
    (tmp_path / "a.jsonl").write_text("")
    with pytest.raises(MathwrightError, match="no rows"):
        imported("jsonl", tmp_path / "a.jsonl", tmp_path / "out", sandbox)
    with pytest.raises(MathwrightError, match="--limit is 0"):
        imported("jsonl", tmp_path / "a.jsonl", tmp_path / "out", sandbox, limit=0)


def test_a_percent_in_the_box_is_no_comment(tmp_path: Path, sandbox: Sandbox) -> None:
    row = {"question": "How much?", "solution": "Half of it.", "answer": "50%"}
    _, (solution,), *_ = imported("jsonl", write(tmp_path, [row]), tmp_path / "out", sandbox)
    assert "\\boxed{50\\%}" in solution.parts[0].text


OWN = [{"question": "What is 3 + 4?", "solution": "3 + 4 = 7,\nso \"seven\".", "answer": "7"},
       {"question": "What is 5 - 2?", "solution": "5 - 2 = 3", "answer": "3"}]  # fmt: skip


@pytest.mark.parametrize("name", ["own.csv", "own.tsv", "own.csv.gz"])
def test_solutions_in_csv(name: str, tmp_path: Path, sandbox: Sandbox) -> None:
    separator = "\t" if "tsv" in name else ","
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(OWN[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(OWN)
    data = text.getvalue().encode("utf-8-sig") + separator.join(["too", "few"]).encode() + b"\r\n"
    data += separator.join(["a", "b\xff", "7"]).encode("latin-1") + b"\r\n"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    problems, solutions, dropped, _ = imported("jsonl", tmp_path / name, tmp_path / "out", sandbox)
    assert [problem.question for problem in problems] == [row["question"] for row in OWN]
    assert len(solutions) == 2
    assert dropped == {"this line has another number of fields than the first": 1, "invalid UTF-8": 1}


@pytest.mark.parametrize(("separator", "encoding"), [(";", "utf-8"), ("\t", "utf-16"), (",", "utf-16-le")])
def test_solutions_of_a_spreadsheet(separator: str, encoding: str, tmp_path: Path, sandbox: Sandbox) -> None:
    rows = [
        list(OWN[0]),
        *([f'"{value}"' for value in row.values()] for row in [OWN[1], {**OWN[1], "question": "a,b;c"}]),
    ]
    text = "".join(separator.join(row) + "\r\n" for row in rows)
    data = text.encode(encoding) if encoding != "utf-16-le" else b"\xff\xfe" + text.encode(encoding)
    (tmp_path / "own.csv").write_bytes(data)
    problems, _, dropped, _ = imported("jsonl", tmp_path / "own.csv", tmp_path / "out", sandbox)
    assert [problem.question for problem in problems] == [OWN[1]["question"], "a,b;c"] and not dropped


def test_a_spreadsheet_loses_nothing_in_silence(tmp_path: Path, sandbox: Sandbox) -> None:
    (tmp_path / "twice.csv").write_text("question,answer,answer\nWhat is 1 + 2?,3,4\n", encoding="utf-8")
    with pytest.raises(MathwrightError, match="two columns are called 'answer'"):
        imported("jsonl", tmp_path / "twice.csv", tmp_path / "a", sandbox)
    text = "question\tanswer\r\nWhat is 1 + 2?\t3\r\n".encode("utf-16")
    (tmp_path / "cut.csv").write_bytes(text + "What\t".encode("utf-16-le") + b"\x00\xd8" + "\r\n".encode("utf-16-le"))
    problems, _, dropped, _ = imported("jsonl", tmp_path / "cut.csv", tmp_path / "b", sandbox)
    assert len(problems) == 1 and dropped == {"invalid UTF-16": 1}


def test_solutions_that_datasets_saved(tmp_path: Path, sandbox: Sandbox) -> None:
    table = pa.Table.from_pylist(OWN)
    folder = tmp_path / "saved"
    (folder / "train").mkdir(parents=True)
    with (
        pa.OSFile(str(folder / "train" / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as stream,
    ):
        stream.write_table(table)
    (folder / "dataset_dict.json").write_text('{"splits": ["train"]}', encoding="utf-8")
    for note in ("dataset_info.json", "state.json"):
        (folder / "train" / note).write_text('{"question": "no row"}', encoding="utf-8")
    problems, solutions, dropped, _ = imported("jsonl", folder, tmp_path / "out", sandbox)
    assert (len(problems), len(solutions), dropped) == (2, 2, {})


@pytest.mark.parametrize("answer", ["proof", "\\boxed{\\text{proof}}", "$\\text{Proof.}$", "\\text{N/A}"])
def test_no_answer_is_told_however_it_is_wrapped(answer: str) -> None:
    assert is_sentinel(answer)
    assert not is_sentinel("\\boxed{\\text{even}}")
