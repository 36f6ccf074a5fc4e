"""Prompt templates, word for word as in the authors' evaluation code."""

from types import SimpleNamespace

import pytest

from mathwright.errors import MathwrightError
from mathwright.problems.templates import TEMPLATES, prompt_text, response_prefix
from mathwright.records import Problem, SolutionFormat


def ask(question: str = "What is 1 + 1?", language: str = "en") -> Problem:
    return Problem(id="p", question=question, answer="2", source="s", split="test", language=language)


@pytest.mark.parametrize(
    ("language", "form", "suffix"),
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
    ],
)
def test_the_prompts_of_the_paper(language: str, form: SolutionFormat, suffix: str) -> None:
    prompt = prompt_text(ask(language=language), form, "deepseekmath", None)
    assert prompt == f"User: What is 1 + 1?\n{suffix}\n\nAssistant:"


@pytest.mark.parametrize("template", ["deepseekmath", "short"])
def test_the_three_formats_are_asked_for_in_different_words(template: str) -> None:
    prompts = {prompt_text(ask(), form, template, None) for form in ("cot", "pot", "tool")}
    assert len(prompts) == 3
    assert all("What is 1 + 1?" in prompt and prompt.endswith(":") for prompt in prompts)


def test_braces_in_a_question_stay_as_they_are() -> None:
    question = "Simplify $\\frac{1}{2}$ and {question} and {suffix}."
    for template in ("deepseekmath", "short"):
        assert question in prompt_text(ask(question), "cot", template, None)


def test_the_model_s_own_template_gets_question_and_suffix() -> None:
    def apply_chat_template(messages: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
        assert not tokenize
        assert add_generation_prompt
        return "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<assistant>"

    tokenizer = SimpleNamespace(chat_template="jinja", apply_chat_template=apply_chat_template)
    assert prompt_text(ask(), "cot", "tokenizer", tokenizer) == (
        "<user>What is 1 + 1?\nPlease reason step by step, and put your final answer within \\boxed{}.<assistant>"
    )


def test_a_model_without_template_is_told_what_to_use() -> None:
    with pytest.raises(MathwrightError, match=r"no chat template.*deepseekmath"):
        prompt_text(ask(), "cot", "tokenizer", SimpleNamespace(chat_template=None))


def test_an_unknown_template_is_named_with_the_known_ones() -> None:
    with pytest.raises(MathwrightError, match=r"'chatml'.*deepseekmath, tokenizer, short"):
        prompt_text(ask(), "cot", "chatml", None)
    with pytest.raises(MathwrightError, match="'chatml'"):
        response_prefix("chatml")


def test_a_response_begins_with_a_space_but_in_a_model_s_own_template() -> None:
    assert [response_prefix(template) for template in TEMPLATES] == [" ", "", " "]
