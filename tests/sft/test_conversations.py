"""Conversations of several turns: one sequence each, every turn of the assistant trained, and nothing else changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from mathwright.lm.logprobs import next_token_losses
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import Example, pack_examples
from mathwright.problems.own import OwnRows, load_own
from mathwright.records import Solution
from mathwright.run import RunDirectory, Stage, read_manifest
from mathwright.sft.conversations import by_conversation
from mathwright.sft.examples import build_examples
from mathwright.sft.heldout import split_heldout
from mathwright.sft.recipe import SFTRecipe
from tests.problems import chat_templates
from tests.sft.test_masks import FAMILIES, model, spans
from tests.sft.test_train import recipe

CHAT = [
    {"role": "user", "content": "What is 1 + 1?"},
    {"role": "assistant", "content": "It is two."},
    {"role": "user", "content": "And 2 + 2?"},
    {"role": "assistant", "content": "It is \\boxed{4}."},
    {"role": "user", "content": "So?"},
    {"role": "assistant", "content": "So it is.\nstep by step"},
]
OTHER = [
    {"role": "user", "content": "What is 30?"},
    {"role": "assistant", "content": "print(12 + 30)"},
]


def settings(**changes: object) -> SFTRecipe:
    return recipe(**{"formats": ("cot",), "context": 1000, **changes})


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return RunDirectory(tmp_path / "run", recipe_name="t", recipe={}).stage("sft")


def read(tmp_path: Path, *chats: Sequence[dict[str, str]]) -> OwnRows:
    file = tmp_path / "chats.jsonl"
    file.write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats), encoding="utf-8")
    return load_own(str(file), answers=False, heldout=False)


def examples_of(
    lm: LanguageModel,
    own: OwnRows,
    stage: Stage,
    *,
    template: str = "tokenizer",
    solutions: Sequence[Solution] | None = None,
    **changes: object,
) -> list[Example]:
    given = own.solutions if solutions is None else solutions
    return build_examples(settings(**changes), stage, lm, own.train, given, template=template, seed=0)


def one_by_one(lm: LanguageModel, own: OwnRows, stage: Stage) -> list[Example]:
    """The oracle: an example for each turn."""
    return [e for solution in own.solutions for e in examples_of(lm, own, stage, solutions=[solution])]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_token_of_a_conversation_against_its_rendering(family: str, tmp_path: Path, stage: Stage) -> None:
    template, end_text = chat_templates.TEMPLATES[family]
    made: Any = chat_templates.tokenizer("byte level", template, pad_token=end_text)
    [example] = examples_of(model(made), read(tmp_path, CHAT), stage)
    shown = made.apply_chat_template(CHAT, tokenize=False)
    spoken: list[tuple[int, int]] = []
    for place in (1, 3, 5):
        asked = made.apply_chat_template(CHAT[:place], tokenize=False, add_generation_prompt=True)
        assert shown.startswith(asked)
        spoken.append((len(asked), shown.index(end_text, len(asked)) + len(end_text)))
    assert made.decode(example.tokens, skip_special_tokens=False) == shown[: spoken[-1][1]]
    for (start, stop), trained in zip(spans(made, example.tokens), example.trained, strict=True):
        assert trained == any(begin <= start and stop <= end for begin, end in spoken), shown[start:stop]
    told = [made.decode(made.encode(shown[begin:end])) for begin, end in spoken]
    assert all(turn["content"] in text for turn, text in zip(CHAT[1::2], told, strict=True))


@pytest.mark.parametrize("kind", chat_templates.KINDS)
@pytest.mark.parametrize("family", [*FAMILIES, "qwen3 that forgets"])
def test_turns_are_trained_as_if_each_stood_alone_also_packed(
    family: str, kind: str, tmp_path: Path, stage: Stage
) -> None:
    template = chat_templates.FORGETS if family == "qwen3 that forgets" else chat_templates.TEMPLATES[family][0]
    made: Any = chat_templates.tokenizer(kind, template)
    lm, own = model(made), read(tmp_path, CHAT, OTHER)
    joined, alone = examples_of(lm, own, stage), one_by_one(lm, own, stage)
    [packed] = pack_examples(joined, 4000, None)
    apart = [rows for example in alone for rows in pack_examples([example], 4000, None)]
    assert sorted(packed.targets.tolist()) == sorted(t for rows in apart for t in rows.targets.tolist())
    together = next_token_losses(lm, packed).sum()
    torch.testing.assert_close(together, sum(next_token_losses(lm, rows).sum() for rows in apart), rtol=1e-4, atol=1e-4)
    sizes = sorted(len(example.tokens) for example in alone)
    assert max(len(example.tokens) for example in joined) == sizes[-1]
    if family != "qwen3 that forgets":
        assert len(joined) == 2, "one sequence a conversation: tokens grow with its turns, not with their square"


def test_a_template_that_drops_what_was_thought_keeps_turns_apart_and_says_so(
    tmp_path: Path, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    made: Any = chat_templates.tokenizer("byte level", chat_templates.FORGETS)
    thought = [{**turn, "content": "<think>\nhm\n</think>\n\n" * (turn["role"] == "assistant") + turn["content"]}
               for turn in CHAT]  # fmt: skip
    lm, own = model(made), read(tmp_path, thought)
    examples = examples_of(lm, own, stage)
    assert len(examples) == 3 and "2 stand alone" in capsys.readouterr().err
    assert all("<think>\nhm" in made.decode([t for t, on in zip(e.tokens, e.trained, strict=True) if on])
               for e in examples)  # fmt: skip


def test_the_papers_layout_joins_turns_as_its_chat_template_writes_them(tmp_path: Path, stage: Stage) -> None:
    made: Any = chat_templates.tokenizer("byte level", chat_templates.TEMPLATES["deepseek"][0])
    lm, own = model(made), read(tmp_path, CHAT)
    [paper] = examples_of(lm, own, stage, template="deepseekmath")
    [template] = examples_of(lm, own, stage)
    assert template.tokens[0] == made.bos_token_id  # the tokenizer of this test puts none there by itself
    assert (paper.tokens, paper.trained) == (template.tokens[1:], template.trained[1:])


def test_conversations_that_begin_alike_train_each_turn_once_for_each_of_them(tmp_path: Path, stage: Stage) -> None:
    made: Any = chat_templates.tokenizer("byte level", chat_templates.TEMPLATES["chatml"][0])
    lm = model(made)
    other_end = [*CHAT[:2], {"role": "user", "content": "Again?"}, {"role": "assistant", "content": "two"}]
    own = read(tmp_path, CHAT, other_end, CHAT[:2])
    joined, alone = examples_of(lm, own, stage), one_by_one(lm, own, stage)
    assert len(joined) == 3
    assert sum(sum(e.trained) for e in joined) == sum(sum(e.trained) for e in alone)


def test_what_is_too_long_is_left_out_and_the_turns_before_it_stay(tmp_path: Path, stage: Stage) -> None:
    made: Any = chat_templates.tokenizer("byte level", chat_templates.TEMPLATES["chatml"][0])
    long = [*CHAT, {"role": "user", "content": "So?"}, {"role": "assistant", "content": "so " * 2000}]
    own = read(tmp_path, long)
    [example] = examples_of(model(made), own, stage)
    assert (
        made.decode([t for t, on in zip(example.tokens, example.trained, strict=True) if on]).count("<|im_end|>") == 3
    )
    stage.finish(outputs={})
    manifest = read_manifest(stage.path)
    assert manifest is not None
    assert manifest["funnels"][0]["num_out"] == 3 and manifest["funnels"][0]["dropped"] == {"longer than context": 1}


def test_a_conversation_that_the_template_refuses_is_set_aside_with_what_it_says(tmp_path: Path, stage: Stage) -> None:
    refusing = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    made: Any = chat_templates.tokenizer("byte level", refusing + chat_templates.TEMPLATES["gemma"][0])
    own = read(tmp_path, [{"role": "system", "content": "Be brief."}, *OTHER], CHAT)
    [_] = examples_of(model(made), own, stage)
    [row] = [json.loads(line) for line in (stage.path / "rejected" / "examples.jsonl").read_text().splitlines()]
    assert row["reason"].endswith("no system role") and row["solution"]["parts"][0]["text"] == OTHER[1]["content"]


def test_turns_of_a_conversation_are_held_out_together_in_fine_tuning(tmp_path: Path) -> None:
    own = read(tmp_path, *[[{**turn, "content": f"{n} {turn['content']}"} for turn in CHAT] for n in range(10)])
    trained, aside, ids = split_heldout(own.solutions, 4, 0)
    assert (len(trained), len(aside), len(ids)) == (18, 12, 12)
    by_id = {problem.id: problem for problem in own.train}
    assert all(len(group) == 3 for group in by_conversation(aside, by_id))
