"""A trained model's folder asks other tools to ask it as it was trained: the same text, to the character."""

import json
from pathlib import Path

import pytest

from mathwright.errors import MathwrightError
from mathwright.lm.load import load_tokenizer
from mathwright.lm.tokenise import train_tokenizer
from mathwright.problems.own_template import keep_template, says_system, says_thinking, set_system, set_thinking
from mathwright.problems.prompts import build_prompt
from mathwright.problems.templates import has_chat_template, usual_template
from mathwright.problems.turns import turn
from mathwright.records import Problem

PROBLEM = Problem(id="p", question="What is 1 + 1?", answer="2", source="mine", split="train")
CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    train_tokenizer(["What is 1 + 1?"] * 4, vocab_size=300, max_length=256).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("template", ["deepseekmath", "short"])
@pytest.mark.parametrize("mode", ["cot", "tool"])
def test_other_tools_render_what_was_trained(folder: Path, template: str, mode) -> None:
    keep_template(folder, template, load_tokenizer(folder), mode)
    tokenizer = load_tokenizer(folder)
    ours = build_prompt(PROBLEM, mode, template=template, tokenizer=tokenizer)
    asked = ours.messages[0]["content"] if ours.messages else PROBLEM.question
    chat = [{"role": "user", "content": asked}]
    assert tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) == ours.text
    around, own = turn(template, tokenizer), turn("tokenizer", tokenizer)
    assert (own.prefix, own.gap, own.end) == (around.prefix, around.gap, around.end)
    assert usual_template(folder, tokenizer) == template
    assert has_chat_template(folder)


@pytest.mark.parametrize("system", ["Be good.", 'Say "it\'s"\n\\boxed{}: {{ x }} 😀'])
def test_a_system_prompt_is_part_of_the_template(folder: Path, system: str) -> None:
    tokenizer = load_tokenizer(folder)
    with pytest.raises(MathwrightError, match="no chat template"):
        set_system(tokenizer, system)
    tokenizer.chat_template = CHAT
    assert not says_system(tokenizer.chat_template, system)
    set_system(tokenizer, system)
    set_system(tokenizer, system)  # once is enough
    tokenizer.save_pretrained(folder)
    again = load_tokenizer(folder)
    assert says_system(again.chat_template, system)
    user = {"role": "user", "content": "Hello"}
    said = again.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    assert said == f"<system>{system}<user>Hello<a>"
    other = [{"role": "system", "content": "Mine."}, user]
    assert again.apply_chat_template(other, tokenize=False) == "<system>Mine.<user>Hello"


def test_a_template_is_found_without_loading_the_tokenizer(folder: Path) -> None:
    assert not has_chat_template(folder)
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "chat_template": CHAT}))
    assert has_chat_template(folder)


def test_whether_it_thinks_is_part_of_the_template(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.chat_template = CHAT
    with pytest.raises(MathwrightError, match="does not read enable_thinking"):
        set_thinking(tokenizer, False)
    # as Qwen3 writes it: an empty block where it is not to think
    off = "{% if add_generation_prompt and enable_thinking is defined and enable_thinking is false %}[none]{% endif %}"
    tokenizer.chat_template = CHAT + off
    set_system(tokenizer, "Be good.")
    set_thinking(tokenizer, False)
    set_thinking(tokenizer, False)  # once is enough
    tokenizer.save_pretrained(folder)
    again = load_tokenizer(folder)
    assert says_thinking(again.chat_template, False) and not says_thinking(again.chat_template, True)
    assert says_system(again.chat_template, "Be good.") and again.chat_template.count("set enable_thinking") == 1
    user = [{"role": "user", "content": "Hello"}]
    asked = {"tokenize": False, "add_generation_prompt": True}
    assert again.apply_chat_template(user, **asked) == "<system>Be good.<user>Hello<a>[none]"
    assert again.apply_chat_template(user, **asked, enable_thinking=True) == "<system>Be good.<user>Hello<a>"
