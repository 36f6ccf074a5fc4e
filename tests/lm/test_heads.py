"""A saved reward model scores in transformers what it scores here, whatever its tokenizer pads with."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, LlamaConfig

from mathwright.errors import MathwrightError
from mathwright.lm import heads
from mathwright.lm.attention import ATTENTION
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import TokenGroup, pack_groups
from mathwright.lm.save import save
from tests.lm.conftest import tiny_lm
from tests.problems.chat_templates import TEMPLATES, tokenizer

PROMPT = "What is 1 + 1?\nPlease reason."
RESPONSES = [" It is two, so the answer is 2.", " 2", " Is it? </s> no <s> 3"]

KINDS: dict[str, dict[str, Any]] = {
    "pad is the end token": {"pad_token": "</s>"},
    "no pad": {},
    "unknown token": {"unk_token": "<|User|>"},
    "pad is another token": {"pad_token": "<|Assistant|>"},
    "pad is the begin token": {"pad_token": "<s>"},
}


def test_a_cut_response_has_no_end_token() -> None:
    model = heads.from_language_model(with_tokenizer(tokenizer()), seed=0)
    ended, cut = heads.token_group(model, PROMPT, [" 2", " 2"], [False, True]).responses
    assert list(ended) == [*cut, model.end]
    both = heads.score(model, [PROMPT] * 3, [" 2", " 2", ""], truncated=[False, True, True], micro_batch_tokens=100)
    alone = heads.score(model, [PROMPT], [" 2"], micro_batch_tokens=100)
    assert both[0] == pytest.approx(alone[0], abs=1e-5)
    assert both[1] != pytest.approx(alone[0], abs=1e-3) and both[2] is not None


def test_a_scale_is_kept_in_the_folder_of_its_model(tmp_path: Path) -> None:
    scale = heads.scale_of([1.0, None, 3.0, math.nan])
    assert scale == heads.Scale(mean=2.0, std=math.sqrt(2), num_responses=2)
    heads.write_scale(tmp_path, scale)
    assert heads.read_scale(tmp_path) == scale
    assert scale is not None and scale.standardised(3.0) == pytest.approx(math.sqrt(0.5))
    assert heads.scale_of([1.0]) is heads.scale_of([2.0, 2.0]) is heads.scale_of([]) is None
    heads.write_scale(tmp_path, None)
    with pytest.raises(MathwrightError, match="nothing says what is a usual score"):
        heads.read_scale(tmp_path)
    (tmp_path / heads.SCALE).write_text('{"mean": NaN, "std": 1.0, "num_responses": 3}')
    with pytest.raises(MathwrightError, match="are no scale"):
        heads.read_scale(tmp_path)


def with_tokenizer(made: Any, *, spare_rows: int = 0) -> LanguageModel:
    """A random Llama for a tokenizer; spare_rows: of the embedding, after the vocabulary."""
    config = LlamaConfig(
        vocab_size=len(made) + spare_rows, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=160, eos_token_id=made.eos_token_id,
        bos_token_id=made.bos_token_id, pad_token_id=made.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8.0)
    return LanguageModel(model.eval(), made)


def of_transformers(folder: Path, *, together: bool, side: str = "right", end: str = "</s>") -> list[float]:
    """The scores that transformers gives prompt + response + end token, as its users ask for them."""
    theirs = AutoTokenizer.from_pretrained(folder)
    theirs.padding_side = side
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    end_token = theirs.convert_tokens_to_ids(end)
    rows = [
        theirs.encode(PROMPT, add_special_tokens=False)
        + theirs.encode(response, add_special_tokens=False, split_special_tokens=True)
        + [end_token]
        for response in RESPONSES
    ]
    with torch.no_grad():
        if not together:
            return [model(torch.tensor([row])).logits.item() for row in rows]
        batch = theirs.pad({"input_ids": rows}, return_tensors="pt")
        return model(**batch).logits.squeeze(-1).tolist()


def check(reward_model: heads.RewardModel, folder: Path, **how: Any) -> None:
    save(reward_model, folder)
    again = heads.load(folder, dtype="float32")
    ours = [
        heads.score(one, [PROMPT] * len(RESPONSES), RESPONSES, micro_batch_tokens=1000) for one in (reward_model, again)
    ]
    assert ours[0] == pytest.approx(ours[1], abs=1e-6)
    assert len({round(value or 0.0, 3) for value in ours[0]}) == len(RESPONSES), "scores that could be mixed up"
    assert of_transformers(folder, together=False, **how) == pytest.approx(ours[0], abs=1e-5)
    for side in ("right", "left"):
        assert of_transformers(folder, together=True, side=side, **how) == pytest.approx(ours[0], abs=1e-5), side


@pytest.mark.parametrize("spare_rows", [0, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_gives_the_same_scores(tmp_path: Path, kind: str, spare_rows: int) -> None:
    lm = with_tokenizer(tokenizer(**KINDS[kind]), spare_rows=spare_rows)
    before = copy.deepcopy(lm.model.state_dict())
    named = (lm.tokenizer.pad_token, len(lm.tokenizer), lm.model.config.pad_token_id)
    check(heads.from_language_model(lm, seed=0), tmp_path)
    assert named == (lm.tokenizer.pad_token, len(lm.tokenizer), lm.model.config.pad_token_id)
    assert all(torch.equal(value, before[name]) for name, value in lm.model.state_dict().items())


def test_a_padding_token_of_number_0_stays(tmp_path: Path) -> None:
    lm = tiny_lm(max_length=160)
    for pad in ("<bos>", "<pad>"):  # <bos> is token 0
        lm.tokenizer.pad_token = pad
        model = heads.from_language_model(lm, seed=0)
        assert model.model.config.pad_token_id == lm.tokenizer.convert_tokens_to_ids(pad)
        check(model, tmp_path / pad.strip("<>"), end="<eos>")


def test_one_special_token_alone_as_in_gpt2(tmp_path: Path) -> None:
    """It begins, ends and pads: the vocabulary gets a token, and the language model keeps its own embedding."""
    made = tokenizer(control=(), bos_token="</s>", unk_token="</s>", pad_token="</s>")
    lm = with_tokenizer(made)
    rows = len(lm.model.get_input_embeddings().weight)
    model = heads.from_language_model(lm, seed=0)
    assert model.model.config.pad_token_id == rows
    assert len(lm.model.get_input_embeddings().weight) == rows == lm.model.config.vocab_size
    other = model.model.base_model.layers[0].mlp.up_proj.weight
    assert other is lm.model.base_model.layers[0].mlp.up_proj.weight, "not copied"
    check(model, tmp_path)


def test_the_end_is_that_of_the_template(tmp_path: Path) -> None:
    lm = with_tokenizer(tokenizer(template=TEMPLATES["gemma"][0], pad_token="<end_of_turn>"))
    end = lm.tokenizer.convert_tokens_to_ids("<end_of_turn>")
    model = heads.from_language_model(lm, seed=0, end=end)
    assert heads.token_group(model, PROMPT, [" 2"]).responses[0][-1] == end
    check(model, tmp_path, end="<end_of_turn>")
    assert heads.load(tmp_path, dtype="float32").end == end


def test_without_an_end_there_is_nothing_to_read_a_score_at() -> None:
    with pytest.raises(MathwrightError, match="no end-of-sequence token"):
        heads.from_language_model(with_tokenizer(tokenizer(eos_token=None)), seed=0)


def test_the_head_is_read_at_a_token_for_steps_before_it_for_values_and_at_the_last_for_outcomes() -> None:
    """Against transformers' own decoder on each sequence alone: V_t has not seen o_t, the score of a step has."""
    model = heads.from_language_model(tiny_lm(max_length=160), seed=0)
    prompt, responses = [5, 6, 7], [[8, 9, 10, 11], [12, 13]]
    (batch,) = pack_groups([TokenGroup(prompt, responses)], 100)
    with torch.no_grad():
        values, scores, ends = (
            read(model, batch) for read in (heads.token_values, heads.token_scores, heads.response_scores)
        )
        for b, response in enumerate(responses):
            states = model.model.base_model(torch.tensor([prompt + response])).last_hidden_state[0]
            expected = (states @ model.model.score.weight.T).squeeze(-1)
            n, first = len(response), len(prompt)
            torch.testing.assert_close(values[b, :n], expected[first - 1 : first - 1 + n], rtol=0, atol=1e-5)
            torch.testing.assert_close(scores[b, :n], expected[first : first + n], rtol=0, atol=1e-5)
            torch.testing.assert_close(ends[b], expected[-1], rtol=0, atol=1e-5)
