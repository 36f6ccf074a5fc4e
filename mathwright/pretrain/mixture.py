"""The mixture of corpora that is trained on: rows of tokens, each a function of its number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mathwright.errors import MathwrightError
from mathwright.lm.pack import Example, PackedRows, pack_rows
from mathwright.lm.shards import TokenShards
from mathwright.pretrain.order import Interleaving, Permutation, key_of
from mathwright.pretrain.recipe import MixtureRecipe, PretrainRecipe

MANY_EPOCHS = 4
"""Epochs up to which a repeated text is worth nearly as much as a fresh one (Muennighoff et al. 2023)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Achieved:
    """What was read of a corpus."""

    tokens: int
    share: float
    """Of all tokens."""
    epochs: float
    bytes: int
    """UTF-8 bytes of text that these tokens are, by the corpus's mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedRows:
    """A micro-batch, and which corpus each of its rows is from."""

    rows: PackedRows
    corpora: tuple[str, ...]
    """[R] the corpus of each row."""
    targets: tuple[int, ...]
    """[R] trained tokens of each row."""
    targets_of_step: Mapping[str, int]
    """Trained tokens of the whole step by corpus."""


class Mixture:
    """Rows of `context` + 1 tokens drawn from several corpora in given shares, each row a pure function of its number.

    A corpus is cut into windows, which come in a random order by the seed, the corpus's name and the epoch, all of them
    once before any comes again. So the order of a corpus is the same whatever else is in the mixture.
    """

    def __init__(self, recipe: PretrainRecipe, shards: Mapping[str, TokenShards], *, num_steps: int, seed: int) -> None:
        self.context = recipe.context
        self.names = [component.name for component in recipe.mixture]
        self._orders_by = [component.order or component.name for component in recipe.mixture]
        self.shards = [shards[name] for name in self.names]
        self.seed = seed
        self.num_steps = num_steps
        self.by_document = recipe.attention == "document"
        for name, shard in zip(self.names, self.shards, strict=True):
            if shard.num_tokens <= recipe.context:
                raise MathwrightError(
                    f"corpus {name!r} has {shard.num_tokens:,} tokens, less than one row of {recipe.context:,}",
                    hint="collect more text or set a smaller pretrain.context",
                )
        self.rows_per_batch = max(1, recipe.batch_tokens // recipe.context)
        self._interleaving = Interleaving(shares(recipe.mixture), key_of("mixture", seed))
        self._orders: dict[tuple[int, int], Permutation] = {}

    def corpora(self, step: int) -> list[int]:
        """Which corpus each row of a step comes from, by its number in the mixture."""
        first = step * self.rows_per_batch
        return [self._interleaving.corpus(row) for row in range(first, first + self.rows_per_batch)]

    def rows(self, step: int) -> list[np.ndarray]:
        """The rows of a step, each of `context` + 1 tokens."""
        used = self._interleaving.before(step * self.rows_per_batch)
        rows = []
        for corpus in self.corpora(step):
            rows.append(self._row(corpus, used[corpus]))
            used[corpus] += 1
        return rows

    def _row(self, corpus: int, index: int) -> np.ndarray:
        shard = self.shards[corpus]
        num_windows = (shard.num_tokens - 1) // self.context
        epoch, place = divmod(index, num_windows)
        order = self._orders.get((corpus, epoch))
        if order is None:
            order = Permutation(num_windows, key_of("windows", self.seed, self._orders_by[corpus], epoch))
            self._orders = {key: known for key, known in self._orders.items() if key[0] != corpus}
            self._orders[corpus, epoch] = order
        return np.asarray(shard.read(order[place] * self.context, self.context + 1))

    def micro_batches(self, step: int, micro_batch_tokens: int) -> list[MixedRows]:
        """The rows of a step, packed; a micro-batch has at most so many tokens, or one row."""
        names = [self.names[corpus] for corpus in self.corpora(step)]
        rows = [self._examples(corpus, row) for corpus, row in zip(self.corpora(step), self.rows(step), strict=True)]
        targets = [sum(sum(example.trained) for example in row) for row in rows]
        of_step: Counter[str] = Counter()
        for name, count in zip(names, targets, strict=True):
            of_step[name] += count
        size = max(1, micro_batch_tokens // self.context)
        parts = [slice(start, start + size) for start in range(0, len(rows), size)]
        return [
            MixedRows(
                rows=pack_rows(rows[part]),
                corpora=tuple(names[part]),
                targets=tuple(targets[part]),
                targets_of_step=dict(of_step),
            )
            for part in parts
        ]

    def _examples(self, corpus: int, tokens: np.ndarray) -> list[Example]:
        """A row as one sequence, or as one for each document in it: then none sees another."""
        ends = [len(tokens)]
        if self.by_document:
            eos = self.shards[corpus].eos_token
            ends = sorted({*(np.flatnonzero(tokens == eos) + 1).tolist(), len(tokens)})
        pieces = [tokens[start:end].tolist() for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        return [Example(tokens=piece, trained=[False, *[True] * (len(piece) - 1)]) for piece in pieces]

    # -- what is read --

    def achieved(self, num_steps: int) -> dict[str, Achieved]:
        """What is read of each corpus in the first steps."""
        rows = self._interleaving.before(num_steps * self.rows_per_batch)
        total = max(1, sum(rows))
        return {
            name: Achieved(
                tokens=count * self.context,
                share=count / total,
                epochs=count * self.context / shard.num_tokens,
                bytes=round(count * self.context * shard.num_bytes / shard.num_tokens),
            )
            for name, count, shard in zip(self.names, rows, self.shards, strict=True)
        }

    def describe(self) -> str:
        """How much will be read of what: shares, tokens and epochs."""
        parts = [
            f"{name} {found.share:.0%} ({found.epochs:.2f} epochs of {shard.num_tokens:,} tokens)"
            for (name, found), shard in zip(self.achieved(self.num_steps).items(), self.shards, strict=True)
        ]
        num_tokens = self.num_steps * self.rows_per_batch * self.context
        return f"{self.num_steps} steps, {num_tokens:,} tokens: " + ", ".join(parts)

    def warnings(self) -> list[str]:
        """Corpora that are read so often that they do harm."""
        return [
            f"{name} is read {found.epochs:.1f} times over: beyond {MANY_EPOCHS} epochs repeated text adds little, and "
            "then does harm; give it a smaller weight, or train on fewer tokens"
            for name, found in self.achieved(self.num_steps).items()
            if found.epochs > MANY_EPOCHS
        ]


def shares(mixture: Sequence[MixtureRecipe]) -> list[float]:
    """The share of each corpus: its tokens or its weight, by the sum of all.

    Raises MathwrightError for a name given twice, for what is not a positive number, and where some have tokens alone.
    """
    names = [component.name for component in mixture]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise MathwrightError(f"the mixture has two corpora called {twice!r}", hint="give each a name of its own")
    counted = [component.tokens is not None for component in mixture]
    if any(counted) and not all(counted):
        name = names[counted.index(False)]
        raise MathwrightError(f"corpus {name!r} has no token count, others have", hint="give tokens to all, or to none")
    values = [float(c.weight if c.tokens is None else c.tokens) for c in mixture]
    for name, value in zip(names, values, strict=True):
        if not (value > 0 and math.isfinite(value)):
            what = "a mixture weight is" if not any(counted) else "a token count is"
            raise MathwrightError(f"{what} not positive: {value:g} of {name!r}", hint="leave the component out instead")
    return [value / sum(values) for value in values]


def note_on_weights(recipe: PretrainRecipe) -> str:
    """What is to be said where the numbers of a mixture do not add up: they are taken as shares of their sum."""
    if all(component.tokens is not None for component in recipe.mixture):
        total: Any = sum(component.tokens or 0 for component in recipe.mixture)
        expected, what = recipe.num_tokens, "token counts"
    else:
        total, expected, what = sum(component.weight for component in recipe.mixture), 1.0, "weights"
    if abs(total - expected) <= 1e-3 * expected:
        return ""
    return f"the {what} of the mixture sum to {total:,g}, not {expected:,g}: they are taken as shares of their sum"
