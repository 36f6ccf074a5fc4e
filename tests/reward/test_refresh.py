"""Going on with a reward model on later samples: what a batch holds, what is remembered, what is refused."""

import collections
import dataclasses
import json
from pathlib import Path

import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.lm import heads
from mathwright.lm.load import load
from mathwright.lm.recipe import OptimiserRecipe, SamplingRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.records import JudgedGroup
from mathwright.reward import refresh as module
from mathwright.reward.examples import Example
from mathwright.reward.recipe import RewardRecipe
from mathwright.reward.refresh import epoch, num_replayed, refresh
from mathwright.run import RunDirectory

RECIPE = RewardRecipe(
    num_problems=8,
    responses_per_problem=4,
    sampling=SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=2),
    num_epochs=3,
    batch_rankings=10,
    micro_batch_tokens=400,
    heldout_share=0.25,
    optimiser=OptimiserRecipe(
        lr=3e-2, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.0, clip_norm=1.0, warmup_steps=0, decay=()
    ),
)
GOOD, BAD = "acegik", "bdfhjl"


def group(name: str, right: str = GOOD, wrong: str = BAD) -> JudgedGroup:
    number = sum(map(ord, name))
    responses = tuple(letters[(number + i) % len(letters)] for i in range(2) for letters in (right, wrong))
    return JudgedGroup(
        problem_id=name,
        prompt=f"{name}:",
        responses=responses,
        correct=(True, False, True, False),
        truncated=(False,) * 4,
    )


def groups(kind: str, number: int, **letters: str) -> list[JudgedGroup]:
    return [group(f"{kind}{i}", **letters) for i in range(number)]


@pytest.fixture(scope="module")
def reward_model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("refresh")
    scratch = ScratchRecipe(vocab_size=259, width=32, num_layers=2, num_heads=2, num_kv_heads=1, ffn_width=64)
    save(from_scratch(scratch, ["abc"], max_length=64, seed=0), folder / "lm")
    save(heads.from_language_model(load(folder / "lm", dtype="float32"), seed=0), folder / "rm")
    return folder / "rm"


def run(path: Path, reward_model: Path, **changes):
    stage = RunDirectory(path, recipe_name="toy", recipe={}).stage("reward")
    arguments = {
        "samples": groups("new", 60),
        "history": groups("old", 200),
        "heldout": groups("held", 20),
        "dtype": "float32",
        "seed": 3,
    }
    recipe = changes.pop("recipe", RECIPE)
    refresh(recipe, stage, reward_model=reward_model, **{**arguments, **changes})
    return stage, json.loads((stage.path / "manifest.json").read_text())["summary"]


def test_it_learns_measures_before_and_after_and_leaves_the_given_model_alone(tmp_path, reward_model):
    before = (reward_model / "model.safetensors").read_bytes()
    stage, found = run(tmp_path / "run", reward_model)
    assert found["heldout_accuracy_after"] > found["heldout_accuracy_before"] + 0.2
    assert found["old_accuracy_after"] > found["old_accuracy_before"]
    assert (found["num_new"], found["num_replayed"], found["num_old"]) == (60, 7, 193)
    assert (reward_model / "model.safetensors").read_bytes() == before
    trained = heads.load(stage.path / "model", dtype="float32")
    scores = [
        score
        for g in groups("held", 20)
        for score in heads.score(trained, [g.prompt] * 4, g.responses, micro_batch_tokens=400)
        if score is not None
    ]
    scale = heads.read_scale(stage.path / "model")
    assert scale.num_responses == 80
    assert scale.mean == pytest.approx(sum(scores) / 80, abs=1e-5)
    standardised = torch.tensor([scale.standardised(score) for score in scores])
    assert standardised.mean().item() == pytest.approx(0, abs=1e-5)
    assert standardised.std().item() == pytest.approx(1, abs=1e-5)


def test_the_rate_is_three_tenths_and_the_epoch_is_one(tmp_path, reward_model):
    stage, _ = run(tmp_path / "run", reward_model)
    steps = [m for m in stage.metrics() if m["kind"] == "train"]
    assert len(steps) == 7  # 67 examples by 10
    assert [m["lr"] for m in steps] == pytest.approx([0.3 * RECIPE.optimiser.lr] * 7)


