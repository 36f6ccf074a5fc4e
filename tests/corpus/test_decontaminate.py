"""What contamination is found, however the page sets it, and what is not taken for contamination."""

import gzip
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.decontaminate import (
    build_index,
    find_contamination,
    read_benchmark,
    remove_contamination,
)
from mathwright.corpus.grams import count_identifying_words, gram_spans, grams, remove_invisible
from mathwright.errors import MathwrightError

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
FORMULA = r"Compute $\dfrac{3}{4} + \left(x - 2\right) \times 5$ when the value of $x$ is equal to 1,000."
CHINESE = "芳芳买了一本书有99页，看了90页，她还剩多少页没有看？"
SHORT = "What is Ada Lovelace's birthday?"
INDEX = build_index({"gsm": [QUESTION, "72", ""], "math": [FORMULA], "cmath": [CHINESE], "trivia": [SHORT]})


def found(text, index=INDEX):
    return [(span.benchmark, span.rule) for span in find_contamination(text, index)]


@pytest.mark.parametrize(
    "text",
    [
        f"An exercise. {QUESTION} And so on.",
        QUESTION.replace(" ", "\n"),  # wrapped after every word
        QUESTION.upper(),
        QUESTION.replace(",", "").replace(".", " —").replace("?", "!"),
        "> " + QUESTION.replace("and then", "\n> and then"),  # quoted in a mail
        QUESTION.replace("48", "**48**").replace("half", "*half*"),  # Markdown emphasis
        QUESTION.replace("clips", "cl\u00adips"),  # soft hyphens
        QUESTION.replace("48", "４８"),  # full-width digits
        "- item\n- " + QUESTION,
    ],
)
def test_layout_does_not_hide_a_question(text):
    assert ("gsm", "ngram") in found(text)


@pytest.mark.parametrize(
    "text",
    [
        FORMULA.replace("dfrac", "frac").replace(r"\left", "").replace(r"\right", ""),
        FORMULA.replace(r"\times", r"\cdot").replace("$", ""),
        FORMULA.replace(" + ", "+").replace(" - ", " − "),
        FORMULA.replace("1,000", "1000"),
    ],
)
def test_spelling_of_a_formula_does_not_hide_it(text):
    assert ("math", "ngram") in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "Natalia sold clips to 49 of her friends in March, and then she sold twice as many in June.",
        FORMULA.replace(" + ", " - ").replace(r"\times", "/").replace("3", "5"),
        "Ada Lovelace wrote programs. Her birthday is in December.",
        "He had 72 of them.",
        "",
    ],
)
def test_what_is_not_in_a_benchmark(text):
    assert found(text) == []


def test_ten_grams_are_needed_and_enough():
    words = [f"word{letter}" for letter in "abcdefghijklmnop"]
    index = build_index({"b": [" ".join(words)]})
    assert found(" ".join(words[3:13]), index) == [("b", "ngram")]
    assert found(" ".join(words[3:12]), index) == []
    assert found(" ".join([*words[3:12], "other", words[12]]), index) == []


def test_chinese_is_matched_by_characters_and_digits_count():
    assert found(f"题目：{CHINESE}") == [("cmath", "ngram")]
    assert found(CHINESE.replace("，", "\n").replace("9", "9")) == [("cmath", "ngram")]
    assert found("芳芳买了一本书有88页，看了70页，她剩下几页？") == []


def test_a_short_text_is_matched_as_a_whole():
    assert found(f"Q: {SHORT.upper()}") == [("trivia", "short")]
    assert found("What is Ada's birthday?") == []


def test_texts_that_identify_nothing_are_left_out_and_counted():
    index = build_index({"b": ["72", "", r"\frac{3}{4}", "x = 5", "三角形", "no idea", "two plus two is four"]})
    assert index.num_too_short == {"b": 6}
    assert index.num_texts == {"b": 1}
    assert found(r"so $\frac{3}{4}$ of the 三角形, x = 5, no idea, 72", index) == []


def test_identifying_words():
    assert count_identifying_words(r"the \frac{3}{4} of x") == 2
    assert count_identifying_words("三角形的面积") == 3


def test_an_n_gram_does_not_run_over_the_end_of_a_benchmark_text():
    first, second = [[f"{side}{letter}" for letter in "abcdefghijkl"] for side in ("left", "right")]
    index = build_index({"b": [" ".join(first), " ".join(second)]})
    assert found(" ".join([*first[-9:], *second[:9]]), index) == []
    assert found(" ".join([*first[-10:], *second[:9]]), index) == [("b", "ngram")]


