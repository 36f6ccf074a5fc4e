"""Prompt templates: what a response begins with, and what is said where a template does not fit."""

from types import SimpleNamespace

import pytest

from mathwright.errors import MathwrightError
from mathwright.problems.templates import TEMPLATES, response_prefix
from tests.problems.asking import ask, build


def test_the_model_s_own_template_gets_question_and_suffix() -> None:
    def apply_chat_template(messages: list[dict[str, str]], *, tokenize: bool, add_generation_prompt: bool) -> str:
        assert not tokenize
        assert add_generation_prompt
        return "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<assistant>"

    tokenizer = SimpleNamespace(chat_template="jinja", apply_chat_template=apply_chat_template)
    assert build(ask(), template="tokenizer", tokenizer=tokenizer).text == (
        "<user>What is 1 + 1?\nPlease reason step by step, and put your final answer within \\boxed{}.<assistant>"
    )


def test_a_model_without_template_is_told_what_to_use() -> None:
    with pytest.raises(MathwrightError, match=r"no chat template.*deepseekmath"):
        build(ask(), template="tokenizer", tokenizer=SimpleNamespace(chat_template=None))


def test_an_unknown_template_is_named_with_the_known_ones() -> None:
    with pytest.raises(MathwrightError, match=r"'chatml'.*deepseekmath, tokenizer, short"):
        build(ask(), template="chatml")
    with pytest.raises(MathwrightError, match="'chatml'"):
        response_prefix("chatml")


def test_a_response_begins_with_a_space_but_in_a_model_s_own_template() -> None:
    assert [response_prefix(template) for template in TEMPLATES] == [" ", "", " "]
