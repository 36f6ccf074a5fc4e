"""Continued pre-training on a mixture of token shards (§2.2-2.3)."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from mathwright.errors import MathwrightError
from mathwright.lm import checkpoint
from mathwright.lm.load import load
from mathwright.lm.logprobs import next_token_losses
from mathwright.lm.loop import CHECKPOINTS, Training, fit
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import Example, PackedRows, pack_examples
from mathwright.lm.save import save
from mathwright.lm.shards import TokenShards
from mathwright.pretrain.recipe import PretrainRecipe, check
from mathwright.run import Stage


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
) -> None:
    """Train `model` on the mixture for the token budget; bits per byte of held-out text before and after.

    Args:
        model: folder, hub id or wheel of the start model.
        corpora: folder of token shards for each component of `recipe.mixture`, by name.
        heldout: folder of token shards that are not trained on, or None.

    Raises MathwrightError, before the model is loaded or the first step, where there is nothing to train on.
    """
    check(recipe)
    lm = load(str(model), dtype=dtype, device=device)
    num_steps = max(1, recipe.num_tokens // recipe.batch_tokens)
    shards = {name: TokenShards(path) for name, path in corpora.items()}
    mixture = Mixture(recipe, shards, num_steps=num_steps, seed=seed)
    stage.say(mixture.describe())
    test = TokenShards(heldout) if heldout is not None else None

    def measure(step: int) -> dict[str, float]:
        assert test is not None
        value = bits_per_byte(lm, test, context=recipe.context, max_tokens=recipe.heldout_tokens)
        return {"heldout_bits_per_byte": value}

    before = stage.once("before", lambda _: measure(0)) if test is not None else {}

    def batches(step: int) -> list[PackedRows]:
        return _micro_batches(mixture.rows(step), recipe.micro_batch_tokens)

    num_targets = mixture.rows_per_batch * recipe.context

    def loss(lm: LanguageModel, rows: PackedRows) -> tuple[torch.Tensor, dict[str, float]]:
        return next_token_losses(lm, rows).sum() / num_targets, {}

    fit(
        lm,
        stage,
        Training(
            optimiser=recipe.optimiser,
            num_steps=num_steps,
            batches=batches,
            loss=loss,
            checkpoint_every=recipe.checkpoint_every,
            description="pre-training",
        ),
    )
    after = measure(num_steps) if test is not None else {}
    save(lm, stage.path / "model")
    checkpoint.leave(stage.path / CHECKPOINTS, recipe.optimiser, recipe.checkpoint_every)
    summary: dict[str, float | int] = {"num_steps": num_steps, "num_tokens": num_steps * num_targets}
    if test is not None:
        summary |= {
            "bits_per_byte_before": before["heldout_bits_per_byte"],
            "bits_per_byte_after": after["heldout_bits_per_byte"],
        }
        stage.say(
            f"held-out mathematics: {before['heldout_bits_per_byte']:.3f} bits per byte before, "
            f"{after['heldout_bits_per_byte']:.3f} after"
        )
    stage.finish(outputs={"model": stage.path / "model"}, summary=summary)


class Mixture:
    """Rows of `context` + 1 tokens drawn from several corpora in given shares, each row a pure function of its number.

    A corpus is cut into windows, which come in a seeded random order, all of them once before any comes again.
    """

    def __init__(self, recipe: PretrainRecipe, shards: Mapping[str, TokenShards], *, num_steps: int, seed: int) -> None:
        self.context = recipe.context
        self.names = [component.name for component in recipe.mixture]
        self.shards = [shards[name] for name in self.names]
        self.seed = seed
        weights = np.array([component.weight for component in recipe.mixture], dtype=np.float64)
        if not (weights > 0).all():
            raise MathwrightError("a mixture weight is not positive", hint="leave the component out instead")
        for name, shard in zip(self.names, self.shards, strict=True):
            if shard.num_tokens <= recipe.context:
                raise MathwrightError(
                    f"corpus {name!r} has {shard.num_tokens:,} tokens, less than one row of {recipe.context:,}",
                    hint="collect more text or set a smaller pretrain.context",
                )
        shape = (num_steps, max(1, recipe.batch_tokens // recipe.context))
        rng = np.random.default_rng(seed)
        self.components = rng.choice(len(weights), size=shape, p=weights / weights.sum()).astype(np.int8)
        """[num_steps, rows]: which corpus each row of each step comes from."""
        used = np.stack([(self.components == c).sum(axis=1) for c in range(len(weights))], axis=1)
        self.used_before = np.cumsum(used, axis=0) - used
        """[num_steps, corpora]: rows of each corpus used before each step."""

    @property
    def rows_per_batch(self) -> int:
        return self.components.shape[1]

    def rows(self, step: int) -> list[np.ndarray]:
        """The rows of a step, each of `context` + 1 tokens."""
        used = self.used_before[step].copy()
        rows = []
        for component in self.components[step]:
            rows.append(self._row(int(component), int(used[component])))
            used[component] += 1
        return rows

    def _row(self, component: int, index: int) -> np.ndarray:
        shard = self.shards[component]
        num_windows = (shard.num_tokens - 1) // self.context
        epoch, place = divmod(index, num_windows)
        order = _permutation(num_windows, self.seed * 7919 + component * 104_729 + epoch)
        return np.asarray(shard.read(int(order[place]) * self.context, self.context + 1))

    def describe(self) -> str:
        """How much is read of what: shares, tokens and epochs."""
        parts = []
        for component, (name, shard) in enumerate(zip(self.names, self.shards, strict=True)):
            tokens = int((self.components == component).sum()) * self.context
            share = tokens / (self.components.size * self.context)
            epochs = tokens / shard.num_tokens
            parts.append(f"{name} {share:.0%} ({epochs:.2f} epochs of {shard.num_tokens:,} tokens)")
        return f"{len(self.components)} steps, {self.components.size * self.context:,} tokens: " + ", ".join(parts)


@functools.lru_cache(maxsize=16)
def _permutation(length: int, seed: int) -> np.ndarray:
    """A random order of the windows of a corpus; kept, since every row of an epoch asks for it."""
    return np.random.default_rng(seed).permutation(length)


def _micro_batches(rows: Sequence[np.ndarray], micro_batch_tokens: int) -> list[PackedRows]:
    row_tokens = len(rows[0])
    examples = [_example(row) for row in rows]
    return pack_examples(examples, row_tokens, None, rows_per_batch=max(1, micro_batch_tokens // (row_tokens - 1)))


def _example(tokens: np.ndarray) -> Example:
    """A stretch of a corpus: every token but the first is predicted."""
    return Example(tokens=tokens.tolist(), trained=[False, *[True] * (len(tokens) - 1)])


@torch.no_grad()
def bits_per_byte(
    lm: LanguageModel,
    shards: TokenShards,
    *,
    context: int,
    max_tokens: int,
) -> float:
    """Mean negative log2 likelihood per UTF-8 byte of held-out text; independent of the tokenizer.

    The text is read in windows of `context` tokens, without overlap: the first token of a window is given, not scored.
    """
    length = min(shards.num_tokens, max_tokens)
    nats, num_bytes = 0.0, 0
    for start in range(0, max(1, length - 1), context):
        tokens = np.asarray(shards.read(start, min(context + 1, shards.num_tokens - start)))
        if len(tokens) < 2:
            break
        for rows in pack_examples([_example(tokens)], len(tokens), None):
            nats += float(next_token_losses(lm, rows).sum())
        num_bytes += len(lm.tokenizer.decode(tokens[1:].tolist(), skip_special_tokens=True).encode())
    return nats / math.log(2) / max(1, num_bytes)
