"""Prompts: the words of each layout, and a response that imitates the exemplars is cut and read as it should be."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from mathwright.answers import check_answer, extract_answer
from mathwright.errors import MathwrightError
from mathwright.problems.exemplars import exemplar_sets, load_exemplars
from mathwright.problems.programs import program_of
from mathwright.records import SolutionFormat
from tests.problems.asking import CHAT, ask, build, cut, render

MODES: tuple[SolutionFormat, ...] = ("cot", "pot", "tool")
NEEDED: Mapping[SolutionFormat, str] = {"cot": "cot", "pot": "program", "tool": "output"}
SETS_AND_MODES = [
    (name, mode) for name in exemplar_sets() for mode in MODES if getattr(load_exemplars(name)[0], NEEDED[mode])
]

# --- few-shot prompts -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "mode"), SETS_AND_MODES)
def test_a_model_that_goes_on_as_the_exemplars_do_is_cut_after_its_answer(name: str, mode: SolutionFormat) -> None:
    """The prompt of exemplar k is the beginning of a longer prompt; what follows there is what a base model writes."""
    exemplars = load_exemplars(name)
    whole = build(ask(language=exemplars[0].problem.language), mode, shots=len(exemplars), exemplars=name).text
    for number, exemplar in enumerate(exemplars):
        prompt = build(exemplar.problem, mode, shots=number, exemplars=name)
        assert whole.startswith(prompt.text)
        assert prompt.text.endswith(prompt.response_prefix) and not prompt.text.endswith(" ")
        response = cut(whole[len(prompt.text) :], prompt.stop)
        if mode == "pot":
            assert program_of(prompt, response) == exemplar.program
            continue
        assert response.strip().endswith(exemplar.ending)
        if name.startswith("proof"):
            assert response.strip() == exemplar.cot
            continue
        assert check_answer(extract_answer(response) or "", exemplar.problem.answer).correct
        if mode == "tool":
            assert f"```python\n{exemplar.program}\n```\n```output\n{exemplar.output}\n```\n" in response


def test_a_chain_of_thought_prompt_as_it_stands() -> None:
    prompt = build(ask("How old is Al?"), shots=1)
    first = load_exemplars("word_en")[0]
    assert prompt.text == (
        f"Question: {first.problem.question}\nAnswer: {first.cot} The answer is 11.\n\n"
        "Question: How old is Al?\nAnswer:"
    )
    assert prompt.messages is None


def test_a_program_prompt_as_it_stands() -> None:
    prompt = build(ask("How old is Al?"), "pot", shots=1)
    first = load_exemplars("word_en")[0]
    assert prompt.text == (
        f"Question: {first.problem.question}\n```python\n{first.program}\n```\n\nQuestion: How old is Al?\n```python\n"
    )
    assert prompt.response_prefix == "```python\n"


def test_options_stand_after_the_question() -> None:
    prompt = build(ask("Which is even?", choices=("3", "4")), shots=2, exemplars="choice_en")
    assert prompt.text.endswith("Question: Which is even?\n(A) 3\n(B) 4\nAnswer:")
    assert prompt.text.count("\n(A) ") == 3 and "The answer is (B).\n\n" in prompt.text


@pytest.mark.parametrize("colon", ["：", ":"])
def test_a_chinese_model_is_stopped_at_its_next_question_whichever_colon_it_writes(colon: str) -> None:
    prompt = build(ask("几岁？", language="zh"), shots=8, exemplars="word_zh")
    assert prompt.text.endswith("\n\n问题：几岁？\n解答：")
    response = "问题转化为 7×8。\n问题在于 56。答案是 56。\n"
    assert cut(f"{response}\n问题{colon}几个？\n解答：3", prompt.stop) == response


def test_the_words_around_a_question_are_those_of_the_exemplars() -> None:
    assert build(ask(language="en"), shots=1, exemplars="word_zh").text.endswith("\n\n问题：What is 1 + 1?\n解答：")


# --- chat -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "mode"), [pair for pair in SETS_AND_MODES if pair[0] != "code_en"])
def test_exemplars_as_turns_obey_what_their_question_asks(name: str, mode: SolutionFormat) -> None:
    """The suffix asks for a box, so the answers above must have one; a program answers for itself."""
    exemplars = load_exemplars(name)
    prompt = build(exemplars[0].problem, mode, template="tokenizer", tokenizer=CHAT, shots=3, exemplars=name)
    assert prompt.messages is not None and prompt.stop == () and prompt.response_prefix == ""
    assert [message["role"] for message in prompt.messages] == ["user", "assistant"] * 3 + ["user"]
    assert prompt.messages[0] == prompt.messages[-1]  # the same question, asked in the same words
    assert prompt.text == render(prompt.messages, tokenize=False, add_generation_prompt=True)
    for exemplar, message in zip(exemplars, prompt.messages[1::2], strict=False):
        if mode == "pot":
            assert program_of(prompt, message["content"]) == exemplar.program
        else:
            assert f"\\boxed{{{exemplar.problem.answer}}}" in message["content"]
            assert extract_answer(message["content"]) == exemplar.problem.answer


def test_a_server_gets_messages_and_has_no_tokenizer() -> None:
    prompt = build(ask(), template="tokenizer", shots=0)
    assert prompt.text == build(ask(), template="deepseekmath").text
    assert prompt.messages == ({"role": "user", "content": _suffixed("What is 1 + 1?")},)
    several = build(ask(), template="tokenizer", shots=2)
    assert several.text.count("\n\nAssistant: ") == 2 and several.text.endswith("\n\nAssistant:")


# --- zero-shot ------------------------------------------------------------------------------------


def _suffixed(question: str) -> str:
    return f"{question}\nPlease reason step by step, and put your final answer within \\boxed{{}}."


@pytest.mark.parametrize(
    ("language", "mode", "suffix"),
    [
        ("en", "cot", "Please reason step by step, and put your final answer within \\boxed{}."),
        (
            "en",
            "tool",
            "Please integrate natural language reasoning with programs to solve the problem above, and put your final "
            "answer within \\boxed{}.",
        ),
        ("zh", "cot", "请通过逐步推理来解答问题，并把最终答案放置于\\boxed{}中。"),
        ("zh", "tool", "请结合自然语言和Python程序语言来解答问题，并把最终答案放置于\\boxed{}中。"),
        ("en", "pot", "Please write a Python program that solves the problem above and prints the final answer."),
        ("zh", "pot", "请编写一个Python程序来解答问题，并打印最终答案。"),
    ],
)
def test_without_exemplars_a_prompt_is_that_of_the_template(language: str, mode: SolutionFormat, suffix: str) -> None:
    """The suffixes of cot and tool are the authors', word for word."""
    problem = ask("What is {1} and {question}?", language=language)
    request = f"What is {{1}} and {{question}}?\n{suffix}"
    paper = build(problem, mode, template="deepseekmath")
    assert paper.text == f"User: {request}\n\nAssistant:"
    own = build(problem, mode, template="tokenizer", tokenizer=CHAT)
    assert own.text == f"<user>{request}</><assistant>"
    short = build(problem, mode, template="short")
    ending = {"cot": "Answer:", "pot": "Program:", "tool": "Answer with Python:"}[mode]
    assert short.text == f"Question: What is {{1}} and {{question}}?\n{ending}"
    assert paper.messages == own.messages == ({"role": "user", "content": request},) and short.messages is None
    for prompt in (paper, own, short):
        assert (prompt.problem, prompt.mode, prompt.stop, prompt.response_prefix) == (problem, mode, (), "")


