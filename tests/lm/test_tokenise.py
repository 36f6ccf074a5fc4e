"""A prompt begins as the model's texts did in its pre-training."""

from typing import Any

import pytest
from tokenizers import processors

from mathwright.lm.tokenise import BOS, encode, encode_prompt, train_tokenizer


def tokenizer(*, adds_begin: bool) -> Any:
    made = train_tokenizer(["What is 2 + 2?"] * 5, vocab_size=300, max_length=64)
    if adds_begin:  # as Llama's and DeepSeek's do
        made.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, made.bos_token_id)]
        )
    return made


@pytest.mark.parametrize("adds_begin", [True, False])
def test_the_begin_token_is_put_where_the_tokenizer_puts_one(adds_begin: bool) -> None:
    made = tokenizer(adds_begin=adds_begin)
    plain = encode(made, "What is 2?")
    assert encode_prompt(made, "What is 2?") == ([made.bos_token_id, *plain] if adds_begin else plain)


def test_a_begin_token_of_a_chat_template_is_not_doubled() -> None:
    made = tokenizer(adds_begin=True)
    tokens = encode_prompt(made, f"{BOS}What is 2?")
    assert tokens == [made.bos_token_id, *encode(made, "What is 2?")]


def test_a_text_longer_than_the_context_is_no_warning() -> None:
    made = tokenizer(adds_begin=False)
    assert len(encode(made, "What is 2 + 2? " * 50)) > 64
    assert not made.deprecation_warnings, "transformers keeps there what it has warned of"
    made.encode("What is 2 + 2? " * 50)
    assert made.deprecation_warnings
