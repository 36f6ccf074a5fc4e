"""Properties of comparing: what may change in an answer without another meaning, and what may not."""

import itertools
import random
import re
import string
import sys
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.answers import brackets, check_answer, compare, names, normalise, programs, several, structure
from mathwright.answers.decisions import Decision
from mathwright.answers.nodes import Formula
from mathwright.answers.numbers import Quantity
from tests.properties import examples


def same(a: str, b: str) -> bool:
    """Whether two answers are the same, which must not depend on their order."""
    verdict, back = check_answer(a, b).correct, check_answer(b, a).correct
    assert verdict == back, (a, b)
    return verdict


# --- orders of letters ---


@pytest.mark.parametrize("word", ["HHT", "RRLL", "AB", "GATC", "XYZ"])
def test_letters_run_together_keep_their_order(word: str):
    for letters in set(itertools.permutations(word)):
        assert same("".join(letters), word) == ("".join(letters) == word)


@pytest.mark.parametrize("word", ["ab", "mgh", "rst"])
def test_small_letters_are_numbers_and_commute(word: str):
    assert all(same("2" + "".join(letters), "2" + word) for letters in itertools.permutations(word))


def test_products_of_capitals_are_those_of_matrices():
    assert same("(A+B)^2", "A^2+AB+BA+B^2") and not same("(A+B)^2+AB", "A^2+2AB+B^2+AB")
    assert not same("A^{-1}B", "BA^{-1}") and same("PDP^{-1}", "PDP^{-1}")
    assert same(r"\frac{R_1R_2}{R_1+R_2}", r"\frac{R_2R_1}{R_2+R_1}"), "what has an index is a number"
    assert same("GMm", "mMG"), "among small letters capitals are numbers, too"


@pytest.mark.parametrize("arrow", [r"\vec{%s}", r"\mathbf{%s}"])
def test_a_cross_product_changes_its_sign_with_the_order(arrow: str):
    a, b = (arrow % letter for letter in "ab")
    assert not same(rf"{a}\times {b}", rf"{b}\times {a}")
    assert same(rf"2{a}\times {b}", rf"-2{b}\times {a}")
    assert same(rf"{a}\cdot {b}", rf"{b}\cdot {a}")


def test_points_name_segments_from_either_end_vectors_from_one():
    assert same(r"\overline{AB}", r"\overline{BA}") and not same(r"\overrightarrow{AB}", r"\overrightarrow{BA}")
    assert same(r"\angle PQR", r"\angle RQP") and not same(r"\angle PQR", r"\angle QPR")
    assert same(r"\triangle ABC", r"\triangle CAB") and not same(r"\triangle ABC", r"\triangle ABD")


def test_an_implication_is_not_its_converse():
    for arrow in (r"\Rightarrow", r"\implies", r"\to"):
        assert same(f"p {arrow} q", f"p{arrow} q") and not same(f"p {arrow} q", f"q {arrow} p")


# --- intervals, integers, sets ---

