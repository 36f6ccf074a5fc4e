"""Filters of language, length and repetition: what each drops, and that none drops mathematics for its TeX."""

import dataclasses
import gzip
import json
import random

import pytest

from mathwright.corpus.archive import read_pages
from mathwright.corpus.documents.filters import identify_language, mask_tex, reject
from mathwright.corpus.extract import extract
from mathwright.corpus.recipe import GOPHER_REPETITION, FilterRecipe
from mathwright.errors import MathwrightError
from mathwright.records import Page

ENGLISH = "The derivative of a function measures how fast its value changes when the variable changes a little."
GERMAN = "Die Ableitung einer Funktion misst, wie schnell sich ihr Wert ändert, wenn sich die Variable wenig ändert."
CHINESE = "函数的导数表示当自变量变化很小时函数值变化的快慢，它是微积分中最重要的概念之一。"
FORMULA = (
    r"$\frac{\partial^{2} u}{\partial t^{2}} = c^{2} \nabla^{2} u$ and \begin{align} a &= {{b}} \\ c &= d \end{align}"
)


def prose(num_words: int, seed: int = 0) -> str:
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join("".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(num_words))


def test_without_a_rule_everything_stays() -> None:
    for text in ("", "a", FORMULA * 50, "same line\n" * 1000, GERMAN, "\x00\ud800", "{" * 10_000):
        assert reject(text, FilterRecipe()) == ""


@pytest.mark.parametrize(
    ("text", "code"), [(ENGLISH, "en"), (GERMAN, "de"), (CHINESE, "zh"), (FORMULA * 9 + GERMAN + FORMULA * 9, "de")]
)
def test_languages_are_told_apart_with_formulas_around(text: str, code: str) -> None:
    assert identify_language(text)[0] == code


def test_pages_in_other_languages_are_left_out() -> None:
    recipe = FilterRecipe(languages=("en", "zh"))
    assert [reject(text, recipe) for text in (ENGLISH, CHINESE, GERMAN)] == ["", "", "language"]
    unsure = dataclasses.replace(recipe, min_confidence=1.1)
    assert reject(GERMAN, unsure) == "", "in doubt a page stays"


def test_a_page_of_formulas_alone_has_no_language_and_stays() -> None:
    recipe = FilterRecipe(languages=("en",))
    assert reject(FORMULA * 20, recipe) == ""
    assert reject("", recipe) == reject("1 2 3 4 5 6 7\n" * 30, recipe) == ""


def test_a_missing_language_model_is_named(tmp_path) -> None:
    with pytest.raises(MathwrightError, match="no such language model") as caught:
        reject(ENGLISH, FilterRecipe(languages=("en",), language_model=str(tmp_path / "lid.ftz")))
    assert caught.value.hint
    (tmp_path / "bad.ftz").write_bytes(b"no model")
    with pytest.raises(MathwrightError, match="no fastText model"):
        reject(ENGLISH, FilterRecipe(languages=("en",), language_model=str(tmp_path / "bad.ftz")))


def test_lone_surrogates_and_nul_bytes_have_a_language_too() -> None:
    assert reject(ENGLISH + "\ud800\x00", FilterRecipe(languages=("en",))) == ""


@pytest.mark.parametrize(
    ("text", "changes", "reason"),
    [
        (prose(101), {"max_words": 100}, "too many words"),
        (prose(100), {"max_words": 100}, ""),
        (
            "\n".join([prose(5, i) for i in range(7)] + [prose(5, 0)] * 4),
            {"max_duplicate_lines": 0.3},
            "repeated lines",
        ),
        ("\n".join([prose(5, i) for i in range(7)] + [prose(5, 0)] * 3), {"max_duplicate_lines": 0.3}, ""),
        (
            "\n".join(["x", "y", "z"] * 1 + [prose(50)] * 2),
            {"max_duplicate_line_chars": 0.4},
            "characters in repeated lines",
        ),
        ("read more " * 40 + prose(100), {"max_top_ngram": ((2, 0.2),)}, "one 2-gram too often"),
        ("read more " * 4 + prose(100), {"max_top_ngram": ((2, 0.2),)}, ""),
        (prose(50) + " " + prose(50), {"max_duplicate_ngrams": ((5, 0.4),)}, "repeated 5-grams"),
        (prose(50) + " " + prose(50, 1), {"max_duplicate_ngrams": ((5, 0.01),)}, ""),
    ],
)
def test_each_rule_drops_what_it_names_and_no_more(text: str, changes: dict, reason: str) -> None:
    assert reject(text, dataclasses.replace(FilterRecipe(), **changes)) == reason


