"""The recipes of Tables 1, 6, 7 and 8: they say what the paper says, plan, and run a step at the size of a test."""

from pathlib import Path

import pytest

from mathwright import recipes
from mathwright.chain.run import Chain
from mathwright.cli import main
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.pretrain.comparison import arms, components, trainings
from mathwright.pretrain.mixture import shares
from mathwright.recipe import Recipe, override
from mathwright.run import read_manifest
from tests.chain.compare_worker import SIZES, TEXTS, write_texts

NAMES = ("deepseekmath_1p3b_compare", "deepseekmath_1p3b_code", "deepseekmath_1p3b_arxiv", "deepseekmath_7b_arxiv")
BILLION = 10**9


def built(name: str) -> Recipe:
    return recipes.build(name)


def test_table_1_has_four_corpora_and_none_each_trained_for_the_papers_steps() -> None:
    part = built("deepseekmath_1p3b_compare").compare
    assert part is not None and part.with_start
    assert {arm.name for arm in arms(part)} == {"mathpile", "openwebmath", "proof_pile_2", "mined"}
    assert part.training.num_tokens // part.training.batch_tokens == 37_500
    (proof_pile,) = part.arms
    assert shares(proof_pile.mixture) == pytest.approx([2 / 7, 4 / 7, 1 / 7])


def test_tables_6_and_7_train_each_first_stage_once_and_judge_with_tools_and_without() -> None:
    part = built("deepseekmath_1p3b_code").compare
    assert part is not None
    todo = {t.name: t for t in trainings(part, 0)}
    assert {name: t.num_tokens // BILLION for name, t in todo.items()} == {
        "general": 400, "general_then_math": 150, "code": 400, "code_then_math": 150, "math": 150, "code_and_math": 550,
    }  # fmt: skip
    assert (todo["code_then_math"].start, todo["general_then_math"].start) == ("code", "general")
    assert shares(todo["code_and_math"].arm.mixture) == pytest.approx([400 / 550, 150 / 550])
    assert {"gsm8k", "gsm8k:pot", "mmlu", "bbh", "humaneval", "mbpp"} <= set(part.tasks or ())


def test_table_8_is_two_models() -> None:
    small, large = (built(name).compare for name in NAMES[2:])
    assert small is not None and large is not None
    assert (small.training.num_tokens, large.training.num_tokens) == (150 * BILLION, 40 * BILLION)
    assert small.corpora == large.corpora and small.tasks == large.tasks


def test_process_supervision_is_the_same_recipe_with_a_reward_model_of_steps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, process = built("deepseekmath_7b"), built("deepseekmath_7b_process")
    assert process.rl is not None and process.reward is not None and whole.rl is not None
    assert (process.rl.method, process.rl.step_reward, process.rl.process_credit) == ("grpo_process", "model", "sum")
    assert (process.reward.kind, process.reward.process.labels, process.reward.process.num_completions) == (
        "process", "hard", 8,
    )  # fmt: skip
    assert process.rl.num_steps == whole.rl.num_steps * whole.rl.iterations
    assert (process.corpus, process.pretrain, process.sft) == (whole.corpus, whole.pretrain, whole.sft)
    main(["run", "deepseekmath_7b_process", "--dry-run", "--gpus", "512"])
    said = capsys.readouterr().out
    assert f"{process.rl.num_steps:,}" in said and "completion" in said


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_says_steps_memory_and_time(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", name, "--dry-run", "--gpus", "64"])
    said = capsys.readouterr().out
    part = built(name).compare
    assert part is not None
    steps = sum(t.num_tokens // part.training.batch_tokens for t in trainings(part, 0))
    assert f"{steps:,}" in said and "GiB per GPU" in said
    assert all(component.path in said for component in components(part).values())


@pytest.mark.parametrize("name", NAMES)
def test_a_step_of_each_training_at_toy_size(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lm = from_scratch(SIZES, TEXTS, max_length=128, seed=0)
    save(lm, tmp_path / "start")
    part = built(name).compare
    assert part is not None
    for component in components(part).values():
        write_texts(Path(component.path), lm, TEXTS[::4])
        write_texts(Path(component.path).parent / "heldout", lm, TEXTS[1:4])
    toy = {"num_tokens": 256, "batch_tokens": 256, "micro_batch_tokens": 256, "context": 64, "num_points": 0}
    settings = [f"compare.training.{key}={value}" for key, value in toy.items()]
    settings += [f"compare.arms.{i}.num_tokens=256" for i in range(len(part.arms)) if part.arms[i].num_tokens]
    recipe = override(
        built(name),
        [
            f"model.source={tmp_path / 'start'}", "model.dtype=float32",
            "compare.tasks=null", "compare.choices=null", *settings,
        ],
    )  # fmt: skip
    Chain(recipe, tmp_path / "run").run()
    manifest = read_manifest(tmp_path / "run" / "compare")
    assert manifest is not None
    table = manifest["summary"]["table"]
    assert [row["corpus"] for row in table] == [*(arm.name for arm in arms(part)), "none"]
    assert all(row["num_tokens"] == 256 for row in table[:-1])
    own = {f"held-out {component.name}" for arm in arms(part) for component in arm.mixture}
    assert set(table[0]["measures"]) == own
