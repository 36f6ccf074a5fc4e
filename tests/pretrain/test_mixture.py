"""A mixture: what is read of each corpus, in an order of its own, and what is said of numbers that do not fit."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from mathwright.errors import MathwrightError
from mathwright.lm.logprobs import next_token_losses
from mathwright.lm.model import LanguageModel
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.lm.shards import ShardWriter, TokenShards
from mathwright.pretrain import training
from mathwright.pretrain.mixture import Mixture, note_on_weights, shares
from mathwright.pretrain.recipe import MixtureRecipe, PretrainRecipe
from mathwright.run import RunDirectory, read_manifest, read_metrics
from tests.pretrain.test_train import SIZES, TEXTS, recipe, write_shards


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return from_scratch(SIZES, TEXTS, max_length=128, seed=0)


def component(name: str, weight: float = 0.0, tokens: int | None = None) -> MixtureRecipe:
    return MixtureRecipe(name=name, path="", weight=weight, tokens=tokens)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory, lm: LanguageModel) -> dict[str, TokenShards]:
    folder = tmp_path_factory.mktemp("corpora")
    texts = {"a": TEXTS, "b": [t.upper() for t in TEXTS], "c": [t[::-1] for t in TEXTS]}
    return {name: write_shards(folder / name, lm, own) for name, own in texts.items()}


def read_of(mixture: Mixture, name: str) -> list[tuple[int, ...]]:
    number = mixture.names.index(name)
    rows = [
        row
        for step in range(mixture.num_steps)
        for corpus, row in zip(mixture.corpora(step), mixture.rows(step), strict=True)
        if corpus == number
    ]
    return [tuple(row.tolist()) for row in rows]


def test_changing_one_corpus_leaves_the_order_of_the_others_alone(corpora: dict[str, TokenShards]) -> None:
    """Other shares, another corpus in front, another name: each corpus is read in its own order as far as it goes."""
    mixtures = [
        (component("a", 0.5), component("b", 0.5)),
        (component("c", 0.2), component("a", 0.3), component("b", 0.5)),
        (component("b", 0.9), component("a", 0.1)),
    ]
    found = [Mixture(recipe(*parts), corpora, num_steps=60, seed=3) for parts in mixtures]
    for name in ("a", "b"):
        orders = [read_of(mixture, name) for mixture in found]
        shortest = min(map(len, orders))
        assert shortest > 30
        assert all(order[:shortest] == orders[0][:shortest] for order in orders)
    assert read_of(found[0], "a")[:9] != read_of(Mixture(recipe(*mixtures[0]), corpora, num_steps=60, seed=4), "a")[:9]


def test_tokens_in_place_of_weights_are_what_is_read(corpora: dict[str, TokenShards]) -> None:
    part = recipe(component("a", tokens=9 * 512), component("b", tokens=3 * 512), num_tokens=12 * 512)
    found = Mixture(part, corpora, num_steps=12, seed=0).achieved(12)
    assert found["a"].tokens == pytest.approx(9 * 512, abs=64)
    assert found["b"].epochs == found["b"].tokens / corpora["b"].num_tokens
    assert found["b"].bytes == pytest.approx(
        found["b"].tokens * corpora["b"].num_bytes / corpora["b"].num_tokens, abs=1
    )
    assert note_on_weights(part) == ""
    more = dataclasses.replace(part, num_tokens=24 * 512)
    assert note_on_weights(more) == (
        "the token counts of the mixture sum to 6,144, not 12,288: they are taken as shares of their sum"
    )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((component("a", 0.0),), "weight is not positive: 0 of 'a'"),
        ((component("a", 1.0), component("b", -0.5)), "weight is not positive: -0.5 of 'b'"),
        ((component("a", float("nan")),), "weight is not positive"),
        ((component("a", tokens=0),), "token count is not positive"),
        ((component("a", tokens=5), component("b", 0.5)), "corpus 'b' has no token count"),
        ((component("a", 0.5), component("a", 0.5)), "two corpora called 'a'"),
    ],
)
def test_shares_that_are_none_are_refused(parts: tuple[MixtureRecipe, ...], message: str) -> None:
    with pytest.raises(MathwrightError, match=message):
        shares(parts)


def test_weights_that_do_not_sum_to_one_are_said_and_taken_as_shares() -> None:
    assert shares((component("a", 3), component("b", 1))) == [0.75, 0.25]
    assert "weights of the mixture sum to 4, not 1" in note_on_weights(recipe(component("a", 3), component("b", 1)))
    assert note_on_weights(recipe(component("a", 0.3), component("b", 0.7))) == ""


def test_more_than_four_epochs_are_warned_of(corpora: dict[str, TokenShards]) -> None:
    part = recipe(component("a", 0.9), component("b", 0.1))
    steps = 5 * corpora["a"].num_tokens // 512
    (warning,) = Mixture(part, corpora, num_steps=steps, seed=0).warnings()
    assert warning.startswith("a is read 4.") and "beyond 4 epochs" in warning
    assert Mixture(part, corpora, num_steps=steps // 2, seed=0).warnings() == []


def test_documents_of_a_row_do_not_see_each_other(lm: LanguageModel, corpora: dict[str, TokenShards]) -> None:
    """By document, the loss of each token is that of its document alone; the first of each is not trained."""
    part = dataclasses.replace(recipe(component("a", 1.0)), attention="document")
    mixture = Mixture(part, corpora, num_steps=1, seed=0)
    (batch, *_) = mixture.micro_batches(0, 64)
    row, eos = mixture.rows(0)[0], corpora["a"].eos_token
    with torch.no_grad():
        losses = next_token_losses(lm, batch.rows)
        expected = []
        ends = [*(np.flatnonzero(row == eos) + 1).tolist(), len(row)]
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            piece = torch.as_tensor(row[start:end])
            if len(piece) > 1:
                logits = lm.model(piece[None]).logits[0].log_softmax(-1)
                expected += [-float(logits[i, piece[i + 1]]) for i in range(len(piece) - 1)]
    assert len(expected) < 64
    assert batch.targets == (len(expected),)
    torch.testing.assert_close(losses, torch.tensor(expected), rtol=1e-4, atol=1e-4)


def trained(tmp_path: Path, lm: LanguageModel, part: PretrainRecipe) -> Path:
    names = [c.name for c in part.mixture]
    for name in names:
        write_shards(tmp_path / name, lm, TEXTS if name == "a" else [t.upper() for t in TEXTS])
    save(lm, tmp_path / "model")
    stage = RunDirectory(tmp_path / "run", recipe_name="t", recipe={}).stage("pretrain")
    corpora = {name: tmp_path / name for name in names}
    training.run(part, stage, model=tmp_path / "model", corpora=corpora, heldout=None, dtype="float32", seed=0)
    return stage.path


def test_the_loss_of_a_step_is_the_mean_over_its_corpora_which_are_logged(tmp_path: Path, lm: LanguageModel) -> None:
    part = recipe(component("a", 0.75), component("b", 0.25), num_tokens=6 * 512)
    path = trained(tmp_path, lm, part)
    shards = {name: TokenShards(tmp_path / name) for name in ("a", "b")}
    mixture = Mixture(part, shards, num_steps=6, seed=0)
    rows = [m for m in read_metrics(path) if m["kind"] == "train"]
    assert len(rows) == 6
    for step, row in enumerate(rows):
        counts = [mixture.corpora(step).count(c) for c in (0, 1)]
        assert row["loss"] == pytest.approx(
            (counts[0] * row["loss/a"] + counts[1] * row["loss/b"]) / sum(counts), rel=1e-5
        )
    manifest = read_manifest(path)
    assert manifest is not None
    for name, found in mixture.achieved(6).items():
        for what, value in dataclasses.asdict(found).items():
            assert manifest["summary"][f"{what}/{name}"] == value
    assert rows[-1]["loss/a"] != rows[-1]["loss/b"]


def test_shards_of_another_tokenizer_are_refused(tmp_path: Path, lm: LanguageModel) -> None:
    with ShardWriter(tmp_path / "a", vocab_size=len(lm.tokenizer) - 1, eos_token=1) as writer:
        writer.write([5] * 500, num_bytes=500)
    save(lm, tmp_path / "model")
    stage = RunDirectory(tmp_path / "run", recipe_name="t", recipe={}).stage("pretrain")
    with pytest.raises(MathwrightError, match="tokens of another tokenizer"):
        training.run(
            recipe(component("a", 1.0)), stage, model=tmp_path / "model", corpora={"a": tmp_path / "a"}, heldout=None,
            dtype="float32", seed=0,
        )  # fmt: skip
