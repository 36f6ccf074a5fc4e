"""Names of other tools: what we answer exists, and docs/from_other_tools.md has all of it.

`python -m tests.test_other_names` writes the tables of the page anew.
"""

import dataclasses
import re
import types
import typing
from pathlib import Path
from typing import Any

import pytest

from mathwright.cli.parse import options_of
from mathwright.cli.verbs import BEHIND, VERBS
from mathwright.errors import MathwrightError
from mathwright.files import write_text
from mathwright.other_names import TOOLS, ours
from mathwright.recipe import Recipe, override

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/from_other_tools.md"
PARTS = ("rl", "sft", "reward", "pretrain", "corpus", "model", "eval")
PATH = re.compile(rf"(?<![\w/.])(?:PART|{'|'.join(PARTS)})(?:\.[a-z_]+\d?)+")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
OF_TORCHRUN = {"--nproc-per-node"}
ANSWERS = [(tool, name, answer) for tool, names in TOOLS.items() for name, answer in names.items()]


def has_field(kind: Any, path: list[str]) -> bool:
    """Whether a recipe part, or one of those that a type allows, has a field of that path."""
    if not path:
        return True
    if not dataclasses.is_dataclass(kind):
        return any(has_field(inner, path) for inner in typing.get_args(kind) if inner is not types.NoneType)
    hints = typing.get_type_hints(kind)
    return path[0] in hints and has_field(hints[path[0]], path[1:])


@pytest.mark.parametrize(("tool", "name", "answer"), ANSWERS, ids=lambda value: str(value)[:30])
def test_what_we_answer_exists(tool: str, name: str, answer: str) -> None:
    for path in PATH.findall(answer):
        part, *rest = path.split(".")
        assert any(has_field(Recipe, [one, *rest]) for one in (PARTS[:4] if part == "PART" else [part])), path
    known = {option for verb in [*VERBS.values(), *(v for vs in BEHIND.values() for v in vs.values())]
             for option in options_of(verb)}  # fmt: skip
    assert set(OPTION.findall(answer)) <= known | OF_TORCHRUN
    for page in re.findall(r"docs/\w+\.md", answer):
        assert (ROOT / page).is_file()


def shown(answer: str) -> str:
    """An answer as a cell of the table: what can be typed stands in backticks."""
    cells = re.split(r"(`[^`]*`)", answer.removeprefix("nothing: "))
    code = re.compile(rf"{PATH.pattern}(?:=[\w.]+)?|{OPTION.pattern}")
    said = "".join(cell if cell[:1] == "`" else code.sub(lambda found: f"`{found.group()}`", cell) for cell in cells)
    said = re.sub(r"docs/(\w+\.md)", r"[\1](\1)", said)
    return f"not needed: {said}" if answer.startswith("nothing: ") else said


def table(tool: str) -> str:
    """The table of a tool in the page."""
    rows = [f"| `{name}` | {shown(answer)} |" for name, answer in TOOLS[tool].items()]
    return "\n".join([f"| {tool} | here |", "|---|---|", *rows])


def with_tables(text: str) -> str:
    """The page with its tables made anew."""
    for tool in TOOLS:
        text = re.sub(rf"^\| {tool} \| here \|\n(?:\|.*\n)*", lambda _, tool=tool: table(tool) + "\n", text, flags=re.M)
    return text


def test_the_page_has_all_of_it() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| {tool} | here |" in text for tool in TOOLS)
    assert text == with_tables(text), "python -m tests.test_other_names"


def test_who_is_meant() -> None:
    assert ours("--num_generations") == "TRL's num_generations is rl.group_size here"
    assert ours("actor_rollout_ref.rollout.n") == "verl's n is rl.group_size here"
    assert ours("batch_size", "sft").startswith("TRL's"), "and lm-eval's in an evaluation, where it is called so"
    assert ours("batch_size", "eval") != "lm-eval's batch_size is --batch-size here"
    assert ours("--text_key", "corpus import") == "datatrove's text_key is --text-column here"
    assert ours("learning_rate", "sft") == "TRL's learning_rate is sft.optimiser.lr here"
    assert ours("--packing", "sft").startswith("TRL's packing has no counterpart here: examples are")
    assert ours("nonsense") == ours("limit", "sft") == ""


def test_a_name_of_verl_in_a_setting_is_answered() -> None:
    for name, answer in TOOLS["verl"].items():
        with pytest.raises(MathwrightError) as error:
            override(Recipe(name="r"), [f"{name}=1"])
        assert answer.split(",")[0].removeprefix("nothing: ") in error.value.hint


if __name__ == "__main__":
    write_text(PAGE, with_tables(PAGE.read_text(encoding="utf-8")))
