"""The generator against transformers' own, against the training side, and against the distribution it should draw."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from mathwright.errors import MathwrightError
from mathwright.lm import generate
from mathwright.lm.cache import Prefix, SlotCache
from mathwright.lm.generate import Generator
from mathwright.lm.logprobs import response_logprobs
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import TokenGroup, pack_groups
from mathwright.lm.recipe import SamplingRecipe
from mathwright.lm.tokenise import encode
from mathwright.records import Completion, ToolCall
from tests.lm.conftest import exact, tiny_lm
from tests.lm.test_logprobs import mistral, qwen2, qwen3

GREEDY = SamplingRecipe(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=12)
SAMPLED = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=12)
PROMPTS = [[5, 6, 7], [40, 41], [9] * 11, [100, 3, 50, 61, 7, 8]]


@pytest.fixture(params=["together", "apart"], autouse=True)
def prompts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs with prompts copied into the slots, and with prompts kept once for their group."""
    monkeypatch.setattr(generate, "SHARED_BYTES", 0 if request.param == "apart" else 2**60)


def flat(rows: Sequence[Sequence[Completion]]) -> list[Completion]:
    return [completion for row in rows for completion in row]


@pytest.mark.parametrize("make", [None, qwen2, qwen3, mistral], ids=["llama", "qwen2", "qwen3", "mistral"])
@pytest.mark.parametrize("max_batch", [1, 3, 8])
def test_greedy_equals_transformers_generate(make, max_batch):
    torch.manual_seed(1)
    tiny = tiny_lm(torch.float64)
    lm = tiny if make is None else LanguageModel(exact(make().double().eval()), tiny.tokenizer)
    prompts = [[token % 90 for token in prompt] for prompt in PROMPTS]
    results = Generator(lm, max_batch=max_batch).generate(prompts, GREEDY, seeds=[[0]] * len(prompts))
    for prompt, (completion,) in zip(prompts, results, strict=True):
        expected = lm.model.generate(
            torch.tensor([prompt]),
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=sorted(lm.eos_token_ids),
            pad_token_id=2,
        )
        assert list(completion.tokens) == expected[0, len(prompt) :].tolist()


def test_logprobs_equal_those_of_the_training_side():
    lm = tiny_lm(torch.float32)
    seeds = [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10]]
    results = Generator(lm, max_batch=4).generate(PROMPTS, SAMPLED, seeds=seeds)
    groups = [TokenGroup(p, [c.tokens for c in row]) for p, row in zip(PROMPTS, results, strict=True)]
    for batch in pack_groups(groups, 64):
        with torch.no_grad():
            values = response_logprobs(lm, batch)
        for b, (g, i) in enumerate(batch.rows):
            ours = torch.tensor(results[g][i].logprobs)
            torch.testing.assert_close(ours, values[b, : len(ours)], rtol=0, atol=1e-5)


def test_logprobs_are_those_of_the_processed_distribution():
    lm = tiny_lm(torch.float64)
    sampling = SamplingRecipe(temperature=0.7, top_p=0.8, top_k=20, max_new_tokens=6)
    for completion in flat(Generator(lm).generate([PROMPTS[0]], sampling, seeds=[list(range(20))])):
        tokens = [*PROMPTS[0], *completion.tokens]
        logits = lm.model(input_ids=torch.tensor([tokens])).logits[0, len(PROMPTS[0]) - 1 : -1].detach() / 0.7
        for row, token, logprob in zip(logits, completion.tokens, completion.logprobs, strict=True):
            order = row.argsort(descending=True)[:20]
            p = row[order].softmax(-1)
            kept = int((p.cumsum(0) < 0.8).sum()) + 1
            assert token in order[:kept]
            position = order.tolist().index(token)
            assert logprob == pytest.approx(math.log(p[position] / p[:kept].sum()), abs=1e-9)


def test_first_tokens_follow_the_softmax():
    """Chi-square of 4,000 draws over a vocabulary of 97, in bins of at least five expected draws."""
    torch.manual_seed(0)
    lm = LanguageModel(qwen2().eval(), tiny_lm().tokenizer)
    with torch.no_grad():
        lm.model.get_output_embeddings().weight.mul_(10.0)
    count = 4_000
    one = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=1)
    results = Generator(lm, max_batch=500).generate([[5, 6]], one, seeds=[list(range(count))])
    drawn = Counter(completion.tokens[0] for completion in results[0])
    expected = count * lm.model(input_ids=torch.tensor([[5, 6]])).logits[0, -1].detach().softmax(-1)
    common = [t for t in range(97) if expected[t] >= 5]
    rest = count - sum(float(expected[t]) for t in common)
    chi2 = sum((drawn[t] - float(expected[t])) ** 2 / float(expected[t]) for t in common)
    chi2 += (count - sum(drawn[t] for t in common) - rest) ** 2 / max(rest, 1.0)
    freedom = len(common)
    assert freedom > 20
    assert chi2 < freedom + 4 * math.sqrt(2 * freedom)  # 4 sigma


