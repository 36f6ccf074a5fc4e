"""Rows of one's own: every layout people keep them in gives the same problems, prompts and solutions."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from mathwright.errors import MathwrightError
from mathwright.problems.containers import data_rows
from mathwright.problems.own import load_own, read_row
from mathwright.problems.prompts import build_prompt
from mathwright.problems.recipe import ProblemSourceRecipe, ProblemsRecipe
from mathwright.problems.sources import load_problems
from mathwright.records import Message

ROWS = [{"question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(40)]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """Rows in the container that the name says."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "p.csv", "p.tsv", "p.parquet"])
def test_every_container_gives_the_same_problems(tmp_path: Path, name: str) -> None:
    own = load_own(write(tmp_path / name, ROWS))
    asked = {(p.question, p.answer) for p in [*own.train, *own.test]}
    assert asked == {(row["question"], row["answer"]) for row in ROWS}
    assert (len(own.train), len(own.test)) == (36, 4)
    assert not {p.id for p in own.train} & {p.id for p in own.test}
    ids = sorted(p.id for p in load_own(write(tmp_path / ("again-" + name), ROWS)).train)
    assert [i.removeprefix("again-") for i in ids] == sorted(p.id for p in own.train), "made from the question alone"


def test_a_folder_that_datasets_saved_keeps_its_splits(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    parts = {"train": datasets.Dataset.from_list(ROWS[:30]), "test": datasets.Dataset.from_list(ROWS[30:])}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "saved"))
    own = load_own(str(tmp_path / "saved"))
    assert [len(own.train), len(own.test)] == [30, 10]
    assert {p.question for p in own.test} == {row["question"] for row in ROWS[30:]}
    parts["train"].save_to_disk(str(tmp_path / "one"))
    assert len(load_own(str(tmp_path / "one"), heldout=False).train) == 30


def test_files_of_a_glob_are_split_by_their_names(tmp_path: Path) -> None:
    for name, rows in (("train-0", ROWS[:10]), ("train-1", ROWS[10:20]), ("validation", ROWS[20:25])):
        write(tmp_path / f"{name}.jsonl", rows)
    own = load_own(str(tmp_path / "*.jsonl"))
    assert [len(own.train), len(own.test)] == [20, 5]


CHAT = [
    {"role": "system", "content": "Be short."}, {"role": "user", "content": "1 + 1?"},
    {"role": "assistant", "content": "2"}, {"role": "user", "content": "And 2 + 2?"},
    {"role": "assistant", "content": "4"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "question", "answer", "response"),
    [
        ({"question": "1 + 1?", "answer": 2}, "1 + 1?", "2", None),
        ({"question": "1 + 1?", "answer": 2.5}, "1 + 1?", "2.5", None),
        ({"question": "1 + 1?", "answer": "one\n#### 1,000"}, "1 + 1?", "1000", "one\nThe answer is $\\boxed{1000}$."),
        ({"problem": "1 + 1?", "solution": "It is \\boxed{2}."}, "1 + 1?", "2", "It is \\boxed{2}."),
        ({"problem": "1 + 1?", "solution": "So.", "answer": "2"}, "1 + 1?", "2", "So."),
        ({"prompt": "1 + 1?", "completion": "two"}, "1 + 1?", "", "two"),
        ({"instruction": "Add.", "input": "1, 1", "output": "2"}, "Add.\n\n1, 1", "", "2"),
        ({"prompt": [{"role": "user", "content": "1 + 1?"}], "answer": "2"}, "1 + 1?", "2", None),
        (
            {"prompt": CHAT[1:2], "completion": [{"role": "assistant", "content": "It is 2."}]},
            "1 + 1?", "", "It is 2.",
        ),
        (
            {"data_source": "x", "prompt": CHAT[1:2], "reward_model": {"style": "rule", "ground_truth": "2"}},
            "1 + 1?", "2", None,
        ),
    ],
)  # fmt: skip
def test_a_row_of_each_layout(row: dict[str, Any], question: str, answer: str, response: str | None) -> None:
    [own] = read_row(row, "mine")
    assert (own.problem.question, own.problem.answer) == (question, answer)
    assert own.response == response or (response is None and own.response == str(row.get("answer", "")).strip()[:99])


@pytest.mark.parametrize("field", ["messages", "conversations"])
def test_a_conversation_is_an_example_for_each_turn_of_the_assistant(tmp_path: Path, field: str) -> None:
    turns = CHAT if field == "messages" else [
        {"from": {"user": "human", "assistant": "gpt"}.get(m["role"], m["role"]), "value": m["content"]} for m in CHAT
    ]  # fmt: skip
    own = load_own(write(tmp_path / "chat.jsonl", [{field: turns}]), answers=False)
    assert [s.parts[0].text for s in own.solutions] == ["2", "4"]
    by_id = {p.id: p for p in own.train}
    asked = [by_id[s.problem_id].messages for s in own.solutions]
    assert asked == [tuple(Message(**m) for m in CHAT[:2]), tuple(Message(**m) for m in CHAT[:4])]


