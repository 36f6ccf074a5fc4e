"""§2.1: the fastText classifier that recalls pages like the seed.

The paper trains on 500,000 positives and 500,000 negatives. A small seed cannot give as many pages, and with a few
hundred examples fastText at the paper's learning rate and epochs does not move from its start: all probabilities stay
at 0.500. So where a pool has fewer pages than examples are asked for, the examples are passages of 50-200 words drawn
from its pages with replacement, which leaves the paper's hyper-parameters as they are. docs/quality.md has the figures.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fasttext
import numpy as np

from mathwright.corpus.recipe import ClassifierRecipe
from mathwright.corpus.text import VERSION, Normaliser
from mathwright.errors import MathwrightError
from mathwright.run import write_json

PASSAGE_WORDS = (50, 200)
"""Shortest and longest passage (paper silent). Shorter ones carry too little; longer ones learn slower, not better."""

POSITIVE, NEGATIVE = "__label__positive", "__label__negative"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """How a classifier does on seed pages and random pages it was not trained on.

    Random pages may belong to the domain sought, so precision is a lower bound.
    """

    num_positives: int
    num_negatives: int
    precision: float
    """At probability 0.5, as recall and F1."""
    recall: float
    f1: float
    auc: float
    """Probability that a seed page scores above a random page: independent of any threshold, as is the cut by rank."""


class Classifier:
    """A trained model with the normaliser it was trained with."""

    def __init__(self, model: Any, normaliser: Normaliser) -> None:
        self._model = model
        self.normaliser = normaliser

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """Probability of the positive class for each text, [N] in float64, 0.0 for a text without words."""
        labels, probabilities = self._model.predict([self.normaliser(text) for text in texts], k=2)
        scores = np.zeros(len(texts))
        for i, (names, values) in enumerate(zip(labels, probabilities, strict=True)):
            found = dict(zip(names, values, strict=True))
            scores[i] = min(1.0, float(found.get(POSITIVE, 0.0)))  # fastText adds 1e-5 to every probability
        return scores

    def save(self, folder: Path) -> None:
        """Write `classifier.bin` and `classifier.json` (the normaliser and its hash, the size of the model)."""
        folder.mkdir(parents=True, exist_ok=True)
        model = folder / "classifier.bin"
        self._model.save_model(str(model))
        about = {
            "size_bytes": model.stat().st_size,
            "normaliser": self.normaliser.hash,
            "normaliser_version": VERSION,
            "lower": self.normaliser.lower,
        }
        write_json(folder / "classifier.json", about)

    @classmethod
    def load(cls, folder: Path) -> Classifier:
        """Raises MathwrightError where there is no whole model, or where it was trained with another normaliser."""
        about_path, model = folder / "classifier.json", folder / "classifier.bin"
        if not about_path.is_file():
            raise MathwrightError(f"{folder}: no classifier here", hint="train one with the corpus stage")
        if not model.is_file():
            raise MathwrightError(
                f"{folder}: the classifier itself is gone", hint="a run keeps that of its last iteration only: name it"
            )
        try:
            about = json.loads(about_path.read_text(encoding="utf-8"))
            normaliser = Normaliser(lower=about["lower"])
            known, version, size = about["normaliser"], about["normaliser_version"], about["size_bytes"]
        except (ValueError, TypeError, KeyError) as error:
            raise MathwrightError(f"{about_path}: not as it was written: {error!r}", hint="train it again") from error
        if known != normaliser.hash:
            raise MathwrightError(
                f"{folder}: trained with normaliser {known} (version {version}), this is {normaliser.hash} (version "
                f"{VERSION})",
                hint="its scores would mean nothing; train it again",
            )
        if model.stat().st_size != size:  # fastText reads a shorter file without a word
            raise MathwrightError(
                f"{model}: {model.stat().st_size:,} bytes of {size:,}", hint="it was not copied whole; copy it again"
            )
        return cls(fasttext.load_model(str(model)), normaliser)


def draw_examples(pages: Sequence[str], num: int, rng: random.Random, *, passages: bool) -> list[str]:
    """`num` training examples from normalised pages: pages without replacement, or passages with replacement."""
    if not passages:
        return rng.sample(list(pages), num)
    split = [page.split() for page in pages]
    examples: list[str] = []
    for _ in range(num):
        words = rng.choice(split)
        length = rng.randint(*PASSAGE_WORDS)
        start = rng.randrange(max(1, len(words) - length + 1))
        examples.append(" ".join(words[start : start + length]))
    return examples


def train(
    positives: Sequence[str],
    negatives: Sequence[str],
    recipe: ClassifierRecipe,
    *,
    work_folder: Path,
    seed: int,
) -> Classifier:
    """Train fastText on texts of seed pages against texts of random pages. Same input and seed, same model.

    Raises MathwrightError where either side is empty.
    """
    _require("positives", positives, recipe.num_positives, "match more pages with corpus.seed_urls")
    _require("negatives", negatives, recipe.num_negatives, "the pool holds nothing but seed pages; add other pages")
    normaliser = Normaliser(lower=recipe.lower)
    rng = random.Random(seed)
    # Both sides alike, or the classifier could tell them by their length.
    passages = len(positives) < recipe.num_positives or len(negatives) < recipe.num_negatives
    lines = [
        f"{label} {example}\n"
        for label, pages, num in (
            (POSITIVE, positives, recipe.num_positives),
            (NEGATIVE, negatives, recipe.num_negatives),
        )
        for example in draw_examples([normaliser(page) for page in pages], num, rng, passages=passages)
    ]
    rng.shuffle(lines)
    work_folder.mkdir(parents=True, exist_ok=True)
    examples = work_folder / "examples.txt"
    examples.write_text("".join(lines), encoding="utf-8")
    try:
        model = fasttext.train_supervised(
            str(examples),
            dim=recipe.dim,
            lr=recipe.lr,
            wordNgrams=recipe.word_ngrams,
            minCount=recipe.min_count,
            epoch=recipe.epochs,
            bucket=recipe.buckets,
            thread=1,  # more threads race on the weights, and no two runs agree
            seed=seed & 0x7FFFFFFF,
            verbose=0,
        )
    except (ValueError, RuntimeError) as error:  # no word occurs min_count times; NaN at a high learning rate
        raise MathwrightError(
            f"the classifier cannot be trained: {error}",
            hint="ask for more examples, or lower corpus.classifier.min_count or corpus.classifier.lr",
        ) from error
    finally:
        examples.unlink()
    return Classifier(model, normaliser)


def _require(what: str, pages: Sequence[str], num: int, hint: str) -> None:
    if num < 1:
        raise MathwrightError(
            f"corpus.classifier.num_{what} is {num}", hint="the classifier needs examples of both kinds"
        )
    if not pages:
        raise MathwrightError(f"the classifier has no {what}", hint=hint)


def evaluate(classifier: Classifier, positives: Sequence[str], negatives: Sequence[str]) -> HeldOut | None:
    """Precision, recall, F1 and AUC on held-out pages; None where either side is empty."""
    if not positives or not negatives:
        return None
    from scipy.stats import rankdata  # takes a second, which workers that only score need not wait

    scores = np.concatenate([classifier.score(positives), classifier.score(negatives)])
    num_pos, num_neg = len(positives), len(negatives)
    hits, false_alarms = int((scores[:num_pos] > 0.5).sum()), int((scores[num_pos:] > 0.5).sum())
    precision = hits / (hits + false_alarms) if hits + false_alarms else 0.0
    recall = hits / num_pos
    ranks = rankdata(scores)  # ties count half
    auc = (ranks[:num_pos].sum() - num_pos * (num_pos + 1) / 2) / (num_pos * num_neg)
    return HeldOut(
        num_positives=num_pos,
        num_negatives=num_neg,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if hits else 0.0,
        auc=float(auc),
    )