def test_a_choice_is_asked_for_by_its_letter() -> None:
    english = build(ask("Which is even?", choices=("3", "4")), template="deepseekmath")
    asked = "Which is even?\n(A) 3\n(B) 4\nChoose the letter of the right option."
    assert english.text == f"User: {_suffixed(asked)}\n\nAssistant:"
    chinese = build(ask("哪个是偶数？", choices=("3", "4"), language="zh"), template="deepseekmath")
    assert chinese.text == (
        "User: 哪个是偶数？\n(A) 3\n(B) 4\n请选择正确选项的字母。\n"
        "请通过逐步推理来解答问题，并把最终答案放置于\\boxed{}中。\n\nAssistant:"
    )
    assert chinese.messages is not None and f"User: {chinese.messages[0]['content']}\n\n" in chinese.text


def test_a_program_is_asked_for_in_the_language_of_the_question() -> None:
    task = ask("写一个函数add，求两数之和。", language="zh", tests="assert add(1, 1) == 2")
    for template in ("deepseekmath", "tokenizer", "short"):
        prompt = build(task, "cot", template=template, tokenizer=CHAT)
        assert "请在一个```python代码块中写出完整的程序" in prompt.text and "Please" not in prompt.text
        assert prompt.mode == "pot"


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shots": 9}, r"9 exemplars were asked for, but word_en has 8"),
        ({"shots": -1}, "at least 0"),
        ({"shots": 1, "exemplars": "word_fr"}, r"'word_fr'.*choice_en, .*word_en, word_zh"),
        ({"shots": 1, "exemplars": "../word_en"}, "no set of exemplars"),
        ({"shots": 1, "template": "deepseekmath"}, "'deepseekmath'.*--template plain"),
        ({"shots": 1, "mode": "pot", "exemplars": "choice_en"}, "choice_en have no programs"),
        ({"shots": 1, "mode": "tool", "exemplars": "code_en"}, "code_en have no programs that print"),
        ({"shots": 1, "mode": "cot", "exemplars": "code_en"}, "code_en have no worked solutions"),
        ({"template": "alpaca"}, "unknown prompt template 'alpaca'"),
        ({"template": "tokenizer", "tokenizer": SimpleNamespace(chat_template=None)}, "no chat template"),
        ({"template": "tokenizer", "tokenizer": SimpleNamespace(), "shots": 2}, "no chat template"),
    ],
)
def test_what_cannot_be_built_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MathwrightError, match=message):
        build(ask(), **options)