def test_a_sequence_depends_on_its_seed_not_on_the_batch():
    lm = tiny_lm(torch.float64)
    alone = [Generator(lm, max_batch=1).generate([p], SAMPLED, seeds=[[11, 12]])[0] for p in PROMPTS]
    for max_batch in (2, 5, 32):
        together = Generator(lm, max_batch=max_batch).generate(PROMPTS, SAMPLED, seeds=[[11, 12]] * len(PROMPTS))
        assert [c.tokens for c in flat(together)] == [c.tokens for c in flat(alone)]
    assert alone[0][0].tokens != alone[0][1].tokens


def test_more_sequences_than_slots_all_finish_each_once():
    lm = tiny_lm()
    finished: list[int] = []
    seeds = [[100 * p + j for j in range(7)] for p in range(len(PROMPTS))]
    results = Generator(lm, max_batch=3).generate(PROMPTS, SAMPLED, seeds=seeds, on_finished=finished.append)
    assert [len(row) for row in results] == [7] * len(PROMPTS)
    assert sum(finished) == 28
    for completion in flat(results):
        assert len(completion.tokens) == len(completion.logprobs) == len(completion.sampled) <= 12
        assert completion.finish == ("stop" if completion.tokens[-1] in lm.eos_token_ids else "length")


@pytest.mark.parametrize("max_batch", [1, 3, 32])
def test_each_completion_is_handed_over_once_with_its_place(max_batch):
    lm = tiny_lm()
    prompts = [*PROMPTS, *([5] * (lm.max_length - room) for room in (8, 4, 0))]
    seeds = [[100 * p + j for j in range(1 + p % 3)] for p in range(len(prompts))]
    handed: list[tuple[int, int, Completion]] = []
    results = Generator(lm, max_batch=max_batch).generate(
        prompts, SAMPLED, seeds=seeds, on_completion=lambda *place_and_completion: handed.append(place_and_completion)
    )
    assert sorted((i, j) for i, j, _ in handed) == [(i, j) for i, row in enumerate(seeds) for j in range(len(row))]
    assert all(results[i][j] is completion for i, j, completion in handed)
    if max_batch == 32:  # all run together: a short one does not wait for the end of the call
        lengths = [len(completion.tokens) for _, _, completion in handed]
        assert lengths == sorted(lengths)
        assert {0, 4, 8, 12} <= set(lengths)


def test_an_error_in_the_callback_ends_the_call():
    def full(prompt: int, index: int, completion: Completion) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        Generator(tiny_lm()).generate([PROMPTS[0]], GREEDY, seeds=[[0]], on_completion=full)


def test_stop_strings_end_the_text_but_leave_the_tokens():
    lm = tiny_lm(torch.float64)
    (free,) = Generator(lm).generate([PROMPTS[0]], SAMPLED, seeds=[[3]])[0]
    middle = len(free.text) // 2
    mark = free.text[middle : middle + 2]
    (stopped,) = Generator(lm).generate([PROMPTS[0]], SAMPLED, seeds=[[3]], stop=["never there", mark])[0]
    assert stopped.finish == "stop"
    assert stopped.text == free.text[: free.text.index(mark)]
    assert stopped.tokens == free.tokens[: len(stopped.tokens)]
    assert mark in lm.tokenizer.decode(stopped.tokens)
    assert mark not in lm.tokenizer.decode(stopped.tokens[:-1])


class EveryFewCharacters:
    """A tool the tiny model calls without knowing it: whenever its text has grown by four characters."""

    def __init__(self, output: str) -> None:
        self.output, self.calls, self.closed = output, [], []
        self.batches: list[int] = []

    def pending(self, text: str) -> str | None:
        return (
            text
            if len(text) - (text.rfind(self.output) + len(self.output) if self.output in text else 0) >= 4
            else None
        )

    def run(self, calls: Sequence[ToolCall]) -> list[str]:
        self.calls += calls
        self.batches.append(len(calls))
        return [self.output for _ in calls]

    def close(self, key: int) -> None:
        self.closed.append(key)


