"""A data set out of folders: shares, lengths, near duplicates, and files that others read."""

import json
from collections import Counter
from pathlib import Path

import pytest

from mathwright.cli.verbs import main
from mathwright.errors import MathwrightError
from mathwright.lines import file_lines
from mathwright.records import Part, Problem, Solution, read_jsonl
from mathwright.sft.build import BuildOptions, build
from tests.sft.test_folder import folder


def problems(source: str, count: int) -> list[Problem]:
    return [
        Problem(
            id=f"{source}-{i}", question=f"{source}: what is {i} + 1?", answer=str(i + 1), source=source, split="train"
        )
        for i in range(count)
    ]


def cot(problem: Problem, text: str = "") -> Solution:
    text = text or f"We add one to {problem.question} and get \\boxed{{{problem.answer}}}."
    return Solution(problem_id=problem.id, format="cot", parts=(Part(kind="text", text=text),), answer=problem.answer)


def pot(problem: Problem) -> Solution:
    code = Part(kind="code", text=f"print({problem.answer} + 0)")
    return Solution(problem_id=problem.id, format="pot", parts=(code,), answer=problem.answer)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    a, b = problems("a", 40), problems("b", 20)
    return [
        folder(tmp_path / "a", a, [*map(cot, a), *map(pot, a[:30])]),
        folder(tmp_path / "b", b, [*map(cot, b), *map(pot, b[:10])]),
    ]


def counts(out: Path) -> Counter[tuple[str, str]]:
    rows = map(json.loads, file_lines(out / "dataset.jsonl"))
    return Counter((row["source"], row["format"]) for row in rows)


def test_shares_of_formats_and_sources(folders: list[Path], tmp_path: Path) -> None:
    options = BuildOptions(formats={"cot": 3, "pot": 1}, sources={"a": 1, "b": 1}, num_examples=40)
    build(folders, tmp_path / "out", options=options, count_tokens=len)
    assert counts(tmp_path / "out") == {("a", "cot"): 15, ("b", "cot"): 15, ("a", "pot"): 5, ("b", "pot"): 5}


def test_without_a_number_the_scarcest_decides(folders: list[Path], tmp_path: Path) -> None:
    options = BuildOptions(formats={"cot": 1, "pot": 1}, sources={"a": 1, "b": 1})
    found = build(folders, tmp_path / "out", options=options, count_tokens=len)
    assert counts(tmp_path / "out") == Counter(
        dict.fromkeys([("a", "cot"), ("b", "cot"), ("a", "pot"), ("b", "pot")], 10)
    )
    assert found["dropped"] == {"over its share": 60}
    with pytest.raises(MathwrightError, match="the shares allow 40 examples, not 41"):
        build(
            folders,
            tmp_path / "more",
            options=BuildOptions(formats={"cot": 1, "pot": 1}, sources={"a": 1, "b": 1}, num_examples=41),
            count_tokens=len,
        )


def test_without_shares_all_stay(folders: list[Path], tmp_path: Path) -> None:
    found = build(folders, tmp_path / "out", options=BuildOptions(), count_tokens=len)
    assert found["examples"] == 100 and found["dropped"] == {}
    assert sum(row["tokens"] for row in found["groups"]) == found["tokens"]
    assert sum(row["share"] for row in found["groups"]) == pytest.approx(1)
    assert found["p0"] <= found["p50"] <= found["p99"] <= found["p100"]


def test_a_program_that_computes_nothing_is_left_out(tmp_path: Path) -> None:
    asked = problems("a", 2)
    knowing = Solution(
        problem_id="a-0", format="pot", parts=(Part(kind="code", text="answer = 1\nprint(answer)"),), answer="1"
    )
    made = folder(tmp_path / "a", asked, [knowing, pot(asked[1])])
    build([made], tmp_path / "out", options=BuildOptions(), count_tokens=len)
    assert counts(tmp_path / "out") == {("a", "pot"): 1}
    assert json.loads((tmp_path / "out" / "statistics.json").read_text())["dropped"] == {"hard-coded answer": 1}


def test_every_problem_has_one_before_any_has_two(tmp_path: Path) -> None:
    a = problems("a", 10)
    solutions = [
        cot(p, f"Way {chr(97 + k) * 5} {p.id} leads {k} to \\boxed{{{p.answer}}}.") for p in a for k in range(3)
    ]
    where = folder(tmp_path / "a", a, solutions)
    build([where], tmp_path / "out", options=BuildOptions(num_examples=10), count_tokens=len)
    assert Counter(s.problem_id for s in read_jsonl(tmp_path / "out" / "solutions.jsonl", Solution)) == {
        p.id: 1 for p in a
    }


def test_near_duplicates_and_lengths(tmp_path: Path) -> None:
    [one] = problems("a", 1)
    words = " ".join(f"word{i}" for i in range(60))
    texts = [f"{words} so \\boxed{{1}}", f"{words}  so  \\boxed{{1}}", "Short. \\boxed{1}", "y " * 900 + "\\boxed{1}"]
    where = folder(tmp_path / "a", [one], [cot(one, text) for text in texts])
    options = BuildOptions(max_tokens=1000, min_tokens=170)
    found = build([where], tmp_path / "out", options=options, count_tokens=len)
    assert found["dropped"] == {"too long": 1, "near duplicate of a solution": 1} | (
        {"too short": 1} if found["examples"] == 1 else {}
    )


@pytest.mark.parametrize("formats", [None, {"cot": 1.0}])
def test_where_nothing_is_left_it_says_why(
    folders: list[Path], tmp_path: Path, formats: dict[str, float] | None
) -> None:
    options = BuildOptions(max_tokens=1, formats=formats)
    with pytest.raises(MathwrightError, match="no example is left") as raised:
        build(folders, tmp_path / "out", options=options, count_tokens=len)
    assert "--max-tokens" in raised.value.hint
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_what_is_written_is_read_by_others(folders: list[Path], tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    out = tmp_path / "out"
    build(folders, out, options=BuildOptions(export=("jsonl", "parquet"), num_samples=3), count_tokens=len)
    rows = [json.loads(line) for line in file_lines(out / "dataset.jsonl")]
    assert parquet.read_table(out / "dataset.parquet").to_pylist() == rows
    one = next(row for row in rows if row["format"] == "pot")
    assert [m["role"] for m in one["messages"]] == ["user", "assistant"]
    assert one["messages"][1]["content"].startswith("```python\nprint(")
    assert (out / "samples.md").read_text().count("\n## ") == 3
    again = build([out], tmp_path / "again", options=BuildOptions(), count_tokens=len)
    assert again["examples"] == len(rows)


def test_the_command(folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(path) for path in folders]
    main(
        [
            "sft",
            "build",
            *names,
            "--out",
            str(tmp_path / "out"),
            "--formats",
            "cot=1,pot=1",
            "--export",
            "jsonl,parquet",
        ]
    )
    assert "examples of" in capsys.readouterr().out
    for wrong in (["--formats", "cot=x"], ["--formats", "tool=1"], ["--export", "csv"], ["--formats", "cot=0"]):
        with pytest.raises(SystemExit) as ended:
            main(["sft", "build", *names, "--out", str(tmp_path / wrong[1]), *wrong])
        assert ended.value.code == 2
    with pytest.raises(SystemExit):
        main(["sft", "build", *names, "--out", str(tmp_path / "out")])
