"""The option that an answer names."""

import pytest

from mathwright.answers import choice_letter

CHOICES = ("5", "12 cm", r"\frac{1}{2}", "a circle")


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("(B)", "B"),
        ("B", "B"),
        ("b)", "B"),
        ("(b)", "B"),
        ("B.", "B"),
        ("B. 12 cm", "B"),
        ("B) 5", "B"),  # the letter counts, whatever follows
        ("(B) 12 cm", "B"),
        (r"\text{(B)}", "B"),
        (r"\textbf{(B)}", "B"),
        (r"\mathrm{B}", "B"),
        ("$B$", "B"),
        ("**B**", "B"),
        (r"\boxed{B}", "B"),
        ("Option B", "B"),
        ("option (b)", "B"),
        ("The correct answer is B", "B"),
        ("选项B", "B"),
        ("B选项", "B"),
        ("选B", "B"),
        ("故选B。", "B"),
        ("（B）", "B"),
        ("B 12 cm", "B"),
        ("b", "B"),  # no option is the variable b
        ("5", "A"),
        ("$5$", "A"),
        ("12cm", "B"),
        ("0.5", "C"),
        ("A circle", "D"),  # an article, no letter
        ("circle", "D"),
        ("E", None),  # there is no such option
        ("6", None),
        ("A and B", None),
        ("A, B", None),
        ("B or C", None),
        ("", None),
        ("I do not know", None),
        ("x = 7", None),
    ],
)
def test_letter(answer: str, letter: str | None):
    assert choice_letter(answer, CHOICES) == letter


def test_a_text_that_two_options_share_names_none():
    assert choice_letter("0.5", ["1/2", "50%", "3"]) is None
    assert choice_letter("3", ["1/2", "50%", "3"]) == "C"


def test_labels_in_front_of_the_options_are_no_part_of_them():
    assert choice_letter("65", ["A)$61", "B)$65", "C)$67.40"]) == "B"
    assert choice_letter(r"\{0,1,2\}", [r"(A)$(0,2)$", r"(B)$[0,2]$", r"(C)$\{0,2\}$", r"(D)$\{0,1,2\}$"]) == "D"


def test_small_letters_are_variables_where_an_option_is_one():
    assert choice_letter("a", ["b", "a", "c"]) == "B"
    assert choice_letter("(a)", ["b", "a", "c"]) == "A"


def test_no_options():
    assert choice_letter("A", []) is None
