"""One's own things in one command: a toy model trained and measured on files of ours, and the same from Python."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mathwright
from mathwright.cli import main
from mathwright.lm.load import load_tokenizer
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.machine import this_machine
from mathwright.records import Completion, Problem

SCRATCH = ScratchRecipe(vocab_size=300, width=16, num_layers=1, num_heads=2, num_kv_heads=1, ffn_width=32)
ROWS = [{"question": f"{n} + {m}?", "answer": str(n + m)} for n in range(5) for m in range(6)]
CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token if m.role == 'assistant' }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a chat template of its own."""
    lm = from_scratch(SCRATCH, [row["question"] for row in ROWS], max_length=256, seed=0)
    lm.tokenizer.chat_template = CHAT
    folder = tmp_path_factory.mktemp("models") / "toy"
    save(lm, folder)
    return folder


@pytest.fixture(autouse=True)
def _without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same defaults on every machine."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    this_machine.cache_clear()
    yield
    this_machine.cache_clear()


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


REWARDS = "def f(completions, answer, **kwargs):\n    return [float(len(c) % 3) for c in completions]\n"


def test_reinforcement_with_a_reward_of_ones_own_and_again_from_the_file(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "p.jsonl", ROWS)
    (tmp_path / "my_rewards.py").write_text(REWARDS)
    less = ["--set", "rl.num_steps=1", "--set", "rl.sampling.max_new_tokens=4"]
    main(["rl", "--model", str(model), "--problems", "p.jsonl", "--reward", "my_rewards.py:f", "--system", "Be good.",
          "--out", "R", *less])  # fmt: skip
    said = capsys.readouterr().err
    assert "defaults for a machine without a GPU" in said and "recipe: R/recipe.py" in said
    [step] = [row for row in lines(tmp_path / "R/rl/metrics.jsonl") if row["kind"] == "train"]
    assert step["unscored"] == 0 and 0 < step["reward_mean"] < 2
    group = lines(tmp_path / "R/rl/rollouts.jsonl")[0]["group"]
    assert group["prompt"].startswith("<system>Be good.<user>") and group["prompt"].endswith("<assistant>")
    tokenizer = load_tokenizer(tmp_path / "R/rl/model")
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "1?"}], tokenize=False)
    assert asked == "<system>Be good.<user>1?", "other tools ask as it was trained"

    made = (tmp_path / "R/rl/manifest.json").read_bytes()
    main(["rl", "R/recipe.py", "--out", "R"])
    assert "finished before, skipped" in capsys.readouterr().err
    assert (tmp_path / "R/rl/manifest.json").read_bytes() == made
    write(tmp_path / "p.jsonl", [*ROWS, {"question": "7 + 7?", "answer": "14"}])
    main(["rl", "R/recipe.py", "--out", "R"])
    assert "content of p.jsonl" in capsys.readouterr().err, "other rows are another training"
    (tmp_path / "my_rewards.py").write_text(REWARDS + "\n# thought about again\n")
    main(["rl", "R/recipe.py", "--out", "R"])
    assert "content of my_rewards.py" in capsys.readouterr().err, "another reward is another training"
    edited = (tmp_path / "R/recipe.py").read_text().replace("num_steps=1", "num_steps=2")
    (tmp_path / "R/recipe.py").write_text(edited)
    main(["rl", "R/recipe.py", "--out", "R"])
    assert len([row for row in lines(tmp_path / "R/rl/metrics.jsonl") if row["kind"] == "train"]) == 2


def test_fine_tuning_on_conversations_takes_passes_and_holds_rows_out(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {"messages": [{"role": "user", "content": r["question"]}, {"role": "assistant", "content": r["answer"]}]}
        for r in ROWS
    ]
    main(["sft", "--model", str(model), "--data", write(tmp_path / "d.jsonl", rows), "--out", "S",
          "--set", "sft.num_epochs=4", "--set", "sft.batch_rows=1", "--set", "sft.context=64"])  # fmt: skip
    manifest = json.loads((tmp_path / "S/sft/manifest.json").read_text())
    assert manifest["summary"]["num_examples"] == 27, "a tenth is held out"
    assert manifest["summary"]["epochs"] >= 4
    losses = [row["heldout_loss"] for row in lines(tmp_path / "S/sft/metrics.jsonl") if "heldout_loss" in row]
    assert losses[-1] < losses[0]


