"""Records survive the way to disk and back, and a damaged file is named with file, line and field."""

import dataclasses
from pathlib import Path

import pytest

from mathwright.errors import MathwrightError
from mathwright.records import (
    Completion,
    Document,
    EvalRecord,
    Part,
    Problem,
    Rollout,
    RolloutGroup,
    Solution,
    StepLabels,
    Verdict,
    from_json,
    read_jsonl,
    to_json,
    write_jsonl,
)

PROBLEM = Problem(id="p1", question="$1 < 2$\u2028?", answer="3", source="procedural", split="train")


def test_nested_records_come_back_equal(tmp_path: Path) -> None:
    completion = Completion(
        tokens=(1, 2), logprobs=(-0.5, 0.0), sampled=(True, False), text="ab", finish="stop", num_tool_calls=1
    )
    verdict = Verdict(status="correct", prediction="3", reference="3")
    rollouts = (
        Rollout(completion=completion, verdict=verdict, reward=1.0, rewards_by_name={"answer": 1.0, "format": None}),
        Rollout(completion=completion, verdict=None, reward=None, step_ends=(0, 1), step_rewards=(0.5, 1.0)),
    )
    group = RolloutGroup(problem=PROBLEM, prompt="q", prompt_tokens=(7,), rollouts=rollouts)
    record = EvalRecord(
        model="sft", task="t", mode="cot", problem=PROBLEM, sample=-1, prompt="q", response="r", verdict=verdict,
        finish="length", num_tokens=2,
    )  # fmt: skip
    solution = Solution(problem_id="p1", format="tool", parts=(Part(kind="code", text="print(3)"),), answer="3")
    for name, item in {"group": group, "record": record, "solution": solution}.items():
        path = tmp_path / f"{name}.jsonl"
        assert write_jsonl(path, [item, item]) == 2
        assert list(read_jsonl(path, type(item))) == [item, item]
        assert to_json(item) == dataclasses.asdict(item)


def test_long_tuples_are_checked_item_by_item_too() -> None:
    values = {"tokens": [1, 2], "logprobs": [-0.5, 0], "sampled": [True, False], "text": "", "finish": "stop"}
    completion = from_json(Completion, values | {"num_tool_calls": 0})
    assert completion.logprobs == (-0.5, 0.0) and type(completion.logprobs[1]) is float
    with pytest.raises(ValueError, match=r"Completion.tokens\[1\] must be int, not True"):
        from_json(Completion, values | {"num_tool_calls": 0, "tokens": [1, True]})


def test_what_is_changed_in_the_json_of_a_record_is_not_changed_in_the_record() -> None:
    document = Document(url="u", title="", text="", notation={"mathml": 1})
    to_json(document)["notation"]["mathml"] = 2
    assert document.notation == {"mathml": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "p2", "question": "?"}', "lacks the field 'answer'"),
        ('{"id": 7, "question": "?", "answer": "1", "source": "s", "split": "x"}', "Problem.id must be str"),
        ('{"id": "p", "question": "?", "answer": "1", "source": "s", "split": "x", "topic": 1}', "no field 'topic'"),
        ('{"id": "p2", ', "Expecting"),
        ("[]", "must be an object"),
    ],
)
def test_malformed_line_is_named_with_file_line_and_field(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "problems.jsonl"
    write_jsonl(path, [PROBLEM])
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(MathwrightError) as caught:
        list(read_jsonl(path, Problem))
    assert f"{path}:2" in caught.value.message
    assert said in caught.value.message


def test_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MathwrightError, match="no such file"):
        list(read_jsonl(tmp_path / "nothing.jsonl", Problem))


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    write_jsonl(path, [PROBLEM])

    def broken():
        yield PROBLEM
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_jsonl(path, broken())
    assert list(read_jsonl(path, Problem)) == [PROBLEM]


def test_unknown_status_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.jsonl"
    path.write_text('{"status": "right", "prediction": "1", "reference": "1"}\n', encoding="utf-8")
    with pytest.raises(MathwrightError, match="not one of 'correct'"):
        list(read_jsonl(path, Verdict))


def test_text_that_utf8_cannot_hold_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    odd = dataclasses.replace(PROBLEM, question="half a pair \ud800 and 中文")
    write_jsonl(path, [odd, PROBLEM])
    assert list(read_jsonl(path, Problem)) == [odd, PROBLEM]


def test_bytes_that_are_no_text_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    write_jsonl(path, [PROBLEM])
    path.write_bytes(path.read_bytes() + b'{"id": "\xff"}\n')
    with pytest.raises(MathwrightError, match=":2: not a Problem"):
        list(read_jsonl(path, Problem))


def test_step_labels_of_before_they_had_counts_still_load(tmp_path: Path) -> None:
    old = '{"problem_id":"p","prompt":"q","response":"a\\\\nb","step_ends":[1,3],"labels":[1.0,0.25]}\n'
    (tmp_path / "old.jsonl").write_text(old)
    (labels,) = read_jsonl(tmp_path / "old.jsonl", StepLabels)
    assert (labels.labels, labels.hits, labels.completions) == ((1.0, 0.25), (), ())
    counted = StepLabels(
        problem_id="p", prompt="q", response="a\nb", step_ends=(1, 3), labels=(0.0, None), hits=(0, None),
        completions=(7, None),
    )  # fmt: skip
    write_jsonl(tmp_path / "new.jsonl", [counted])
    assert list(read_jsonl(tmp_path / "new.jsonl", StepLabels)) == [counted]
