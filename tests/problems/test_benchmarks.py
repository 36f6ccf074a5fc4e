"""Loading benchmarks: from files and the hub, what is left out, bad input, and the real files where they are there."""

import dataclasses
import gzip
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mathwright.errors import MathwrightError
from mathwright.problems import benchmarks
from mathwright.problems.benchmarks import BENCHMARKS, LoadedBenchmark, load_benchmark
from mathwright.problems.fields import LETTERS
from mathwright.problems.prompts import question_with_choices
from mathwright.problems.tables import HubSource, hub_rows
from mathwright.records import Problem, write_jsonl
from tests.problems.benchmark_rows import GSM, MBPP, MCQ, TAL, load, write

# --- what is left out -------------------------------------------------------------------------------


def test_rows_that_cannot_be_asked_are_counted_by_reason(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "aqua",
        MCQ,
        {**MCQ, "correct": " "},
        {**MCQ, "correct": "D"},
        {**MCQ, "correct": "no"},
        {**MCQ, "question": " "},
        MCQ,
    )
    assert [problem.id for problem in loaded.problems] == ["aqua-test-0", "aqua-test-5"]
    assert loaded.dropped == {"empty reference": 1, "answer names no option": 2, "empty question": 1}
    assert loaded.repeated == 1
    assert loaded.where == str(tmp_path / "aqua_test.jsonl")


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("theoremqa", {"Question": "?", "Answer": 1, "Picture": "images/mc.png"}, "needs a picture"),
        ("asdiv", {"body": "B.", "question": "?", "answer": "5 (dimes); 4 (cents)"}, "several answers"),
        ("mawps", {"sQuestion": "?", "lSolutions": [5.0, 4.0]}, "several answers"),
        ("gsm8k", {"question": "?", "answer": "Who knows.\n####"}, "empty reference"),
        ("mbpp", {**MBPP, "text": "?", "code": "", "test_list": []}, "empty reference"),
        ("mbpp", {**MBPP, "text": "?", "task_id": 511}, "no test problem"),
    ],
)
def test_where_nothing_is_left_the_reason_is_said(tmp_path: Path, name: str, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(MathwrightError, match=rf"no problem of {name} \({reason} 1\)"):
        load(tmp_path, name, row)


# --- bad input --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("gsm8k", [GSM, {"question": "?"}], r"test\.jsonl:2: lacks the field 'answer'.*right layout for gsm8k"),
        ("gsm8k", [GSM, "", {**GSM, "answer": 3}], r"test\.jsonl:3: has no text in the field 'answer'"),
        ("gsm8k", [{**GSM, "answer": None}], r":1: has nothing in the field 'answer'"),
        ("gsm8k", [{"question": "?", "answer": "3"}], r":1: no '####' before the final answer"),
        ("gsm8k", [GSM, "{broken"], r":2: not JSON"),
        ("gsm8k", [GSM, "[1]"], r":2: not a JSON object but list"),
        ("gsm8k", [], r"no problem of gsm8k \(it is empty\)"),
        ("aqua", [{**MCQ, "options": "A)1 B)2"}], r":1: has no list in the field 'options'"),
        ("aqua", [{**MCQ, "options": [str(n) for n in range(11)]}], r":1: has 11 options, more than 10"),
        ("cmath", [{"question": "?", "golden": True}], r":1: has True where a number is expected"),
        ("mgsm_zh", [{"messages": [], "answer": "1"}], r":1: has no message in the field 'messages'"),
        ("svamp", [{"Body": "B", "Question": "Q", "Answer": 1}, 7], r"svamp\.json, item 2: not a JSON object but int"),
        (
            "mawps",
            [{"Question": "N_01?", "Numbers": "3", "Answer": 1}],
            r":1: asks for the number N_01, but has only 1",
        ),
        ("mawps", [{"Question": "N_01?", "Numbers": 3, "Answer": 1}], r":1: has no numbers in the field 'Numbers'"),
        ("gaokao_bench_choice", [{"question": "A. 1 B. 2", "answer": ["A"]}], r"item 1: has no options A to D"),
        ("tal_scq5k_en", [{**TAL, "answer_option_list": [["A"]]}], r":1: has no options with 'aoVal'"),
        ("math23k", [{"id": "3", "original_text": "?", "ans": "1"}] * 2, r":2: the id 'math23k-test-3' .*jsonl:1"),
    ],
)
def test_bad_files_are_named_with_the_place(tmp_path: Path, name: str, rows: list[Any], message: str) -> None:
    with pytest.raises(MathwrightError, match=message):
        load(tmp_path, name, *rows)