@pytest.mark.parametrize("max_batch", [1, 4, 16])
def test_tool_output_is_inserted_as_it_is_tokenised_alone(max_batch):
    lm = tiny_lm(torch.float32)
    tool = EveryFewCharacters("```output\n42\n```\n")
    inserted = encode(lm.tokenizer, tool.output)
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=100)
    results = Generator(lm, max_batch=max_batch).generate(
        PROMPTS, sampling, seeds=[[1, 2]] * len(PROMPTS), tool=tool, max_tool_rounds=2
    )
    completions = flat(results)
    assert any(c.finish == "tool_limit" and c.num_tool_calls == 2 for c in completions)
    assert sorted(tool.closed) == list(range(8))
    assert sum(c.num_tool_calls for c in completions) == len(tool.calls)
    assert max_batch == 1 or max(tool.batches) > 1  # calls of several sequences go together
    for completion in completions:
        runs = _inserted_runs(completion)
        assert runs == [inserted] * completion.num_tool_calls
        assert all(lp == 0.0 for lp, s in zip(completion.logprobs, completion.sampled, strict=True) if not s)
        assert completion.text.count(tool.output) == completion.num_tool_calls
    # What was computed around the insertions is what the training side computes for the whole sequence.
    groups = [
        TokenGroup(p, [c.tokens for c in row], [c.sampled for c in row])
        for p, row in zip(PROMPTS, results, strict=True)
    ]
    for batch in pack_groups(groups, 200):
        with torch.no_grad():
            values = response_logprobs(lm, batch)
        for b, (g, i) in enumerate(batch.rows):
            ours = torch.tensor(results[g][i].logprobs)
            torch.testing.assert_close(ours, values[b, : len(ours)], rtol=0, atol=2e-5)


def _inserted_runs(completion: Completion) -> list[list[int]]:
    runs, previous = [], True
    for token, sampled in zip(completion.tokens, completion.sampled, strict=True):
        if not sampled:
            if previous:
                runs.append([])
            runs[-1].append(token)
        previous = sampled
    return runs


def test_tool_output_counts_towards_the_limit():
    lm = tiny_lm()
    tool = EveryFewCharacters("0123456789" * 3)
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=20)
    for completion in flat(Generator(lm).generate(PROMPTS, sampling, seeds=[[5]] * 4, tool=tool, max_tool_rounds=3)):
        assert len(completion.tokens) <= 20
        assert completion.num_tool_calls == 0 or completion.finish == "length"


def test_an_output_that_spells_the_end_token_does_not_become_it():
    lm = tiny_lm()
    tool = EveryFewCharacters("<eos>")
    sampling = SamplingRecipe(temperature=1.0, top_p=1.0, top_k=0, max_new_tokens=40)
    for completion in flat(Generator(lm).generate(PROMPTS, sampling, seeds=[[5]] * 4, tool=tool, max_tool_rounds=2)):
        for run in _inserted_runs(completion):
            assert not lm.eos_token_ids & set(run)


def test_a_prompt_without_room_gets_an_empty_completion():
    lm = tiny_lm(max_length=16)
    results = Generator(lm).generate([[5] * 16, [6] * 14], GREEDY, seeds=[[0], [0]])
    assert (results[0][0].tokens, results[0][0].finish) == ((), "length")
    assert len(results[1][0].tokens) <= 2


def test_no_responses_asked():
    lm = tiny_lm()
    assert Generator(lm).generate([], GREEDY, seeds=[]) == []
    assert Generator(lm).generate([[5], [6]], GREEDY, seeds=[[], []]) == [[], []]


def test_an_updated_model_is_used_at_once():
    lm = tiny_lm()
    generator = Generator(lm)
    before = generator.generate([PROMPTS[0]], GREEDY, seeds=[[0]])[0][0].tokens
    with torch.no_grad():
        for parameter in lm.model.parameters():
            parameter.add_(torch.randn_like(parameter))
    after = generator.generate([PROMPTS[0]], GREEDY, seeds=[[0]])[0][0].tokens
    assert before != after
    assert after == Generator(lm).generate([PROMPTS[0]], GREEDY, seeds=[[0]])[0][0].tokens


