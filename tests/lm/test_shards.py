"""Token shards: what is written is what is read, wherever the shard boundaries fall."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mathwright.errors import MathwrightError
from mathwright.lm.shards import ShardWriter, TokenShards

EOS = 0


def write(folder, documents, *, vocab_size=1000, shard_tokens=1 << 20):
    with ShardWriter(folder, vocab_size=vocab_size, eos_token=EOS, shard_tokens=shard_tokens) as writer:
        for i, tokens in enumerate(documents):
            writer.write(tokens, num_bytes=10 * i, url=f"http://a.org/{i}", archive="a.warc.gz", offset=100 + i)
    return TokenShards(folder)


@given(
    documents=st.lists(st.lists(st.integers(1, 999), max_size=6), min_size=1, max_size=8),
    shard_tokens=st.integers(1, 20),
)
def test_round_trip_over_shard_boundaries(tmp_path_factory, documents, shard_tokens):
    shards = write(tmp_path_factory.mktemp("shards"), documents, shard_tokens=shard_tokens)
    stream = [token for document in documents for token in [*document, EOS]]
    assert shards.num_tokens == len(stream)
    assert shards.num_documents == len(documents)
    for start in range(len(stream)):
        assert shards.read(start, len(stream) - start).tolist() == stream[start:]
    starts = np.cumsum([0, *(len(document) + 1 for document in documents)])[:-1]
    assert shards.document_starts.tolist() == starts.tolist()
    for i, document in enumerate(shards.documents()):
        assert (document.url, document.offset, document.start) == (f"http://a.org/{i}", 100 + i, starts[i])
        assert document.num_tokens == len(documents[i]) + 1
        for position in range(document.start, document.start + document.num_tokens):
            assert shards.document_at(position) == document


@pytest.mark.parametrize(("vocab_size", "token", "itemsize"), [(65536, 65535, 2), (65537, 65536, 4)])
def test_the_type_holds_the_vocabulary(tmp_path, vocab_size, token, itemsize):
    shards = write(tmp_path, [[token]], vocab_size=vocab_size)
    assert shards.read(0, 2).tolist() == [token, EOS]
    assert (tmp_path / "shard-00000.bin").stat().st_size == 2 * itemsize


def test_bytes_are_the_sum_over_documents(tmp_path):
    assert write(tmp_path, [[1], [2, 3], [4]], shard_tokens=3).num_bytes == 0 + 10 + 20


def test_a_token_outside_the_vocabulary_is_refused(tmp_path):
    with pytest.raises(ValueError, match="token 1000"):
        write(tmp_path, [[1000]])


def test_reading_outside_raises(tmp_path):
    shards = write(tmp_path, [[1, 2]])
    with pytest.raises(IndexError):
        shards.read(2, 2)
    with pytest.raises(IndexError):
        shards.document_at(3)


def test_an_interrupted_writer_leaves_nothing_readable(tmp_path):
    with pytest.raises(RuntimeError), ShardWriter(tmp_path, vocab_size=10, eos_token=EOS) as writer:
        writer.write([1], num_bytes=1)
        raise RuntimeError
    with pytest.raises(MathwrightError, match="no token shards"):
        TokenShards(tmp_path)


def test_shards_are_not_written_over(tmp_path):
    write(tmp_path, [[1]])
    with pytest.raises(MathwrightError, match="holds shards already"):
        write(tmp_path, [[1]])


def test_a_shard_cut_short_is_named(tmp_path):
    write(tmp_path, [[1, 2, 3]])
    path = tmp_path / "shard-00000.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MathwrightError, match=r"shard-00000\.bin: 7 bytes, the index says 8"):
        TokenShards(tmp_path)


def test_another_format_is_refused(tmp_path):
    write(tmp_path, [[1]])
    path = tmp_path / "shard-00000.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(MathwrightError, match="shard format 99"):
        TokenShards(tmp_path)
