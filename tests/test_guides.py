"""The guides are followed to the letter: every block is run, or says what it needs and is parsed (tests/guides.py)."""

import random
from pathlib import Path

import pytest

from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from tests import guides
from tests.corpus.warc_making import response, write_members
from tests.guides import DOCS, blocks

GUIDES = [
    "install.md",
    "own_data.md",
    "own_reward.md",
    "own_recipe.md",
    "own_corpus.md",
    "own_solutions.md",
    "runs.md",
    "python.md",
    "report.md",
    "troubleshooting.md",
]
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


MATH_WORDS = "theorem proof lemma integral matrix vector polynomial prime group ring field converges bounded series"
OTHER_WORDS = "hotel travel recipe camera price shipping review phone battery garden music concert football season"
COMMON_WORDS = "the a of and to in is that for with we are this it by on as be or an"
MATH, OTHER, COMMON = (words.split() for words in (MATH_WORDS, OTHER_WORDS, COMMON_WORDS))
SITES = {
    "dlmf.nist.gov": MATH,
    "math.stackexchange.com/questions": MATH,
    "mathoverflow.net/questions": MATH,
    "shop.example.com/items": OTHER,
    "travel.example.org/places": OTHER,
    "phones.example.net/all": OTHER,
}
PAGES_A_SITE = 20


@pytest.fixture(scope="session")
def warcs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archives of a small web: what stands in `warcs/` here."""
    draw = random.Random(0)
    folder = tmp_path_factory.mktemp("archives") / "warcs"
    folder.mkdir()
    pages = [
        response(f"https://{site}/{number}", _page(words, draw))
        for site, words in SITES.items()
        for number in range(20)
    ]
    draw.shuffle(pages)
    for part in range(2):
        write_members(folder / f"{part}.warc.gz", [[page] for page in pages[part::2]])
    return folder


def _page(words: list[str], draw: random.Random) -> str:
    paragraphs = [" ".join(draw.choices(words + COMMON, k=60)).capitalize() for _ in range(3)]
    title = " ".join(draw.sample(words, 2))
    body = "".join(f"<p>{paragraph}.</p>" for paragraph in paragraphs)
    return f"<html><head><title>{title}</title></head><body><main><h1>{title}</h1>{body}</main></body></html>"


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bin")


@pytest.mark.parametrize("guide", GUIDES)
def test_a_reader_can_follow(
    guide: str, my_model: Path, warcs: Path, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "my-model").symlink_to(my_model)
    (tmp_path / "warcs").symlink_to(warcs)
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
