"""Where the answer of a response stands: every announcement, value and clause behind; and that looking is linear."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.answers import check_answer, check_response, choice_letter, extract_answer, opened_thought
from mathwright.answers.extract import MAX_TRIES, SEARCHED_CHARS
from mathwright.judge import judge
from mathwright.problems.templates import Prompt
from mathwright.records import Problem

# --- what is announced, with what behind it -------------------------------------------------------

ANNOUNCED = (
    "The answer is {}",
    "Thus, our final answer is: {}",
    "**Answer:** {}",
    "__Final answer__: {}",
    "### Final Answer\n\n{}",
    "ANSWER: {}",
    "The correct answer should be {}",
    "<answer>{}</answer>",
    "#### {}",
    '{{"answer": "{}"}}',
    "Answer\n{}",
    "The answer to part (b), then, is {}",
    "答案：{}",
    "故答案为 {}",
    "**答案**：{}",
    "【答案】{}",
)
VALUES = (
    "12",
    "-3/4",
    r"$\frac{1}{2}$",
    r"\(x+1\)",
    "1,234.5",
    "50%",
    "(3, 4)",
    "**7**",
    r"\sqrt{2}",
    "$x=1$ and $x=2$",
)
SENTENCES = ("The answer is {}", "Therefore the final answer is {}", "Answer: {}", "Our answer: {}")
CLAUSES = (
    ", because 3 + 9 = 12.",
    " since x = 3.",
    ", which is 5 + 7.",
    " where x = 3.",
    " as 5 + 7 = 12.",
    ", not 15 as one might think.",
    " rather than 15.",
    ", and that is all.",
    " (since 5 + 7 = 12).",
    " - a nice result, given 3 and 4.",
    "; each of 3 people gets 4.",
    ". I checked it 2 times.",
    ".\n\nNote that other answers are possible if x is 5.",
    ". The answer is correct.",
    ".\n\nTo check our answer: 12/3 = 4.",
    ", i.e. 3 times 4.",
    ", so 3 of them make 36.",
    " when x = 3.",
    ", up to rounding by 0.5.",
    "<|im_end|>",
)


@pytest.mark.parametrize("announced", ANNOUNCED)
@pytest.mark.parametrize("value", VALUES)
def test_an_announced_value_is_found(announced: str, value: str):
    found = extract_answer(f"First 3 + 4 = 7.\n{announced.format(value)}\n")
    assert found is not None
    assert check_answer(found, value.strip("*")).correct, found


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("clause", CLAUSES)
@pytest.mark.parametrize("value", ["12", "$x + 1$", "(3, 4)", "1/2", "B", "12 apples"])
def test_what_stands_behind_a_value_is_no_part_of_it(sentence: str, clause: str, value: str):
    assert extract_answer(sentence.format(value) + clause) == value.strip("$")


@pytest.mark.parametrize(
    "before", ["", "\\boxed{99}", "The answer is 99.", "#### 99", "<answer>99</answer>", "答案是99。"]
)
@pytest.mark.parametrize("tag", ["think", "thinking", "reasoning", "seed:think"])
def test_nothing_in_a_thought_answers(before: str, tag: str):
    assert extract_answer(f"<{tag}>{before}") is None
    assert extract_answer(f"{before}</{tag}>") is None
    assert extract_answer(f"<{tag}>{before}</{tag}>\nThe answer is 7.") == "7"
    assert extract_answer(f"{before}</{tag}>\nThe answer is 7.") == "7"


def test_a_thought_that_the_prompt_opened_and_nothing_closes_answers_nothing():
    for prompt in ("Q: 2 + 3?\n<think>\n", "<|assistant|><thinking>"):
        assert extract_answer(opened_thought(prompt) + "It is \\boxed{5}.") is None
        assert extract_answer(opened_thought(prompt) + "It is 6?</think></thinking> \\boxed{5}") == "5"
    for prompt in ("Q: 2 + 3?", "<think>\n\n</think>\n\n", "Do not write <think> please. Q: 2 + 3?"):
        assert opened_thought(prompt) == ""


def test_an_answer_within_a_thought_earns_no_reward():
    problem = Problem(id="p", question="2 + 3?", answer="5", source="s", split="train")

    def correct(prompt: str, text: str) -> bool:
        return judge(Prompt(problem=problem, mode="cot", text=prompt), text, sandbox=None).correct

    assert correct("Q", "It is \\boxed{5}.")
    assert not correct("Q", "<think> It is \\boxed{5}.")
    assert not correct("Q<think>\n", "It is \\boxed{5}.")
    assert correct("Q<think>\n", "Maybe 6.</think> It is \\boxed{5}.")


@given(st.text("ab1. \n<think>/`python$\\boxed{}", max_size=60), st.sampled_from(["\\boxed{41}", "The answer is 41."]))
def test_a_closed_thought_changes_nothing(thought: str, answer: str):
    if "think>" not in thought.lower() and "channel" not in thought:
        assert extract_answer(f"<think>{thought}</think>\n{answer}") == "41"


@pytest.mark.parametrize("language", ["python", "py", "output", "cpp", "sql", "r", "javascript"])
def test_no_program_or_output_answers(language: str):
    for inside in ("\\boxed{5}", "The answer is 5.", "#### 5", "answer = 5"):
        assert extract_answer(f"```{language}\n{inside}\n```") is None
        assert extract_answer(f"```{language}\n{inside}") is None
        assert extract_answer(f"````{language}\n```\n{inside}\n````\nThe answer is 7.") == "7"


@pytest.mark.parametrize("language", ["", "text", "latex", "markdown"])
def test_a_block_of_text_answers(language: str):
    assert extract_answer(f"```{language}\n\\boxed{{5}}\n```") == "5"


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_two_prices_are_no_formula(a: int, b: int):
    assert extract_answer(f"It costs ${a} and then ${b}.", fallback=True) == f"${b}"
    assert extract_answer(f"The answer is ${a}, so two cost ${b}.") == f"${a}"


@pytest.mark.parametrize(
    "answer", ["The answer is {}) 12, because x is 3.", "So ({}) is the correct answer.", "Option {} is correct."]
)
@pytest.mark.parametrize("letter", ["A", "B", "C"])
def test_options(answer: str, letter: str):
    found = extract_answer(answer.format(letter))
    assert found is not None
    assert choice_letter(found, ["12", "15", "20"]) == letter


# --- counted work ---------------------------------------------------------------------------------


def steps(text: str) -> int:
    """Lines of Python that looking for an answer executes; its patterns are linear by `test_linear_patterns`."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        extract_answer(text, fallback=True)
    finally:
        sys.settrace(before)
    return count


