"""`mathwright eval MODEL --tasks ...` from the command line, with a real (tiny, random) model."""

import json
from pathlib import Path
from typing import Any

import pytest

from mathwright.cli import main
from mathwright.cli.evaluate import shard_of_environment
from mathwright.eval.settings import Shard
from mathwright.eval.store import Store
from mathwright.lm import heads
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.problems.templates import write_template
from tests.eval.scripted import write_gsm8k

SCRATCH = ScratchRecipe(vocab_size=300, width=32, num_layers=1, num_heads=2, num_kv_heads=1, ffn_width=64)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save(from_scratch(SCRATCH, ["What is 2 plus 2? The answer is 4."] * 5, max_length=160, seed=0), folder)
    write_template(folder, "short")
    return folder


def evaluate(model: Path, data: Path, out: Path, *arguments: str) -> None:
    main(["eval", str(model), "--tasks", "gsm8k", "--data", str(data), "--out", str(out), "--max-new-tokens", "6",
          "--dtype", "float32", *arguments])  # fmt: skip


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "records.jsonl").read_bytes().splitlines()]


def test_a_model_is_measured_and_every_sample_can_be_browsed(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_gsm8k(tmp_path / "data", 3)
    evaluate(model, data, tmp_path / "out", "--mode", "cot,tool", "--samples", "2")
    table = capsys.readouterr().out
    assert "gsm8k" in table and table.lstrip().startswith("|")
    found = records(tmp_path / "out")
    assert len(found) == 2 * 3 * 3
    assert found[0]["prompt"] == "Question: What is 1 plus 1?\nAnswer:", "the template the model was trained with"
    assert found[0]["model"] == "tiny"
    page = (tmp_path / "out/samples.html").read_text(encoding="utf-8")
    assert "What is 1 plus 1?" in page


def test_a_sample_does_not_depend_on_what_it_is_drawn_with(model: Path, tmp_path: Path) -> None:
    data = write_gsm8k(tmp_path / "data", 4)
    evaluate(model, data, tmp_path / "all", "--samples", "3")
    evaluate(model, data, tmp_path / "one", "--samples", "3", "--batch-size", "1", "--no-greedy")
    whole = {(r["problem"]["id"], r["sample"]): r["response"] for r in records(tmp_path / "all")}
    apart = {(r["problem"]["id"], r["sample"]): r["response"] for r in records(tmp_path / "one")}
    assert len(apart) == 12 and all(whole[key] == text for key, text in apart.items())
    assert len(set(apart.values())) > 6


def test_a_reward_model_chooses_and_contaminated_problems_are_told_apart(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_gsm8k(tmp_path / "data", 3)
    base = from_scratch(SCRATCH, ["What is 2 plus 2? The answer is 4."] * 5, max_length=160, seed=1)
    save(heads.from_language_model(base, seed=0), tmp_path / "reward")
    found = tmp_path / "found.jsonl"
    found.write_text(json.dumps({"task": "gsm8k", "problem_id": "gsm8k-test-1", "url": "u", "matched": "m"}) + "\n")
    evaluate(model, data, tmp_path / "out", "--samples", "2", "--reward-model", str(tmp_path / "reward"),
             "--contamination", str(found))  # fmt: skip
    kept = records(tmp_path / "out")
    assert all((r["score"] is None) == (r["sample"] == -1) for r in kept)
    assert len({r["score"] for r in kept if r["score"] is not None}) > 1
    assert {r["problem"]["id"] for r in kept if r["contaminated"]} == {"gsm8k-test-1"}
    [row] = json.loads((tmp_path / "out/table.json").read_text())
    assert "best_of" in row and row["contaminated"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--mode", "prose"), "prose"),
        (("--contamination", "nowhere.jsonl"), "nowhere.jsonl: no such file"),
        (("--against", "nowhere"), "nowhere holds no finished evaluation"),
        (("--shard", "4/4"), "--shard 4/4"),
        (("--samples", "2", "--temperature", "0"), "temperature 0"),
        (("--engine", "server"), "--base-url"),
        (("--shots", "9", "--template", "plain"), "has 8"),
        (("--shots", "-1"), "--shots is -1"),
        (("--shots", "99"), "has 8"),
        (("--shots", "2", "--template", "short"), "template 'short'"),
        (("--reward-model", "nowhere"), "nowhere holds no reward model"),
    ],
)
def test_bad_input_is_one_line_with_a_hint(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        evaluate(model, write_gsm8k(tmp_path / "data", 2), tmp_path / "out", *arguments)
    printed = capsys.readouterr().err
    assert stop.value.code == 2
    assert said in printed and "hint:" in printed


def test_a_benchmark_that_is_not_there_is_said_before_the_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        evaluate(tmp_path / "no_model", tmp_path, tmp_path / "out")
    assert "gsm8k" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--shots", "99"), ("--shots", "-1"), ("--mode", "prose")])
def test_what_needs_no_model_is_said_before_the_model_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit):
        evaluate(tmp_path / "no_model", write_gsm8k(tmp_path / "data", 2), tmp_path / "out", *arguments)
    assert "no such model" not in capsys.readouterr().err


def test_a_model_that_cannot_be_loaded_does_not_bind_the_corrected_call(model: Path, tmp_path: Path) -> None:
    data = write_gsm8k(tmp_path / "data", 2)
    with pytest.raises(SystemExit):
        evaluate(tmp_path / "no_model", data, tmp_path / "out")
    assert not (tmp_path / "out" / "settings.json").exists()
    (tmp_path / "out" / "settings.json").write_text('{"model": "one that never drew a sample"}')
    evaluate(model, data, tmp_path / "out")
    assert len(records(tmp_path / "out")) == 2


def test_two_processes_do_not_draw_the_same_samples(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_gsm8k(tmp_path / "data", 3)
    with Store(tmp_path / "out", shard=0, num_shards=1).claimed():
        with pytest.raises(SystemExit):
            evaluate(model, data, tmp_path / "out")
        assert "another process is drawing the same samples" in capsys.readouterr().err
    with Store(tmp_path / "parts", shard=0, num_shards=2).claimed():
        evaluate(model, data, tmp_path / "parts", "--shard", "1/2")
    evaluate(model, data, tmp_path / "parts", "--shard", "0/2")
    assert len(records(tmp_path / "parts")) == 3


def test_weights_of_two_types_are_not_mixed(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_gsm8k(tmp_path / "data", 2)
    evaluate(model, data, tmp_path / "out")
    with pytest.raises(SystemExit):
        evaluate(model, data, tmp_path / "out", "--dtype", "bfloat16")
    assert "dtype = 'float32'" in capsys.readouterr().err


def test_problems_of_a_corpus_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"question": "A farmer with nine brown hens sells four of them at the market today.", "answer": "#### 5"},
        {"question": "How many legs do seven spiders and one lame dog have in all of this house?", "answer": "#### 59"},
    ]
    data = tmp_path / "data"
    data.mkdir()
    (data / "gsm8k_test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    text = f"Old exercises.\n\n{rows[1]['question'].replace(' ', chr(10))} Think."
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"text": text, "url": "http://a/b"}) + "\n", encoding="utf-8")
    out = tmp_path / "found.jsonl"
    main(["contamination", str(tmp_path / "corpus.jsonl"), "--tasks", "gsm8k", "--data", str(data), "--out", str(out)])
    assert capsys.readouterr().out == "gsm8k\t1\n"
    [row] = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    assert (row["task"], row["problem_id"], row["url"]) == ("gsm8k", "gsm8k-test-1", "http://a/b")


def test_torchrun_gives_each_process_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert shard_of_environment() == Shard()
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert shard_of_environment() == Shard(index=3, count=8)
