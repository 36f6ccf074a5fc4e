"""Text to tokens, and a tokenizer of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

BOS, EOS, PAD = "<bos>", "<eos>", "<pad>"


def encode(tokenizer: Any, text: str, *, parse_special: bool = True) -> list[int]:
    """The tokens of `text`, no begin or end token added.

    parse_special: whether the spelling of a special token in `text` becomes that token; set it to False for text from
    the web, in which somebody else's `<|endoftext|>` is only text. Texts may be longer than the model's context:
    who trains on them cuts them, and transformers' warning that they would "result in indexing errors" is left out.
    """
    return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=not parse_special, verbose=False)


def encode_prompt(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a prompt, after the begin token where the model's tokenizer puts one (Llama, DeepSeek).

    A chat template writes it itself; it is not doubled. Models that never saw a text begin otherwise answer worse
    without it.
    """
    tokens = encode(tokenizer, text)
    begin = tokenizer.bos_token_id
    if begin is None or tokens[:1] == [begin] or tokenizer.encode("")[:1] != [begin]:
        return tokens
    return [int(begin), *tokens]


def encode_response(
    tokenizer: Any, prompt: str, segments: Sequence[tuple[str, bool]], *, prefix: str, gap: str, end: int
) -> tuple[list[int], list[bool]]:
    """The tokens of a given response after `prompt`, and whether each is the model's own.

    What the model writes is tokenised as it stands after what precedes it: SentencePiece puts a space before a text
    that stands alone. The output of programs is tokenised alone, as generation inserts it. Where a segment spells a
    control token, it is only text.

    Args:
        tokenizer: the model's.
        prompt: what precedes the response; tokenised by itself (`encode_prompt`).
        segments: the response cut where the writer changes: (text, whether it is the model's own).
        prefix: what the template writes between prompt and response.
        gap: what it writes between response and end token.
        end: the token that ends a response; trained.
    """
    tokens: list[int] = []
    own: list[bool] = []
    before, opening = prompt, prefix
    last = len(segments) - 1
    pieces = [(text + (gap if i == last and is_own else ""), is_own) for i, (text, is_own) in enumerate(segments)]
    for text, is_own in pieces:
        if is_own:
            piece = _encode_after(tokenizer, before, opening, text)
            opening = ""
        else:
            piece = encode(tokenizer, text, parse_special=False)
        tokens += piece
        own += [is_own] * len(piece)
        before = text
    return [*tokens, end], [*own, True]


def _encode_after(tokenizer: Any, before: str, opening: str, text: str) -> list[int]:
    """The tokens of `opening` (a template's, which may hold control tokens) and `text` where they follow `before`."""
    alone = encode(tokenizer, text, parse_special=False)
    if alone != encode(tokenizer, text):
        return [*(_encode_after(tokenizer, before, opening, "") if opening else []), *alone]
    head, whole = encode(tokenizer, before), encode(tokenizer, before + opening + text)
    # the prompt's own tokens are given: a token across the two would be one that generation never sees
    return whole[len(head) :] if whole[: len(head)] == head else encode(tokenizer, opening + text)


def train_tokenizer(texts: Iterable[str], *, vocab_size: int, max_length: int) -> Any:
    """A byte-level BPE tokenizer learnt from `texts`; each digit is a token of its own, as in the paper's models.

    vocab_size is an upper bound, special tokens included; a short text runs out of pairs before it.
    """
    if vocab_size < 256 + 3:
        raise ValueError(f"vocab_size is {vocab_size}; 256 bytes and 3 special tokens need at least 259")
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=PAD, model_max_length=max_length
    )