HOSTILE = (
    "\\boxed{1} and",
    "\\boxed{1}" + " and" * 9,
    "\\boxed{",
    "\\boxed ",
    "final answer is" + " " * 9,
    "the answer is x" + " " * 9,
    "\n",
    "#### a" + " " * 9,
    "<think>",
    "</think>",
    "<answer>",
    "```python ",
    "```\n",
    "answer is $",
    "answer is \\(",
    "answer is **",
    "answer is (",
    "答案是",
    "故选",
    "I hope it is correct",
    "answer: 1,",
    "- 1\n",
    "'",
    "= 3 ",
)


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("start", ["", "The answer is ", "\\boxed{1}", "Answer:\n"])
def test_twice_the_text_is_at_most_twice_the_work(start: str, unit: str):
    counted = [steps(start + unit * (size // len(unit))) for size in (4000, 8000)]
    assert counted[1] <= 2 * counted[0] + 200


PIECES = (
    "answer is ",
    "Answer:",
    "\n",
    "#### ",
    "\boxed{",
    "}",
    "$",
    "$$",
    "\\(",
    "\\)",
    "(",
    ")",
    "[",
    "12",
    "x",
    ",",
    " and ",
    "- ",
    ". ",
)
PIECES += (
    "<think>",
    "</think>",
    "```python\n",
    "```",
    "答案是",
    "，",
    "。",
    "选",
    "A",
    "**",
    "__",
    "?",
    "!",
    "=",
    "|",
    "<answer>",
    " ",
)


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.booleans())
def test_no_text_makes_it_raise(text: str, fallback: bool):
    found = extract_answer(text, fallback=fallback)
    assert found is None or found.strip()


def test_work_is_bounded_for_any_length():
    for unit in HOSTILE:
        text = unit * (2 * SEARCHED_CHARS // len(unit))
        # a line for each mark that opens or closes a thought or program, and windows around the last boxes and phrases
        assert steps(text) <= 20 * len(text) / len(unit) + MAX_TRIES * 60_000, unit


def test_the_shortest_text_that_took_exponential_time():
    text = "\\boxed{1}" + " and" * 40 + " the \\boxed{2}"
    assert extract_answer(text) == "2"
    assert check_response(text, "2").correct


@pytest.mark.parametrize("gap", [" ", "  ", " ,  "])
def test_many_letters_are_read_in_one_pass(gap: str):
    assert choice_letter("B) " + gap.join("ABCD" * 20) + " x", ["1", "2", "3", "4"]) == "B"
    assert choice_letter("answer" + " " * 1500 + "!", ["1", "2"]) is None


@pytest.mark.parametrize("mark", ["", "*", "**", "__", "`", "**_"])
@pytest.mark.parametrize("sentence", ["So there are {} apples.", "Bo has {}", "{} apples are left"])
def test_the_only_value_of_a_sentence_may_be_emphasised(sentence: str, mark: str):
    found = extract_answer(sentence.format(f"{mark}28{mark[::-1]}"))
    assert found is not None and found.startswith("28") and not set(found) & set("*_`")