ends = st.tuples(st.integers(-50, 50), st.integers(1, 60)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(ends)
def test_an_interval_is_not_its_two_ends(pair: tuple[int, int]):
    a, b = pair
    for points in (f"{a},{b}", rf"\{{{a},{b}\}}", f"x={a} or x={b}", f"{b},{a}"):
        assert not same(points, f"[{a},{b}]"), points
        assert not same(points, rf"{a}\le x\le {b}")
    assert same(f"[{a},{b}]", rf"{a}\le x\le {b}")
    assert same(f"[{b}, {a}]", f"{a}, {b}"), "the greater end first: a list of Python's"


@given(ends, st.sampled_from([r"\mathbb{Z}", "Z"]))
def test_integers_are_not_the_reals_between_them(pair: tuple[int, int], integers: str):
    a, b = pair
    members = rf"\{{{','.join(map(str, range(a + 1, b)))}\}}"
    assert not same(rf"\{{x\in {integers} \mid {a}<x<{b}\}}", f"({a},{b})")
    assert same(rf"\{{x\in {integers} \mid {a}<x<{b}\}}", members)
    assert same(rf"n>{a}, n\in {integers}", rf"n\ge {a + 1}, n\in {integers}")
    assert not same(rf"n>{a}, n\in {integers}", rf"n>{a}")
    assert same(rf"x>{a}, x\in\mathbb{{R}}", rf"({a},\infty)")


@given(st.integers(1, 9), st.integers(-9, 9), st.integers(1, 20))
def test_a_distance_is_an_interval(slope: int, offset: int, bound: int):
    lower, upper = Fraction(-bound - offset, slope), Fraction(bound - offset, slope)
    assert same(f"|{slope}x{offset:+d}|<{bound}", f"({lower},{upper})")
    assert same(f"|{slope}x{offset:+d}|>{bound}", rf"(-\infty,{lower})\cup({upper},\infty)")
    assert not same(rf"|{slope}x{offset:+d}|\le {bound}", f"({lower},{upper})")


def test_sets_of_reals_whose_ends_are_worked_out():
    assert same(r"|x|<\sqrt2", r"(-\sqrt{2},\sqrt{2})")
    assert same(r"(0,\sqrt4)\cup(2,\sqrt9)", r"(0,2)\cup(2,3)") and not same(r"(0,\sqrt4)\cup(2,\sqrt9)", "(0,3)")
    assert same(r"(0,1)\cap(1,2)", r"\emptyset") and same(r"x\ne\sqrt2", r"(-\infty,\sqrt2)\cup(\sqrt2,\infty)")


@given(st.integers(-20, 20), st.integers(-20, 20), st.integers(-20, 20), st.integers(-20, 20))
def test_points_are_equal_only_coordinate_by_coordinate(a: int, b: int, c: int, d: int):
    assert same(f"({a},{b})", f"({c},{d})") == ((a, b) == (c, d))


# --- names and labels ---


@given(st.permutations(["x", "y", "z"]), st.permutations([1, 2, 3]))
def test_named_values_stand_for_the_point_in_the_order_of_the_alphabet(order: list[str], values: list[int]):
    value = dict(zip("xyz", values, strict=True))
    named = ", ".join(f"{name}={value[name]}" for name in order)
    for point in itertools.permutations([1, 2, 3]):
        assert same(named, str(point)) == (list(point) == values)
    assert same(named, rf"\begin{{pmatrix}}{values[0]}\\{values[1]}\\{values[2]}\end{{pmatrix}}")
    assert same(f"({','.join(order)})=({','.join(str(value[name]) for name in order)})", named)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=4), st.lists(st.integers(0, 5), min_size=2, max_size=4))
def test_every_label_is_compared(left: list[int], right: list[int]):
    for labels in ("(a) (b) (c) (d)", "(1) (2) (3) (4)", "A: B: C: D:", "(i) (ii) (iii) (iv)"):
        texts = [" ".join(f"{k} {v}" for k, v in zip(labels.split(), values, strict=False)) for values in (left, right)]
        assert same(*texts) == (left == right), texts


# --- expressions ---


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (r"3\sqrt{x-%d}", r"\sqrt{9x-9\cdot %d}"),
        (r"\ln(x-%d)+\ln 2", r"\ln(2x-2\cdot %d)"),
        (r"\frac{1}{\sqrt{x-%d}}", r"\frac{\sqrt{x-%d}}{x-%d}"),
        (r"\sqrt{x-%d}", r"\sqrt{|x-%d|}\cdot\frac{x-%d}{|x-%d|}"),
    ],
)
@pytest.mark.parametrize("place", [3, 500, 12_345, -7_000])
def test_the_points_come_from_the_domain(a: str, b: str, place: int):
    a, b = (text.replace("-%d", f"-({place})").replace("%d", f"({place})") for text in (a, b))
    if "|" in b:
        assert not same(a, b), "one of them is defined on both sides"
        return
    assert same(a, b)
    assert not same(a, b + "+10^{-9}"), "a term more"


@pytest.mark.parametrize("place", [0, 7, 500, 12_345, -7_000])
def test_bars_floors_and_maxima_are_tried_on_both_sides(place: int):
    assert not same(f"|x-({place})|", f"x-({place})") and not same(f"|x-({place})|", f"({place})-x")
    assert same(f"|x-({place})|", f"|({place})-x|")
    assert not same(rf"\max(x,{place})", "x") and not same(rf"\max(x,{place})", str(place))
    assert not same(rf"\lfloor x\rfloor+{abs(place)}", f"x+{abs(place)}")


