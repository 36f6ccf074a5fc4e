"""Published sets become problems and solutions: every layout, every container, and nothing lost in silence."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mathwright.chain.solutions import benchmark_finder
from mathwright.errors import MathwrightError
from mathwright.lines import file_lines
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.problems.sources import load_problems
from mathwright.records import Problem, Solution, read_jsonl
from mathwright.run import read_manifest
from mathwright.sft.sources.catalogue import SOURCES, find_source
from mathwright.sft.sources.files import split_of
from mathwright.sft.sources.importing import ImportOptions, import_solutions
from mathwright.tools.sandbox import Sandbox
from tests.problems.test_equations import DATA
from tests.sft.sources.rows import KEPT, ROWS


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write(folder: Path, rows: list[Any], name: str = "data.jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(lines(rows), encoding="utf-8")
    return folder / name


def imported(
    name: str, path: Path, out: Path, sandbox: Sandbox, **options: Any
) -> tuple[list[Problem], list[Solution], Counter[str], Counter[str]]:
    finder = options.pop("find_contaminated", None)
    kept = import_solutions(
        SOURCES[name], path, out, options=ImportOptions(**options), find_contaminated=finder, sandbox=sandbox
    )
    problems, solutions = (
        list(read_jsonl(out / "problems.jsonl", Problem)),
        list(read_jsonl(out / "solutions.jsonl", Solution)),
    )
    assert kept == {"problems": len(problems), "solutions": len(solutions)}
    manifest = read_manifest(out)
    assert manifest is not None
    dropped = {funnel["step"]: Counter(funnel["dropped"]) for funnel in manifest["funnels"]}
    return problems, solutions, dropped["problems"], dropped["solutions"]


def test_every_source_has_rows_here() -> None:
    assert set(ROWS) == set(KEPT) == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_a_layout(name: str, tmp_path: Path, sandbox: Sandbox) -> None:
    num, formats, reasons, solution_reasons = KEPT[name]
    problems, solutions, dropped, dropped_solutions = imported(
        name, write(tmp_path, ROWS[name]), tmp_path / "out", sandbox
    )
    assert len(problems) == num
    assert sorted(s.format for s in solutions) == sorted(formats)
    assert dropped == Counter(reasons) and dropped_solutions == Counter(solution_reasons)
    assert {s.problem_id for s in solutions} <= {p.id for p in problems}
    rejected = tmp_path / "out" / "rejected"
    for step, counts in (("problems", dropped), ("solutions", dropped_solutions)):
        rows = (
            [json.loads(line) for line in file_lines(rejected / f"{step}.jsonl")]
            if (rejected / f"{step}.jsonl").exists()
            else []
        )
        # a question asked again is merged, not set aside
        assert Counter(row["reason"] for row in rows) == Counter(
            {k: n for k, n in counts.items() if k != "same question"}
        )
        assert all(row["place"] for row in rows)


def test_columns_of_each_source_are_those_of_its_rows() -> None:
    for name, source in SOURCES.items():
        rows = (
            ROWS[name][0].get("Instances")
            if isinstance(ROWS[name][0], dict) and "Instances" in ROWS[name][0]
            else ROWS[name]
        )
        seen = {key for row in rows for key in (row if isinstance(row, dict) else {"messages"})}
        for column in source.columns:
            assert set(column.split("|")) & seen, (name, column)


# --- what becomes of the texts ---


def test_texts_of_solutions(tmp_path: Path, sandbox: Sandbox) -> None:
    def text_of(name: str) -> str:
        _, solutions, _, _ = imported(name, write(tmp_path / name, ROWS[name][:1]), tmp_path / name / "out", sandbox)
        return solutions[0].parts[0].text

    assert text_of("gsm8k") == "He has 3+4=7 pens.\nThe answer is $\\boxed{7}$."
    assert text_of("metamathqa") == "5+6=11\n#### 11\nThe answer is $\\boxed{11}$."
    assert text_of("mathinstruct") == "2+2=4\nThe answer is $\\boxed{4}$."
    assert text_of("tal_scq5k").endswith("故选$\\text{B}$\n答案是 $\\boxed{B}$。")
    assert text_of("openmathreasoning") == "It is \\boxed{32}."


def test_words_of_prompts_are_no_question(tmp_path: Path, sandbox: Sandbox) -> None:
    [problem], *_ = imported("dapo_17k", write(tmp_path / "d", ROWS["dapo_17k"]), tmp_path / "d" / "out", sandbox)
    assert (problem.question, problem.answer) == ("What is 17+17?", "34")
    problems, solutions, *_ = imported(
        "mathinstruct", write(tmp_path / "m", ROWS["mathinstruct"]), tmp_path / "m" / "out", sandbox
    )
    assert problems[1].question == "What is 3 times 5?"
    assert problems[1].answer == "15", "what the program prints"
    assert [part.kind for part in solutions[1].parts] == ["code"]


def test_chinese_fractions_are_plain(tmp_path: Path, sandbox: Sandbox) -> None:
    problems, solutions, *_ = imported("ape210k", write(tmp_path, ROWS["ape210k"][:1]), tmp_path / "out", sandbox)
    assert (problems[0].answer, problems[0].language, problems[0].id) == ("5/4", "zh", "ape210k-1")
    cot = next(s for s in solutions if s.format == "cot")
    assert cot.parts[0].text == "2.5 ÷ 2 = 1.25\n答案是 $\\boxed{5/4}$。"


# --- splits, duplicates, contamination ---


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("gsm8k_train.jsonl.gz", "train"),
        ("gsm8k_test.jsonl", "test"),
        ("valid.ape.json", "validation"),
        ("a/latest.json", "train"),
        ("ood/test/0000.parquet", "test"),
        ("test/mine.jsonl", "train"),
        ("data/train-00000-of-00004.parquet", "train"),
        ("contest_problems.jsonl", "train"),
        ("test-00000-of-00001.parquet", "test"),
    ],
)
def test_the_split_a_name_tells(path: str, split: str) -> None:
    assert split_of(Path(path)) == split


def test_what_a_test_asks_is_never_trained_on(tmp_path: Path, sandbox: Sandbox) -> None:
    """By another row of the file, before or after the training row, and by a file of its own."""
    row = ROWS["lila"][0]["Instances"][0]
    again = {**row, "Input": "What is  9 minus 4 ?", "split": "test"}
    for name, rows in (("before", [again, row]), ("after", [row, again])):
        problems, solutions, *_ = imported("lila", write(tmp_path / name, rows), tmp_path / name / "out", sandbox)
        assert [p.split for p in problems] == ["test"]
        assert {s.problem_id for s in solutions} <= {problems[0].id}
        recipe = ProblemsRecipe(
            sources=(
                ProblemSourceRecipe(
                    source=str(tmp_path / name / "out" / "problems.jsonl"),
                    path=str(tmp_path / name / "out" / "solutions.jsonl"),
                    num_train=0,
                    num_test=1,
                ),
            ),
            difficulty=0,
            seed=0,
        )
        assert load_problems(recipe).solutions == []
    folder = tmp_path / "files"
    write(folder, ROWS["gsm8k"][:1], "a_train.jsonl")
    write(folder, ROWS["gsm8k"][:1], "b_test.jsonl")
    problems, *_ = imported("gsm8k", folder, tmp_path / "files-out", sandbox)
    assert [p.split for p in problems] == ["test"]


def test_a_question_with_another_answer_is_set_aside(tmp_path: Path, sandbox: Sandbox) -> None:
    rows = [{"question": "What is  $x$?", "answer": "1"}, {"question": "what is x", "answer": "2"}]
    problems, _, dropped, _ = imported("jsonl", write(tmp_path, rows), tmp_path / "out", sandbox)
    assert [p.answer for p in problems] == ["1"] and dropped == Counter({"same question, another answer": 1})


def test_known_folders_are_counted_out(tmp_path: Path, sandbox: Sandbox) -> None:
    imported("jsonl", write(tmp_path / "a", [{"question": "What is 2+3?", "answer": "5"}]), tmp_path / "one", sandbox)
    rows = [{"question": "what is 2 + 3?", "answer": "5"}, {"question": "What is 2+4?", "answer": "6"}]
    problems, _, dropped, _ = imported(
        "jsonl", write(tmp_path / "b", rows), tmp_path / "two", sandbox, known=(tmp_path / "one",)
    )
    assert [p.answer for p in problems] == ["6"] and dropped == Counter({"asked in a known folder": 1})


def test_contamination_is_flagged_with_an_audit_log(tmp_path: Path, sandbox: Sandbox) -> None:
    asked = "Natalia sold forty eight red clips to her good friends in April and then half as many in May."
    data = tmp_path / "data"
    write(data, [{"question": asked + " How many?", "answer": "#### 72"}], "gsm8k_test.jsonl")
    rows = [{"question": f"Again: {asked} And?", "answer": "72"}, {"question": "What is 2+4?", "answer": "6"}]
    finder = benchmark_finder(["gsm8k"], str(data))
    file = write(tmp_path / "rows", rows)
    problems, _, dropped, _ = imported("jsonl", file, tmp_path / "out", sandbox, find_contaminated=finder)
    assert [p.answer for p in problems] == ["6"] and dropped == Counter({"contaminated: gsm8k": 1})
    [audit] = [json.loads(line) for line in file_lines(tmp_path / "out" / "contamination.jsonl")]
    assert audit["problem_id"] == "gsm8k-0" or audit["problem_id"].startswith("gsm8k")
    assert "forty eight red clips" in audit["matched"] and audit["place"].endswith(":1")
    problems, *_ = imported("jsonl", file, tmp_path / "kept", sandbox, find_contaminated=finder, keep_contaminated=True)
    assert len(problems) == 2 and (tmp_path / "kept" / "contamination.jsonl").read_text().count("\n") == 1


# --- containers ---


def parquet(path: Path, rows: list[Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)


def zstd(path: Path, text: str) -> None:
    import pyarrow as pa

    with pa.CompressedOutputStream(str(path), "zstd") as out:
        out.write(text.encode())


def zipped(path: Path, text: str) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lila/multi/addsub.json", text)
        archive.writestr("lila/readme.txt", "no data")


ONE = [{"question": "What is 2+3?", "answer": "5"}, {"question": "What is 2+4?", "answer": "6"}]
CONTAINERS = {
    "lines.jsonl": lambda p: p.write_text(lines(ONE)),
    "no end.jsonl": lambda p: p.write_text(lines(ONE).rstrip()),
    "list.json": lambda p: p.write_text(json.dumps(ONE)),
    "indented.json": lambda p: p.write_text(json.dumps(ONE, indent=2)),
    "one after another.json": lambda p: p.write_text("\n".join(json.dumps(row, indent=4) for row in ONE)),
    "in a field.json": lambda p: p.write_text(json.dumps({"data": ONE})),
    "in a field, indented.json": lambda p: p.write_text(json.dumps({"Instances": ONE}, indent=1)),
    "bom.jsonl": lambda p: p.write_bytes(b"\xef\xbb\xbf" + lines(ONE).encode()),
    "lines.jsonl.gz": lambda p: p.write_bytes(gzip.compress(lines(ONE).encode())),
    "not what it says.jsonl": lambda p: p.write_bytes(gzip.compress(json.dumps(ONE).encode())),
    "lines.jsonl.zst": lambda p: zstd(p, lines(ONE)),
    "plain under that name.jsonl.zst": lambda p: p.write_text(lines(ONE)),
    "rows.parquet": lambda p: parquet(p, ONE),
    "all.zip": lambda p: zipped(p, json.dumps({"Instances": ONE})),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_told_by_its_bytes(name: str, tmp_path: Path, sandbox: Sandbox) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    CONTAINERS[name](folder / name)
    problems, _, dropped, _ = imported("jsonl", folder / name, tmp_path / "out", sandbox)
    assert [p.answer for p in problems] == ["5", "6"] and not dropped


def test_bad_rows_are_set_aside_and_reading_goes_on(tmp_path: Path, sandbox: Sandbox) -> None:
    good = lines(ONE).splitlines()
    file = tmp_path / "rows.jsonl"
    file.write_bytes(
        b'{"question": "broken\n' + good[0].encode() + b'\n{"question": "\xff\xfe", "answer": "1"}\n[]\n7\n\n'
        b'{"question": "\\ud800", "answer": "1"}\n{"answer": "1"}\n{"question": "", "answer": "1"}\n'
        b'{"question": "a bare\nline end", "answer": "8"}\n' + good[1].encode() + b"\n"
    )
    problems, _, dropped, _ = imported("jsonl", file, tmp_path / "out", sandbox)
    assert [p.answer for p in problems] == ["5", "8", "6"]
    assert problems[1].question == "a bare\nline end"
    assert dropped["not JSON"] == 1 and dropped["invalid UTF-8"] == 1 and dropped["half of a surrogate pair"] == 1
    assert dropped["no object"] == 1 and dropped["empty question"] == 1
    assert sum(dropped.values()) == 7


@pytest.mark.parametrize("damage", ["cut.jsonl.gz", "cut.parquet", "cut.json"])
def test_a_damaged_container(damage: str, tmp_path: Path, sandbox: Sandbox) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    whole = folder / f"whole.{damage.partition('.')[2]}"
    {"gz": CONTAINERS["lines.jsonl.gz"], "parquet": CONTAINERS["rows.parquet"], "json": CONTAINERS["list.json"]}[
        damage.rpartition(".")[2]
    ](whole)
    (folder / damage).write_bytes(whole.read_bytes()[:-12])
    if damage == "cut.json":
        problems, _, dropped, _ = imported("jsonl", folder / damage, tmp_path / "out", sandbox)
        assert len(problems) == 1 and dropped["not JSON"] == 1
    else:
        with pytest.raises(MathwrightError, match="damaged"):
            imported("jsonl", folder / damage, tmp_path / "out", sandbox)


# --- the command ---


def test_fields_by_option(tmp_path: Path, sandbox: Sandbox) -> None:
    rows = [{"q": "What is 3+4?", "gold": 7, "why": "Adding gives 7."}]
    fields = {"question": "q", "answer": "gold", "solution": "why"}
    problems, solutions, *_ = imported("jsonl", write(tmp_path, rows), tmp_path / "out", sandbox, fields=fields)
    assert (problems[0].question, problems[0].answer) == ("What is 3+4?", "7")
    assert solutions[0].parts[0].text == "Adding gives 7.\nThe answer is $\\boxed{7}$."
    with pytest.raises(MathwrightError, match="no problem is left"):
        imported("jsonl", write(tmp_path, rows), tmp_path / "other", sandbox, fields={"question": "nowhere"})


def test_the_same_import_again_is_done_already_and_another_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    file, out = write(tmp_path / "rows", ONE), tmp_path / "out"
    imported("jsonl", file, out, sandbox)
    before = (out / "problems.jsonl").stat().st_mtime_ns
    imported("jsonl", file, out, sandbox)
    assert (out / "problems.jsonl").stat().st_mtime_ns == before
    with pytest.raises(MathwrightError, match="is not empty"):
        imported("jsonl", file, out, sandbox, limit=1)


def test_an_interrupted_import_begins_again(tmp_path: Path, sandbox: Sandbox) -> None:
    file, out = write(tmp_path / "rows", [*ONE, {"question": "x", "answer": "n/a"}]), tmp_path / "out"
    imported("jsonl", file, out, sandbox)
    (out / "manifest.json").unlink()
    (out / "problems.jsonl").write_text("half a li")
    problems, _, dropped, _ = imported("jsonl", file, out, sandbox)
    assert len(problems) == 2 and sum(dropped.values()) == 1
    assert (out / "rejected" / "problems.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("NuminaMath-1.5", "numinamath_1_5"),
        ("DAPO-Math-17k", "dapo_17k"),
        ("dapo", "dapo_17k"),
        ("openr1-math-220k", "openr1_math"),
        ("GSM8K", "gsm8k"),
        ("deepmath_103k", "deepmath"),
        ("ORZ-57k", "orz"),
        ("tal", "tal_scq5k"),
        ("OpenMathInstruct-2", "openmathinstruct_2"),
    ],
)
def test_names_however_they_are_spelt(spelt: str, name: str) -> None:
    assert find_source(spelt).name == name


@pytest.mark.parametrize("spelt", ["numinamath", "openmath", "nothing", ""])
def test_a_name_that_says_too_little(spelt: str) -> None:
    with pytest.raises(MathwrightError, match="layout"):
        find_source(spelt)


def test_real_files(tmp_path: Path, sandbox: Sandbox) -> None:
    if not (DATA / "problems").is_dir():
        pytest.skip("the real data is not here")
    wanted = {
        "gsm8k": "problems/gsm8k_train.jsonl.gz",
        "math": "problems/math_train.jsonl.gz",
        "tora": "solutions/tora_examples_train.jsonl",
        "ape210k": "chinese/ape210k_valid.jsonl.gz",
        "math23k": "chinese/math23k_test.jsonl",
        "tal_scq5k": "chinese/tal_scq5k_ch_train.jsonl.gz",
        "cmath": "chinese/cmath_dev.jsonl",
    }
    for name, path in wanted.items():
        problems, solutions, dropped, _ = imported(name, DATA / path, tmp_path / name, sandbox, limit=15)
        assert len(problems) == 15, dropped
        assert name == "cmath" or len({s.problem_id for s in solutions}) >= 13