def test_turns_of_a_conversation_are_held_out_together(tmp_path: Path) -> None:
    rows = [{"messages": [{**m, "content": f"{n} {m['content']}"} for m in CHAT]} for n in range(30)]
    own = load_own(write(tmp_path / "chat.jsonl", rows), answers=False)
    first = {p.id.partition("-turn")[0] for p in own.test}
    assert len(own.test) == 2 * len(first)
    assert len(first) == 3
    assert not first & {p.id.partition("-turn")[0] for p in own.train}


def test_a_prompt_stands_as_it_is_and_a_question_is_asked_as_ours_are() -> None:
    [prompt] = read_row({"prompt": "1 + 1?", "completion": "2"}, "mine")
    [question] = read_row({"question": "1 + 1?", "answer": "2"}, "mine")
    told = [
        build_prompt(own.problem, "cot", template="deepseekmath", tokenizer=None).text for own in (prompt, question)
    ]
    assert told[0] == "User: 1 + 1?\n\nAssistant:"
    assert told[1].startswith("User: 1 + 1?\nPlease reason step by step")


def test_several_solutions_of_a_question_are_kept(tmp_path: Path) -> None:
    rows = [{"prompt": "1 + 1?", "completion": text} for text in ("2", "two", "It is 2.")]
    own = load_own(write(tmp_path / "p.jsonl", rows), answers=False)
    assert len(own.train) == 1
    assert [s.parts[0].text for s in own.solutions] == ["2", "two", "It is 2."]


def test_fields_by_other_names(tmp_path: Path) -> None:
    rows = [{"frage": row["question"], "loesung": row["answer"]} for row in ROWS]
    file = write(tmp_path / "p.jsonl", rows)
    own = load_own(file, fields=(("question", "frage"), ("answer", "loesung")))
    assert len(own.train) == 36
    assert own.train[0].columns["loesung"] == own.train[0].answer
    with pytest.raises(MathwrightError, match=r"p\.jsonl:1: there is no field 'fraage'"):
        load_own(file, fields=(("question", "fraage"),))


def test_what_a_recipe_names_is_loaded(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", [*ROWS, {"question": "Why?", "note": "no answer"}])
    loaded = load_problems(ProblemsRecipe(sources=(ProblemSourceRecipe(source=file),)))
    assert (len(loaded.train), len(loaded.test)) == (36, 4)
    assert loaded.dropped == {"p.jsonl: empty reference": 1}
    some = ProblemSourceRecipe(source=file, num_train=5, num_test=0, answers=False)
    loaded = load_problems(ProblemsRecipe(sources=(some,)))
    assert (len(loaded.train), len(loaded.test), loaded.dropped) == (5, 0, {})


@pytest.mark.parametrize(
    ("name", "content", "message", "hint"),
    [
        ("p.jsonl", '{"text": "hello"}\n', r"p\.jsonl:1: no question: none of question, .*\(text\)", "own_data.md"),
        ("p.jsonl", '{"messages": [{"role": "judge", "content": "x"}]}\n', "a turn of 'judge'", "own_data.md"),
        ("p.jsonl", '{"messages": "hello"}\n', "a text that is no JSON", "own_data.md"),
        ("p.jsonl", '{"prompt": "x", "completion": 3}\n', "its response is neither", "own_data.md"),
        ("p.jsonl", "PAR1\x00\x00", "cannot be read", "damaged"),
        ("p.parquet", "not parquet", "cannot be read", "damaged"),
        ("p.csv", "question,answer\n1,2,3\n", r"p\.csv:2: .*number of fields", "quote"),
        ("p.json", "[]", "there is no row in it", "empty"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, name: str, content: str, message: str, hint: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(MathwrightError, match=message) as caught:
        load_own(str(tmp_path / name))
    assert hint in caught.value.hint


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path / "problems.jsonl", ROWS)
    with pytest.raises(MathwrightError, match="no such file") as caught:
        list(data_rows(str(tmp_path / "problem.jsonl")))
    assert "problems.jsonl" in caught.value.hint


@pytest.mark.parametrize(
    ("where", "asked"),
    [
        ("hub:a/b", ("a/b", None, "train")),
        ("hub:a/b:test", ("a/b", None, "test")),
        ("hub:a/b:main:test", ("a/b", "main", "test")),
    ],
)
def test_a_data_set_of_the_hub(monkeypatch: pytest.MonkeyPatch, where: str, asked: tuple[Any, ...]) -> None:
    from mathwright.problems import tables

    def hub_rows(source: tables.HubSource) -> Any:
        assert (source.id, source.configs[0], source.split) == asked
        yield "here", ROWS[0]

    monkeypatch.setattr(tables, "hub_rows", hub_rows)
    assert load_own(where).train[0].answer == "0"