@pytest.mark.parametrize("asked", list(BENCHMARKS))
def test_a_file_of_another_benchmark_is_refused(tmp_path: Path, asked: str) -> None:
    other = {"strange": 1, "rows": [1]}
    with pytest.raises(MathwrightError, match=f"lacks the field .*is this the right layout for {asked}"):
        load_benchmark(asked, write(tmp_path / "some.jsonl", other))
    name = "math500_test.jsonl" if asked != "math500" else "ocw_test.jsonl"
    with pytest.raises(MathwrightError, match=rf"is the file of {name.split('_')[0]}, but {asked} is asked for"):
        load_benchmark(asked, write(tmp_path / name, other))


def test_training_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match="training problems"):
        load_benchmark("gsm8k", write(tmp_path / "gsm8k_train.jsonl", GSM))


def test_files_are_found_in_the_folder_and_below_plain_or_gzipped(tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match=r"no file of gsm8k.*problems and chinese.*gsm8k_test\.jsonl, gsm8k/test"):
        load_benchmark("gsm8k", tmp_path)
    with pytest.raises(MathwrightError, match="no such file or folder"):
        load_benchmark("gsm8k", tmp_path / "nowhere")
    (tmp_path / "chinese").mkdir()
    packed = tmp_path / "chinese" / "gsm8k_test.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(GSM).encode()))
    assert load_benchmark("gsm8k", tmp_path).where == str(packed)
    (tmp_path / "gsm8k").mkdir()
    write(tmp_path / "gsm8k" / "test.jsonl", GSM)
    assert load_benchmark("gsm8k", str(tmp_path)).where == str(packed), "an earlier name goes first"
    write(tmp_path / "gsm8k_test.jsonl", GSM)
    assert load_benchmark("gsm8k", tmp_path).where == str(tmp_path / "gsm8k_test.jsonl")


def test_lists_lines_and_wrapped_lists_hold_the_same(tmp_path: Path) -> None:
    rows = [{**MCQ, "question": f"{n}?"} for n in range(3)]
    texts = {
        "lines.jsonl": "\n".join(map(json.dumps, rows)),
        "lines.json": "\n".join(map(json.dumps, rows)),
        "list.json": json.dumps(rows, indent=2),
        "list.jsonl": "\n" + json.dumps(rows),
        "wrapped.json": json.dumps({"keywords": "x", "example": rows}),
        "one.json": json.dumps(rows[0]),
    }
    loaded = {}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        loaded[name] = load_benchmark("aqua", tmp_path / name).problems
    assert len({problems for name, problems in loaded.items() if name != "one.json"}) == 1
    assert loaded["one.json"] == loaded["list.json"][:1]
    (tmp_path / "list.json").write_text(texts["list.json"][:-20], encoding="utf-8")
    with pytest.raises(MathwrightError, match=r"list\.json:\d+: not JSON"):
        load_benchmark("aqua", tmp_path / "list.json")
    (tmp_path / "list.json").write_bytes("é".encode("latin-1"))
    with pytest.raises(MathwrightError, match=r"list\.json: cannot be read"):
        load_benchmark("aqua", tmp_path / "list.json")


def test_both_parts_of_gaokao_bench_are_read(tmp_path: Path) -> None:
    for part in ("I", "II"):
        rows = {"example": [{"question": f"13. (5 分) {part}$=$", "answer": "1"}]}
        file = tmp_path / f"2010-2022_Math_{part}_Fill-in-the-Blank.json"
        file.write_text(json.dumps(rows), encoding="utf-8")
    loaded = load_benchmark("gaokao_bench_cloze", tmp_path)
    assert {problem.question for problem in loaded.problems} == {"I$=$", "II$=$"}
    assert loaded.where.count("Fill-in") == 2


def test_unknown_names_and_those_without_a_hub_copy_say_what_there_is() -> None:
    with pytest.raises(MathwrightError, match=r"'gsm9k'.*gsm8k, math, .*\.jsonl file"):
        load_benchmark("gsm9k")
    with pytest.raises(MathwrightError, match=r"gaokao_bench_choice: no copy.*data folder with .*MCQs\.json"):
        load_benchmark("gaokao_bench_choice")


def test_a_file_of_our_own_problems(tmp_path: Path) -> None:
    def problem(number: int, **changes: Any) -> Problem:
        fields = {"id": f"p{number}", "question": f"{number}?", "answer": "4", "source": "mine", "split": "test_hard"}
        return Problem(**{**fields, "language": "zh", **changes})

    kept = [problem(1), problem(2, choices=("3", "4"), answer="B")]
    rest = [problem(3, split="train"), problem(4, answer=""), problem(5, choices=("3", "4"), answer="C")]
    write_jsonl(tmp_path / "mine.jsonl", [*kept, *rest])
    loaded = load_benchmark(str(tmp_path / "mine.jsonl"), tmp_path / "not read")
    assert loaded.problems == tuple(kept)
    assert loaded.dropped == {"training problem": 1, "empty reference": 1, "answer names no option": 1}
    assert (loaded.benchmark.name, loaded.benchmark.language) == ("mine", "zh")
    write_jsonl(tmp_path / "mine.jsonl", [kept[0], kept[0]])
    with pytest.raises(MathwrightError, match=r"mine\.jsonl:2: the id 'p1' stands already at .*mine\.jsonl:1"):
        load_benchmark(str(tmp_path / "mine.jsonl"))
    write(tmp_path / "mine.jsonl", GSM)
    assert load_benchmark(str(tmp_path / "mine.jsonl")).problems[0].answer, "rows of any layout will do"
    with pytest.raises(MathwrightError, match="no such file"):
        load_benchmark(str(tmp_path / "none.jsonl"))