def example(name: str) -> Example:
    return Example(
        problem_id=name, prompt=name, responses=("a", "b"), ranks=(0, 1), truncated=(False,) * 2, judged=True
    )


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_of_each_batch_a_share_is_replayed_and_nothing_twice(share):
    new, old = [example(f"n{i}") for i in range(90)], [example(f"o{i}") for i in range(500)]
    replayed = old[: num_replayed(len(new), len(old), share, "of_each_batch")]
    steps = epoch(new, replayed, 10, "of_each_batch", seed=0)
    names = [[e.problem_id for e in step] for step in steps]
    counts = collections.Counter(name for step in names for name in step)
    assert set(counts.values()) == {1}
    assert set(counts) == {e.problem_id for e in (*new, *replayed)}
    for step in names:
        assert len(step) <= 11
        assert abs(sum(name.startswith("o") for name in step) - share * len(step)) < 1
    assert names != [[e.problem_id for e in step] for step in epoch(new, replayed, 10, "of_each_batch", seed=1)]
    assert names == [[e.problem_id for e in step] for step in epoch(new, replayed, 10, "of_each_batch", seed=0)]


def test_the_other_reading_adds_a_share_of_the_history():
    assert num_replayed(90, 500, 0.1, "of_each_batch") == 10
    assert num_replayed(90, 500, 0.1, "of_history") == 50
    assert num_replayed(90, 4, 0.1, "of_each_batch") == 4, "a short history is replayed once"
    steps = epoch([example("n")] * 90, [example("o")] * 50, 10, "of_history", seed=0)
    assert sum(map(len, steps)) == 140
    assert [len(step) for step in steps] == [10] * 14


def test_what_is_replayed_is_drawn_uniformly():
    history = [example(f"o{i}") for i in range(10)]
    counts = collections.Counter(e.problem_id for seed in range(600) for e in module._draw(history, 2, seed)[0])
    assert len(counts) == 10
    assert all(80 < count < 160 for count in counts.values())  # 120 expected, deviation 10


def test_replay_keeps_what_was_learnt(tmp_path, reward_model):
    """Later samples of prompts much like the earlier ones teach the opposite; without replay more is unlearned."""
    stage, _ = run(tmp_path / "first", reward_model, samples=groups("old", 200), history=[])
    opposite = groups("old_", 60, right=BAD, wrong=GOOD)
    lost = {
        share: run(tmp_path / str(share), stage.path / "model", samples=opposite, replay_share=share)[1]
        for share in (0.0, 0.75)
    }
    assert lost[0.0]["num_replayed"] == 0
    assert lost[0.75]["old_accuracy_after"] > lost[0.0]["old_accuracy_after"] + 0.1


def test_an_interrupted_refresh_goes_on_to_the_bit(tmp_path, reward_model, monkeypatch):
    recipe = dataclasses.replace(RECIPE, checkpoint_every=2)
    whole, summary = run(tmp_path / "whole", reward_model, recipe=recipe)
    from mathwright.reward import training

    pack, calls = training.pack_rankings, []

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return pack(*arguments)

    monkeypatch.setattr(training, "pack_rankings", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", reward_model, recipe=recipe)
    monkeypatch.setattr(training, "pack_rankings", pack)
    broken, again = run(tmp_path / "broken", reward_model, recipe=recipe)
    assert (broken.path / "model/model.safetensors").read_bytes() == (
        whole.path / "model/model.safetensors"
    ).read_bytes()
    assert again == summary


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replay_share": 1.0}, "share of replay is 1.0"),
        ({"replay_share": -0.1}, "share of replay is -0.1"),
        ({"samples": []}, "0 rankings are too few"),
        ({"samples": [dataclasses.replace(group("n"), correct=(True,) * 4)]}, "0 rankings are too few"),
        ({"samples": [dataclasses.replace(group("n"), correct=(False,) * 4)]}, "0 rankings are too few"),
        ({"samples": groups("held", 3)}, "3 held-out problems are trained on, such as held0"),
        ({"history": groups("held", 3)}, "3 held-out problems are trained on"),
    ],
)
def test_bad_input_is_named(tmp_path, reward_model, changes, message):
    with pytest.raises(MathwrightError, match=message):
        run(tmp_path / "run", reward_model, **changes)