def test_bars_that_extend_a_domain_matter():
    assert not same(r"\ln|x|", r"\ln x") and not same(r"\sqrt{|x|}", r"\sqrt{x}")
    assert same(r"\ln(x^2)", r"2\ln x"), "where both are real"
    assert same(r"\sqrt{x^2}", "|x|") and not same(r"(\sqrt{x})^2", "|x|")


@pytest.mark.parametrize(
    ("a", "b", "wrong"),
    [
        ("x^{a+b}", "x^ax^b", "x^a+x^b"),
        ("(x^a)^b", "x^{ab}", "x^{a+b}"),
        ("2^n3^n", "6^n", "5^n"),
        (r"\frac{n!}{(n-2)!}", "n(n-1)", "n(n-2)"),
        (r"\binom{n}{k}", r"\frac{n!}{k!(n-k)!}", r"\frac{n!}{k!}"),
        ("(-1)^n", r"\cos(n\pi)", r"\sin(n\pi)"),
        ("e^{-x/2}", r"\frac{1}{\sqrt{e^x}}", r"\frac{1}{e^{x}}"),
    ],
)
def test_laws_of_exponents(a: str, b: str, wrong: str):
    assert same(a, b) and not same(a, wrong)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a(b+c)", "ab+ac"),
        ("(3)(4)", "12"),
        ("2x(x+1)", "2x^2+2x"),
        ("x(y)", "xy"),
        (r"\ln 8/\ln 2", "3"),
        (r"\log_2{4}/(x+1)", r"\frac{2}{x+1}"),
        (r"\sin(x)/2", r"\frac{\sin x}{2}"),
        (r"\sin 2x\cos x", r"\cos(x)\sin(2x)"),
        ("C_5^2", "10"),
        (r"{n \choose 2}", r"\frac{n(n-1)}{2}"),
        (r"\begin{vmatrix}a&b\\c&d\end{vmatrix}", "ad-bc"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}^{-1}", r"\begin{pmatrix}-2&1\\1.5&-0.5\end{pmatrix}"),
        (r"3\hat{i}+4\hat{j}", r"\langle 3,4\rangle"),
        (r"\overline{3+4i}", "3-4i"),
        (r"2\frac{1}{3}\pi", r"\frac{7\pi}{3}"),
        (r"0.\overline{3}x", r"\frac{x}{3}"),
    ],
)
def test_what_the_parser_reads(a: str, b: str):
    assert same(a, b)
    assert not same(a, b + "+1") and not same(a, rf"2\cdot({b})")


@pytest.mark.parametrize("text", ["5 5", "f(x)", r"\frac{1}{", "x5", "1..2", r"\foo", "(1", "2+", "*3"])
def test_what_is_not_understood_equals_nothing_else(text: str):
    for other in ("25", "fx", "5x", "1", "2", "3"):
        assert not check_answer(text, other).correct


def test_digits_are_carried_until_no_term_is_lost():
    for exponent in (30, 100, 400):
        huge, tiny = f"10^{{{exponent}}}", f"10^{{-{exponent}}}"
        assert not same(f"{huge}+x", huge) and not same(f"x+{tiny}", "x")
        assert not same(rf"\sqrt{{10^{{{2 * exponent}}}+1}}", huge)
        assert same(rf"x+{tiny}-{tiny}", "x")


letters = st.sampled_from("abcxyz")
terms = st.recursive(
    st.one_of(letters, st.integers(1, 9).map(str)),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda t: f"({t[0]}+{t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"{t[0]}*{t[1]}"),
        inner.map(lambda t: rf"\sqrt{{{t}}}"),
        st.tuples(inner, st.integers(2, 3)).map(lambda t: f"{{({t[0]})}}^{{{t[1]}}}"),
    ),
    max_leaves=5,
)


@examples(60)
@given(terms, terms, st.randoms(use_true_random=False))
def test_a_sum_in_another_order_is_the_same_and_with_a_term_more_another(a: str, b: str, numbers: random.Random):
    assert same(f"{a}+{b}", f"{b}+{a}")
    assert not same(f"{a}+{b}", f"{b}+{a}+1")
    renamed = str.maketrans("abcxyz", "".join(numbers.sample("uvwpqs", 6)))
    assert same(f"({a})({b})".translate(renamed), f"({b})({a})".translate(renamed))


