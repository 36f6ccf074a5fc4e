"""The guides are followed to the letter: every block is run, or says what it needs and is parsed (tests/guides.py)."""

from pathlib import Path

import pytest

from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from tests import guides
from tests.guides import DOCS, blocks

GUIDES = ["own_data.md"]
SCRATCH = ScratchRecipe(vocab_size=300, width=16, num_layers=1, num_heads=2, num_kv_heads=1, ffn_width=32)
CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token if m.role == 'assistant' }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="session")
def my_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model of a few thousand weights: what `my-model` is here."""
    lm = from_scratch(SCRATCH, [f"What is {n} * {n + 1}?" for n in range(9)], max_length=2048, seed=0)
    lm.tokenizer.chat_template = CHAT
    folder = tmp_path_factory.mktemp("models") / "my-model"
    save(lm, folder)
    return folder


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bin")


@pytest.mark.parametrize("guide", GUIDES)
def test_a_reader_can_follow(
    guide: str, my_model: Path, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "my-model").symlink_to(my_model)
    said, num_run = "", 0
    with guides.reader(tmp_path, programs) as reader:
        for block in blocks(DOCS / guide):
            if block.language == "text":
                assert said, f"{guide}:{block.line}: no block has printed anything before"
                lacks = guides.lacking(said, block.text)
                assert not lacks, f"{guide}:{block.line}: {lacks} is not in\n{said}"
            elif block.needs:
                guides.check_unrun(block)
            else:
                said = reader.follow(block)
                num_run += 1
    assert num_run > 0
