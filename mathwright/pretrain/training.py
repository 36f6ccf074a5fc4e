"""Continued pre-training on a mixture of token shards (§2.2-2.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint
from mathwright.lm.load import load
from mathwright.lm.logprobs import next_token_losses
from mathwright.lm.loop import CHECKPOINTS, Training, fit
from mathwright.lm.model import LanguageModel
from mathwright.lm.save import save
from mathwright.lm.shards import TokenShards
from mathwright.pretrain.bits import TextScore, mean_bits, score_documents
from mathwright.pretrain.mixture import MixedRows, Mixture, note_on_weights
from mathwright.pretrain.recipe import PretrainRecipe, check
from mathwright.pretrain.targets import Target, score_targets
from mathwright.run import Stage, write_json

SCORES = "scores.json"
"""How well each held-out text and solution is predicted, before and after, in the folder of a training."""
HELDOUT = "held-out"


def run(
    recipe: PretrainRecipe,
    stage: Stage,
    *,
    model: str | Path,
    corpora: Mapping[str, Path],
    heldout: Path | None,
    dtype: str,
    seed: int,
    device: str = "cpu",
    targets: Mapping[str, Sequence[Target]] | None = None,
) -> None:
    """Train `model` on the mixture for the token budget; bits per byte of held-out text before and after.

    The score of each held-out document and solution goes to `scores.json`.

    Args:
        model: folder, hub id or wheel of the start model.
        corpora: folder of token shards for each component of `recipe.mixture`, by name.
        heldout: folder of token shards that are not trained on, or None.
        targets: worked solutions, by name, that are scored before and after too.

    Raises MathwrightError, before the model is loaded or the first step, where there is nothing to train on.
    """
    check(recipe)
    lm = load(str(model), dtype=dtype, device=device)
    shards = {name: _open_shards(path, lm) for name, path in corpora.items()}
    if recipe.num_epochs is not None:
        there = sum(one.num_tokens for one in shards.values())
        recipe = replace(recipe, num_tokens=round(recipe.num_epochs * there))
        stage.say(f"{recipe.num_epochs:g} passes over {there:,} tokens")
    num_steps = max(1, recipe.num_tokens // recipe.batch_tokens)
    mixture = Mixture(recipe, shards, num_steps=num_steps, seed=seed)
    stage.say(mixture.describe())
    for warning in filter(None, (note_on_weights(recipe), *mixture.warnings())):
        stage.warn(warning)
    test = _open_shards(heldout, lm) if heldout is not None else None

    def measure() -> dict[str, list[dict[str, Any]]]:
        scores = {name: score_targets(lm, own, context=recipe.context) for name, own in (targets or {}).items()}
        if test is not None:
            scores[HELDOUT] = list(score_documents(lm, test, context=recipe.context, max_tokens=recipe.heldout_tokens))
        return {name: [asdict(score) for score in own] for name, own in scores.items()}

    before = stage.once("scores-before", lambda _: measure())

    def loss(lm: LanguageModel, batch: MixedRows) -> tuple[torch.Tensor, dict[str, float]]:
        losses = next_token_losses(lm, batch.rows)
        return losses.sum() / sum(batch.targets_of_step.values()), _loss_by_corpus(losses, batch)

    fit(
        lm,
        stage,
        Training(
            optimiser=recipe.optimiser,
            num_steps=num_steps,
            batches=lambda step: mixture.micro_batches(step, recipe.micro_batch_tokens),
            loss=loss,
            checkpoint_every=recipe.checkpoint_every,
            description="pre-training",
        ),
    )
    after = measure()
    if stage.writes:
        write_json(stage.path / SCORES, {"before": before, "after": after})
    save(lm, stage.path / "model")
    checkpoint.leave(stage.path / CHECKPOINTS, recipe.optimiser, recipe.checkpoint_every)
    achieved = mixture.achieved(num_steps)
    summary: dict[str, Any] = {
        "num_steps": num_steps,
        "num_tokens": sum(found.tokens for found in achieved.values()),
        **{f"{what}/{name}": value for name, found in achieved.items() for what, value in asdict(found).items()},
    }
    stage.say(
        "read: "
        + ", ".join(
            f"{name} {found.tokens:,} tokens, {found.bytes:,} bytes, {found.epochs:.2f} epochs"
            for name, found in achieved.items()
        )
    )
    if test is not None:
        bits = {
            f"bits_per_byte_{when}": _mean_bits(found[HELDOUT])
            for when, found in (("before", before), ("after", after))
        }
        summary |= bits
        first, last = bits.values()
        stage.say(f"held-out mathematics: {first:.3f} bits per byte before, {last:.3f} after")
    stage.finish(outputs={"model": stage.path / "model"}, summary=summary)


def _mean_bits(scores: Sequence[Mapping[str, Any]]) -> float:
    return mean_bits([TextScore(**score) for score in scores])


def _open_shards(path: Path, lm: LanguageModel) -> TokenShards:
    """Shards of the model's own tokens. Raises MathwrightError where they are another tokenizer's."""
    shards = TokenShards(path)
    size, eos = len(lm.tokenizer), lm.tokenizer.eos_token_id
    if (shards.vocab_size, shards.eos_token) != (size, eos):
        raise MathwrightError(
            f"{path}: tokens of another tokenizer ({shards.vocab_size:,} in the vocabulary, end token "
            f"{shards.eos_token}; the model's has {size:,}, {eos})",
            hint="tokenise the corpus with the tokenizer of this model",
        )
    return shards


def _loss_by_corpus(losses: torch.Tensor, batch: MixedRows) -> dict[str, float]:
    """What a micro-batch adds to the mean loss of each corpus in its step; losses [N] in the order of the rows."""
    if len(batch.targets_of_step) < 2:
        return {}
    parts = {f"loss/{name}": 0.0 for name, count in batch.targets_of_step.items() if count}
    for name, own in zip(batch.corpora, losses.detach().split(list(batch.targets)), strict=True):
        if len(own):
            parts[f"loss/{name}"] += float(own.sum()) / batch.targets_of_step[name]
    return parts
