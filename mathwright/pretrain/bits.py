"""Bits per byte, exactly: whole documents, and for each token the bytes of text that it stands for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mathwright.lm.logprobs import next_token_losses
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import Example, pack_examples
from mathwright.lm.shards import TokenShards


def token_bytes(tokenizer: Any) -> np.ndarray:
    """UTF-8 bytes of text that each token of a vocabulary stands for [V], a part of a character as its own bytes.

    0 for special tokens, which stand for no text. Byte-level vocabularies (GPT-2 and most after it) write each byte as
    a character; SentencePiece's write a space as U+2581 and single bytes as <0xE6>.
    """
    decoder = json.loads(tokenizer.backend_tokenizer.to_str())["decoder"]
    by_byte = "ByteLevel" in json.dumps(decoder)
    special = set(tokenizer.all_special_ids)
    added = {number: token.content for number, token in tokenizer.added_tokens_decoder.items()}
    special |= {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    sizes = np.zeros(len(tokenizer), dtype=np.int64)
    for number, token in enumerate(tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))):
        if number in special or token is None:
            continue
        if number in added:
            sizes[number] = len(added[number].encode())
        elif by_byte:
            sizes[number] = len(token)
        elif len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            sizes[number] = 1
        else:
            sizes[number] = len(token.replace("\u2581", " ").encode())
    return sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentScore:
    """How well a model predicts a document."""

    nats: float
    """-log p of its text, without its end token."""
    num_tokens: int
    num_bytes: int
    """UTF-8 bytes of the text."""

    @property
    def bits_per_byte(self) -> float:
        return self.nats / math.log(2) / max(1, self.num_bytes)


@torch.no_grad()
def score_documents(
    lm: LanguageModel, shards: TokenShards, *, context: int, max_tokens: int
) -> Iterator[DocumentScore]:
    """The documents of shards in order, each whole, until `max_tokens` are scored, at least one.

    A document stands behind an end token, as in training. One longer than `context` is read in windows; of each the
    first token is the last of the window before, so that every token of the text is scored once.
    """
    scored = 0
    for document in shards.documents():
        if scored >= max_tokens:
            return
        tokens = [shards.eos_token, *shards.read(document.start, document.num_tokens - 1).tolist()]
        nats = 0.0
        for start in range(0, len(tokens) - 1, context):
            window = tokens[start : start + context + 1]
            example = Example(tokens=window, trained=[False, *[True] * (len(window) - 1)])
            for rows in pack_examples([example], len(window), None):
                nats += float(next_token_losses(lm, rows).sum())
        scored += len(tokens) - 1
        yield DocumentScore(nats=nats, num_tokens=len(tokens) - 1, num_bytes=document.num_bytes)


def bits_per_byte(lm: LanguageModel, shards: TokenShards, *, context: int, max_tokens: int) -> float:
    """Negative log2 likelihood of held-out documents by their UTF-8 bytes, over whole documents (`score_documents`).

    Independent of the tokenizer, and of where windows are cut: bytes are those of the text and not of decoded windows.
    """
    scores = list(score_documents(lm, shards, context=context, max_tokens=max_tokens))
    num_bytes = sum(score.num_bytes for score in scores)
    return sum(score.nats for score in scores) / math.log(2) / max(1, num_bytes)
