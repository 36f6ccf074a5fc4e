"""What contamination is found, however the page sets it, and what is not taken for contamination."""

import functools
import gzip
import json
import random
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.decontaminate import match, windows
from mathwright.corpus.decontaminate.grams import grams, identifying, tokenise
from mathwright.corpus.decontaminate.spans import (
    BenchmarkText,
    ContaminatedSpan,
    build_index,
    find_contamination,
    find_contamination_in,
    find_removals,
    read_benchmark,
    remove_contamination,
)
from mathwright.corpus.decontaminate.texts import benchmark_texts
from mathwright.corpus.text import INVISIBLE
from mathwright.errors import MathwrightError

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
FORMULA = r"Compute $\dfrac{3}{4} + \left(x - 2\right) \times 5$ when the value of $x$ is equal to 1,000."
CHINESE = "芳芳买了一本书有99页，看了90页，她还剩多少页没有看？"
SHORT = "What is Ada Lovelace's birthday?"


@functools.cache
def the_index():
    """Of four benchmarks. The first index of a process takes a second: no test that is only collected waits for it."""
    return build_index({"gsm": [QUESTION, "72", ""], "math": [FORMULA], "cmath": [CHINESE], "trivia": [SHORT]})


def found(text, index=None):
    return [(span.benchmark, span.rule) for span in find_contamination(text, the_index() if index is None else index)]


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
        "> " + QUESTION.replace(" 48", "\n> 48"),  # a quoted line that begins with a number
        "* " + QUESTION.replace(" 48", "\n  * 48"),
        QUESTION.replace("48", "*48*").replace("half", "_half_"),
        QUESTION.replace("clips", "<b class='x'>clips</b>").replace(" 48", "&nbsp;48").replace("to", "<br/>to"),
        QUESTION.replace("altogether", "alto-\ngether").replace("friends", "fri-\r\n> ends"),
        QUESTION.replace("then", "th\u00e9n").replace("half", "ha\ufb02f").replace("\ufb02", "l"),
        QUESTION.replace("fi", "\ufb01").replace("sold", "\U0001d42c\U0001d428\U0001d425\U0001d41d"),
        "\x00".join(QUESTION),  # UTF-16 read as Latin-1
        QUESTION.replace(" ", "\u2003\u200b"),
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
        FORMULA.replace("1,000", "1{,}000"),
        FORMULA.replace("1,000", r"1,\!000"),
        FORMULA.replace(r"\times", "&times;").replace(" - ", " &minus; "),
        FORMULA.replace("$x$", "$\\mathbf{x}$").replace("value", "\\emph{value}"),
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


def test_what_a_gram_is():
    text = r"1,234 12,34 3.5 x² 10² x^{2} \leq 3 <= 3 a<b ½ don't ﬁx Ünïcode ３４ 5 – 6 \alpha x<sup>3</sup> _y_ ①"
    assert grams(text) == [
        *["1234", "12", "34", "3.5", "x", "^2", "10", "^2", "x", "^2", "<3", "<3", "a", "<b", "½", "don", "t"],
        *["fix", "unicode", "34", "5", "-6", "α", "x", "^3", "y", "①"],
    ]


@pytest.mark.parametrize(
    ("benchmark", "page", "expected"),
    [
        ("+ 3", "+ 3", True),
        ("+ 3", "- 3", False),
        ("+ 3", "3", False),
        ("3", "\n- 3", True),  # a list, or a wrapped formula: either reading
        ("- 3", "\n- 3", True),
        ("- 3", "3", False),
        ("3", "*3*", True),
        ("* 3", "\\cdot 3", True),
        ("- 3", "– 3", True),
        ("3", "– 3", True),
        ("≠ 3", "\\neq 3", True),
        ("≠ 3", "= 3", False),
        ("<= 3", "≤ 3", True),
        ("3 4", "34", False),
        ("3.4", "34", False),
    ],
)
def test_operators_and_digits_count_inside_a_match(benchmark, page, expected):
    around = ("one two three four five six", "seven eight nine ten eleven")
    index = build_index({"b": [f"{around[0]} {benchmark} {around[1]}"]}, ngram=12 + benchmark.count("3 4"))
    assert bool(find_contamination(f"{around[0]} {page} {around[1]}", index)) is expected


