"""Bits per byte: the bytes of each token add up to those of the text, and documents are scored whole."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from mathwright.lm.model import LanguageModel
from mathwright.lm.scratch import from_scratch
from mathwright.lm.tokenise import encode
from mathwright.pretrain.bits import bits_per_byte, score_documents, token_bytes
from tests.pretrain.test_train import SIZES, TEXTS, write_shards

HARD = ["Ω∑∮ 数学 é 🙂", "  two  spaces\n\n\ttab ", "<eos> spelt out", "\x00\x7f", "naïve – “quoted” ½"]


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return from_scratch(SIZES, TEXTS, max_length=128, seed=0)


def sentencepiece() -> Any:
    """A vocabulary as SentencePiece's: spaces as U+2581, bytes where a character is unknown."""
    vocabulary = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "▁", "a", "b", "数", "ab", "▁ab"]
    tokenizer = Tokenizer(
        models.BPE(
            {token: i for i, token in enumerate(vocabulary)}, [("a", "b"), ("▁", "ab")], unk_token="<unk>",
            byte_fallback=True,
        )
    )  # fmt: skip
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def test_bytes_of_tokens_add_up_to_those_of_any_text(lm: LanguageModel) -> None:
    for tokenizer in (lm.tokenizer, sentencepiece()):
        sizes = token_bytes(tokenizer)
        for text in [*HARD, *TEXTS[:5], "ab abab 数 ñ"]:
            tokens = encode(tokenizer, text, parse_special=False)
            assert sizes[tokens].sum() == len(text.encode()), text
        assert sizes[tokenizer.eos_token_id] == 0


def test_documents_are_scored_whole_each_token_once(tmp_path: Path, lm: LanguageModel) -> None:
    """The definition, document by document: behind an end token, in windows of the context, over its own bytes."""
    texts = [*HARD, " ".join(TEXTS[:4]), TEXTS[0]]
    shards = write_shards(tmp_path / "held", lm, texts)
    scores = list(score_documents(lm, shards, context=16, max_tokens=10_000))
    total = 0.0
    for score, text in zip(scores, texts, strict=True):
        tokens = [shards.eos_token, *encode(lm.tokenizer, text)]
        nats = 0.0
        for start in range(0, len(tokens) - 1, 16):
            window = torch.tensor(tokens[start : start + 17])
            with torch.no_grad():
                logits = lm.model(window[None]).logits[0].double().log_softmax(-1)
            nats -= sum(float(logits[i, window[i + 1]]) for i in range(len(window) - 1))
        assert score.nats == pytest.approx(nats, rel=1e-5)
        assert score.num_bytes == len(text.encode())
        assert score.num_tokens == len(tokens) - 1
        total += nats
    value = bits_per_byte(lm, shards, context=16, max_tokens=10_000)
    assert value == pytest.approx(total / math.log(2) / sum(len(t.encode()) for t in texts), rel=1e-5)


def test_the_budget_of_tokens_ends_between_documents(tmp_path: Path, lm: LanguageModel) -> None:
    shards = write_shards(tmp_path / "held", lm, TEXTS[:9])
    first = shards.document(0).num_tokens - 1
    assert len(list(score_documents(lm, shards, context=64, max_tokens=first))) == 1
    assert len(list(score_documents(lm, shards, context=64, max_tokens=first + 1))) == 2
