"""Text to tokens, and a tokenizer of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

BOS, EOS, PAD = "<bos>", "<eos>", "<pad>"


def encode(tokenizer: Any, text: str, *, parse_special: bool = True) -> list[int]:
    """The tokens of `text`, no begin or end token added.

    parse_special: whether the spelling of a special token in `text` becomes that token; set it to False for text from
    the web, in which somebody else's `<|endoftext|>` is only text.
    """
    return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=not parse_special)


def encode_prompt(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a prompt, behind the begin token where the model's tokenizer puts one (Llama, DeepSeek).

    A chat template writes it itself; it is not doubled. Models that never saw a text begin otherwise answer worse
    without it.
    """
    tokens = encode(tokenizer, text)
    begin = tokenizer.bos_token_id
    if begin is None or tokens[:1] == [begin] or tokenizer.encode("")[:1] != [begin]:
        return tokens
    return [int(begin), *tokens]


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
