"""The loop of rejection sampling by commands: import, fine-tune, annotate with the student, fine-tune again."""

import json
from pathlib import Path

import pytest

from mathwright.cli.verbs import main
from mathwright.lines import file_lines
from mathwright.run import read_manifest
from tests.sft.sources.test_importing import write
from tests.small_run import write_recipe


def examples(run: Path) -> dict[str, int]:
    manifest = read_manifest(run / "sft")
    assert manifest is not None
    return {funnel["step"]: funnel["num_out"] for funnel in manifest["funnels"]}


def test_the_student_is_the_teacher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, run = write_recipe(tmp_path), tmp_path / "run"
    rows = [{"question": f"{a} + {a + 5}", "solution": f"It is \\boxed{{{2 * a + 5}}}."} for a in range(6)]
    rows.append({"question": "0 + 0", "solution": "It is \\boxed{0}."})  # asked in the test
    main(["sft", "import", "jsonl", str(write(tmp_path / "rows", rows)), "--out", str(tmp_path / "imported")])
    sft = ["sft", str(recipe), "--out", str(run), "--set", "sft.num_steps=30"]
    main([*sft, "--set", f'sft.solutions=["{tmp_path / "imported"}"]'])
    assert examples(run) == {"solutions": 18, "examples": 18}
    annotate = [
        "sft", "annotate", str(run / "problems" / "train.jsonl"), "--teacher", str(run / "sft" / "model"),
        "--format", "cot", "--dtype", "float32",
        "--samples", "8", "--max-new-tokens", "24", "--temperature", "1.0", "--out", str(tmp_path / "drawn"),
    ]  # fmt: skip
    main(annotate)
    assert "solutions of" in capsys.readouterr().out
    drawn = (tmp_path / "drawn" / "solutions.jsonl").read_text().count("\n")
    set_aside = [json.loads(line) for line in file_lines(tmp_path / "drawn" / "rejected" / "solutions.jsonl")]
    assert drawn + len(set_aside) == 12 * 8 and all(row["reason"] for row in set_aside)
    folders = f'sft.solutions=["{tmp_path / "imported"}", "{tmp_path / "drawn"}"]'
    main([*sft, "--set", folders])
    new = examples(run)["solutions"] - 18
    assert 0 <= new <= drawn, "those that are equal to given ones count once"
    # a folder with other contents makes the stage again
    (tmp_path / "imported" / "solutions.jsonl").write_text("")
    main([*sft, "--set", folders])
    assert examples(run)["solutions"] == 12 + new


def test_a_folder_that_is_none_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["sft", str(recipe), "--out", str(tmp_path / "run"), "--set", 'sft.solutions=["nowhere"]'])
    assert ended.value.code == 2
    assert not (tmp_path / "run" / "sft").exists()
