"""§2.1: train a classifier on seed pages against other pages of the pool, and measure it on pages held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mathwright.corpus.classifier import Classifier, HeldOut, evaluate, train
from mathwright.corpus.mining.pool import Pool
from mathwright.corpus.mining.samples import Samples, draw, warnings_of_samples, without_near_copies
from mathwright.corpus.recipe import CorpusRecipe
from mathwright.run import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A classifier and what it was trained and measured on."""

    classifier: Classifier
    samples: Samples
    held_out: HeldOut | None
    """None where the seed is too small to hold anything out."""


def train_classifier(
    recipe: CorpusRecipe,
    pool: Pool,
    stage: Stage,
    folder: Path,
    seed_pages: np.ndarray,
    excluded: np.ndarray,
    *,
    rng_seed: str,
    negatives_rng_seed: str,
) -> Trained:
    """Train on seed pages against random others; a share of either is held out to measure the classifier.

    seed_pages, excluded [N] bool: pages that are positives, and pages that are neither positives nor negatives.
    `folder/samples.parquet` keeps which page was on which side. Raises MathwrightError where a side is empty.
    """
    samples = draw(
        seed_pages, excluded, pool.archives, recipe.classifier, rng_seed=rng_seed, negatives_rng_seed=negatives_rng_seed
    )
    texts = pool.texts(samples.rows)
    rng_number = _as_number(rng_seed)
    samples = without_near_copies(
        samples,
        texts,
        similarity=recipe.classifier.near_copy_similarity,
        num_hashes=recipe.dedup_permutations,
        rng_seed=rng_number,
    )
    for warning in warnings_of_samples(samples, recipe.classifier, seed_pages, excluded):
        stage.warn(warning)
    _save_samples(folder / "samples.parquet", samples, pool.urls)
    classifier = train(
        [texts[i] for i in samples.positives],
        [texts[i] for i in samples.negatives],
        recipe.classifier,
        work_folder=folder,
        seed=rng_number,
    )
    held_out = evaluate(
        classifier, [texts[i] for i in samples.heldout_positives], [texts[i] for i in samples.heldout_negatives]
    )
    return Trained(classifier=classifier, samples=samples, held_out=held_out)


def _as_number(rng_seed: str) -> int:
    """A number of 31 bits, as fastText takes it."""
    return int(hashlib.sha256(f"{rng_seed}\n".encode()).hexdigest()[:16], 16) & 0x7FFFFFFF


def _save_samples(path: Path, samples: Samples, urls: Sequence[str]) -> None:
    sides = ("positives", "negatives", "heldout_positives", "heldout_negatives")
    rows = [{"url": urls[i], "side": side} for side in sides for i in getattr(samples, side)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema([("url", pa.string()), ("side", pa.string())])), path)
