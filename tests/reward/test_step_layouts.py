"""Files of labelled steps: real rows where there are some, rows made after the published columns, and damaged ones."""

import gzip
import json
from pathlib import Path

import pytest

from mathwright.errors import MathwrightError
from mathwright.lines import file_lines
from mathwright.reward.step_layouts import read_step_files
from tests.problems.chat_templates import tokenizer

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "process"
TOKENIZER = tokenizer()


def read(*rows, tmp_path, **options):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_step_files([str(path)], template="deepseekmath", tokenizer=TOKENIZER, **options)


def shown(record):
    """The steps of a record as texts, with their labels."""
    starts = [0, *record.step_ends]
    pieces = [record.response[a:b].strip() for a, b in zip(starts, record.step_ends, strict=False)]
    return list(zip(pieces, record.labels, strict=True))


def completion(text, rating):
    return {"text": text, "rating": rating, "flagged": False}


def prm800k(*steps, **changes):
    return {
        "is_quality_control_question": False, "is_initial_screening_question": False,
        "question": {"problem": "Q?"}, "label": {"steps": list(steps), "finish_reason": "solution"}, **changes,
    }  # fmt: skip


STEPS = (
    {"completions": [completion("no", -1), completion("a", 1)], "human_completion": None, "chosen_completion": 1},
    {"completions": [completion("so so", 0)], "human_completion": None, "chosen_completion": 0},
    {"completions": None, "human_completion": {"text": "by hand", "rating": None}, "chosen_completion": None},
    {"completions": [completion("bad", -1)], "human_completion": None, "chosen_completion": None},
    {"completions": [completion("never", 1)], "human_completion": None, "chosen_completion": 0},
)


@pytest.mark.parametrize(("neutral", "share"), [("right", 1.0), ("wrong", 0.0), ("unlabelled", None)])
def test_the_trajectory_of_prm800k_is_what_people_went_on_with(tmp_path, neutral, share):
    (record,) = read(prm800k(*STEPS), tmp_path=tmp_path, neutral=neutral)
    assert shown(record) == [("a", 1.0), ("so so", share), ("by hand", 1.0), ("bad", 0.0)]
    assert "Q?" in record.prompt


def test_rows_that_control_the_labellers_are_left_out(tmp_path):
    rows = [
        prm800k(*STEPS, is_quality_control_question=True),
        prm800k(*STEPS, is_initial_screening_question=True),
    ]
    assert read(*rows, tmp_path=tmp_path) == []


def test_math_shepherd(tmp_path):
    row = {
        "input": "Q? Step 1: a + b ки\nStep 2: c ки",
        "label": "Q? Step 1: a + b +\nStep 2: c -",
        "task": "GSM8K",
    }
    (record,) = read(row, tmp_path=tmp_path)
    assert shown(record) == [("Step 1: a + b", 1.0), ("Step 2: c", 0.0)]
    assert read({**row, "input": "Q? a ки"}, tmp_path=tmp_path) == []  # the first step cannot be told
    with pytest.raises(MathwrightError, match=r"rows\.jsonl:1: has no \+ or -"):
        read({**row, "label": "Q? Step 1: a + b +\nStep 2: c"}, tmp_path=tmp_path)


def test_rlhflow(tmp_path):
    turns = [("user", "Q? Step 1: a"), ("assistant", "+"), ("user", "Step 2: b"), ("assistant", "-")]
    row = {"conversations": [{"role": role, "content": content} for role, content in turns]}
    (record,) = read(row, tmp_path=tmp_path)
    assert shown(record) == [("Step 1: a", 1.0), ("Step 2: b", 0.0)]
    row["conversations"][1]["content"] = "maybe"
    with pytest.raises(MathwrightError, match="'maybe' where"):
        read(row, tmp_path=tmp_path)


def test_math_aps_flat_and_as_a_tree_say_the_same(tmp_path):
    prefixes = {"Q?": 0.5, "Q?\na": 0.75, "Q?\na\nb": 1.0, "Q?\na\nc": 0.0, "Q?\nd": 0.25}
    flat = {
        "question": "Q?",
        "reasoning_steps": [{"solution_prefix": p, "mc_value": v} for p, v in prefixes.items()],
    }
    leaf = [{"text": "b", "mc_value": 1.0, "children": []}, {"text": "c", "mc_value": 0.0, "children": []}]
    tree = {
        "question": "Q?",
        "reasoning_steps": {
            "text": "Q?",
            "mc_value": 0.5,
            "children": [
                {"text": "a", "mc_value": 0.75, "children": leaf},
                {"text": "d", "mc_value": 0.25, "children": []},
            ],
        },
    }
    expected = [[("a", 0.75), ("b", 1.0)], [("a", None), ("c", 0.0)], [("d", 0.25)]]  # a is labelled once
    assert [shown(r) for r in read(flat, tmp_path=tmp_path)] == expected
    assert [shown(r) for r in read(tree, tmp_path=tmp_path)] == expected


PROCESSBENCH = {"id": "gsm8k-0", "generator": "m", "problem": "Q?", "steps": ["a", "b", "c"], "label": 1}


