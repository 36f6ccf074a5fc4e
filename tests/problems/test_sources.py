"""All sources through one door, from tiny files and from the real ones."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mathwright.errors import MathwrightError
from mathwright.problems import published
from mathwright.problems.published import last_boxed
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.problems.sources import ProblemSet, load_problems
from mathwright.records import Part, Problem, Solution, to_json, write_jsonl
from tests.problems.running import run_here


def load(*sources: tuple[str, str | Path, int, int], seed: int = 0, difficulty: int = 1) -> ProblemSet:
    recipes = tuple(
        ProblemSourceRecipe(source=str(source), path=str(path), num_train=num_train, num_test=num_test)
        for source, path, num_train, num_test in sources
    )
    return load_problems(ProblemsRecipe(sources=recipes, difficulty=difficulty, seed=seed), run_programs=run_here)


def write_rows(path: Path, rows: Sequence[Any]) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def problem(number: int, split: str = "train", **changes: Any) -> Problem:
    fields: dict[str, Any] = {"id": f"p{number}", "question": f"What is {number} + 0?", "source": "mine"}
    return Problem(**{**fields, "answer": str(number), "split": split, **changes})


GSM8K = {
    "question": "Ben has 2 bags of 1,200 nuts. How many nuts?",
    "answer": "2*1200=<<2*1200=2400>>2400 nuts.\n#### 2,400",
}
MATH = {
    "problem": "What is $\\frac12+\\frac12$?",
    "level": "Level 2",
    "type": "Prealgebra",
    "solution": "First \\boxed{0}, then $\\boxed{\\frac{2}{2}}$.",
}


def test_gsm8k_loses_its_calculator_notes_and_keeps_the_working(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [GSM8K])
    loaded = load(("gsm8k", tmp_path, 1, 0))
    assert loaded.train[0].answer == "2400"
    assert loaded.train[0].split == "train"
    assert loaded.solutions == [
        Solution(
            problem_id="gsm8k-train-0",
            format="cot",
            parts=(Part(kind="text", text="2*1200=2400 nuts.\nThe answer is \\boxed{2400}."),),
            answer="2400",
        )
    ]


def test_math_takes_the_last_boxed_answer(tmp_path: Path) -> None:
    write_rows(tmp_path / "math_train.jsonl.gz", [MATH])
    (loaded,) = load(("math", tmp_path, 1, 0)).train
    assert (loaded.answer, loaded.subject, loaded.level) == ("\\frac{2}{2}", "Prealgebra", "2")


def test_solutions_of_test_problems_are_never_given_out(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [GSM8K])
    write_rows(tmp_path / "test.jsonl", [{**GSM8K, "question": "Another?"}])
    loaded = load(("gsm8k", tmp_path, 1, 1))
    assert {s.problem_id for s in loaded.solutions} == {"gsm8k-train-0"}
    assert [row.solution for row in published.load_published("gsm8k", str(tmp_path), "test")] == [None]


def test_a_training_question_that_is_also_asked_in_the_test_is_left_out_and_counted(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [GSM8K, {**GSM8K, "question": "Another?"}])
    write_rows(tmp_path / "test.jsonl", [{**GSM8K, "question": GSM8K["question"].upper() + " "}])
    loaded = load(("gsm8k", tmp_path, 2, 1))
    assert [p.question for p in loaded.train] == ["Another?"]
    assert loaded.dropped == {"gsm8k: training question asked before": 1}
    assert len(loaded.solutions) == 1


def test_problems_are_drawn_by_the_seed(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [{**GSM8K, "question": f"Question {n}?"} for n in range(50)])

    def drawn(seed: int) -> list[str]:
        return [p.question for p in load(("gsm8k", tmp_path, 10, 0), seed=seed).train]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) == 10


def test_a_file_of_problem_records_with_solutions(tmp_path: Path) -> None:
    file, worked = tmp_path / "mine.jsonl", tmp_path / "worked.jsonl"
    write_jsonl(file, [problem(1), problem(2, "test_hard"), problem(3, "validation"), problem(4, answer=" ")])
    solved = [
        Solution(problem_id=name, format="cot", parts=(Part(kind="text", text="So."),), answer="1")
        for name in ("p1", "p2")
    ]
    write_jsonl(worked, solved)
    loaded = load((str(file), worked, 5, 5))
    assert (loaded.train, loaded.test) == ([problem(1)], [problem(2, "test_hard")])
    assert loaded.solutions == solved[:1]
    assert loaded.dropped == {
        "mine.jsonl: empty reference": 1,
        "mine.jsonl: split 'validation' is neither train nor test": 1,
        "mine.jsonl: solution of no chosen training problem": 1,
    }


def test_options_and_tests_are_part_of_a_problem_from_a_file(tmp_path: Path) -> None:
    file, worked = tmp_path / "mine.jsonl", tmp_path / "worked.jsonl"
    same = {"question": "Which is even?", "answer": "B"}
    kept = [
        problem(1, **same, choices=("1", "2")),
        problem(2, **same, choices=("3", "4")),  # other options are another question
        problem(3, question="Write f.", answer="", tests="assert f() == 1"),
    ]
    no_option = problem(4, question="Odd?", answer="3", choices=("3", "4"))
    write_jsonl(file, [*kept, no_option])

    def solution(name: str, answer: str) -> Solution:
        parts = (Part(kind="text", text=f"So \\boxed{{{answer}}}."),)
        return Solution(problem_id=name, format="cot", parts=parts, answer=answer)

    write_jsonl(worked, [solution("p1", "(b)"), solution("p2", "4"), solution("p2", "A"), solution("p3", "")])
    loaded = load((str(file), worked, 5, 0))
    assert sorted(loaded.train, key=lambda p: p.id) == kept
    assert [s.problem_id for s in loaded.solutions] == ["p1", "p3"]
    assert loaded.dropped == {
        "mine.jsonl: answer names no option": 1,
        "mine.jsonl: solution that does not answer with the right letter": 2,
    }


ROW = to_json(problem(1))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW, "{broken"], r"mine\.jsonl:2: not JSON"),
        ([ROW, "", "[1, 2]"], r"mine\.jsonl:3: not a JSON object but list"),
        ([{k: v for k, v in ROW.items() if k != "question"}], r"mine\.jsonl:1: no question: none of question, .*id"),
        ([{**ROW, "subject": 4}], r"mine\.jsonl:1: .*subject must be str"),
        ([ROW, {**ROW, "question": "Other?"}], r"mine\.jsonl:2: the id 'p1' stands already at .*:1"),
        ([], r"mine\.jsonl: there is no row in it"),
        (
            [{**ROW, "answer": " "}, {**ROW, "id": "b", "answer": ""}, {**ROW, "id": "c", "split": "dev"}],
            r"no train problem \(dropped: empty reference 2, split 'dev' is neither train nor test 1\)",
        ),
    ],
)
def test_a_broken_record_file_is_named_with_its_line(tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(MathwrightError, match=message):
        load((str(write_rows(tmp_path / "mine.jsonl", rows)), "", 1, 0))


@pytest.mark.parametrize(
    ("source", "row", "message"),
    [
        ("gsm8k", {"question": "Why?"}, r"train\.jsonl:1: lacks the field 'answer'"),
        ("gsm8k", {"question": "Why?", "answer": 3}, r"train\.jsonl:1: has no text in the field 'answer'"),
        ("gsm8k", {"question": "Why?", "answer": "3"}, r"train\.jsonl:1: no '####'"),
        ("math", {"problem": "Why?"}, r"train\.jsonl:1: lacks the field 'solution'"),
        ("math", "}{", r"train\.jsonl:1: not JSON"),
    ],
)
def test_a_broken_published_file_is_named_with_its_line(tmp_path: Path, source: str, row: Any, message: str) -> None:
    write_rows(tmp_path / "train.jsonl", [row])
    with pytest.raises(MathwrightError, match=message):
        load((source, tmp_path, 1, 0))


def test_empty_references_are_counted(tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [GSM8K, {"question": "Why?", "answer": "Who knows.\n#### "}])
    loaded = load(("gsm8k", tmp_path, 5, 0))
    assert len(loaded.train) == 1
    assert loaded.dropped == {"gsm8k: empty reference": 1}


def test_a_damaged_archive_is_reported_and_not_read_half(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "train.jsonl.gz", [{**GSM8K, "question": f"{n}?"} for n in range(500)])
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(MathwrightError, match=r"train\.jsonl\.gz: cannot be read after line"):
        load(("gsm8k", tmp_path, 1, 0))


def test_wrong_paths_are_named(tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match=r"none\.jsonl: no such file"):
        load((str(tmp_path / "none.jsonl"), "", 1, 0))
    with pytest.raises(MathwrightError, match="no such file or folder"):
        load(("math", tmp_path / "nowhere", 1, 0))
    with pytest.raises(MathwrightError, match=r"no train file of math.*math_train\.jsonl"):
        load(("math", tmp_path, 1, 0))
    file = write_rows(tmp_path / "gsm8k_test.jsonl", [GSM8K])
    with pytest.raises(MathwrightError, match="is the test split, but train problems"):
        load(("gsm8k", file, 1, 0))
    with pytest.raises(MathwrightError, match="unknown problem source 'gsm9k'"):
        load(("gsm9k", "", 1, 0))


def test_the_same_file_twice_asks_nothing_twice(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [problem(1)])
    write_jsonl(tmp_path / "b.jsonl", [problem(1, question="Another?")])
    loaded = load((str(tmp_path / "a.jsonl"), "", 1, 0), (str(tmp_path / "a.jsonl"), "", 1, 0))
    assert loaded.train == [problem(1)]
    with pytest.raises(MathwrightError, match="id 'p1' occurs 2 times"):
        load((str(tmp_path / "a.jsonl"), "", 1, 0), (str(tmp_path / "b.jsonl"), "", 1, 0))


def test_hub_rows_go_through_the_same_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    asked: list[tuple[str, str | None, str]] = []

    def load_dataset(name: str, config: str | None, *, split: str) -> list[dict[str, str]]:
        asked.append((name, config, split))
        return [{**MATH, "problem": f"{config}?"}]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    loaded = load(("math", "", 100, 0))
    assert len(asked) == len(loaded.train) == 7
    assert {name for name, _, _ in asked} == {"EleutherAI/hendrycks_math"}
    assert len(load(("gsm8k", "someone/copy", 0, 0)).test) == 0

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(MathwrightError, match=r"someone/copy: cannot be loaded.*no route.*hint: .*folder"):
        published.load_published("math", "someone/copy", "train")


@pytest.mark.parametrize(
    ("text", "boxed"),
    [
        ("\\boxed{1} and \\boxed{\\frac{a}{b}}", "\\frac{a}{b}"),
        ("$\\boxed{\\{1, 2\\}}$", "\\{1, 2\\}"),
        ("\\fbox{7}", "7"),
        ("so $x = \\boxed 5$.", "5"),
        ("\\boxed{3} then \\boxed{unfinished", "3"),
        ("\\boxed{}", ""),
        ("nothing", None),
    ],
)
def test_last_boxed(text: str, boxed: str | None) -> None:
    assert last_boxed(text) == boxed


def test_reasoning_gym_gives_short_numbers_and_a_split_that_holds_across_seeds() -> None:
    pytest.importorskip("reasoning_gym")
    one = load(("reasoning_gym", "chain_sum,gcd,lcm", 90, 60), seed=1)
    two = load(("reasoning_gym", "chain_sum,gcd,lcm", 90, 60), seed=2)
    assert one == load(("reasoning_gym", "chain_sum,gcd,lcm", 90, 60), seed=1)
    assert not {p.question for p in one.test} & {p.question for p in [*one.train, *two.train]}
    assert {p.question for p in one.train} != {p.question for p in two.train}
    assert all(float(p.answer) == int(p.answer) for p in one.train + one.test)
    by_id = {p.id: p for p in one.train}
    assert one.solutions
    for solution in one.solutions:
        assert by_id[solution.problem_id].subject == "chain_sum"
        assert f"\\boxed{{{by_id[solution.problem_id].answer}}}" in solution.parts[0].text


def test_reasoning_gym_names_unknown_datasets_and_exhaustion() -> None:
    pytest.importorskip("reasoning_gym")
    with pytest.raises(MathwrightError, match="no dataset 'chain_sums'"):
        load(("reasoning_gym", "chain_sums", 1, 1))
    loaded = load(("reasoning_gym", "calendar_arithmetic,chain_sum", 20, 0))
    assert loaded.dropped["reasoning_gym: answer is not a short number"] > 0


def test_sources_mix() -> None:
    loaded = load(("procedural", "shopping,ages", 30, 10))
    assert {p.subject for p in loaded.train} == {"shopping", "ages"}
    assert len(loaded.solutions) == 90
    assert {s.problem_id for s in loaded.solutions} == {p.id for p in loaded.train}


def test_the_real_gsm8k_and_math(shared_data: Path) -> None:
    folder = shared_data / "problems"
    loaded = load(("gsm8k", folder, 10_000, 10_000), ("math", folder, 10_000, 10_000))
    assert sum(p.source == "gsm8k" for p in loaded.train) == 7473
    assert sum(p.source == "gsm8k" for p in loaded.test) == 1319
    assert sum(p.source == "math" for p in loaded.test) == 5000
    # Two training problems of MATH have an empty \boxed{}, two ask what another one asks.
    assert sum(p.source == "math" for p in loaded.train) == 7500 - 4
    assert len(loaded.solutions) == len(loaded.train)
    assert not any("<<" in s.parts[0].text for s in loaded.solutions if s.problem_id.startswith("gsm8k"))


def test_the_last_boxed_is_the_answer_published_with_math(shared_data: Path) -> None:
    file = shared_data / "problems" / "math_test.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        answers = [json.loads(line)["answer"].strip() for line in lines]
    assert [row.problem.answer for row in published.load_published("math", str(file), "test")] == answers