def test_an_operator_before_the_first_gram_stands_outside_the_match():
    words = "3 apples and pears were sold on the market today"
    for benchmark, page in ((words, f"x = {words}"), (f"x = {words}", words)):
        assert found(page, build_index({"b": [benchmark]})) == [("b", "ngram")]


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
    words, cjk = identifying(tokenise(r"the \frac{3}{4} of x"))
    assert (words.sum(), cjk.sum()) == (2, 0)
    words, cjk = identifying(tokenise("三角形的面积"))
    assert (words.sum(), cjk.sum()) == (0, 6)


def test_an_n_gram_does_not_run_over_the_end_of_a_benchmark_text():
    first, second = [[f"{side}{letter}" for letter in "abcdefghijkl"] for side in ("left", "right")]
    index = build_index({"b": [" ".join(first), " ".join(second)]})
    assert found(" ".join([*first[-9:], *second[:9]]), index) == []
    assert found(" ".join([*first[-10:], *second[:9]]), index) == [("b", "ngram")]


def test_a_text_without_any_benchmark_is_clean():
    assert found(QUESTION, build_index({})) == []


@given(st.text(alphabet="ab1 .,\n-+*\\$é中İ\u00ad", max_size=60))
def test_spans_of_grams_are_where_the_grams_are(text):
    tokens = tokenise(text)
    spans = list(zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True))
    assert len(spans) == len(grams(text))
    for (start, end), gram in zip(spans, grams(text), strict=True):
        assert grams(text[start:end]) in ([gram], [gram.lstrip("-+*/=<>^")])
        assert INVISIBLE.sub("", text[start:end])


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


@pytest.mark.parametrize("seed", range(6))
def test_pieces_and_batches_change_nothing(seed, monkeypatch):
    """However a text is cut or put together with others, the same spans come out."""
    rng = random.Random(seed)
    words = [
        *QUESTION.split(),
        *FORMULA.split(),
        "\n",
        "\n- ",
        "1,000",
        "+ 3",
        "中",
        "文",
        "é",
        "bro-\nken",
        "<b>",
        "&amp;",
    ]
    texts = []
    for _ in range(30):
        parts = [" ".join(rng.choices(words, k=rng.randint(0, 60))) for _ in range(rng.randint(1, 6))]
        parts.insert(
            rng.randrange(len(parts)),
            rng.choice([QUESTION, FORMULA, CHINESE, SHORT, ""]).replace(" ", rng.choice([" ", "\n", "\n" * 300])),
        )
        texts.append(rng.choice([" ", "", "\n"]).join(parts))
    whole = [find_contamination(text, the_index()) for text in texts]
    assert sum(map(bool, whole)) > 10
    assert list(find_contamination_in(texts, the_index())) == whole
    for size in (16, 300, 1000):
        monkeypatch.setattr(match, "PIECE_CHARS", size)
        assert [find_contamination(text, the_index()) for text in texts] == whole
        assert list(find_contamination_in(iter(texts), the_index())) == whole


@given(data=st.data(), k=st.integers(1, 3))
def test_chinese_grams_of_several_characters_agree_with_the_definition(data, k):
    """A window is the shortest stretch of at least n grams, a word being one and a character 1/k."""
    symbols = st.lists(st.sampled_from(["aa", "bb", "中", "文", "字"]), max_size=16)
    text, benchmark = data.draw(symbols), data.draw(symbols)
    n = 3

    def windows(tokens):
        result = set()
        for i in range(len(tokens)):
            size = 0
            for j in range(i, len(tokens)):
                size += k if tokens[j].isascii() else 1
                if size >= n * k:
                    result.add(tuple(tokens[i : j + 1]))
                    break
        return result

    index = build_index({"b": [" ".join(benchmark)]}, ngram=n, short_ngram=n, cjk_chars=k)
    assert bool(find_contamination(" ".join(text), index)) == bool(windows(text) & windows(benchmark))


