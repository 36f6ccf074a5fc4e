"""`mathwright reward label` and `mathwright reward judge`."""

import json
from pathlib import Path

import pytest

from mathwright.cli.verbs import main
from mathwright.lm import heads
from mathwright.lm.save import save
from mathwright.problems.steps import StepRule, write_rule
from mathwright.problems.templates import write_template
from mathwright.records import StepLabels, read_jsonl
from tests.rl import toy


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = toy.model_folder(tmp_path_factory.mktemp("rl") / "model")
    write_template(folder, "short")
    return folder


def write_problems(path: Path) -> Path:
    rows = [
        {"id": f"p{i}", "question": f"{i} + {i}", "answer": str(2 * i), "source": "toy", "split": "train"}
        for i in range(1, 7)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def in_pairs(text: str) -> list[int]:
    return [*range(2, len(text), 2), len(text)]


def arguments(model: Path, problems: Path, out: Path, *more: str) -> list[str]:
    return [
        "reward", "label", str(model), str(problems), "--out", str(out), "--steps", "tests.cli.test_steps:in_pairs",
        "--max-new-tokens", "6", "--completions", "4", "--responses", "2", "--dtype", "float32", *more,
    ]  # fmt: skip


def test_label_writes_records_and_goes_on(model, tmp_path, capsys):
    problems, out = write_problems(tmp_path / "problems.jsonl"), tmp_path / "labels"
    main(arguments(model, problems, out))
    assert capsys.readouterr().out.strip() == str(out / "labels.jsonl")
    records = list(read_jsonl(out / "labels.jsonl", StepLabels))
    assert 6 < len(records) <= 12
    for record in records:
        assert len(record.labels) == len(record.hits) == len(record.completions) == len(record.step_ends)
        for label, hits, completions in zip(record.labels, record.hits, record.completions, strict=True):
            assert (label is None) == (hits is None) == (completions is None)
            assert completions is None or (hits is not None and 0 <= hits <= completions <= 4)
    whole = (out / "labels.jsonl").read_bytes()
    lines = (out / "waves.jsonl").read_text().splitlines(keepends=True)
    (out / "waves.jsonl").write_text("".join(lines[:1]) + lines[-1][:10])  # as a kill leaves it
    (out / "labels.jsonl").unlink()
    main(arguments(model, problems, out))
    assert (out / "labels.jsonl").read_bytes() == whole


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--seed", "7"], "holds labels of other settings: seed"),
        (["--steps", "word"], "is no kind of step"),
        (["--temperature", "0"], "temperature is 0"),
        (["--labels", "soft", "--binary-search"], "too few completions for soft labels"),
    ],
)
def test_bad_input_is_named_before_anything_is_touched(model, tmp_path, capsys, more, message):
    problems, out = write_problems(tmp_path / "problems.jsonl"), tmp_path / "labels"
    if more[0] == "--seed":
        main(arguments(model, problems, out))
    before = sorted(path.name for path in out.iterdir()) if out.exists() else None
    with pytest.raises(SystemExit) as stopped:
        main(arguments(model, problems, out, *more))
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
    assert (sorted(path.name for path in out.iterdir()) if out.exists() else None) == before


def test_a_file_that_is_cut_is_named(model, tmp_path, capsys):
    problems = write_problems(tmp_path / "problems.jsonl")
    problems.write_text(problems.read_text()[:-20])
    with pytest.raises(SystemExit):
        main(arguments(model, problems, tmp_path / "labels"))
    assert "problems.jsonl:6" in capsys.readouterr().err


def test_judge_prints_a_line_a_file(model, tmp_path, capsys):
    folder = tmp_path / "model"
    save(heads.from_language_model(toy.tiny(model), seed=0), folder)
    write_rule(folder, StepRule())
    write_template(folder, "short")
    file = tmp_path / "bench.jsonl"
    rows = [{"id": str(i), "problem": f"{i}?", "steps": ["a", "b"], "label": i % 3 - 1} for i in range(9)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    main(["reward", "judge", str(folder), str(file), "--choose-on", str(file), "--dtype", "float32"])
    out = capsys.readouterr().out
    assert out.startswith("bench.jsonl: first wrong step F1") and "of 6" in out and "of 3" in out
    with pytest.raises(SystemExit):
        main(["reward", "judge", str(model), str(file)])
    assert "does not say what a step is" in capsys.readouterr().err
