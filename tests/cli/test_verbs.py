"""The command line as a person meets it: what is printed, and one clear line with a hint where input is wrong."""

import re
from pathlib import Path

import pytest

from mathwright.cli import main
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch

VERBS = (
    "fetch",
    "corpus",
    "compare",
    "pretrain",
    "sft",
    "reward",
    "rl",
    "eval",
    "contamination",
    "chat",
    "run",
    "show",
    "report",
)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command."""
    status = 0
    try:
        main(arguments)
    except SystemExit as stop:
        status = int(stop.code or 0)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_help_lists_the_verbs_in_the_papers_order(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "--help")
    assert status == 0
    places = [out.index(f"• {verb} ") for verb in VERBS]
    assert places == sorted(places)


def test_show_prints_each_value_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "show", "deepseekmath_7b")
    assert status == 0
    lines = dict(line.split(" = ", 1) for line in out.splitlines())
    assert lines["rl.kl_coef"].startswith("0.04\t# §4.2")
    assert lines["rl.clip_eps"].startswith("0.2\t# paper silent:")
    assert "§2.3" in lines["pretrain.mixture.0.weight"]
    assert all(line.split("\t# ")[1].strip() for line in out.splitlines()), "a value without a source"


def test_show_marks_what_was_set(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "show", "quickstart", "--set", "rl.kl_coef=0.1", "--set", "seed=3")
    assert "rl.kl_coef = 0.1\t# set on the command line" in out
    assert "seed = 3\t# set on the command line" in out


@pytest.mark.parametrize("verb", ["corpus", "compare", "pretrain", "sft", "reward", "rl", "eval"])
def test_each_part_of_the_full_scale_recipe_plans_itself(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: str
) -> None:
    out = tmp_path / "run"
    status, printed, _ = call(capsys, verb, "deepseekmath_7b", "--dry-run", "--gpus", "64", "--out", str(out))
    assert status == 0
    assert printed.startswith(f"{verb}: ")
    assert "GiB" in printed and "reads" in printed and "writes" in printed
    assert not out.exists(), "a dry run writes nothing"


def test_plan_names_the_model_that_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    _, printed, _ = call(capsys, "rl", "grpo_gsm8k", "--model", "mine/sft", "--dry-run")
    assert re.search(r"reads +mine/sft\n", printed) and "model/model" not in printed
    _, printed, _ = call(capsys, "rl", "deepseekmath_7b", "--model", "mine/sft", "--dry-run")
    assert printed.count("mine/sft") == 1 and "reward" in printed, "a reward model is no start model"
    _, printed, _ = call(capsys, "pretrain", "deepseekmath_7b", "--model", "mine/base", "--dry-run")
    assert re.search(r"reads +mine/base\n", printed) and "deepseek-ai/" not in printed


def test_the_plan_counts_steps_and_tokens_as_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "run", "deepseekmath_7b", "--dry-run")
    assert "pretrain: 50,000 steps, 500,000,000,000 tokens" in out
    assert "4 corpora, 37,500 steps each" in out
    assert "sft: 500 steps, 524,288,000 tokens" in out


def test_a_plan_reads_the_models_that_the_stage_would_start_from(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "rl", "quickstart", "--dry-run", "--set", "sft=null", "--set", "pretrain=null")
    assert "  reads  model/model\n" in out
    _, out, _ = call(capsys, "rl", "quickstart", "--dry-run")
    assert "  reads  sft/model\n" in out


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("run", "quikstart"), "no recipe 'quikstart'", "quickstart"),
        (("run", "quickstart", "--set", "rl.kl_coeff=1"), "no field 'kl_coeff'", "kl_coef"),
        (("run", "nowhere.py"), "no such recipe file", "path"),
        (("compare", "quickstart"), "has no compare part", "show"),
        (("report", "nowhere"), "holds no run", "--out"),
        (("run", "quickstart", "--model", "somewhere"), "belong to a single stage", "model.source"),
        (("run", "deepseekmath_7b", "--tiny"), "no function tiny()", "Recipe"),
        (("run", "deepseekmath_7b", "--dry-run", "--set", "rl.group_size=1"), "group_size", "rl.group_size"),
    ],
)
def test_bad_input_is_one_line_with_a_hint_and_status_2(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
    hint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = call(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert message in err
    assert hint in err.split("hint:")[1]
    assert list(tmp_path.iterdir()) == [], "nothing is written"


def test_a_folder_of_another_recipe_is_not_touched(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"name": "other", "recipe": {}}')
    status, _, err = call(capsys, "run", "quickstart", "--out", str(tmp_path))
    assert status == 2
    assert "'other', not 'quickstart'" in err
    assert [p.name for p in tmp_path.iterdir()] == ["recipe.json"]


def test_a_full_disk_is_noticed_before_the_stage_begins(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    status, _, err = call(capsys, "run", "quickstart", "--tiny", "--out", str(tmp_path / "run"))
    assert status == 2
    assert "GiB free, stage 'problems' needs" in err and "hint:" in err


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        setting = f"corpus.web.port={port}"
        status, _, err = call(
            capsys, "corpus", "quickstart", "--tiny", "--set", setting, "--out", str(tmp_path / "run")
        )
    assert status == 2
    assert str(port) in err and "hint:" in err


def test_a_model_folder_without_a_tokenizer_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    sizes = ScratchRecipe(vocab_size=300, width=16, num_layers=1, num_heads=1, num_kv_heads=1, ffn_width=16)
    save(from_scratch(sizes, ["1 + 1 = 2"], max_length=64, seed=0), folder)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    setting = f"model.source={folder}"
    status, _, err = call(capsys, "corpus", "quickstart", "--tiny", "--set", setting, "--out", str(tmp_path / "run"))
    assert status == 2
    assert str(folder) in err and "tokenizer" in err and "hint:" in err


def test_a_malformed_line_of_a_problem_file_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('{"id": "a", "question": "1+1?"\n')
    recipe = tmp_path / "mine.py"
    recipe.write_text(
        "import dataclasses as d\nfrom mathwright.recipes import quickstart\n"
        "from mathwright.problems.recipe import ProblemSourceRecipe as S\n\n"
        "def recipe():\n"
        "    r = quickstart.tiny()\n"
        f"    sources = (S(source={str(path)!r}, path='', num_train=1, num_test=1),)\n"
        "    return d.replace(r, problems=d.replace(r.problems, sources=sources))\n"
    )
    status, _, err = call(capsys, "sft", str(recipe), "--out", str(tmp_path / "run"))
    assert status == 2
    assert f"{path}:1" in err and "hint:" in err


def test_a_stage_without_its_inputs_names_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = call(capsys, "sft", "quickstart", "--tiny", "--out", str(tmp_path / "run"), "--set", "seed=1")
    assert status == 2
    assert "stage 'pretrain'" in err and "has not finished" in err and "mathwright pretrain" in err
