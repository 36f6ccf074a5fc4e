"""Pre-training: the mixture is the recipe's, bits per byte are as defined, and text is learned."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.lm.load import load
from mathwright.lm.model import LanguageModel
from mathwright.lm.recipe import OptimiserRecipe, ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.shards import ShardWriter, TokenShards
from mathwright.lm.tokenise import encode
from mathwright.pretrain import training
from mathwright.pretrain.recipe import MixtureRecipe, PretrainRecipe
from mathwright.run import RunDirectory, read_manifest
from mathwright.run.affects import leaves

ADAMW = OptimiserRecipe(
    lr=3e-3, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, clip_norm=1.0, warmup_steps=2, decay=((0.8, 0.316),)
)
SIZES = ScratchRecipe(vocab_size=400, width=32, num_layers=2, num_heads=2, num_kv_heads=1, ffn_width=64)
TEXTS = [f"The sum of {a} and {b} is {a + b}, and their product is {a * b}." for a in range(12) for b in range(12)]


def recipe(*mixture: MixtureRecipe, num_tokens: int = 12_288) -> PretrainRecipe:
    return PretrainRecipe(
        mixture=mixture,
        num_tokens=num_tokens,
        batch_tokens=512,
        micro_batch_tokens=256,
        context=64,
        optimiser=ADAMW,
        heldout_tokens=1_000,
        checkpoint_every=7,
    )


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return from_scratch(SIZES, TEXTS, max_length=128, seed=0)


def write_shards(folder: Path, lm: LanguageModel, texts: list[str]) -> TokenShards:
    with ShardWriter(folder, vocab_size=len(lm.tokenizer), eos_token=lm.tokenizer.eos_token_id) as writer:
        for text in texts:
            writer.write(encode(lm.tokenizer, text), num_bytes=len(text.encode()))
    return TokenShards(folder)


def test_every_window_of_a_corpus_comes_once_before_any_comes_again(tmp_path: Path, lm: LanguageModel) -> None:
    shards = write_shards(tmp_path / "a", lm, TEXTS)
    mixture = training.Mixture(recipe(MixtureRecipe(name="a", path="", weight=1)), {"a": shards}, num_steps=40, seed=3)
    rows = [tuple(row) for step in range(40) for row in mixture.rows(step)]
    num_windows = (shards.num_tokens - 1) // 64
    assert len(rows) > num_windows
    assert len(set(rows[:num_windows])) == num_windows
    assert set(rows[num_windows : 2 * num_windows]) <= set(rows[:num_windows])
    assert rows[:num_windows] != sorted(rows[:num_windows])
    assert all(len(row) == 65 for row in rows)


def test_shares_of_the_mixture_and_rows_do_not_depend_on_what_was_read_before(
    tmp_path: Path, lm: LanguageModel
) -> None:
    a, b = write_shards(tmp_path / "a", lm, TEXTS), write_shards(tmp_path / "b", lm, [t.upper() for t in TEXTS])
    parts = (MixtureRecipe(name="a", path="", weight=3), MixtureRecipe(name="b", path="", weight=1))
    mixture = training.Mixture(recipe(*parts), {"a": a, "b": b}, num_steps=500, seed=0)
    for steps in (1, 17, 500):  # in every stretch of the training
        found = mixture.achieved(steps)
        assert found["a"].tokens == pytest.approx(0.75 * steps * 512, abs=3 * 64)
        assert found["a"].tokens + found["b"].tokens == steps * 512
    fresh = training.Mixture(recipe(*parts), {"a": a, "b": b}, num_steps=500, seed=0)
    for step in (0, 1, 2, 123):
        mixture.rows(step)
    np.testing.assert_array_equal(mixture.rows(124), fresh.rows(124))


def test_training_lowers_the_bits_per_byte_of_text_like_it(tmp_path: Path, lm: LanguageModel) -> None:
    write_shards(tmp_path / "train", lm, TEXTS[::2] * 3)
    write_shards(tmp_path / "held", lm, TEXTS[1::2])
    save(lm, tmp_path / "model")
    stage = RunDirectory(tmp_path / "run", recipe_name="t", recipe={}).stage("pretrain")
    training.run(
        recipe(MixtureRecipe(name="text", path="", weight=1)),
        stage,
        model=tmp_path / "model",
        corpora={"text": tmp_path / "train"},
        heldout=tmp_path / "held",
        dtype="float32",
        seed=0,
    )
    manifest = read_manifest(stage.path)
    assert manifest is not None
    summary = manifest["summary"]
    assert summary["num_steps"] == 24
    assert summary["bits_per_byte_after"] < 0.75 * summary["bits_per_byte_before"]
    assert (stage.path / "model" / "model.safetensors").is_file()


def test_a_corpus_shorter_than_a_row_is_refused(tmp_path: Path, lm: LanguageModel) -> None:
    shards = write_shards(tmp_path / "a", lm, ["1 + 1"])
    with pytest.raises(MathwrightError, match="less than one row"):
        training.Mixture(recipe(MixtureRecipe(name="a", path="", weight=1)), {"a": shards}, num_steps=1, seed=0)


def test_a_larger_token_budget_goes_on_to_the_bit(tmp_path: Path, lm: LanguageModel) -> None:
    """Two corpora, so that which row comes from which must not depend on the budget."""
    save(lm, tmp_path / "start")
    write_shards(tmp_path / "a", lm, TEXTS)
    write_shards(tmp_path / "b", lm, [text.upper() for text in TEXTS])
    parts = [MixtureRecipe(name="a", path="", weight=2), MixtureRecipe(name="b", path="", weight=1)]
    constant = dataclasses.replace(ADAMW, decay=())

    def trained(run: Path, num_tokens: int) -> dict[str, torch.Tensor]:
        part = dataclasses.replace(recipe(*parts, num_tokens=num_tokens), optimiser=constant)
        growing = {leaf.path for leaf in leaves(part) if leaf.grows}
        stage = RunDirectory(run, recipe_name="t", recipe={}).stage("pretrain", part, growing=growing)
        corpora = {name: tmp_path / name for name in ("a", "b")}
        training.run(
            part, stage, model=tmp_path / "start", corpora=corpora, heldout=tmp_path / "a", dtype="float32", seed=0
        )
        return load(stage.path / "model", dtype="float32").model.state_dict()

    trained(tmp_path / "grown", 4 * 512)
    grown, at_once = trained(tmp_path / "grown", 7 * 512), trained(tmp_path / "at_once", 7 * 512)
    assert len(list((tmp_path / "grown").glob("pretrain.*/model"))) == 1
    assert all(torch.equal(value, at_once[name]) for name, value in grown.items())
    summaries = [read_manifest(tmp_path / run / "pretrain") for run in ("grown", "at_once")]
    assert summaries[0] is not None and summaries[1] is not None
    assert summaries[0]["summary"] == summaries[1]["summary"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_tokens": 0}, "pretrain.num_tokens is 0"),
        ({"batch_tokens": 0}, "pretrain.batch_tokens is 0"),
        ({"mixture": ()}, "pretrain.mixture is empty"),
        ({"optimiser": dataclasses.replace(ADAMW, lr=0.0)}, "nothing would be trained"),
    ],
)
def test_a_budget_that_trains_nothing_is_refused_before_the_model_is_opened(tmp_path: Path, changes, message) -> None:
    wrong = dataclasses.replace(recipe(MixtureRecipe(name="a", path="", weight=1)), **changes)
    stage = RunDirectory(tmp_path / "run", recipe_name="t", recipe={}).stage("pretrain")
    with pytest.raises(MathwrightError, match=message):
        training.run(wrong, stage, model=tmp_path / "no model", corpora={}, heldout=None, dtype="float32", seed=0)