def test_prompts_are_kept_apart_where_that_saves_reading(monkeypatch):
    capacities: list[tuple[int, int]] = []

    class Spy(SlotCache):
        def __init__(self, like: Prefix, num_slots: int, capacity: int, *, prompt_capacity: int = 0) -> None:
            capacities.append((capacity, prompt_capacity))
            super().__init__(like, num_slots, capacity, prompt_capacity=prompt_capacity)

    monkeypatch.setattr(generate, "SlotCache", Spy)
    lm = tiny_lm(max_length=128)
    token_bytes = 2 * 2 * 8 * 4  # keys and values of two heads of width 8 in float32
    prompts, seeds = [[5] * 40, [6] * 20], [[1, 2, 3, 4, 5], [1, 2]]
    saved = (40 * 4 + 20 * 1) * token_bytes
    for max_batch, least, expected in [
        (7, saved, (12, 40)),
        (7, saved + 1, (52, 0)),
        (2, saved * 2 // 7, (12, 40)),  # two of seven run at a time
        (2, saved * 2 // 7 + token_bytes, (52, 0)),
    ]:
        monkeypatch.setattr(generate, "SHARED_BYTES", least)
        Generator(lm, max_batch=max_batch).generate(prompts, GREEDY, seeds=seeds)
        assert capacities[-1] == expected


def test_bad_input_is_an_error():
    lm = tiny_lm()
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        Generator(lm).generate([[5], []], GREEDY, seeds=[[0], [0]])
    with pytest.raises(ValueError, match="1 prompts but 2 rows of seeds"):
        Generator(lm).generate([[5]], GREEDY, seeds=[[0], [0]])
    with torch.no_grad():
        lm.model.get_input_embeddings().weight.fill_(math.nan)
    for sampling in (GREEDY, SAMPLED):
        with pytest.raises(MathwrightError, match="not finite"):
            Generator(lm).generate([[5]], sampling, seeds=[[0]])


@pytest.mark.parametrize(
    "model",
    [
        lambda: T5ForConditionalGeneration(
            T5Config(d_model=16, d_ff=16, num_layers=1, num_heads=2, d_kv=8, vocab_size=50)
        ),
        lambda: MambaForCausalLM(MambaConfig(hidden_size=16, num_hidden_layers=1, vocab_size=50, state_size=4)),
    ],
    ids=["encoder_decoder", "recurrent"],
)
def test_an_unsupported_model_is_a_clear_error(model):
    with pytest.raises(MathwrightError, match="hint: use a Llama-like model"):
        Generator(LanguageModel(model(), None))


def test_learned_positions_are_supported_too():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    lm = LanguageModel(GPT2LMHeadModel(config).eval(), tiny_lm().tokenizer)
    (completion,) = Generator(lm).generate([[5, 6, 7]], GREEDY, seeds=[[0]])[0]
    expected = lm.model.generate(torch.tensor([[5, 6, 7]]), max_new_tokens=12, do_sample=False, eos_token_id=1)
    assert list(completion.tokens) == expected[0, 3:].tolist()


@pytest.mark.parametrize("make", [None, qwen3], ids=["llama", "qwen3"])
def test_what_follows_a_beginning_is_what_follows_it_computed_alone(make):
    """One forward pass over a sequence has the keys and values of all its beginnings."""
    torch.manual_seed(1)
    tiny = tiny_lm(torch.float64)
    lm = tiny if make is None else LanguageModel(exact(make().double().eval()), tiny.tokenizer)
    sequences = [[token % 90 for token in row] for row in ([5, 6, 7, 40, 41, 12, 9], [3] * 11, [100, 3, 50])]
    lengths = [[2, 5, 7], [1, 4], []]
    generator = Generator(lm, max_batch=4)
    computed = [c for row in generator.beginnings(sequences, lengths) for c in row]
    prompts = [sequence[:n] for sequence, row in zip(sequences, lengths, strict=True) for n in row]
    assert [c.prefix.length for c in computed] == [len(prompt) for prompt in prompts]
    seeds = [[i, 10 + i] for i in range(len(prompts))]
    alone = generator.generate(prompts, SAMPLED, seeds=seeds)
    again = generator.generate(prompts, SAMPLED, seeds=seeds, computed=computed)
    assert [c.tokens for c in flat(again)] == [c.tokens for c in flat(alone)]
    assert len({c.tokens for c in flat(alone)}) > 5


def test_beginnings_are_computed_some_sequences_at_a_time(monkeypatch):
    lm = tiny_lm(torch.float64)
    sequences, lengths = [[5, 6, 7, 8], [9, 10], [11, 12, 13]], [[1, 4], [2], [3]]
    at_once = Generator(lm).beginnings(sequences, lengths)
    monkeypatch.setattr(generate, "PREFILL_TOKENS", 5)
    apart = Generator(lm).beginnings(sequences, lengths)
    for one, other in zip(at_once, apart, strict=True):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a.hidden, b.hidden)
            torch.testing.assert_close(a.prefix.keys, b.prefix.keys)