def test_a_text_without_any_benchmark_is_clean():
    assert found(QUESTION, build_index({})) == []


@given(st.text(alphabet="ab1 .,\n-+*\\$é中İ\u00ad", max_size=60))
def test_spans_of_grams_are_where_the_grams_are(text):
    spans = list(gram_spans(text))
    assert len(spans) == len(grams(text))
    for (start, end), gram in zip(spans, grams(text), strict=True):
        assert grams(text[start:end]) in ([gram], [gram.lstrip("-+*/=<>^")])
        assert remove_invisible(text[start:end])


def naive(text, benchmark, n):
    """Is any n-gram of the benchmark text in the text? Straight from the definition."""
    t, b = grams(text), grams(benchmark)
    windows = {tuple(b[i : i + n]) for i in range(len(b) - n + 1)}
    return any(tuple(t[i : i + n]) in windows for i in range(len(t) - n + 1))


@given(data=st.data(), n=st.integers(2, 6))
def test_agrees_with_the_definition(data, n):
    words = st.lists(st.sampled_from(["aa", "bb", "cc", "1", "+ 2", "中"]), max_size=14)
    text, benchmark = " ".join(data.draw(words)), " ".join(data.draw(words))
    index = build_index({"b": [benchmark]}, ngram=n, short_ngram=n)
    expected = naive(text, benchmark, n)
    assert bool(found(text, index)) == expected


def test_spans_quote_what_matched():
    text = "Before.\n\n" + QUESTION.replace(" ", "\n") + "\n\nAfter."
    (span,) = find_contamination(text, INDEX)
    assert span.matched == text[span.start : span.end]
    assert span.matched.startswith("Natalia") and span.matched.endswith("May")


def test_the_paragraph_goes_and_the_rest_stays():
    text = f"First one.\n\n{QUESTION}\nIts answer is 72.\n  \nLast one."
    assert remove_contamination(text, find_contamination(text, INDEX)) == "First one.\n\nLast one."


def test_a_match_over_a_paragraph_break_takes_both():
    words = QUESTION.split()
    text = f"First one.\n\n{' '.join(words[:6])}\n\n{' '.join(words[6:12])}\n\nLast one."
    index = build_index({"gsm": [QUESTION]})
    assert remove_contamination(text, find_contamination(text, index)) == "First one.\n\nLast one."


def test_a_short_text_takes_the_page():
    text = f"First one.\n\n{SHORT}\n\nLast one."
    assert remove_contamination(text, find_contamination(text, INDEX)) == ""


def test_clean_text_is_untouched():
    text = "One.\n \n\nTwo.  "
    assert find_contamination(text, INDEX) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{not json", r"bench\.jsonl:2: not JSON"),
        ('{"id": 3}', r"bench\.jsonl:2: no question"),
        ("[1]", ":2: no quest"),
    ],
)
def test_a_malformed_benchmark_line_is_named(tmp_path, line, message):
    path = tmp_path / "bench.jsonl"
    path.write_text('{"question": "a", "answer": "16 - 3 = <<16-3=13>>13"}\n' + line + "\n")
    with pytest.raises(MathwrightError, match=message):
        list(read_benchmark(path))


def test_benchmark_texts_are_read_without_calculator_marks(tmp_path):
    path = tmp_path / "bench.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write(json.dumps({"question": "a", "answer": "16 - 3 = <<16-3=13>>13", "id": 1}) + "\n\n")
    assert list(read_benchmark(path)) == ["a", "16 - 3 = 13"]


def test_planted_questions_are_found_in_real_pages_and_clean_pages_stay(shared_data):
    """Every GSM8K test question, planted with other line breaks, is found; the pages themselves hold none."""
    problems = shared_data / "problems" / "gsm8k_test.jsonl"
    with problems.open() as file:
        questions = [json.loads(line)["question"] for line in file]
    index = build_index({"gsm8k": read_benchmark(problems)})
    with gzip.open(shared_data / "web" / "gold_formulas.jsonl.gz", "rt") as file:
        pages = [json.loads(line)["gold_source"] for line in file][:100]
    assert sum(len(grams(page)) for page in pages) > 100_000
    assert [found(page, index) for page in pages].count([]) >= 99
    rng = random.Random(0)
    long = [question for question in questions if len(grams(question)) >= 10]
    assert len(long) > 1300
    for question in rng.sample(long, 200):
        words = question.split(" ")
        planted = "".join(word + rng.choice([" ", "\n", "  "]) for word in words)
        assert ("gsm8k", "ngram") in found(f"Some text.\n\n{planted}\n\nMore.", index)