def naive_duplicate_share(words: list[str], n: int) -> float:
    """Characters of words in an n-gram that came before, read from left to right, none twice."""
    inside = [False] * len(words)
    i = 0
    while i + n <= len(words):
        earlier = any(words[j : j + n] == words[i : i + n] for j in range(i))
        if earlier:
            inside[i : i + n] = [True] * n
        i += 1
    return sum(len(w) for w, x in zip(words, inside, strict=True) if x) / sum(map(len, words))


@pytest.mark.parametrize("seed", range(10))
def test_repeated_ngrams_are_counted_as_the_definition_says(seed: int) -> None:
    rng = random.Random(seed)
    words = rng.choices(["aa", "b", "cccc", "ddd"], k=60)
    share = naive_duplicate_share(words, 3)
    at_most = FilterRecipe(max_duplicate_ngrams=((3, share + 1e-9),))
    below = FilterRecipe(max_duplicate_ngrams=((3, share - 1e-6),))
    assert reject(" ".join(words), at_most) == ""
    assert reject(" ".join(words), below) == ("repeated 3-grams" if share else "")


def test_a_formula_repeats_only_where_the_whole_formula_does() -> None:
    """The same prose between different formulas is repeated; the same commands in different formulas are not."""
    formulas = " ".join(rf"$\frac{{{i}}}{{{i + 1}}} + \sqrt{{x_{i}}}$ {prose(3, i)}" for i in range(200))
    displays = "\n".join(r"$$\frac{a}{b}$$" for _ in range(200)) + prose(20)
    for text in (formulas, displays):
        assert reject(text, GOPHER_REPETITION) == ""


@pytest.mark.parametrize("seed", range(5))
def test_formulas_added_to_a_text_change_no_verdict(seed: int) -> None:
    """Each formula stands once: wherever braces and backslashes go, the page is judged as without them."""
    rng = random.Random(seed)
    recipe = dataclasses.replace(GOPHER_REPETITION, languages=("en",), max_duplicate_lines=0.3)
    lines = [f"{ENGLISH} {prose(8, i)}" for i in range(10)]
    with_tex = [rf"{line} $\mathbb{{R}}^{{{rng.random()}}} \to {{{{x}}}}$" for line in lines]
    assert reject("\n".join(lines), recipe) == reject("\n".join(with_tex), recipe)


def test_prices_are_no_formulas() -> None:
    assert mask_tex("It costs $5 and the other one $7, so $12.") == "It costs $5 and the other one $7, so $12."
    text = r"Let $x$ be in $\mathbb{R}$; then $$x^2$$ \[y\] stays."
    assert " ".join(mask_tex(text).split()) == "Let be in ; then stays."


def test_no_real_page_full_of_tex_is_dropped_by_the_defaults_or_for_its_language(shared_data) -> None:
    """Pages of mathematical hosts in English with thirty formulas and more."""
    with gzip.open(shared_data / "web" / "labels.jsonl.gz", "rt") as file:
        math = {row["url"] for row in map(json.loads, file) if row["kind"] == "math"}
    heavy = []
    for page in read_pages(str(shared_data / "web" / "pages-00001.warc.gz")):
        if isinstance(page, Page) and page.url in math and "phkonzen" not in page.url:  # which is in Portuguese
            text = extract(page.html, page.url, charset=page.charset).text
            if text.count("$") >= 60:
                heavy.append(text)
    assert len(heavy) >= 30
    assert {reject(text, FilterRecipe()) for text in heavy} == {""}
    assert [reject(text, FilterRecipe(languages=("en", "zh"))) for text in heavy].count("") == len(heavy)
