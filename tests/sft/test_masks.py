"""Which tokens are trained, token by token, under the chat templates of published models and in packed rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from mathwright.lm.logprobs import next_token_losses
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import Example, pack_examples
from mathwright.problems.prompts import build_prompt
from mathwright.problems.turns import turn
from mathwright.records import Part, Problem, Solution
from mathwright.run import RunDirectory, Stage
from mathwright.sft.recipe import SFTRecipe
from mathwright.sft.training import build_examples
from tests.problems import chat_templates
from tests.sft.test_train import recipe

FAMILIES = (
    "chatml", "llama-3", "qwen2.5", "qwen3", "mistral-v0.1", "mistral-v0.3", "gemma", "deepseek",
    "deepseek-v2", "phi-3", "llama-2",
)  # fmt: skip
PROBLEM = Problem(id="p", question="What is 1 + 1?", answer="2", source="s", split="train")
COT = (Part(kind="text", text="It is two, so the answer is \\boxed{2}."),)
TOOL = (
    Part(kind="text", text="We compute."),
    Part(kind="code", text="print(1 + 1)"),
    Part(kind="output", text="2"),
    Part(kind="text", text="Again."),
    Part(kind="code", text="print(2)"),
    Part(kind="output", text="2"),
    Part(kind="text", text="It is \\boxed{2}."),
)
SOLUTIONS = [
    Solution(problem_id="p", format="cot", parts=COT, answer="2"),
    Solution(problem_id="p", format="pot", parts=(Part(kind="code", text="print(1 + 1)"),), answer="2"),
    Solution(problem_id="p", format="tool", parts=TOOL, answer="2"),
]
OUTPUT = "```output\n2\n```\n"


def settings() -> SFTRecipe:
    return recipe(formats=("cot", "pot", "tool"), context=1000)


def model(made: Any) -> LanguageModel:
    config = LlamaConfig(
        vocab_size=len(made), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=2048,
    )  # fmt: skip
    torch.manual_seed(0)
    return LanguageModel(LlamaForCausalLM(config).eval(), made)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return RunDirectory(tmp_path / "run", recipe_name="t", recipe={}).stage("sft")


def example_of(made: Any, solution: Solution, stage: Stage) -> Example:
    [found] = build_examples(settings(), stage, model(made), [PROBLEM], [solution], template="tokenizer", seed=0)
    return found


def spans(made: Any, tokens: Sequence[int]) -> list[tuple[int, int]]:
    """Where each token stands in the decoded text; of a byte-level tokenizer and ASCII text."""
    ends = [len(made.decode(tokens[: i + 1], skip_special_tokens=False)) for i in range(len(tokens))]
    return list(zip([0, *ends[:-1]], ends, strict=True))


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda s: s.format)
@pytest.mark.parametrize("pad", ["own", "equal to the end"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_token_against_the_rendered_conversation(family: str, pad: str, solution: Solution, stage: Stage) -> None:
    template, end_text = chat_templates.TEMPLATES[family]
    made: Any = chat_templates.tokenizer(
        "byte level", template, pad_token=end_text if pad == "equal to the end" else "<s>"
    )
    example = example_of(made, solution, stage)
    # the conversation as every other tool renders it
    prompt = build_prompt(PROBLEM, solution.format, template="tokenizer", tokenizer=made)
    assert prompt.messages is not None
    content = {
        "cot": COT[0].text,
        "pot": "```python\nprint(1 + 1)\n```\n",
        "tool": f"We compute.\n```python\nprint(1 + 1)\n```\n{OUTPUT}Again.\n```python\nprint(2)\n```\n{OUTPUT}"
        "It is \\boxed{2}.",
    }[solution.format]
    messages = [*map(dict, prompt.messages), {"role": "assistant", "content": content}]
    asked = made.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
    shown = made.apply_chat_template(messages, tokenize=False)
    shown = shown[: shown.index(end_text, len(asked)) + len(end_text)]
    assert made.decode(example.tokens, skip_special_tokens=False) == shown
    # by place: nothing before the response, no output, everything else, the end token last of all
    outputs = [(i, i + len(OUTPUT)) for i in range(len(shown)) if shown.startswith(OUTPUT, i)]
    for (start, stop), is_trained in zip(spans(made, example.tokens), example.trained, strict=True):
        in_output = any(begin <= start and stop <= end for begin, end in outputs)
        assert is_trained == (start >= len(asked) and not in_output), (start, stop, shown[start:stop])
    assert example.trained[-1] and example.tokens[-1] == turn("tokenizer", made).end
    assert example.tokens[-1] == made.convert_tokens_to_ids(end_text)


def test_a_template_that_refuses_system_messages_and_one_that_adds_them(stage: Stage) -> None:
    """No system message is sent; Qwen's own stands before the question and is not trained."""
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    made: Any = chat_templates.tokenizer("byte level", refusing + chat_templates.TEMPLATES["gemma"][0])
    assert sum(example_of(made, SOLUTIONS[0], stage).trained) > 0
    made = chat_templates.tokenizer("byte level", chat_templates.TEMPLATES["qwen2.5"][0])
    example = example_of(made, SOLUTIONS[0], stage)
    trained = made.decode([t for t, on in zip(example.tokens, example.trained, strict=True) if on])
    assert "You are Qwen" in made.decode(example.tokens) and "You are Qwen" not in trained


@pytest.mark.parametrize("family", ["chatml", "llama-3", "gemma"])
def test_packing_changes_neither_what_is_trained_nor_its_loss(family: str, stage: Stage) -> None:
    template, end_text = chat_templates.TEMPLATES[family]
    made: Any = chat_templates.tokenizer("byte level", template, pad_token=end_text)
    lm = model(made)
    examples = [
        found
        for solution in SOLUTIONS
        for found in build_examples(settings(), stage, lm, [PROBLEM], [solution], template="tokenizer", seed=0)
    ]
    [packed] = pack_examples(examples, 2000, None)
    expected = [t for e in examples for t, on in zip(e.tokens, e.trained, strict=True) if on]
    assert packed.targets.tolist() == expected
    assert packed.targets.tolist().count(made.convert_tokens_to_ids(end_text)) == len(examples)
    alone = torch.cat([next_token_losses(lm, rows) for e in examples for rows in pack_examples([e], 2000, None)])
    torch.testing.assert_close(next_token_losses(lm, packed), alone, rtol=1e-4, atol=1e-5)