# --- the hub ----------------------------------------------------------------------------------------


def test_the_hub_is_asked_for_the_subjects_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    asked: list[tuple[str, str | None, str, Mapping[str, Any]]] = []

    def load_dataset(name: str, config: str | None, *, split: str, **options: Any) -> list[dict[str, Any]]:
        asked.append((name, config, split, options))
        return [{"question": f"{config}?", "choices": ["1", "2"], "answer": 1, "subject": config}] * 2

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    loaded = load_benchmark("mmlu_stem")
    assert [config for _, config, _, _ in asked] == sorted({problem.subject for problem in loaded.problems})
    assert len(asked) == 18
    assert {(name, split, tuple(options)) for name, _, split, options in asked} == {("cais/mmlu", "test", ())}
    assert loaded.problems[-1].id == "mmlu_stem-test-35"
    assert loaded.repeated == 18
    assert loaded.where.startswith("cais/mmlu (abstract_algebra, ")

    def answer_wrong(_: str, config: str, **__: object) -> list[dict[str, Any]]:
        good = {"question": f"{config}?", "choices": ["1", "2"], "answer": 0}
        return [good, good] if config != "astronomy" else [good, {"question": "?", "choices": ["1", "2"]}]

    monkeypatch.setattr(datasets, "load_dataset", answer_wrong)
    with pytest.raises(MathwrightError, match=r"cais/mmlu, test row 3: lacks the field 'answer'"):
        load_benchmark("mmlu_stem")


@pytest.mark.parametrize(
    ("name", "row", "split", "options"),
    [
        # all 1,000 problems were made to test with; the hub's copy cut them into two splits
        ("svamp", {"Body": "B.", "Question": "Q", "Answer": "1.0"}, "train+test", {}),
        # these two have a loading script, which `datasets` no longer runs
        (
            "mgsm_zh",
            {"question": "?", "answer_number": 1},
            "test",
            {"revision": "refs/convert/parquet", "data_files": {"test": "zh/test/*.parquet"}},
        ),
        (
            "asdiv",
            {"body": "B.", "question": "?", "answer": "1 (nut)"},
            "validation",
            {"revision": "refs/convert/parquet", "data_files": {"validation": "*/validation/*.parquet"}},
        ),
        ("tal_scq5k_zh", TAL, "test", {"data_files": {"test": "TAL-SCQ5K-CN/test.jsonl"}}),
    ],
)
def test_what_the_hub_is_asked_for_where_it_is_not_a_plain_test_split(
    monkeypatch: pytest.MonkeyPatch, name: str, row: dict[str, Any], split: str, options: dict[str, Any]
) -> None:
    datasets = pytest.importorskip("datasets")
    asked: list[dict[str, Any]] = []

    def load_dataset(_: str, __: str | None, **options: Any) -> list[dict[str, Any]]:
        asked.append(options)
        return [row]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(load_benchmark(name).problems) == 1
    assert asked == [{"split": split, **options}]


