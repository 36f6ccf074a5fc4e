"""The chat as a person uses it: questions in, answers out, in the template the model was trained with."""

import io
from pathlib import Path

import pytest

from mathwright.cli import chat as chatting
from mathwright.errors import MathwrightError
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.problems.templates import usual_template, write_template
from mathwright.records import Completion

SCRATCH = ScratchRecipe(vocab_size=300, width=32, num_layers=1, num_heads=2, num_kv_heads=1, ffn_width=64)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    save(from_scratch(SCRATCH, ["What is 2 + 2?"] * 5, max_length=128, seed=0), folder)
    return folder


def talk(monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))


def test_it_answers_until_an_empty_line(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts: list[str] = []

    def generate(self: object, tokens: list[list[int]], *_: object, **settings: object) -> list[list[Completion]]:
        prompts.append(self.lm.tokenizer.decode(tokens[0]))  # type: ignore[attr-defined]
        text = "It is [bold]four[/]: \\boxed{4}"
        return [[Completion(tokens=(1,), logprobs=(0.0,), sampled=(True,), text=text, finish="stop")]]

    monkeypatch.setattr(chatting.Generator, "generate", generate)
    write_template(model, "short")
    talk(monkeypatch, "What is 2 + 2?\nAnd 3 + 3?\n\nnever asked\n")
    chatting.chat(str(model), template="auto", mode="cot", temperature=0.0, max_new_tokens=8)
    shown = capsys.readouterr().err
    assert [prompt.count("Question:") for prompt in prompts] == [1, 1] and "3 + 3" in prompts[1]
    assert "[bold]four[/]" in shown, "a model's brackets are no markup"
    assert "answer: 4" in shown


def test_a_real_model_answers_and_the_end_of_input_ends_it(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    talk(monkeypatch, "What is 2 + 2?\n")
    chatting.chat(str(model), template="auto", mode="tool", temperature=0.0, max_new_tokens=4)
    assert "raise --max-new-tokens" in capsys.readouterr().err


def test_the_template_a_model_expects(tmp_path: Path, model: Path) -> None:
    class Tokenizer:
        chat_template: str | None = None

    assert usual_template(model, Tokenizer()) == "deepseekmath"
    Tokenizer.chat_template = "{{ messages }}"
    assert usual_template(model, Tokenizer()) == "tokenizer"
    write_template(model, "short")
    assert usual_template(model, Tokenizer()) == "short"
    write_template(model, "long")
    with pytest.raises(MathwrightError, match="unknown template 'long'"):
        usual_template(model, Tokenizer())
    assert usual_template("org/on-the-hub", None) == "tokenizer", "a server knows its model's template"
