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
from mathwright.lm.loop import CHECKPOINTS, Training, fit
from mathwright.lm.losses import next_token_loss_sum
from mathwright.lm.model import LanguageModel
from mathwright.lm.save import save
from mathwright.lm.shards import TokenShards
from mathwright.pretrain.bits import Score, mean_bits
from mathwright.pretrain.measures import HELDOUT, NO_QUESTIONS, Measures, Questions, flat, read_scores
from mathwright.pretrain.mixture import MixedRows, Mixture, note_on_weights
from mathwright.pretrain.recipe import PretrainRecipe, check
from mathwright.run import Stage, write_json

SCORES = "scores.json"
"""How well each held-out text and solution is predicted, before and after, in the folder of a training."""


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
    questions: Questions = NO_QUESTIONS,
    more_heldout: Mapping[str, Path] | None = None,
) -> None:
    """Train `model` on the mixture for the token budget; bits per byte of held-out text before and after.

    The score of each held-out document, solution and question goes to `scores.json`; what they are in the mean goes to
    the metrics, as kind "eval", before, after, and `recipe.num_points` times over the training.

    Args:
        model: folder, hub id or wheel of the start model.
        corpora: folder of token shards for each component of `recipe.mixture`, by name.
        heldout: folder of token shards that are not trained on, or None.
        questions: worked solutions and multiple choice that are scored too.
        more_heldout: other folders of held-out shards, each a measure by its name.

    Raises MathwrightError, before the model is loaded or the first step, where there is nothing to train on.
    """
    check(recipe)
    lm = load(str(model), dtype=dtype, device=device)
    shards = {name: _open_shards(path, lm) for name, path in corpora.items()}
    mixture, num_steps = _mixed(recipe, stage, shards, seed=seed)
    tests = ({HELDOUT: heldout} if heldout is not None else {}) | dict(more_heldout or {})
    measures = Measures(
        questions=questions,
        heldout={name: _open_shards(path, lm) for name, path in tests.items()},
        heldout_tokens=recipe.heldout_tokens,
        context=recipe.context,
    )
    before = read_scores(stage.once("scores-before", lambda _: _written(measures.score(lm))))
    after: dict[str, Sequence[Score]] = {}

    def evaluate(step: int) -> dict[str, float]:
        after.update(before if step == 0 else measures.score(lm))
        read = mixture.achieved(step).values()
        return {"tokens": sum(r.tokens for r in read), "bytes": sum(r.bytes for r in read), **flat(after)}

    def loss(lm: LanguageModel, batch: MixedRows) -> tuple[torch.Tensor, dict[str, float]]:
        total, losses = next_token_loss_sum(lm, batch.rows)
        return total / sum(batch.targets_of_step.values()), _loss_by_corpus(losses, batch)

    fit(
        lm,
        stage,
        Training(
            optimiser=recipe.optimiser,
            num_steps=num_steps,
            batches=lambda step: mixture.micro_batches(step, recipe.micro_batch_tokens),
            loss=loss,
            checkpoint_every=recipe.checkpoint_every,
            evaluate=evaluate if measures else None,
            evaluate_every=-(-num_steps // recipe.num_points) if recipe.num_points else 0,
            description="pre-training",
        ),
    )
    if stage.writes:
        write_json(stage.path / SCORES, {"before": _written(before), "after": _written(after)})
    save(lm, stage.path / "model")
    checkpoint.leave(stage.path / CHECKPOINTS, recipe.optimiser, recipe.checkpoint_every)
    summary = _what_was_read(stage, mixture, num_steps)
    if heldout is not None:
        first, last = (mean_bits(found[HELDOUT]) for found in (before, after))
        summary |= {"bits_per_byte_before": first, "bits_per_byte_after": last}
        stage.say(f"held-out mathematics: {first:.3f} bits per byte before, {last:.3f} after")
    stage.finish(outputs={"model": stage.path / "model"}, summary=summary)


def _mixed(
    recipe: PretrainRecipe, stage: Stage, shards: Mapping[str, TokenShards], *, seed: int
) -> tuple[Mixture, int]:
    """The rows of the training, in their order, and its steps; what the recipe asks of them is said."""
    if recipe.num_epochs is not None:
        there = sum(one.num_tokens for one in shards.values())
        recipe = replace(recipe, num_tokens=round(recipe.num_epochs * there))
        stage.say(f"{recipe.num_epochs:g} pass{'' if recipe.num_epochs == 1 else 'es'} over {there:,} tokens")
    num_steps = max(1, recipe.num_tokens // recipe.batch_tokens)
    mixture = Mixture(recipe, shards, num_steps=num_steps, seed=seed)
    stage.say(mixture.describe())
    for warning in filter(None, (note_on_weights(recipe), *mixture.warnings())):
        stage.warn(warning)
    return mixture, num_steps


def _what_was_read(stage: Stage, mixture: Mixture, num_steps: int) -> dict[str, Any]:
    """Tokens, bytes and epochs of each corpus, for the summary."""
    achieved = mixture.achieved(num_steps)
    each = (
        f"{name} {found.tokens:,} tokens, {found.bytes:,} bytes, {found.epochs:.2f} epochs"
        for name, found in achieved.items()
    )
    stage.say(f"read: {', '.join(each)}")
    return {
        "num_steps": num_steps,
        "num_tokens": sum(found.tokens for found in achieved.values()),
        **{f"{what}/{name}": value for name, found in achieved.items() for what, value in asdict(found).items()},
    }


def _written(scores: Mapping[str, Sequence[Any]]) -> dict[str, list[dict[str, Any]]]:
    """Scores as they are kept in files."""
    return {name: [asdict(score) for score in own] for name, own in scores.items()}


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
    for name, own in zip(batch.corpora, losses.split(list(batch.targets)), strict=True):
        if len(own):
            parts[f"loss/{name}"] += float(own.sum()) / batch.targets_of_step[name]
    return parts
