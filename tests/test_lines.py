"""JSON on disk: every string a model or a page can hold is written, and comes back as it was."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import mathwright
from mathwright.errors import MathwrightError
from mathwright.lines import file_lines, is_text, json_text, readable
from mathwright.problems.rows import read_rows
from mathwright.records import (
    Completion,
    Problem,
    Rollout,
    RolloutGroup,
    Verdict,
    read_jsonl,
    write_jsonl,
)
from mathwright.rl.buffer import RolloutBuffer, RolloutFile, Wave
from mathwright.run import RunDirectory, fingerprint, write_json

PACKAGE = Path(mathwright.__file__).parent
ODD = [
    "a\u2028b\u2029c\u0085d",
    "\ud800",
    "x\udfffy",
    "\udc00\ud800",
    "\x0b\x0c\x1c\x1d\x1e\x00",
    "\r\n\r",
    "\ufffe\U0010ffff",
]


def joined(text: str) -> str:
    """The text with two halves in a row as the character they stand for: JSON cannot tell these apart."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def problem(text: str) -> Problem:
    return Problem(id="1", question=text, answer=text, source="s", split="train")


def group(text: str) -> RolloutGroup:
    completion = Completion(tokens=(1,), logprobs=(0.0,), sampled=(True,), text=text, finish="stop")
    verdict = Verdict(status="correct", prediction=text, reference=text, method="text")
    rollouts = (Rollout(completion=completion, reward=1.0, verdict=verdict),)
    return RolloutGroup(problem=problem(text), prompt=text, prompt_tokens=(1,), rollouts=rollouts)


@given(st.text(st.characters()), st.text(st.characters()))
@example("\u2028\u2029\u0085", "\ud800")
def test_every_string_survives_a_line(key: str, text: str) -> None:
    line = json_text({key: [text]})
    assert line.encode().count(b"\n") == 0
    assert json.loads(line) == {joined(key): [joined(text)]}
    assert json.loads(json_text({key: [text]}, indent=2)) == json.loads(line)
    assert is_text(line) and is_text(readable(text))
    assert readable(text) == text or not is_text(text)


@given(st.lists(st.text(st.characters()), max_size=5))
def test_records_survive_a_file(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("records") / "problems.jsonl"
    assert write_jsonl(path, [problem(text) for text in texts]) == len(texts)
    assert [p.question for p in read_jsonl(path, Problem)] == [joined(text) for text in texts]
    assert len(list(file_lines(path))) == len(texts)


@pytest.mark.parametrize("text", ODD)
def test_stages_keep_odd_texts(tmp_path: Path, text: str) -> None:
    stage = RunDirectory(tmp_path / "run", recipe_name="r", recipe={"name": text}).stage("rl", text)
    stage.log(1, note=text)
    stage.log(2, note=text)
    assert [m["note"] for m in stage.metrics()] == [text, text]
    stage.rewind_metrics(2)
    assert [m["note"] for m in stage.metrics()] == [text]
    stage.reject("step", {"url": text}, text)
    [line] = file_lines(stage.path / "rejected" / "step.jsonl")
    assert json.loads(line) == {"reason": text, "url": text}
    write_json(tmp_path / "value.json", {text: text})
    assert json.loads((tmp_path / "value.json").read_text(encoding="utf-8")) == {text: text}
    assert fingerprint(text) == fingerprint(text) != fingerprint(text + "x")


@pytest.mark.parametrize("text", ODD)
def test_the_buffer_and_the_report_take_odd_rollouts(tmp_path: Path, text: str) -> None:
    from mathwright.report.page import write_report

    RunDirectory(tmp_path / "run", recipe_name="r", recipe={})
    wave = Wave(groups=(group(text),), unscored={text: 1}, seconds_generate=1.0, seconds_reward=1.0)
    folder = tmp_path / "run" / "rl"
    assert RolloutBuffer(folder / "buffer").wave(1, 0, lambda: wave) == wave
    assert RolloutBuffer(folder / "buffer").wave(1, 0, lambda: pytest.fail("explored again")) == wave
    file = RolloutFile(folder / "rollouts.jsonl")
    for step in range(8):
        file.append(step, [group(text)])
    file.rewind(7)
    assert len(list(file_lines(folder / "rollouts.jsonl"))) == 7
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "step 6" in page or ">6<" in page


@pytest.mark.parametrize("text", ["\\ud800", "\\uDFFF tail", "x\\ude00\\ud83d"])
@pytest.mark.parametrize("row", ['{{"question": "{}"}}', '{{"{}": 1}}', '{{"choices": [["{}"]]}}'])
def test_problem_files_with_half_a_pair_are_refused_at_the_door(tmp_path: Path, row: str, text: str) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('{"question": "whole: \\ud83d\\ude00"}\n' + row.format(text) + "\n", encoding="utf-8")
    rows = read_rows(path)
    assert next(rows)[1] == {"question": "whole: 😀"}
    with pytest.raises(MathwrightError, match=r"problems.jsonl:2: .*half of a surrogate pair"):
        next(rows)


def test_lines_of_json_are_told_apart_by_line_feeds_only() -> None:
    """`splitlines` takes U+0085, U+2028 and U+2029 for line ends; JSON keeps them as they are."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "splitlines(" not in text and "json.dump" not in text:
            continue
        tree = ast.parse(text)
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            source = ast.unparse(function)
            if "splitlines(" in source and ("json.loads" in source or "_parse(" in source):
                found.append(f"{path.relative_to(PACKAGE)}: {function.name}")
            if "json.dump" in source and "ensure_ascii=False" in source and "is_text(" not in source:
                found.append(f"{path.relative_to(PACKAGE)}: {function.name} writes JSON by itself")
    # for hashes and for the console, not for files
    allowed = ("chain/earlier.py: _hash", "run/inputs.py: _short", "run/inputs.py: fingerprint")
    assert sorted(found) == [f"{where} writes JSON by itself" for where in allowed]
