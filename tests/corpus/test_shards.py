"""Documents to shards: every document on one side, every token accounted for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.corpus.shards import choose_heldout, write_shards
from mathwright.errors import MathwrightError
from mathwright.lm.shards import TokenShards
from mathwright.lm.tokenise import train_tokenizer

TEXTS = [f"the sum of {i} and {i + 1} is {2 * i + 1}; 三角形 {i}" for i in range(20)]
ROWS = [
    {"url": f"http://a.org/{i}", "text": text, "num_bytes": len(text.encode()), "archive": "a.warc", "offset": i}
    for i, text in enumerate(TEXTS)
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, vocab_size=300, max_length=128)


def test_shards_decode_to_the_documents(tmp_path, tokenizer):
    folders = {False: tmp_path / "train", True: tmp_path / "heldout"}
    heldout = {"http://a.org/3", "http://a.org/7"}
    counts = write_shards(ROWS, tokenizer, folders, heldout)
    seen = {}
    for side, folder in folders.items():
        shards = TokenShards(folder)
        assert (shards.num_tokens, shards.num_bytes) == (counts[side].num_tokens, counts[side].num_bytes)
        for document in shards.documents():
            tokens = shards.read(document.start, document.num_tokens).tolist()
            assert tokens[-1] == tokenizer.eos_token_id
            seen[document.url] = (side, tokenizer.decode(tokens[:-1]))
    assert seen == {row["url"]: (row["url"] in heldout, row["text"]) for row in ROWS}
    assert counts[True].num_bytes + counts[False].num_bytes == sum(len(text.encode()) for text in TEXTS)


def test_a_special_token_spelt_out_on_a_page_is_text(tmp_path, tokenizer):
    row = {**ROWS[0], "text": f"a {tokenizer.eos_token} b"}
    write_shards([row, ROWS[1]], tokenizer, {False: tmp_path / "a", True: tmp_path / "b"}, {ROWS[1]["url"]})
    tokens = TokenShards(tmp_path / "a")
    assert tokens.read(0, tokens.num_tokens).tolist().count(tokenizer.eos_token_id) == 1


def test_a_tokenizer_without_an_end_token_is_refused(tmp_path, tokenizer):
    class Endless:
        eos_token_id = None

    with pytest.raises(MathwrightError, match="no end-of-sequence token"):
        write_shards(ROWS, Endless(), {False: tmp_path / "a", True: tmp_path / "b"}, set())


@given(num=st.integers(2, 200), share=st.floats(0.01, 0.4))
def test_heldout_has_its_size_and_hardly_moves(num, share):
    urls = [f"http://a.org/{i}" for i in range(num)]
    chosen = choose_heldout(urls, share, seed=1)
    assert share * num <= len(chosen) < share * num + 1
    # One page more moves at most one page out and two in.
    more = choose_heldout([*urls, "http://b.org/"], share, seed=1)
    assert len(chosen ^ more) <= 3


def test_heldout_needs_pages_on_both_sides():
    with pytest.raises(MathwrightError, match="1 documents cannot be split"):
        choose_heldout(["http://a.org/"], 0.1, seed=1)
    assert choose_heldout(["http://a.org/"], 0.0, seed=1) == set()
