"""The normaliser keeps what mathematics is written in; the classifier is reproducible and knows its normaliser."""

import hashlib
import json
import random
import unicodedata

import numpy as np
import pytest

from mathwright.corpus.classifier import PASSAGE_WORDS, Classifier, draw_examples, evaluate, train
from mathwright.corpus.recipe import ClassifierRecipe
from mathwright.corpus.text import INVISIBLE, Normaliser, count_words
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


TEXTS = (
    "Let $x^{2}+\\frac{\\alpha}{2}\\leq 0$ for all\n$x\\in\\mathbb{R}$.",
    "设函数 f(x)=ax²+bx+c，则 △ABC 的面积为：",
    "数\u00ad学\u200b 証明する ひらがな カタカナ 한국어 문장",
    "__label__positive </s> a_b C++ e\u0301 1,000.5 \u2028 next",
)


def test_the_rules_do_not_change_under_an_old_hash():
    """Whoever changes what the normaliser does to these texts raises VERSION, and writes the new hashes here."""
    known = {True: ("f1ec2eb48719f628", "6114e07f4db33e23"), False: ("a9671bee322b6f9c", "b0375bb09aaebd08")}
    for lower, hashes in known.items():
        normaliser = Normaliser(lower=lower)
        digest = hashlib.sha256("\n".join(map(normaliser, TEXTS)).encode()).hexdigest()[:16]
        assert (normaliser.hash, digest) == hashes


def test_tex_and_cjk_are_kept_and_a_text_becomes_one_line():
    for text in TEXTS:
        words = Normaliser(lower=False)(text).split(" ")
        assert not any(word.isspace() or not word for word in words)
        assert "".join(words) == "".join(unicodedata.normalize("NFC", INVISIBLE.sub("", text)).split())
    assert r"\frac { \alpha } { 2 } \leq" in Normaliser()(TEXTS[0])


def test_pages_without_spaces_are_told_apart_by_their_words(tmp_path):
    """No two pages share a run of characters between spaces, but they share the words that these are made of."""
    mathematics = ["函数", "定理", "证明", "矩阵", "向量", "积分", "导数", "方程", "三角形", "集合", "数列", "概率"]
    others = ["旅游", "酒店", "价格", "音乐", "足球", "电影", "厨房", "手机", "花园", "天气", "新闻", "衣服"]

    def pages(words, num, seed):
        rng = random.Random(seed)
        return ["".join(rng.choices(words + list("的是了在有和"), k=120)) for _ in range(num)]

    model = train(pages(mathematics, 30, 1), pages(others, 30, 2), RECIPE, work_folder=tmp_path, seed=0)
    scores = model.score(pages(mathematics, 10, 3) + pages(others, 10, 4))
    assert scores[:10].min() > 0.9 > 0.1 > scores[10:].max()


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
    with pytest.raises(MathwrightError, match="trained with normaliser 0000"):
        Classifier.load(tmp_path)


def test_a_model_that_is_gone_or_not_whole_is_named(tmp_path):
    train(MATH, OTHER, RECIPE, work_folder=tmp_path, seed=3).save(tmp_path)
    model = (tmp_path / "classifier.bin").read_bytes()
    (tmp_path / "classifier.bin").write_bytes(model[: len(model) // 2])
    with pytest.raises(MathwrightError, match=r"classifier.bin: [\d,]+ bytes of"):
        Classifier.load(tmp_path)
    (tmp_path / "classifier.bin").unlink()
    with pytest.raises(MathwrightError, match="the classifier itself is gone") as caught:
        Classifier.load(tmp_path)
    assert "last iteration" in caught.value.hint
    (tmp_path / "classifier.bin").write_bytes(model)
    (tmp_path / "classifier.json").write_text('{"lower": true')
    with pytest.raises(MathwrightError, match=r"classifier\.json: not as it was written"):
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
