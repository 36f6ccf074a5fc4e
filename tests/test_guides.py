"""The guides are followed to the letter: every block is run, or says what it needs and is parsed (tests/guides.py)."""

import random
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from mathwright.cli.parse import require_known
from mathwright.cli.verbs import BEHIND, VERBS
from mathwright.errors import MathwrightError
from mathwright.lm.recipe import ScratchRecipe
from mathwright.lm.save import save
from mathwright.lm.scratch import from_scratch
from mathwright.recipe import override
from mathwright.recipes import build
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


def _page(words: Sequence[str], draw: random.Random) -> str:
    paragraphs = [" ".join(draw.choices([*words, *COMMON], k=60)).capitalize() for _ in range(3)]
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


# --- all other pages --------------------------------------------------------------------------------

PAGES = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_shown_elsewhere_are_known_with_every_option(page: Path) -> None:
    lines = "\n".join(re.findall(r"^ {4}(mathwright \w(?:.*\\\n)*.*)$", page.read_text(encoding="utf-8"), re.MULTILINE))
    for program, *arguments in guides.commands(lines):
        if program == "mathwright":
            require_known(arguments, VERBS, BEHIND)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_named_in_the_text_can_be_set(page: Path) -> None:
    for code in re.findall(r"`([^`]*)`", page.read_text(encoding="utf-8")):
        for setting in re.findall(r"--set\s+('[^']*'|[a-z_.]+=\S+)", code):
            if not setting.endswith("..."):
                override(build("quickstart"), [setting.strip("'")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, _, heading in (link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", text)):
        if "://" not in target:
            file = (page.parent / target) if target else page
            assert file.exists(), f"{page.name} links to {target}"
            assert not heading or heading in _headings(file), f"{page.name} links to {target}#{heading}"


def _headings(page: Path) -> set[str]:
    """Of a page, as GitHub names them in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_index_has_every_page_once_and_the_guides_are_run() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[[^\]]+\]\(([\w.]+)\)", index, re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in DOCS.glob("*.md") if path.name != "README.md")
    first = index.split("## ")[1]
    assert sorted(re.findall(r"\(([\w.]+)\)", first)) == sorted(GUIDES), "all guides stand first"
    assert "(docs/README.md)" in (DOCS.parent / "README.md").read_text(encoding="utf-8")


def test_the_extras_are_those_of_the_package() -> None:
    page = (DOCS / "install.md").read_text(encoding="utf-8").split("## Extras")[1].split("\n## ")[0]
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(project["optional-dependencies"].keys() - {"dev"})


def test_a_recipe_of_ones_own_is_short() -> None:
    [mine] = [block.text for block in blocks(DOCS / "own_recipe.md") if block.file == "mine.py"]
    assert mine.count("\n") <= 20, "ten lines, and the imports"
    assert all(block.needs == "" for block in blocks(DOCS / "own_recipe.md") if block.language == "python")


# --- the reader itself ------------------------------------------------------------------------------


def test_commands_are_told_apart_from_what_stands_around_them() -> None:
    text = (
        "cat > rows.jsonl <<'END'\nmathwright nothing\nEND\n# mathwright comment\n"
        "mathwright rl --set 'rl.lora={\"rank\": 8}' \\\n    --out R  # here\nmathwright show a | head -3 && ls\n"
    )
    assert list(guides.commands(text)) == [
        ["cat", ">", "rows.jsonl"],
        ["mathwright", "rl", "--set", 'rl.lora={"rank": 8}', "--out", "R"],
        ["mathwright", "show", "a"],
        ["head", "-3"],
        ["ls"],
    ]


def test_what_a_block_should_print_is_looked_for_line_by_line() -> None:
    said = "      rl  step 2 of 2: reward 0.5, kl 0\nrecipe: R/recipe.py (edit it)\n"
    assert guides.lacking(said, "rl  step 2 of 2: reward ..., kl\nrecipe: R/recipe.py\n\n") == []
    assert guides.lacking(said, "rl step 3\nrecipe") == ["rl step 3"]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "# needs a GPU\nmathwright rl --modle M --problems p.jsonl\n"),
        ("sh", "# needs the network\nmathwright run quickstart --set rl.nothing=1\n"),
        ("sh", "# needs a GPU\ntorchrun -m mathwright.cli sft quickstart --devcie cuda\n"),
        ("sh", "# needs the network\nrm -r everything\n"),
        ("sh", "# needs the network\nmake everything\n"),
        ("python", "# needs a GPU\nprint(\n"),
    ],
)
def test_a_wrong_block_that_cannot_be_run_is_found(language: str, text: str) -> None:
    with pytest.raises((MathwrightError, AssertionError, SyntaxError)):
        guides.check_unrun(guides.Block(language, text, 1))


def test_a_failing_block_is_found(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with guides.reader(tmp_path, programs) as reader:
        assert "mathwright 0" in reader.follow(guides.Block("sh", "mathwright --version\n", 1))
        for text in ("mathwright report nowhere\nls\n", "false\n", "mathwright show nothing | cat\n"):
            with pytest.raises(AssertionError, match="line 1 ended with"):
                reader.follow(guides.Block("sh", text, 1))
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            reader.follow(guides.Block("python", "1 / 0\n", 1))
