"""One model on benchmarks: nothing finished is computed again, and what is counted is what was asked for."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mathwright import judge as judging
from mathwright.errors import MathwrightError
from mathwright.eval.measure import against, measure
from mathwright.eval.settings import Settings, Shard
from mathwright.eval.store import Store
from tests.eval.scripted import ScriptedEngine, number_in, write_gsm8k


def settings(data: Path, **changes: Any) -> Settings:
    plain = Settings(model="m", tasks=("gsm8k",), modes=("cot",), data=str(data), template="deepseekmath")
    return dataclasses.replace(plain, **changes)


def small_is_right(prompt: str, seed: int) -> str:
    """Right up to 4 plus 4, wrong for 5, no answer for 6."""
    number = number_in(prompt)
    return "I do not know" if number == 6 else f"So the answer is \\boxed{{{2 * number + (number == 5)}}}."


def test_the_table_counts_right_wrong_and_missing_answers(tmp_path: Path) -> None:
    engine = ScriptedEngine(small_is_right)
    outcome = measure(settings(write_gsm8k(tmp_path / "data")), tmp_path / "out", lambda: engine)
    [row] = outcome.rows
    assert outcome.complete and engine.closed
    assert (row["task"], row["mode"], row["num_problems"]) == ("gsm8k", "cot", 6)
    assert row["accuracy"] == pytest.approx(4 / 6)
    assert row["unparsable"] == pytest.approx(1 / 6)
    statuses = [
        json.loads(line)["verdict"]["status"] for line in (tmp_path / "out/records.jsonl").read_bytes().splitlines()
    ]
    assert statuses == ["correct"] * 4 + ["incorrect", "unparsable_prediction"], "in the order of the problems"
    assert "gsm8k" in (tmp_path / "out/table.md").read_text()


def test_the_prompt_is_the_papers(tmp_path: Path) -> None:
    engine = ScriptedEngine(small_is_right)
    measure(settings(write_gsm8k(tmp_path / "data", 1)), tmp_path / "out", lambda: engine)
    assert engine.asked[0].prompt.text == (
        "User: What is 1 plus 1?\nPlease reason step by step, and put your final answer within \\boxed{}.\n\nAssistant:"
    )
    assert engine.asked[0].sampling.temperature == 0 and engine.asked[0].sampling.max_new_tokens == 1024


def test_what_was_finished_before_the_end_is_not_asked_again(tmp_path: Path) -> None:
    chosen = settings(write_gsm8k(tmp_path / "data"), samples=2)
    dying = ScriptedEngine(small_is_right, die_after=7)
    with pytest.raises(ConnectionError):
        measure(chosen, tmp_path / "out", lambda: dying)
    second = ScriptedEngine(small_is_right)
    resumed = measure(chosen, tmp_path / "out", lambda: second)
    whole = measure(chosen, tmp_path / "whole", lambda: ScriptedEngine(small_is_right))
    first_keys, second_keys = ({request.key for request in engine.asked} for engine in (dying, second))
    assert len(first_keys) == 7 and len(second_keys) == 18 - 7 and not first_keys & second_keys
    assert resumed.rows == whole.rows
    assert (tmp_path / "out/records.jsonl").read_bytes() == (tmp_path / "whole/records.jsonl").read_bytes()


def test_a_finished_evaluation_loads_no_model(tmp_path: Path) -> None:
    chosen = settings(write_gsm8k(tmp_path / "data"))
    measure(chosen, tmp_path / "out", lambda: ScriptedEngine(small_is_right))
    again = measure(chosen, tmp_path / "out", lambda: pytest.fail("an engine was opened"))
    assert again.complete and again.rows[0]["num_problems"] == 6


def test_a_line_cut_short_by_a_kill_is_computed_again(tmp_path: Path) -> None:
    chosen = settings(write_gsm8k(tmp_path / "data"))
    whole = measure(chosen, tmp_path / "out", lambda: ScriptedEngine(small_is_right))
    [path] = (tmp_path / "out/records").glob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-40])
    engine = ScriptedEngine(small_is_right)
    mended = measure(chosen, tmp_path / "out", lambda: engine)
    assert len(engine.asked) == 1 and mended.rows == whole.rows


def test_more_samples_and_modes_are_added_to_what_is_there(tmp_path: Path) -> None:
    data = write_gsm8k(tmp_path / "data")
    measure(settings(data), tmp_path / "out", lambda: ScriptedEngine(small_is_right))
    engine = ScriptedEngine(small_is_right)
    outcome = measure(settings(data, samples=1, modes=("cot", "tool")), tmp_path / "out", lambda: engine)
    assert len(engine.asked) == 6 + 12
    assert {(row["mode"], row["num_problems"]) for row in outcome.rows} == {("cot", 6), ("tool", 6)}


@pytest.mark.parametrize(
    ("change", "said"), [({"temperature": 0.2}, "temperature"), ({"seed": 1}, "seed"), ({"shots": 2}, "shots")]
)
def test_samples_of_two_settings_are_not_mixed(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    data = write_gsm8k(tmp_path / "data")
    measure(settings(data), tmp_path / "out", lambda: ScriptedEngine(small_is_right))
    with pytest.raises(MathwrightError, match=said):
        measure(settings(data, **change), tmp_path / "out", lambda: pytest.fail("an engine was opened"))


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("years of work")
    with pytest.raises(MathwrightError, match="holds no evaluation"):
        measure(settings(write_gsm8k(tmp_path / "data")), tmp_path / "out", lambda: ScriptedEngine(small_is_right))


def test_processes_share_the_problems_and_the_last_one_writes_the_table(tmp_path: Path) -> None:
    chosen = settings(write_gsm8k(tmp_path / "data", 12), samples=1)
    engines = [ScriptedEngine(small_is_right) for _ in range(3)]
    outcomes = [
        measure(chosen, tmp_path / "out", lambda engine=engine: engine, shard=Shard(index=i, count=3))
        for i, engine in enumerate(engines)
    ]
    assert [outcome.complete for outcome in outcomes] == [False, False, True]
    keys = [{request.key for request in engine.asked} for engine in engines]
    assert sum(map(len, keys)) == len(set.union(*keys)) == 24 and all(keys)
    whole = measure(chosen, tmp_path / "whole", lambda: ScriptedEngine(small_is_right))
    assert (tmp_path / "out/records.jsonl").read_bytes() == (tmp_path / "whole/records.jsonl").read_bytes()
    assert outcomes[2].rows == whole.rows


def test_a_smaller_limit_is_part_of_a_larger_one(tmp_path: Path) -> None:
    data = write_gsm8k(tmp_path / "data", 40)
    asked = []
    for limit in (5, 20):
        engine = ScriptedEngine(small_is_right)
        outcome = measure(settings(data, limit=limit), tmp_path / f"out{limit}", lambda engine=engine: engine)
        assert outcome.rows[0]["num_problems"] == limit
        asked.append({request.prompt.text for request in engine.asked})
    assert asked[0] < asked[1]
    assert {number_in(text) for text in asked[0]} != {1, 2, 3, 4, 5}, "drawn, not the first ones"


def test_the_seed_of_a_sample_does_not_depend_on_what_else_is_measured(tmp_path: Path) -> None:
    data = write_gsm8k(tmp_path / "data", 8)
    seeds = []
    for changes in ({"samples": 3}, {"samples": 1, "limit": 4, "modes": ("tool", "cot")}):
        engine = ScriptedEngine(small_is_right)
        measure(settings(data, **changes), tmp_path / str(len(seeds)), lambda engine=engine: engine)
        seeds.append({request.key: request.seed for request in engine.asked})
    shared = [key for key in seeds[1] if key in seeds[0]]
    assert len(shared) == 8 and all(seeds[0][key] == seeds[1][key] for key in shared)
    assert len({seeds[0][key] for key in seeds[0] if "-1" not in key}) > 20


def test_pot_mode_judges_what_the_program_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def program(prompt: str, seed: int) -> str:
        number = number_in(prompt)
        code = {1: "print(1 + 1)", 2: "print(5)", 3: "while True: pass", 4: "open('/etc/passwd')"}[number]
        return f"```python\n{code}\n```"

    monkeypatch.setattr(judging, "PROGRAM_TIMEOUT_S", 1.0)
    data = write_gsm8k(tmp_path / "data", 4)
    outcome = measure(settings(data, modes=("pot",)), tmp_path / "out", lambda: ScriptedEngine(program))
    statuses = [record.verdict.status for record in outcome.records]
    assert statuses == ["correct", "incorrect", "unparsable_prediction", "unparsable_prediction"]


def test_each_problem_of_a_mixed_file_is_asked_in_its_own_way(tmp_path: Path) -> None:
    plain = {"question": "What is 1 plus 1?", "answer": "2", "source": "mine", "split": "test"}
    rows = [
        {**plain, "id": "program", "question": "Write f.", "answer": "", "tests": "assert f() == 1"},
        {**plain, "id": "free"},
        {**plain, "id": "choice", "question": "Which is 1 plus 1?", "answer": "B", "choices": ["1", "2"]},
    ]
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def reply(prompt: str, seed: int) -> str:
        if "```python" in prompt:
            return "```python\ndef f(): return 1\n```"
        return "\\boxed{B}" if "(B) 2" in prompt else "\\boxed{2}"

    asked = settings(tmp_path, tasks=(str(file),), modes=("cot", "tool"))
    outcome = measure(asked, tmp_path / "out", lambda: ScriptedEngine(reply))
    found = sorted((r.problem.id, r.mode, r.verdict.status) for r in outcome.records)
    assert found == [
        ("choice", "cot", "correct"),
        ("choice", "tool", "correct"),
        ("free", "cot", "correct"),
        ("free", "tool", "correct"),
        ("program", "pot", "correct"),
    ]


HOSTILE = {
    "nothing": "",
    "lone surrogate": "\ud800 \\boxed{2}",
    "replacement characters": "\ufffd\ufffd\x00",
    "boxed code": "\\boxed{__import__('os').system('touch /tmp/x')}",
    "a hundred thousand characters": "\\boxed{" * 50_000,
    "a tower": "\\boxed{9^{9^{9^{9}}}}",
    "markup": "</script><script>alert(1)</script>",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_a_model_writes_is_a_status(tmp_path: Path, text: str) -> None:
    data = write_gsm8k(tmp_path / "data", 1)
    outcome = measure(settings(data), tmp_path / "out", lambda: ScriptedEngine(lambda prompt, seed: text))
    [record] = outcome.records
    assert record.verdict.status != "unparsable_reference"
    assert record.verdict.correct == ("{2}" in text)
    again = measure(settings(data), tmp_path / "out", lambda: pytest.fail("drawn again"))
    assert again.records[0].response == text, "kept to the letter"


def test_two_evaluations_are_compared_on_the_same_problems(tmp_path: Path) -> None:
    data = write_gsm8k(tmp_path / "data", 20)

    def better(prompt: str, seed: int) -> str:
        return f"\\boxed{{{2 * number_in(prompt)}}}"

    measure(settings(data), tmp_path / "before", lambda: ScriptedEngine(small_is_right))
    measure(settings(data, limit=15), tmp_path / "after", lambda: ScriptedEngine(better))
    [row] = against(tmp_path / "after", tmp_path / "before")
    assert row["num_problems"] == 15
    assert row["difference"] > 0 and row["interval"][0] < row["difference"] < row["interval"][1]
    gained = round(row["difference"] * 15)
    assert gained in (1, 2) and row["p_value"] == pytest.approx(0.5 ** (gained - 1)), "two-sided, nothing lost"


def test_settings_that_make_no_sense_are_refused_at_once(tmp_path: Path) -> None:
    for changes, said in (
        ({"samples": 4, "temperature": 0.0}, "temperature 0"),
        ({"greedy": False}, "neither"),
        ({"limit": 0}, "--limit"),
        ({"modes": ("prose",)}, "prose"),
        ({"tasks": ()}, "nothing to measure"),
        ({"system": "Be good.", "template": "short"}, "no part in --template short"),
    ):
        with pytest.raises(MathwrightError, match=said):
            settings(tmp_path, **changes)
    for shard in ("3/3", "1", "a/b", "-1/2"):
        with pytest.raises(MathwrightError, match="--shard"):
            Shard.parse(shard)
    with pytest.raises(MathwrightError, match="no task is called 'gsm9k'"):
        measure(settings(tmp_path, tasks=("gsm9k",)), tmp_path / "out", lambda: pytest.fail("an engine was opened"))


def test_a_damaged_line_names_file_and_place(tmp_path: Path) -> None:
    data = write_gsm8k(tmp_path / "data")
    measure(settings(data), tmp_path / "out", lambda: ScriptedEngine(small_is_right))
    [path] = (tmp_path / "out/records").glob("*.jsonl")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{broken", *lines[2:]]) + "\n")
    with pytest.raises(MathwrightError, match=rf"{path.name}:2"):
        list(Store(tmp_path / "out").records())
