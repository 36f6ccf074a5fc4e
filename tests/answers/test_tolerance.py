"""The relative tolerance that benchmarks with a published one ask for."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.answers import check_answer, check_response, check_responses


@pytest.mark.parametrize(
    ("prediction", "reference", "same"),
    [
        ("1.05", "1", True),  # the bound belongs to it
        ("0.95", "1", True),
        ("1.0501", "1", False),
        ("-1", "1", False),
        ("0.001", "0", False),  # nothing but zero is near zero
        ("3.1", r"\pi", True),
        (r"\pi", "3.1", True),
        ("3", r"\pi", True),
        ("2.9", r"\pi", False),
        (r"\arcsin(10/13)", "np.arcsin(10/13)", True),
        ("0.88", "np.arcsin(10/13)", True),
        ("4.5e33", r"4.4 \times 10^{33}", True),
        ("101 cm", "1 m", True),  # after conversion
        ("101 cm", "1 cm^2", False),
        ("21%", "0.2", True),  # the percent rule is unchanged
        ("21%", "20", True),
        ("21", "0.2", False),
        ("(1.01, 2.02)", "(1, 2)", True),
        ("[51, 78, 125]", "[51.2, 78.15, 125.0]", True),
        ("[51, 78, 135]", "[51.2, 78.15, 125.0]", False),
        ("1.01, 2.02", "2, 1", True),
        (r"1.4, -1.4", r"\pm\sqrt{2}", True),
        ("[0, 1.01]", "[0, 1]", True),  # the ends are numbers
        ("[0, 1.01)", "[0, 1]", False),  # which ends belong is no number
        ("(0, 1)", "[0, 1]", False),
        ("0.99, 1, 2", "1, 2", False),
        ("x = 5.1", "x = 5", True),
        ("5.1x", "5x", False),  # no constant
        ("A", "B", False),
        ("3:31", "3:30", False),
        (r"1 + 2.01i", r"1+2i", False),  # real numbers only
    ],
)
def test_numbers_within_five_percent(prediction: str, reference: str, same: bool):
    assert check_answer(prediction, reference, rel_tolerance=0.05).correct == same


def test_the_tolerance_is_a_part_of_the_reference():
    assert check_answer("105", "100", rel_tolerance=0.05).correct
    assert not check_answer("100", "95.2", rel_tolerance=0.05).correct
    assert check_answer("100", "95.3", rel_tolerance=0.05).correct
    assert check_answer("95", "100", rel_tolerance=0.05).correct
    assert not check_answer("100", "95", rel_tolerance=0.05).correct, "the reference is smaller here"
    assert not check_answer("x = 100", "95", rel_tolerance=0.05).correct
    assert check_answer("95", "x = 100", rel_tolerance=0.05).correct, "the name does not exchange the sides"


@given(st.integers(-1000, 1000), st.integers(-1000, 1000), st.sampled_from([0.0, 0.01, 0.05, 0.1, 0.3]))
def test_it_is_the_inequality(p: int, r: int, tolerance: float):
    expected = abs(p - r) <= Fraction(str(tolerance)) * abs(r)
    assert check_answer(str(p), str(r), rel_tolerance=tolerance).correct == expected


def test_none_by_default_and_in_batches_where_asked():
    pairs = [(r"\boxed{1.01}", "1"), (r"\boxed{3.14}", r"\pi"), (r"\boxed{2}", "1")]
    assert [verdict.correct for verdict in check_responses(pairs)] == [False, False, False]
    assert [verdict.correct for verdict in check_responses(pairs, rel_tolerance=0.02)] == [True, True, False]
    assert check_response(*pairs[1], rel_tolerance=0.02).correct
    assert not check_response(*pairs[1]).correct


def test_a_negative_tolerance_is_refused():
    with pytest.raises(ValueError, match="rel_tolerance"):
        check_answer("1", "1", rel_tolerance=-0.1)
