"""Bits per byte, exactly: whole documents, and for each token the bytes of text that it stands for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from mathwright.lm.logprobs import next_token_losses
from mathwright.lm.model import LanguageModel
from mathwright.lm.pack import Example, pack_rows
from mathwright.lm.shards import TokenShards
from mathwright.lm.tokenise import encode


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
class TextScore:
    """How well a model predicts a text."""

    nats: float
    """-log p of the text."""
    num_tokens: int
    num_bytes: int
    """UTF-8 bytes of the text."""
    parts: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    """Nats and bytes of its kinds of text, where it was split."""

    @property
    def bits_per_byte(self) -> float:
        return self.nats / math.log(2) / max(1, self.num_bytes)

    @property
    def weight(self) -> float:
        """What it counts in a mean with others: a text counts by its bytes."""
        return self.num_bytes


class Score(Protocol):
    """How well a model predicts something."""

    @property
    def nats(self) -> float:
        """-log p of it."""
        ...

    @property
    def weight(self) -> float:
        """What it counts in a mean with others."""
        ...


def mean_bits(scores: Sequence[Score]) -> float:
    """Bits over the weight of all scores together: of texts, bits per byte over the bytes of all."""
    weight = sum(score.weight for score in scores)
    return sum(score.nats for score in scores) / math.log(2) / max(1, weight)


def score_documents(lm: LanguageModel, shards: TokenShards, *, context: int, max_tokens: int) -> Iterator[TextScore]:
    """The documents of shards in order, each whole, until `max_tokens` are scored, at least one.

    A document stands behind an end token, as in training. One longer than `context` is read in windows; of each the
    first token is the last of the window before, so that every token of the text is scored once.
    """
    scored = 0
    for document in shards.documents():
        if scored >= max_tokens:
            return
        tokens = [shards.eos_token, *shards.read(document.start, document.num_tokens - 1).tolist()]
        windows = [tokens[start : start + context + 1] for start in range(0, len(tokens) - 1, context)]
        examples = [Example(tokens=window, trained=[False, *[True] * (len(window) - 1)]) for window in windows]
        nats = sum(float(losses.sum()) for losses in losses_of(lm, examples, context + 1))
        scored += len(tokens) - 1
        yield TextScore(nats=nats, num_tokens=len(tokens) - 1, num_bytes=document.num_bytes)


@torch.no_grad()
def losses_of(lm: LanguageModel, examples: Sequence[Example], row_tokens: int) -> list[np.ndarray]:
    """-log p of the trained tokens of each example, in nats; short ones share a row of at most `row_tokens`."""
    rows: list[list[Example]] = []
    for example in examples:
        if rows and sum(len(e.tokens) for e in rows[-1]) + len(example.tokens) <= row_tokens:
            rows[-1].append(example)
        else:
            rows.append([example])
    found: list[np.ndarray] = []
    for row in rows:
        losses = next_token_losses(lm, pack_rows([row])).double().cpu()
        found += [part.numpy() for part in losses.split([sum(example.trained) for example in row])]
    return found


def continuation_losses(
    lm: LanguageModel, asked: Sequence[tuple[str, str]], *, context: int
) -> list[tuple[list[int], np.ndarray]]:
    """The tokens of each text and -log p of them in nats, given what stands before it: pairs (before, text).

    What stands before comes behind an end token and is cut from the left where both do not fit; of a text that does
    not fit alone only the beginning is there.
    """
    tokenizer = lm.tokenizer
    examples: list[Example] = []
    texts: list[list[int]] = []
    for before, text in asked:
        tokens = encode(tokenizer, text, parse_special=False)[:context]
        prompt = [tokenizer.eos_token_id, *encode(tokenizer, before, parse_special=False)]
        prompt = prompt[-(context + 1 - len(tokens)) :]
        examples.append(Example(tokens=[*prompt, *tokens], trained=[*[False] * len(prompt), *[True] * len(tokens)]))
        texts.append(tokens)
    return list(zip(texts, losses_of(lm, examples, context + 1), strict=True))


def bits_per_byte(lm: LanguageModel, shards: TokenShards, *, context: int, max_tokens: int) -> float:
    """Negative log2 likelihood of held-out documents by their UTF-8 bytes, over whole documents (`score_documents`).

    Independent of the tokenizer, and of where windows are cut: bytes are those of the text and not of decoded windows.
    """
    return mean_bits(list(score_documents(lm, shards, context=context, max_tokens=max_tokens)))