def test_two_characters_to_a_gram_let_common_phrases_pass():
    question = "下列说法中正确的是哪一个？小明有三个苹果，小红有五个苹果，他们一共有多少个苹果？"
    phrase = "在下列说法中正确的是哪一个"
    assert found(phrase, build_index({"b": [question]})) == [("b", "ngram")]
    index = build_index({"b": [question]}, cjk_chars=2)
    assert found(phrase, index) == []
    assert found(question, index) == [("b", "ngram")]


def test_a_hash_never_decides(monkeypatch):
    """With hashes that nearly all collide, the spans are still those of comparing texts."""
    rng = random.Random(3)
    texts = [" ".join(rng.choices(["aa", "bb", "+ 2", "中", "dd"], k=rng.randint(0, 40))) for _ in range(40)]
    benchmark = [" ".join(rng.choices(["aa", "bb", "+ 2", "中", "dd"], k=12)) for _ in range(5)]
    expected = [any(naive(text, one, 4) for one in benchmark) for text in texts]
    assert 5 < sum(expected) < 38
    monkeypatch.setattr(windows, "mix", lambda hashes: hashes % np.uint64(3) << np.uint64(62))
    index = build_index({"b": benchmark}, ngram=4, short_ngram=4)
    assert [bool(found(text, index)) for text in texts] == expected


def test_a_word_cut_at_a_lines_end_is_found_without_the_words_around():
    """Ten grams with the cut word in their middle: no other window matches. Alone, and among other texts."""
    words = [f"word{letter}" for letter in "abcdefghij"]
    index = build_index({"b": [" ".join(words)]})
    cut = " ".join(words).replace("worde", "wo-\nrde")
    assert found(cut, index) == [("b", "ngram")]
    assert [bool(spans) for spans in find_contamination_in(["x", cut, "y"], index)] == [False, True, False]
    assert found(cut.replace("-\n", " "), index) == []


def test_texts_handled_together_do_not_run_into_each_other():
    words = [f"word{letter}" for letter in "abcdefghij"]
    index = build_index({"b": [" ".join(words)]})
    assert list(find_contamination_in([" ".join(words[:5]), " ".join(words[5:])], index)) == [[], []]


def test_thousands_and_emphasis():
    assert grams("1234,567 1,234,567 12,345 1,2345") == ["1234", "567", "1234567", "12345", "1", "2345"]
    assert grams("x = **3** and 2 ** 3") == ["x", "3", "and", "2", "3"]


def test_words_that_begin_alike_are_told_apart():
    """Hashes go by four characters at a time; each of them counts, and their order."""
    words = [
        "abcdefgh",
        "efghabcd",
        "abcdabcd",
        "efghefgh",
        "abcdefghi",
        "abcd",
        "a" * 31,
        "a" * 32,
        "a" * 33,
        "b" * 33,
    ]
    hashes = tokenise(" ".join(words)).words
    assert len(set(hashes.tolist())) == len(words)
    assert (tokenise(" ".join(reversed(words))).words == hashes[::-1]).all()
    assert (tokenise("é " + " ".join(words)).words[1:] == hashes).all()  # of ASCII and other texts alike


def test_spans_that_touch_are_two_and_a_paragraph_is_not_touched_at_its_edge():
    half = [" ".join(f"{side}{letter}" for letter in "abcdefghij") for side in ("left", "right")]
    index = build_index({"b": half})
    assert [span.matched for span in find_contamination(" ".join(half), index)] == half
    text = "One.\n\nTwo."
    span = ContaminatedSpan(start=0, end=6, benchmark="b", rule="ngram", matched="One.\n\n")
    assert remove_contamination(text, [span]) == "Two."


def test_spans_name_the_problem_and_how_many_share_it():
    other = QUESTION.replace("48", "480").replace("April", "June")
    index = build_index({"gsm": [BenchmarkText(text=other, problem="p1"), BenchmarkText(text=QUESTION, problem="p2")]})
    (span,) = find_contamination(f"Now: {QUESTION}", index)
    assert (span.problem, span.num_problems) == ("p2", 2)
    (span,) = find_contamination(QUESTION.partition(" and then ")[2], index)
    assert (span.problem, span.num_problems) == ("p2", 2)


