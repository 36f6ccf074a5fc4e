"""§2.1: which pages the classifier learns from: the seed, and random pages that are not like it."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mathwright.corpus.documents.dedup import near_copies
from mathwright.corpus.recipe import ClassifierRecipe
from mathwright.corpus.rules.coverage import counted
from mathwright.errors import MathwrightError

HELDOUT_SHARE = 0.1
"""Share of either side kept from the classifier to measure it, at most MAX_HELDOUT pages."""
MAX_HELDOUT = 500
FEW_NEGATIVES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Rows of the pool, none on two sides."""

    positives: list[int]
    negatives: list[int]
    heldout_positives: list[int]
    heldout_negatives: list[int]
    num_near_copies: int = 0
    """Pages left out of the negatives because they nearly are a positive."""

    @property
    def rows(self) -> list[int]:
        return [*self.positives, *self.negatives, *self.heldout_positives, *self.heldout_negatives]


def draw(
    seed_pages: np.ndarray, excluded: np.ndarray, archives: Sequence[str], recipe: ClassifierRecipe, *, rng_seed: str,
    negatives_rng_seed: str,
) -> Samples:  # fmt: skip
    """Positives out of the seed, negatives out of all pages neither in it nor `excluded`, a share of either held out.

    seed_pages, excluded [N] bool; archives [N]: negatives are taken from them in turns (`balance_archives`), so that
    no large archive stands for the web. The held-out pages are the first drawn, the same for equal `rng_seed`s.
    """
    positives = _shuffled(seed_pages, f"{rng_seed}:positives")
    may_be_negative = ~(seed_pages | excluded)
    # Where negatives stay, all pages are shuffled: the order of those left must not depend on which others are.
    negatives = _shuffled(may_be_negative | (not recipe.redraw_negatives), f"{negatives_rng_seed}:negatives")
    negatives = negatives[may_be_negative[negatives]]
    if recipe.balance_archives:
        order: list[int] = negatives.tolist()
        negatives = in_turns(negatives, (archives[i] for i in order))
    num = min(MAX_HELDOUT, int(HELDOUT_SHARE * len(positives)), int(HELDOUT_SHARE * len(negatives)))
    return Samples(
        positives=positives[num : num + recipe.num_positives].tolist(),
        negatives=negatives[num : num + recipe.num_negatives].tolist(),
        heldout_positives=positives[:num].tolist(),
        heldout_negatives=negatives[:num].tolist(),
    )


def _shuffled(mask: np.ndarray, rng_seed: str) -> np.ndarray:
    """The rows where mask [N] is True, in random order; eight bytes a row."""
    rows = array("q", np.flatnonzero(mask).astype(np.int64).tobytes())
    random.Random(rng_seed).shuffle(rows)
    return np.frombuffer(rows, dtype=np.int64)


def in_turns(rows: np.ndarray, groups: Iterable[str]) -> np.ndarray:
    """The rows [N], one of each group after the other as long as there are, in their order within a group."""
    numbers: dict[str, int] = {}
    group = np.fromiter((numbers.setdefault(name, len(numbers)) for name in groups), dtype=np.int64, count=len(rows))
    by_group = np.argsort(group, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(group))])
    turn = np.empty(len(rows), dtype=np.int64)
    turn[by_group] = np.arange(len(rows)) - starts[group[by_group]]
    return rows[np.lexsort((group, turn))]


def without_near_copies(
    samples: Samples, texts: dict[int, str], *, similarity: float, num_hashes: int, rng_seed: int
) -> Samples:
    """The samples without the negatives that nearly are a positive: the paper's negatives are another topic, and a
    copy of a seed page under a second address is not. `similarity` 0 leaves all."""
    if not similarity:
        return samples
    of = [texts[i] for i in (*samples.positives, *samples.heldout_positives)]
    sides = (samples.negatives, samples.heldout_negatives)
    copies = near_copies(
        [texts[i] for side in sides for i in side], of, similarity=similarity, num_hashes=num_hashes, seed=rng_seed
    )
    is_copy = dict(zip([i for side in sides for i in side], copies.tolist(), strict=True))
    negatives, heldout_negatives = ([i for i in side if not is_copy[i]] for side in sides)
    return Samples(
        positives=samples.positives,
        negatives=negatives,
        heldout_positives=samples.heldout_positives,
        heldout_negatives=heldout_negatives,
        num_near_copies=int(copies.sum()),
    )


def warnings_of_samples(
    samples: Samples, recipe: ClassifierRecipe, seed_pages: np.ndarray, excluded: np.ndarray
) -> list[str]:
    """A line where few pages are left as negatives, with where the others went.

    seed_pages, excluded [N] bool: what the samples were drawn from. Raises MathwrightError where no negative is left,
    and where the seed is empty.
    """
    if not seed_pages.any():
        raise MathwrightError(
            "no page is left in the seed: rules reject all that were in it",
            hint="look at the rules that reject, with mathwright corpus annotate or in the rules file",
        )
    num_negatives = len(samples.negatives)
    if num_negatives >= min(FEW_NEGATIVES, recipe.num_negatives):
        return []
    num_seed, num_excluded = int(seed_pages.sum()), int((excluded & ~seed_pages).sum())
    why = (
        f"of {len(seed_pages):,} pages {num_seed:,} are the seed, {num_excluded:,} are below accepted rules or were "
        f"collected before, and {samples.num_near_copies:,} nearly are a page of the seed"
    )
    hint = "add pages of other subjects, or lower corpus.budget_tokens"
    if recipe.exclude_collected:
        hint += "; corpus.classifier.exclude_collected=false takes collected pages as negatives"
    if num_negatives == 0:
        raise MathwrightError(f"no page is left as a negative: {why}", hint=hint)
    return [f"only {counted(num_negatives, 'page')} left as negatives: {why}; {hint}"]
