"""Where the steps of a response end in its text."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.errors import MathwrightError
from mathwright.problems.steps import BREAKS, StepRule, read_rule, write_rule


def steps(text: str, by: str, **fields) -> list[str]:
    """The text of each step."""
    ((ends, reason),) = StepRule(by=by, **fields).cut([text])
    assert bool(ends) != bool(reason)
    return [text[a:b].strip() for a, b in itertools.pairwise([0, *ends])]


@pytest.mark.parametrize(
    ("by", "text", "expected"),
    [
        ("line", "3 + 4 = 7\n7 + 1 = 8\nThe answer is 8.", ["3 + 4 = 7", "7 + 1 = 8", "The answer is 8."]),
        ("line", "\n\n3 + 4 = 7\n   \n\nSo 7.\n\n", ["3 + 4 = 7", "So 7."]),  # empty steps merge
        ("line", "a\r\nb", ["a", "b"]),
        ("line", "one", ["one"]),
        ("paragraph", "a\nb\n\nc\n \n\nd", ["a\nb", "c", "d"]),
        ("step", "Step 1: a\nb\nStep 2: c\nStep 3: d", ["Step 1: a\nb", "Step 2: c", "Step 3: d"]),
        ("step", "Let us see.\n**Step 1.** a\n**Step 2.** b", ["Let us see.\n**Step 1.** a", "**Step 2.** b"]),
        ("step", "## Step 1\na\n## Step 12\nb", ["## Step 1\na", "## Step 12\nb"]),
        ("step", "Step 1: a. Step 2: b.", ["Step 1: a.", "Step 2: b."]),  # on one line
        ("step", "Step 1: as in step 4: no", ["Step 1: as in step 4: no"]),  # in the middle of a sentence
        ("step", "no marks\nat all", ["no marks\nat all"]),
        ("sentence", "She has 3.5 apples. He has $0.29$. So 7!", ["She has 3.5 apples.", "He has $0.29$.", "So 7!"]),
        ("sentence", "Mr. Smith has 3. He eats one.", ["Mr. Smith has 3.", "He eats one."]),
        ("sentence", "1. Add them. 2. Stop.", ["1. Add them.", "2. Stop."]),
        ("sentence", "3 + 4 = 7\nSo 7", ["3 + 4 = 7", "So 7"]),
        ("sentence", 'He said "7." Then he left?', ['He said "7."', "Then he left?"]),
        ("sentence", "小明有三个苹果。他吃了一个。还剩两个", ["小明有三个苹果。", "他吃了一个。", "还剩两个"]),
        ("sentence", "a, i.e. b... c", ["a, i.e. b...", "c"]),
    ],
)
def test_kinds_of_steps(by, text, expected):
    assert steps(text, by) == expected


def test_what_is_beyond_the_cap_belongs_to_the_last_step():
    assert steps("a\nb\nc\nd", "line", max_steps=3) == ["a", "b", "c\nd"]
    assert steps("a\nb\nc\nd", "line", max_steps=1) == ["a\nb\nc\nd"]
    assert steps("a\nb", "line", max_steps=2) == ["a", "b"]


@given(st.sampled_from(sorted(BREAKS)), st.text(st.sampled_from("a1.\n !?Step:。$"), max_size=60), st.integers(1, 5))
def test_steps_cover_the_response_and_none_is_empty(by, text, cap):
    ((ends, _),) = StepRule(by=by, max_steps=cap).cut([text])
    assert bool(ends) == bool(text.strip())
    assert len(ends) <= cap
    assert all(text[a:b].strip() for a, b in itertools.pairwise([0, *ends]))
    if ends:
        assert ends[-1] == len(text)
        assert all(not text[end - 1].isspace() for end in ends[:-1])


@given(st.sampled_from(sorted(BREAKS)), st.text(st.sampled_from("a1.\n !?Step:。"), max_size=60))
def test_steps_of_what_was_cut_off_at_a_step_are_the_first_ones(by, text):
    """Labelling completes prefixes: the steps of a prefix that ends with a step are those of the whole."""
    ((ends, _),) = StepRule(by=by).cut([text])
    for count, end in enumerate(ends[:-1], start=1):
        ((again, _),) = StepRule(by=by).cut([text[:end]])
        assert again == ends[:count]


def test_any_kind_is_linear():
    for by in BREAKS:
        for text in ("." * 50_000, " " * 50_000 + "x", "\n " * 25_000, "step " * 10_000, "1." * 25_000, '."' * 25_000):
            began = time.process_time()
            StepRule(by=by).cut([text])
            assert time.process_time() - began < 5


# --- functions ---


def every_two(text):
    return list(range(2, len(text) + 1, 2))


def nothing(text):
    return None


def empty(text):
    return []


def overlapping(text):
    return [3, 2]


def outside(text):
    return [len(text) + 1]


def fraction(text):
    return [1.5]


def endless(text):
    return [float("inf")]


def raising(text):
    raise RuntimeError("no")


def hanging(text):
    time.sleep(60)


def test_a_function_names_ends_and_the_last_step_is_completed():
    assert steps("abcdef", f"{__name__}:every_two") == ["ab", "cd", "ef"]
    assert steps("abcde", f"{__name__}:every_two") == ["ab", "cd", "e"]
    assert steps("ab  cd", f"{__name__}:every_two") == ["ab", "cd"]  # an empty one merges
    assert steps("abcdef", f"{__name__}:every_two", max_steps=2) == ["ab", "cdef"]


@pytest.mark.parametrize("name", ["nothing", "empty", "overlapping", "outside", "fraction", "endless"])
def test_what_is_no_list_of_ends_gives_no_steps_and_a_reason(name):
    ((ends, reason),) = StepRule(by=f"{__name__}:{name}").cut(["abcdef"])
    assert ends == ()
    assert "no list of ascending ends" in reason


def test_a_function_that_raises_or_hangs_gives_no_steps_and_a_reason():
    assert "raised RuntimeError" in StepRule(by=f"{__name__}:raising").cut(["abc"])[0].reason
    assert "took more" in StepRule(by=f"{__name__}:hanging", timeout_s=0.05).cut(["abc"])[0].reason


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (StepRule(by="word"), "is no kind of step"),
        (StepRule(max_steps=0), "max_steps is 0"),
        (StepRule(by=f"{__name__}:gone"), "cannot import the step function"),
    ],
)
def test_rules_that_cannot_be_followed_are_named(rule, message):
    with pytest.raises(MathwrightError, match=message):
        rule.check("reward.process.steps")


# --- in a model's folder ---


def test_a_folder_says_what_a_step_is(tmp_path):
    rule = StepRule(by="sentence", max_steps=7)
    write_rule(tmp_path, rule)
    assert read_rule(tmp_path) == rule
    (tmp_path / "steps.json").write_text('{"by": "line"')
    with pytest.raises(MathwrightError, match=r"steps\.json"):
        read_rule(tmp_path)
    with pytest.raises(MathwrightError, match="does not say what a step is"):
        read_rule(tmp_path / "elsewhere")
