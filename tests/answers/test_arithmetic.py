"""Arithmetic on the lines of a solution."""

import pytest

from mathwright.answers.arithmetic import arithmetic_holds


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("3 + 4 = 7", True),
        ("3 + 4 = 8", False),
        ("So she has 3 + 4 = 7 apples.", True),
        ("Step 1: 12*3=36", True),
        ("1. 12 * 3 = 36.", True),
        ("Total: 2 * 3 + 1 = 7, and 7 - 1 = 6.", True),
        ("Total: 2 * 3 + 1 = 7, and 7 - 1 = 5.", False),
        ("x = 3 + 4 = 7", True),
        ("2 * (3 + 4) = 14 = 28 / 2", True),
        ("2 * (3 + 4) = 14 = 28 / 4", False),
        ("$1,200 / 4 = $300", True),
        (r"\(\frac{10}{4} = 2.5\)", True),
        (r"$3 \times 4 = 12$", True),
        ("6 ÷ 4 = 1.5", True),
        ("10 / 3 = 3.33", True),  # rounded to the digits it shows
        ("10 / 3 = 3.34", False),
        ("0.1 + 0.2 = 0.3", True),  # exact, not binary
        ("10 - 2 - 3 = 5", True),  # from the left
        ("-5 + 3 = -2", True),
        ("7 = 3 + 4", True),
        # nothing that could be checked for certain
        ("She has seven apples.", None),
        ("x + 3 = 10", None),
        ("x - 3 + 5 = 10", None),
        ("2x + 3 = 7", None),
        ("f(3) + 2 = 8", None),
        ("20 * 50% = 10", None),
        ("3 + 4 = 7x", None),
        ("3 + 4 = 7 + x", None),
        ("x = 7", None),
        ("2^3 + 1 = 9", None),
        ("1 / 0 = 3", None),
        ("3 + = 7", None),
        ("((3 + 4 = 7", None),
        ("3 + 4 >= 7", None),
    ],
)
def test_arithmetic_on_a_line(line, holds):
    assert arithmetic_holds(line) is holds


@pytest.mark.parametrize(
    "line", ["1" * 20_000 + " a = 3", "(" * 20_000 + "1 = 1", "1" * 20_000 + " + 1 = 2", "1+" * 9_999 + "1 = 9"]
)
def test_monstrous_lines_are_left_alone_at_once(line):
    assert arithmetic_holds(line) in (None, False)