def test_processbench_is_read_and_never_trained_on(tmp_path):
    rows = [PROCESSBENCH, {**PROCESSBENCH, "id": "1", "label": -1}]
    first, second = read(*rows, tmp_path=tmp_path, for_training=False)
    assert shown(first) == [("a", 1.0), ("b", 0.0), ("c", None)]
    assert shown(second) == [("a", 1.0), ("b", 1.0), ("c", 1.0)]
    assert first.problem_id == "gsm8k-0"
    with pytest.raises(MathwrightError, match="made to measure"):
        read(*rows, tmp_path=tmp_path)


def test_what_mathwright_writes_is_read(tmp_path):
    row = {
        "problem_id": "p", "prompt": "Q", "response": "a\nb", "step_ends": [1, 3], "labels": [0.5, None],
        "hits": [4, None], "completions": [8, None],
    }  # fmt: skip
    (record,) = read(row, tmp_path=tmp_path)
    assert record.hits == (4, None) and shown(record) == [("a", 0.5), ("b", None)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**PROCESSBENCH, "label": 3}, "has 3 for the first wrong of 3 steps"),
        ({**PROCESSBENCH, "steps": ["a", 1]}, "first wrong|no text"),
        ({"problem_id": "p", "prompt": "Q", "response": "ab", "step_ends": [1], "labels": [1.0, 0.0]}, "1 steps but 2"),
        ({"problem_id": "p", "prompt": "Q", "response": "ab", "step_ends": [3], "labels": [1.0]}, "outside the resp"),
        ({"problem_id": "p", "prompt": "Q", "response": "ab", "step_ends": [2, 1], "labels": [1.0, 1.0]}, "overlap"),
        ({"problem_id": "p", "prompt": "Q", "response": "ab", "step_ends": [2], "labels": [1.5]}, "outside 0 to 1"),
        (
            {
                "problem_id": "p", "prompt": "Q", "response": "ab", "step_ends": [2], "labels": [1.0], "hits": [1, 2],
            },
            "1 steps but 2 hits",
        ),
        ({"mystery": 1}, "no known layout of labelled steps has the columns mystery"),
        (
            prm800k({"completions": [completion("a", 2)], "human_completion": None, "chosen_completion": 0}),
            "a rating 2",
        ),
        (
            prm800k({"completions": [completion("a", 1)], "human_completion": None, "chosen_completion": 4}),
            "chose completion 4 of 1",
        ),
    ],
)  # fmt: skip
def test_rows_in_no_layout_are_named(tmp_path, row, message):
    with pytest.raises(MathwrightError, match=rf"rows\.jsonl:1: .*({message})"):
        read(row, tmp_path=tmp_path, for_training=False)


def test_a_file_cut_in_the_middle_of_a_line_is_named(tmp_path):
    path = tmp_path / "cut.jsonl"
    path.write_text(json.dumps(PROCESSBENCH) + "\n" + json.dumps(PROCESSBENCH)[:40])
    with pytest.raises(MathwrightError, match=r"cut\.jsonl:2"):
        read_step_files([str(path)], template="deepseekmath", tokenizer=TOKENIZER, for_training=False)


# --- real rows ---

FILES = {  # name: (solutions, labels right, labels wrong)
    "openr_samples_prm800k.jsonl": (5, 32, 1),
    "openr_samples_math-shepherd.jsonl": (7, 5, 20),
    "mr_gsm8k_subset.jsonl": (590, 1682, 590),
    "bigbench_mistake_multistep_arithmetic.jsonl": (300, 855, 238),
}


@pytest.mark.parametrize("name", FILES)
def test_real_rows_keep_their_counts(name):
    if not REAL.is_dir():
        pytest.skip("shared/data is not beside the checkout")
    records = read_step_files(
        [str(REAL / name)], template="deepseekmath", tokenizer=TOKENIZER, for_training=False, neutral="right"
    )
    labels = [label for record in records for label in record.labels]
    assert (len(records), labels.count(1.0), labels.count(0.0)) == FILES[name]


@pytest.mark.parametrize("name", ["openr_samples_math-aps.jsonl", "openr_samples_math-aps-tree.jsonl"])
def test_every_node_of_a_real_tree_is_labelled_once(name):
    if not REAL.is_dir():
        pytest.skip("shared/data is not beside the checkout")
    rows = [json.loads(line) for line in file_lines(REAL / name)]
    records = read_step_files([str(REAL / name)], template="deepseekmath", tokenizer=TOKENIZER)

    def nodes(row):
        steps = row["reasoning_steps"]
        if isinstance(steps, list):
            return {(row["question"], s["solution_prefix"].strip()) for s in steps} - {(row["question"],) * 2}
        found, waiting = set(), [((), child) for child in steps["children"]]
        while waiting:
            path, node = waiting.pop()
            found.add((row["question"], *path, node["text"].strip()))
            waiting += [((*path, node["text"].strip()), child) for child in node["children"]]
        return found

    expected = len(set().union(*(nodes(row) for row in rows)))
    assert sum(label is not None for record in records for label in record.labels) == expected


def test_prmbench_marks_the_wrong_steps():
    if not REAL.is_dir():
        pytest.skip("shared/data is not beside the checkout")
    path = REAL / "prmbench_subset400.jsonl.gz"
    with gzip.open(path, "rt") as file:
        row = json.loads(file.readline())
    records = read_step_files([str(path)], template="deepseekmath", tokenizer=TOKENIZER, for_training=False)
    assert [label for _, label in shown(records[0])] == [1.0] * 6
    assert [j for j, label in enumerate(records[1].labels, start=1) if label == 0] == row["error_steps"]
