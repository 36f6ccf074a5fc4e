"""The normaliser keeps what mathematics is written in; the classifier is reproducible and knows its normaliser."""

import json
import random

import numpy as np
import pytest

from mathwright.corpus.classify import PASSAGE_WORDS, Classifier, draw_examples, evaluate, train
from mathwright.corpus.normalise import Normaliser, count_words
from mathwright.corpus.recipe import ClassifierRecipe
from mathwright.errors import MathwrightError

RECIPE = ClassifierRecipe(
    num_positives=300, num_negatives=300, dim=16, lr=0.5, word_ngrams=3, min_count=3, epochs=3, buckets=2000
)


def texts(words, num, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choices(words, k=120)) for _ in range(num)]


MATH = texts([r"theorem", r"\frac{a}{b}", r"proof", r"integral", r"lemma", r"let", r"then", r"1", r"2"], 30, 1)
OTHER = texts(["recipe", "travel", "photo", "camera", "hotel", "price", "let", "then", "1", "2"], 30, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"\frac{a}{b}", r"\frac { a } { b }"),  # commands whole, structure seen
        ("x²\n+ℝ", "x² + ℝ"),  # NFC, not NFKC; lines joined
        ("求三角形ABC的面积", "求 三 角 形 abc 的 面 积"),  # no spaces to cut at
        ("__label__positive </s>", "_ _ label _ _ positive < / s >"),  # fastText's own marks
        ("cafe\u0301", "café"),  # one form of each letter
        ("a\x00b zero\u200bwidth", "a b zerowidth"),
    ],
)
def test_normaliser_cases(text, words):
    assert Normaliser()(text) == words


def test_lower_case_is_an_option_and_part_of_the_hash():
    assert Normaliser(lower=False)("Let X") == "Let X"
    assert Normaliser(lower=False).hash != Normaliser().hash


def test_count_words_counts_cjk_characters():
    assert count_words("let x = 三角形 end") == 7


def test_learns_is_deterministic_and_survives_saving(tmp_path):
    first = train(MATH, OTHER, RECIPE, work_folder=tmp_path / "a", seed=3)
    again = train(MATH, OTHER, RECIPE, work_folder=tmp_path / "b", seed=3)
    unseen = texts(["theorem", "proof", "lemma"], 5, 7) + texts(["hotel", "camera", "price"], 5, 8)
    scores = first.score(unseen)
    assert scores[:5].min() > 0.9 > 0.1 > scores[5:].max()
    assert np.array_equal(scores, again.score(unseen))
    first.save(tmp_path / "model")
    assert np.array_equal(scores, Classifier.load(tmp_path / "model").score(unseen))
    assert not list((tmp_path / "a").iterdir())  # the training text does not stay behind


def test_a_text_without_words_has_a_score(tmp_path):
    scores = train(MATH, OTHER, RECIPE, work_folder=tmp_path, seed=3).score(["", "\n"])
    assert np.all((scores >= 0) & (scores <= 1))


def test_a_model_behind_another_normaliser_is_refused(tmp_path):
    train(MATH, OTHER, RECIPE, work_folder=tmp_path, seed=3).save(tmp_path)
    about = json.loads((tmp_path / "classifier.json").read_text())
    (tmp_path / "classifier.json").write_text(json.dumps({**about, "normaliser": "0" * 16}))
    with pytest.raises(MathwrightError, match="trained behind normaliser 0000"):
        Classifier.load(tmp_path)


@pytest.mark.parametrize(("positives", "negatives"), [([], OTHER), (MATH, [])])
def test_an_empty_side_is_an_error(tmp_path, positives, negatives):
    with pytest.raises(MathwrightError, match="classifier has no"):
        train(positives, negatives, RECIPE, work_folder=tmp_path, seed=0)


def test_passages_are_stretches_of_the_pages():
    pages = [" ".join(f"p{page}w{i}" for i in range(300)) for page in range(3)]
    for example in draw_examples(pages, 50, random.Random(0), passages=True):
        assert PASSAGE_WORDS[0] <= len(example.split()) <= PASSAGE_WORDS[1]
        assert any(example in page for page in pages)


def test_whole_pages_are_drawn_without_replacement():
    pages = [f"page {i}" for i in range(20)]
    assert sorted(draw_examples(pages, 20, random.Random(0), passages=False)) == sorted(pages)


class FixedScores:
    """Stands in for a classifier whose scores are known."""

    def score(self, texts):
        return np.array([float(text) for text in texts])


def test_heldout_figures_by_their_definitions():
    positives, negatives = ["0.9", "0.6", "0.4"], ["0.1", "0.6", "0.7", "0.2"]
    held_out = evaluate(FixedScores(), positives, negatives)  # type: ignore[arg-type]
    assert held_out is not None
    assert held_out.precision == pytest.approx(2 / 4)
    assert held_out.recall == pytest.approx(2 / 3)
    assert held_out.f1 == pytest.approx(4 / 7)
    wins = [(float(p) > float(n)) + 0.5 * (p == n) for p in positives for n in negatives]
    assert held_out.auc == pytest.approx(sum(wins) / len(wins))
    assert evaluate(FixedScores(), [], negatives) is None  # type: ignore[arg-type]
