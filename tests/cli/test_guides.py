"""What the guides tell people to type: every command is known with every option, and the recipe they show builds."""

import re
import shlex
import textwrap
from pathlib import Path

import pytest

from mathwright.cli.parse import require_known
from mathwright.cli.verbs import BEHIND, VERBS
from mathwright.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ["README.md", "docs/own_data.md", "docs/python.md"]


def commands(guide: str) -> list[str]:
    """The indented lines of a guide that begin with mathwright, without their comments."""
    lines = (ROOT / guide).read_text(encoding="utf-8").splitlines()
    return [line.strip().partition("  #")[0] for line in lines if re.match(r"    mathwright \w", line)]


@pytest.mark.parametrize("guide", GUIDES)
def test_commands_and_options_exist(guide: str) -> None:
    found = commands(guide)
    assert found or guide == "docs/python.md"
    for command in found:
        require_known(shlex.split(command)[1:], VERBS, BEHIND)


def test_the_recipe_of_the_guide_builds() -> None:
    text = (ROOT / "docs/own_data.md").read_text(encoding="utf-8")
    block = re.search(r"(    from mathwright\.lm\.recipe.*?)\n\n##", text, re.DOTALL)
    assert block is not None
    names: dict = {}
    exec(textwrap.dedent(block.group(1)), names)
    built = names["recipe"]()
    assert isinstance(built, Recipe) and built.rl is not None and built.rl.num_steps == 200
    assert len(block.group(1).strip().splitlines()) <= 14, "an own recipe is ten lines and its imports"