def test_fine_tuning_says_how_the_loss_went_and_warns_of_bare_answers(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["--set", "sft.num_steps=3", "--set", "sft.batch_rows=1", "--set", "sft.context=128",
           "--set", "sft.optimiser.lr=0.01"]  # fmt: skip
    main(["sft", "--model", str(model), "--data", write(tmp_path / "d.jsonl", ROWS), "--out", "S", *few])
    said = " ".join(capsys.readouterr().err.split())
    assert "30 of 30 solutions are a bare answer" in said and "--field solution=NAME" in said
    assert "held-out loss: " in said and "nats a token before" in said
    summary = json.loads((tmp_path / "S/sft/manifest.json").read_text())["summary"]
    assert summary["num_steps"] == 3, "set for the command, before the passes of the recipe that was made"
    assert summary["heldout_loss_after"] < summary["heldout_loss_before"]
    worked = [{**row, "solution": f"It is {row['answer']}, I think."} for row in ROWS]
    main(["sft", "--model", str(model), "--data", write(tmp_path / "w.jsonl", worked), "--out", "W", *few])
    assert "bare answer" not in capsys.readouterr().err


def test_reinforcement_on_few_problems_holds_none_out(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["rl", "--model", str(model), "--problems", write(tmp_path / "p.jsonl", ROWS[:5]), "--out", "R",
          "--set", "rl.num_steps=1", "--set", "rl.problems_per_step=2", "--set", "rl.group_size=2",
          "--set", "rl.sampling.max_new_tokens=4"])  # fmt: skip
    said = " ".join(capsys.readouterr().err.split())
    assert "5 train, 0 test" in said and "step 1 of 1 begins: 2 problems, 2 responses to each" in said
    assert "step 0: no response was right" in said, "a toy never answers right"
    assert "evaluate_every=0, # too few problems to hold any out" in " ".join(
        (tmp_path / "R/recipe.py").read_text().split()
    )


def test_a_reward_model_from_pairs_and_texts_to_train_on(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = [{"query": r["question"], "good": r["answer"], "bad": "no"} for r in ROWS]
    main(["reward", "--model", str(model), "--pairs", write(tmp_path / "pairs.jsonl", pairs), "--out", "W",
          "--field", "prompt=query", "--field", "chosen=good", "--field", "rejected=bad"])  # fmt: skip
    assert (tmp_path / "W/reward/model/model.safetensors").is_file()
    write(tmp_path / "t1.jsonl", [{"text": f"{r['question']} {r['answer']} " * 30} for r in ROWS])
    main(["pretrain", "--model", str(model), "--text", "t*.jsonl", "--out", "P",
          "--set", "pretrain.batch_tokens=1024", "--set", "pretrain.context=64"])  # fmt: skip
    manifest = json.loads((tmp_path / "P/pretrain/manifest.json").read_text())
    assert 0.5 < manifest["summary"]["epochs/texts"] <= 1

    # of the same size as before: no other size or name gives the edit away
    for file, verb, run in (("pairs.jsonl", "reward", "W"), ("t1.jsonl", "pretrain", "P")):
        capsys.readouterr()
        main([verb, f"{run}/recipe.py", "--out", run])
        assert f"{verb}  finished before, skipped" in capsys.readouterr().err
        text = (tmp_path / file).read_text()
        (tmp_path / file).write_text(text.replace("1", "9"))
        main([verb, f"{run}/recipe.py", "--out", run])
        assert "made from other inputs (content of " in capsys.readouterr().err, f"an edited {file} is another training"


def test_evaluation_on_own_problems(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"frage": r["question"], "answer": r["answer"]} for r in ROWS]
    main(["eval", str(model), "--problems", write(tmp_path / "mine.jsonl", rows), "--field", "question=frage",
          "--limit", "3", "--max-new-tokens", "4", "--out", str(tmp_path / "E")])  # fmt: skip
    assert "| mine | cot | 3 |" in capsys.readouterr().out


def test_a_recipe_that_was_edited_is_kept(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mathwright.cli import own
    from mathwright.quick import defaults

    monkeypatch.chdir(tmp_path)
    made = defaults.rl_recipe(this_machine(), name="x", model=str(model), problems="p.jsonl")
    for _ in range(2):
        own.write(made, made.recipe, tmp_path / "R", "rl")
    assert [path.name for path in (tmp_path / "R").iterdir()] == ["recipe.py"]
    (tmp_path / "R/recipe.py").write_text("# mine\n")
    own.write(made, made.recipe, tmp_path / "R", "rl")
    [kept] = [path for path in (tmp_path / "R").iterdir() if path.name != "recipe.py"]
    assert kept.read_text() == "# mine\n"
    assert "was another recipe: it is kept as" in capsys.readouterr().err


# --- from Python ------------------------------------------------------------------------------------


def by_length(problem: Problem, completion: Completion) -> float:
    return float(len(completion.text) % 3)


def test_the_same_from_python(model: Path, tmp_path: Path) -> None:
    settings = {"rl.num_steps": 1, "rl.sampling.max_new_tokens": 4}
    trained = mathwright.rl.train(model, ROWS, reward=by_length, out=tmp_path / "rl", settings=settings)
    assert trained.recipe.template == "tokenizer"
    assert trained.model == tmp_path / "rl/rl/model" and (tmp_path / "rl/recipe.py").is_file()
    texts = mathwright.generate(trained.model, ["1 + 1?", [{"role": "user", "content": "2?"}]], max_new_tokens=3)
    assert len(texts) == 2
    assert mathwright.generate(trained.model, "1 + 1?", max_new_tokens=3) == texts[:1]
    measured = mathwright.evaluate(trained.model, ROWS, limit=4, max_new_tokens=4, out=tmp_path / "eval")
    assert len(measured.records) == 4 and 0 <= measured.accuracy <= 1
    assert (measured.folder / "samples.html").is_file()


def test_a_reward_without_a_name_is_refused(model: Path, tmp_path: Path) -> None:
    unnamed: Callable[..., float] = lambda problem, completion: 1.0  # noqa: E731
    with pytest.raises(mathwright.errors.MathwrightError, match="has no name"):
        mathwright.rl.train(model, ROWS, reward=unnamed, out=tmp_path / "rl")


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, mathwright; from mathwright import rl, sft; assert 'torch' not in sys.modules;"
        "mathwright.rl.train, mathwright.corpus.build, mathwright.evaluate; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
