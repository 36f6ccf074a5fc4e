"""What the tests of imports share."""

from pathlib import Path

import pytest

from mathwright.lm.tokenise import train_tokenizer
from tests.corpus.importing.publishers import text


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer([text(i) for i in range(50)], vocab_size=400, max_length=128).save_pretrained(folder)
    return folder
