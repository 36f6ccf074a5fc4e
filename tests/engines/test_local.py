"""The local engine gives what the generator gives, each prompt computed once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from mathwright.engines.engine import Answer
from mathwright.engines.local import LocalEngine, answer_of
from mathwright.engines.seeds import round_seed
from mathwright.errors import MathwrightError
from mathwright.lm import generate as generation
from mathwright.lm.generate import Generator
from mathwright.lm.tokenise import encode
from tests.engines.asking import GREEDY, SAMPLED, answers, request
from tests.engines.vllm_worker import EveryFewCharacters
from tests.lm.conftest import tiny_lm
from tests.problems.chat_templates import TEMPLATES

REQUESTS = [
    request(text, seed, sampling, stop)
    for seed in range(3)
    for text in ("Tom has 12", "The answer is", "print(")
    for sampling, stop in ((SAMPLED, ()), (GREEDY, ()), (SAMPLED, ("e", "a")))
]


def test_local_answers_are_the_generators() -> None:
    lm = tiny_lm()
    generator = Generator(lm, max_batch=1)
    for asked, answer in zip(REQUESTS, answers(LocalEngine(lm, max_batch=5), REQUESTS), strict=True):
        prompt = encode(lm.tokenizer, asked.prompt.text)
        ((alone,),) = generator.generate([prompt], asked.sampling, seeds=[[asked.seed]], stop=asked.prompt.stop)
        assert answer == answer_of(alone)
        assert answer.num_tokens == len(alone.tokens) > 0


def test_a_prompt_is_computed_once_for_all_its_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[tuple[int, ...]] = []
    extend = generation.extend

    def counting(model: Any, prefixes: Any, tokens: Sequence[Sequence[int]]) -> Any:
        computed.extend(map(tuple, tokens))
        return extend(model, prefixes, tokens)

    monkeypatch.setattr(generation, "extend", counting)
    lm = tiny_lm()
    requests = [request(text, seed) for seed in range(4) for text in ("one", "two", "three")]
    assert len({answer.text for answer in answers(LocalEngine(lm), requests)}) > 6
    assert sorted(computed) == sorted(tuple(encode(lm.tokenizer, text)) for text in ("one", "two", "three"))


def test_a_part_of_the_requests_gets_the_answers_of_the_whole() -> None:
    lm = tiny_lm()
    whole = answers(LocalEngine(lm, max_batch=4), REQUESTS)
    missing = [1, 5, 6, 17, 20]
    assert answers(LocalEngine(lm, max_batch=2), [REQUESTS[i] for i in missing]) == [whole[i] for i in missing]


def test_local_tool_calls_and_their_limit() -> None:
    lm = tiny_lm()
    requests = [
        request(text, seed, dataclasses.replace(SAMPLED, max_new_tokens=80)) for seed in (1, 2) for text in "ab"
    ]
    tool = EveryFewCharacters("[42]")
    found = answers(LocalEngine(lm, max_batch=3), requests, tool=tool, max_tool_rounds=2)
    assert [answer.finish for answer in found].count("tool_limit") >= 2
    assert all(answer.num_tool_calls == answer.text.count("[42]") for answer in found)
    assert all(answer.num_tool_calls == 2 for answer in found if answer.finish == "tool_limit")
    assert sorted(tool.closed) == [0, 1, 2, 3]


def test_a_prompt_longer_than_the_context_is_an_empty_answer() -> None:
    lm = tiny_lm(max_length=24)
    long, short = answers(LocalEngine(lm), [request("7" * 24), request("7" * 10)])
    assert long == Answer(text="", finish="length", num_tokens=0, num_tool_calls=0)
    assert short.num_tokens == 12


def test_round_seeds_are_small_and_differ_between_rounds_and_samples() -> None:
    seeds = [round_seed(seed, rounds) for seed in range(10**12, 10**12 + 64) for rounds in range(5)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in (*seeds, round_seed(-1, 0)))
    assert round_seed(12, 0) == 12


def test_the_end_of_a_turn_stops_although_only_the_chat_template_knows_it() -> None:
    lm = tiny_lm()
    lm.tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    lm.tokenizer.chat_template = TEMPLATES["chatml"][0]
    end = lm.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end not in lm.eos_token_ids
    LocalEngine(lm)
    assert lm.eos_token_ids == {end, lm.tokenizer.eos_token_id}


def test_a_model_that_nothing_stops_is_refused_unless_strings_do() -> None:
    lm = tiny_lm()
    lm.tokenizer.eos_token = None
    lm.model.generation_config.eos_token_id = None
    with pytest.raises(MathwrightError, match="has an end-of-sequence token"):
        answers(LocalEngine(lm), [request("The answer is", 0, GREEDY)])
    answers(LocalEngine(lm), [request("The answer is", 0, GREEDY, ("e", "a"))])
