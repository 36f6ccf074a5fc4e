"""A whole chain with PPO and with iterations: what one stage leaves, the next one finds."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from mathwright.chain.run import Chain
from mathwright.recipe import Recipe, override
from mathwright.run import read_manifest, read_metrics
from tests.small_run import recipe, write_recipe

SETTINGS = [
    "sft.num_steps=60", "reward.num_problems=12", "reward.responses_per_problem=8",
    "reward.sampling.max_new_tokens=16", "rl.sampling.max_new_tokens=16", "rl.extra_rewards=[]",
]  # fmt: skip


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    """A recipe, and a run of it that has come to its end."""
    folder = tmp_path_factory.mktemp("small")
    write_recipe(folder)
    whole = override(recipe(folder), SETTINGS)
    Chain(whole, folder / "run").run()
    return whole, folder / "run"


@pytest.mark.parametrize(
    ("settings", "outputs", "iterations"),
    [
        (["rl.method=ppo"], {"value_model"}, 1),
        (["rl.method=ppo", "rl.value_init=policy", "rl.value_gate=ev", "rl.value_warmup_steps=1"], {"value_model"}, 1),
        (["rl.reward=model", "rl.iterations=2"], {"reward_model"}, 2),
        (["rl.method=ppo", "rl.reward=model", "rl.iterations=2"], {"reward_model", "value_model"}, 2),
    ],
    ids=["ppo", "ppo from the policy", "iterations", "ppo in iterations"],
)
def test_ppo_and_iterations_go_on_from_the_same_stages(
    begun: tuple[Recipe, Path], tmp_path: Path, settings: list[str], outputs: set[str], iterations: int
) -> None:
    whole, finished = begun
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    before = {name: (run / name / "manifest.json").read_bytes() for name in ("sft", "reward")}
    changed = override(whole, settings)
    Chain(changed, run).run()
    assert all((run / name / "manifest.json").read_bytes() == was for name, was in before.items()), "nothing is remade"
    manifest = read_manifest(run / "rl")
    assert manifest is not None
    assert set(manifest["outputs"]) == {"model", "rollouts"} | outputs
    assert all((run / path).exists() for path in manifest["outputs"].values())
    assert changed.rl is not None
    steps = [m for m in read_metrics(run / "rl") if m.get("kind") == "train"]
    assert [m["iteration"] for m in steps] == sorted(changed.rl.num_steps * [*range(1, iterations + 1)])
    assert all(("explained_variance" in m) == (changed.rl.method == "ppo") for m in steps)
    if changed.rl.method == "ppo":
        _the_values_learned_from_the_samples_of_the_reward_stage(run / "rl")
    marks = {path: path.stat().st_mtime_ns for path in run.rglob("manifest.json")}
    Chain(changed, run).run()
    assert marks == {path: path.stat().st_mtime_ns for path in run.rglob("manifest.json")}, "it had finished"


def _the_values_learned_from_the_samples_of_the_reward_stage(folder: Path) -> None:
    value = folder / "value" if (folder / "value").is_dir() else folder / "iteration_1" / "value"
    rows: list[dict[str, Any]] = list(read_metrics(value))
    assert [m for m in rows if m["kind"] == "train"]
    assert "explained_variance" in [m for m in rows if m["kind"] == "eval"][-1]


@pytest.mark.parametrize(
    ("settings", "warned_of"),
    [
        (["rl.mode=cot", "rl.reward=model", "rl.method=ppo"], ""),
        (["rl.mode=tool"], ""),
        (["rl.mode=tool", "rl.reward=model"], "the reward model"),
        (["rl.mode=tool", "rl.method=ppo"], "what the value model begins with"),
        (
            ["rl.mode=tool", "rl.method=ppo", "rl.reward=model"],
            "the reward model and what the value model begins with",
        ),
    ],
    ids=["alike", "nothing learned", "reward", "values", "both"],
)
def test_what_was_learned_from_other_responses_than_rl_samples_is_warned_about(
    begun: tuple[Recipe, Path], tmp_path: Path, settings: list[str], warned_of: str
) -> None:
    whole, finished = begun
    shutil.copytree(finished, tmp_path / "run")
    Chain(override(whole, [*settings, "rl.num_steps=1"]), tmp_path / "run").run()
    manifest = read_manifest(tmp_path / "run/rl")
    assert manifest is not None
    said = [warning for warning in manifest["warnings"] if "reward.mode" in warning]
    tail = "comes from responses of mode cot: set reward.mode=tool"
    assert said == ([f"rl.mode is tool, but {warned_of} {tail}"] if warned_of else [])