@pytest.mark.parametrize(
    "failure", [ConnectionError("no route"), ValueError("no config"), RuntimeError("Dataset scripts are no longer ...")]
)
def test_a_hub_that_gives_nothing_is_named(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    datasets = pytest.importorskip("datasets")

    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(MathwrightError, match=r"openai/gsm8k: cannot be loaded.*hint: .*folder with the data files"):
        load_benchmark("gsm8k")


def test_named_files_are_read_by_the_real_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder stands in for a repository whose files are chosen by a pattern, as MGSM, ASDiv and TAL-SCQ5K need it."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for config, answer in (("de", 1), ("zh", 2)):
        folder = tmp_path / "repository" / config / "test"
        folder.mkdir(parents=True)
        rows = {"question": ["多少？"], "answer": [None], "answer_number": [answer]}
        datasets.Dataset.from_dict(rows).to_parquet(str(folder / "0000.parquet"))
    source = HubSource(id=str(tmp_path / "repository"), files="zh/test/*.parquet")
    assert [row for _, row in hub_rows(source)] == [{"question": "多少？", "answer": None, "answer_number": 2}]
    monkeypatch.setitem(benchmarks.BENCHMARKS, "mgsm_zh", _with_hub("mgsm_zh", source))  # type: ignore[arg-type]
    assert [problem.answer for problem in load_benchmark("mgsm_zh").problems] == ["2"]


def _with_hub(name: str, source: HubSource) -> benchmarks.Benchmark:
    return dataclasses.replace(BENCHMARKS[name], hub=source)


# --- the real files ---------------------------------------------------------------------------------

SIZES = {
    "gsm8k": 1319,
    "math": 5000,
    "math500": 500,
    "ocw": 272,
    "sat": 32,
    "mmlu_stem": 3018,
    "cmath": 1098,
    "gaokao_mathcloze": 118,
    "gaokao_mathqa": 351,
    "mgsm_zh": 250,
    "svamp": 1000,
    "aqua": 254,
    "gsm_hard": 1319,
    # 53 of the 800 need a picture; the file of MathQA is the first thousand of 2,985
    "theoremqa": 800 - 53,
    "mathqa": 1000,
    "math23k": 1000,
    "tal_scq5k_en": 2000,
    "tal_scq5k_zh": 2000,
    "gaokao_bench_cloze": 81 + 86,
    "gaokao_bench_choice": 214 + 218,
}


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Callable[[str], LoadedBenchmark]:
    loaded: dict[str, LoadedBenchmark] = {}

    def of(name: str) -> LoadedBenchmark:
        if name not in loaded:
            loaded[name] = load_benchmark(name, shared_data)
        return loaded[name]

    return of


@pytest.mark.parametrize("name", SIZES)
def test_the_real_files_are_complete(real: Callable[[str], LoadedBenchmark], name: str) -> None:
    loaded = real(name)
    assert len(loaded.problems) == SIZES[name]
    assert dict(loaded.dropped) == ({"needs a picture": 53} if name == "theoremqa" else {})
    if name not in ("mathqa", "theoremqa"):
        assert loaded.benchmark.size in (len(loaded.problems), None)


@pytest.mark.parametrize("name", [name for name in SIZES if BENCHMARKS[name].language == "zh"])
def test_the_real_chinese_is_chinese(real: Callable[[str], LoadedBenchmark], name: str) -> None:
    problems = real(name).problems
    chinese = [p for p in problems if re.search(r"[\u4e00-\u9fff]", question_with_choices(p))]
    assert len(chinese) >= 0.98 * len(problems)
    assert not any("\ufffd" in question_with_choices(p) for p in problems)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("sat", {4}),
        ("mmlu_stem", {4}),
        ("gaokao_mathqa", {4}),
        ("aqua", {5}),
        ("mathqa", {5}),
        ("gaokao_bench_choice", {4}),
        ("tal_scq5k_en", {2, 3, 4, 5, 6, 10}),
        ("tal_scq5k_zh", {2, 3, 4, 5, 6, 7, 8}),
    ],
)
def test_the_real_options_are_split_and_without_letters(
    real: Callable[[str], LoadedBenchmark], name: str, numbers: set[int]
) -> None:
    problems = real(name).problems
    assert {len(problem.choices) for problem in problems} == numbers
    for problem in problems:
        assert all(problem.choices), problem
        assert set(problem.answer) <= set(LETTERS[: len(problem.choices)])
        lettered = [c for letter, c in zip(LETTERS, problem.choices, strict=False) if re.match(rf"\(?{letter}[).]", c)]
        assert not lettered, problem
        assert not re.search(r"\n\s*\(?A\s*[).．、]", problem.question), problem
    several = [problem for problem in problems if len(problem.answer) != 1]
    assert len(several) == (7 if name == "gaokao_mathqa" else 0)


def test_some_real_problems_are_read_as_they_stand(real: Callable[[str], LoadedBenchmark]) -> None:
    by_id = {p.id: p for name in ("sat", "gsm_hard", "gaokao_bench_cloze", "mmlu_stem") for p in real(name).problems}
    assert by_id["sat-test-2"].choices == ("-10", "0", "10", "-10 and 10")
    assert by_id["mmlu_stem-test-160"].choices == ("None", "One", "Two", "Three")
    assert by_id["gsm_hard-test-1"].answer == "3431580"
    cloze = [p for i, p in by_id.items() if i.startswith("gaokao_bench_cloze")]
    assert not any(re.match(r"\d+\s*[.．]|[(（]\s*\d+\s*分", p.question) for p in cloze)
    assert not any(p.answer.endswith(".") or "\\#" in p.answer for p in cloze)


def test_the_real_numbers_of_gsm_hard_are_what_the_file_says(
    real: Callable[[str], LoadedBenchmark], shared_data: Path
) -> None:
    lines = (shared_data / "problems" / "gsm_hard_test.jsonl").read_text(encoding="utf-8").splitlines()
    assert [float(p.answer) for p in real("gsm_hard").problems] == [json.loads(line)["target"] for line in lines]