def test_spans_quote_what_matched():
    text = "Before.\n\n" + QUESTION.replace(" ", "\n") + "\n\nAfter."
    (span,) = find_contamination(text, the_index())
    assert span.matched == text[span.start : span.end]
    assert span.matched.startswith("Natalia") and span.matched.endswith("May")


def test_the_paragraph_goes_and_the_rest_stays():
    text = f"First one.\n\n{QUESTION}\nIts answer is 72.\n  \nLast one."
    assert remove_contamination(text, find_contamination(text, the_index())) == "First one.\n\nLast one."


def test_a_match_over_a_paragraph_break_takes_both():
    words = QUESTION.split()
    text = f"First one.\n\n{' '.join(words[:6])}\n\n{' '.join(words[6:12])}\n\nLast one."
    index = build_index({"gsm": [QUESTION]})
    assert remove_contamination(text, find_contamination(text, index)) == "First one.\n\nLast one."


def test_a_short_text_takes_the_page():
    text = f"First one.\n\n{SHORT}\n\nLast one."
    assert remove_contamination(text, find_contamination(text, the_index())) == ""


def test_the_modes():
    text = f"First one.\n\nIt says: {QUESTION} So.\n\nLast one."
    spans = find_contamination(text, the_index())
    assert remove_contamination(text, spans, "span") == "First one.\n\nIt says: ? So.\n\nLast one."
    assert remove_contamination(text, spans, "segment") == "First one.\n\nLast one."
    assert remove_contamination(text, spans, "page") == ""
    short = f"First one.\n\n{SHORT}\n\nLast one."
    spans = find_contamination(short, the_index())
    assert remove_contamination(short, spans, "span") == "First one.\n\n?\n\nLast one."
    assert remove_contamination(short, spans, "segment") == remove_contamination(short, spans, "page") == ""
    with pytest.raises(ValueError, match="mode is 'line'"):
        find_removals(short, spans, "line")  # type: ignore[arg-type]


def test_removals_say_where_and_why():
    text = f"{QUESTION} {FORMULA}\n\nClean.\n\n{QUESTION}"
    spans = find_contamination(text, the_index())
    removals = find_removals(text, spans)
    assert [text[r.start : r.end] for r in removals] == [f"{QUESTION} {FORMULA}", QUESTION]
    assert [[span.benchmark for span in r.spans] for r in removals] == [["gsm", "math"], ["gsm"]]
    spans_only = find_removals(text, spans, "span")
    assert [text[r.start : r.end] for r in spans_only] == [span.matched for span in spans]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=6), st.integers(0, 3))
def test_paragraphs_removed_are_those_a_span_touches(pairs, breaks):
    text = ("word " * 3 + "\n\n" * breaks) * 5
    spans = [
        ContaminatedSpan(start=a, end=min(a + n, len(text)), benchmark="b", rule="ngram", matched="")
        for a, n in pairs
        if a < len(text)
    ]
    expected, start = [], 0
    for stop, following in [*((m.start(), m.end()) for m in re.finditer(r"\n\s*\n", text)), (len(text), len(text))]:
        if not any(span.start < stop and span.end > start for span in spans):
            expected.append(text[start:stop])
        start = following
    assert remove_contamination(text, spans) == "\n\n".join(expected)


def test_clean_text_is_untouched():
    text = "One.\n \n\nTwo.  "
    assert find_contamination(text, the_index()) == []


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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.jsonl", b'{"question": "\xff"}\n', r"b\.jsonl: cannot be read after line 0: .*utf-8"),
        ("b.jsonl", '{"question": "a"}\n'.encode("utf-16"), "cannot be read"),
        ("b.jsonl.gz", b"\x1f\x8b\x08 cut", "cannot be read"),
        ("b.jsonl", None, "no such benchmark file"),
    ],
)
def test_a_damaged_benchmark_file_is_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MathwrightError, match=message) as caught:
        list(read_benchmark(tmp_path / name))
    assert caught.value.hint