# --- work in proportion to length ---


class Counting(compare.Spelling):
    """The caller's oracle, counting how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    @property
    def exact(self) -> "Counting":
        return self

    def equal(self, a: Quantity | Formula, b: Quantity | Formula, factor: Fraction = Fraction(1)) -> Decision:
        self.asked += 1
        return super().equal(a, b, factor)


def _asked(left: list[str], right: list[str], brackets_around: str = "%s") -> tuple[Decision, int]:
    oracle = Counting()
    nodes = [structure.parse(brackets_around % ",".join(items)) for items in (left, right)]
    return compare.compare(nodes[0], nodes[1], oracle), oracle.asked


@pytest.mark.parametrize("around", ["%s", "⦃%s⦄", "[%s]"])
def test_equal_parts_of_long_lists_are_looked_up(around: str):
    for n in (80, 160):
        items = [rf"\sqrt{{{k}}}" for k in range(n)]
        decision, asked = _asked(items, items if around == "[%s]" else items[::-1], around)
        assert decision and asked <= compare.Spelling.max_comparisons


def test_lists_of_numbers_are_compared_without_a_single_question():
    ones, twos = ["1"] * 950, ["2"] * 950
    assert _asked(ones, twos) == (False, 0)
    assert _asked([str(k) for k in range(400)], [str(k) for k in range(1, 401)]) == (False, 0)


def test_lists_too_long_to_be_compared_one_by_one_are_left_to_a_worker():
    left = [f"x_{k}+1" for k in range(150)]
    right = [f"1+x_{k}" for k in range(150)]
    decision, asked = _asked(left, right)
    assert decision is None and asked <= compare.Spelling.max_comparisons


def _steps(function, *arguments: object) -> int:
    """Lines of Python that a call runs through, those of its callees included."""
    count = 0

    def trace(frame, event: str, _: object):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return count


def _cleaned(text: str) -> str:
    return normalise.clean(text)


UNITS = ["1,", "sqrt(", "log(", "Interval(", "x^(", "(a a ", "1:2 ", "x=1,", "{1,", "①", "9", "⁴", "a and ", "&", "a "]


@pytest.mark.parametrize("unit", [*UNITS, r"\frac12", r"\begin{array}", r"\text{", r"\sqrt"])
def test_reading_twice_as_much_takes_twice_the_steps(unit: str):
    read = structure.parse.__wrapped__

    def work(length: int) -> int:
        text = unit * (length // len(unit))
        return _steps(lambda: _quietly(read, text))

    short, long = work(900), work(1800)
    assert long <= 2.4 * short + 3000, (short, long)


def _quietly(read, text: str) -> None:
    try:
        read(text)
    except (structure.UnreadableError, RecursionError):
        return


AS_A_WHOLE = ("_SYSTEM", "_CIRCLED_LIST", "_UNIT_VECTOR", "_SOLUTION")
"""Patterns that are only ever matched from the first character to the last."""


def test_no_pattern_looks_at_a_run_of_characters_again_and_again():
    """A pattern that does takes seconds for 8,000 characters, any other thousandths of one."""

    def seconds(pattern: re.Pattern[str], text: str) -> float:
        best = 1.0
        for _ in range(3):
            start = time.process_time()
            for _match in pattern.finditer(text):
                pass
            best = min(best, time.process_time() - start)
        return best

    slow = []
    for module in (brackets, names, normalise, programs, several):
        for name, pattern in vars(module).items():
            if isinstance(pattern, re.Pattern) and name not in AS_A_WHOLE:
                for run in ("9", "a ", "ab", "(a", "1,", r"\a", "(", "[", "x^", "一"):
                    text = (run * 8000)[:7999] + "\x01"
                    if seconds(pattern, text) > 0.5:
                        slow.append((module.__name__, name, run))
    assert not slow


def test_labels_are_found_in_one_pass():
    text = " ".join(f"({letter}) {k}" for k, letter in enumerate(string.ascii_lowercase[:8]))
    assert names.labelled_parts(text) == [(letter, str(k)) for k, letter in enumerate("abcdefgh")]
    assert names.labelled_parts("(a) and (b)") is None and names.labelled_parts("(b) 1 (c) 2") is None