def test_empty_and_repeated_benchmark_texts_are_counted(tmp_path):
    rows = [
        {"question": q, "answer": a} for q, a in ((QUESTION, "72"), ("", None), (" \n", 5), (QUESTION.upper(), "x"))
    ]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n\n", encoding="utf-8-sig")
    index = build_index(benchmark_texts([str(tmp_path / "b.jsonl")]))
    assert index.num_texts == {"b": 1} and index.problem_of == ["b.jsonl:1"]
    assert (index.num_too_short, index.num_empty, index.num_repeated) == ({"b": 6}, {"b": 4}, {"b": 1})


def test_nothing_and_bad_characters():
    empty = build_index({"b": []})
    for index in (the_index(), empty, build_index({}), build_index({"b": ["", "x"]})):
        for text in (
            "",
            "\x00" * 50,
            "\ud800",
            "\ud800" + "😀" * 20,
            "-" * 9999,
            "\\" * 999,
            "1," * 999,
            "<" * 999,
            "\n" * 999,
        ):
            assert find_contamination(text, index) == []
    broken = QUESTION.replace(" 48", " \ud800\x00 48")
    (span,) = find_contamination(broken, the_index())
    assert span.matched == broken[span.start : span.end]


def test_a_huge_page_is_read_in_flat_memory():
    """A question at the end of a huge text is found; the arrays are those of one piece."""
    index = build_index({"gsm": [QUESTION]})
    filler = "The quick brown fox, aged 7, jumps over the lazy dog and 3 sheep; then it rests. 好的。\n"
    small = filler * 2000 + QUESTION
    large = filler * (8_000_000 // len(filler)) + QUESTION
    peaks = []
    for text in (small, large):
        find_contamination(text, index)
        tracemalloc.start()
        (span,) = find_contamination(text, index)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert text[span.start : span.end] == QUESTION[:-1]
    assert peaks[1] < 1.5 * peaks[0] + (1 << 20)


@pytest.mark.parametrize("text", ["a" * 400_000, " " * 400_000, "7" * 200_000, "字" * 200_000, "-\n" * 100_000])
def test_endless_words_and_blanks_end(text):
    assert find_contamination(text, the_index()) == []
    assert found(f"{text}\n{QUESTION}\n{text}") == [("gsm", "ngram")]


def test_every_short_text_may_be_asked_for():
    """The paper to the letter: three grams are enough, and an answer takes every page that has it."""
    index = build_index({"b": [r"\frac{3}{4}", "72", "no idea"]}, min_words=0)
    assert index.num_texts == {"b": 1} and index.num_too_short == {"b": 2}
    assert found(r"so $\frac{3}{4}$ of them", index) == [("b", "short")]
    assert found(r"so $\frac{3}{5}$ of them", index) == []


def test_benchmarks_by_name_hold_questions_options_and_solutions(tmp_path):
    row = {"question": CHINESE, "options": ["(A)九页", "(B)八页", "(C)七页", "(D)六页"], "label": "A", "passage": None}
    (tmp_path / "gaokao-mathqa.jsonl").write_text(json.dumps(row))
    (tmp_path / "gaokao-mathcloze.jsonl").write_text(
        json.dumps({"question": "若 $x$ 的平方等于四，求正数 $x$ 的值", "answer": "2"})
    )
    texts = {name: list(found) for name, found in benchmark_texts(["agieval"], tmp_path).items()}
    assert set(texts) == {"gaokao_mathcloze", "gaokao_mathqa"}
    assert texts["gaokao_mathqa"][0] == BenchmarkText(
        text=f"{CHINESE}\n(A) 九页\n(B) 八页\n(C) 七页\n(D) 六页", problem="gaokao_mathqa-test-0"
    )
    index = build_index({name: iter(found) for name, found in texts.items()})
    assert [span.benchmark for span in find_contamination(CHINESE, index)] == ["gaokao_mathqa"]


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
